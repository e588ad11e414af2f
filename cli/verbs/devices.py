"""Take devices out of service."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import console, target
from cli.operator import Who, Why, operator
from pipeline import alerts, holds

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.callback()
def devices() -> None:
    """Take devices out of service."""


@app.command("retire")
def retire(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="DEVICE", help="Devices, as their readings name them.")],
    *,
    why: Why,
    who: Who = "",
) -> None:
    """End all alerts of devices that are gone for good, and watch them no longer.

    The ends are reported, with who and why. Holds on the devices end, and none
    of them is called silent. Readings stay in the lake. A device that is heard
    again is watched again.

    Taking a device out of the registry (iot registry apply) retires it, too,
    within minutes. One that is in the registry is best taken out there.

      iot devices retire freezer-00017 --why "sold"
    """
    session, deployed = target.deployed(context)
    rules = alerts.rules_in_use(session, deployed)
    orders = holds.open_orders(session, deployed, rules, who=operator(context, session, who))
    for device, home in orders.known(names).items():
        ended = orders.retire(device, home, why)
        said = f"ended {', '.join(ended)}" if ended else "it had no active alert"
        console.out.print(f"retired {device}: {said} ({orders.who}: {why})", markup=False, soft_wrap=True)
        if device in rules.registry.devices:
            console.err.print(
                f"{device} is in the registry: take it out there, too ('iot registry apply')",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
