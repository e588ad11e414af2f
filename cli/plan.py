"""``iot plan``: what the pipeline needs and costs for a fleet, before there is one."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import Json, duration
from cli.rendering import console
from cli.rendering import plan as show_plan
from planning import plan as planning
from planning.traffic import Fleet
from simulator.sinks.record import MAX_RECORD_BYTES

#: A billion: as many as any fleet has, and more than the formulas were thought of for.
_MOST = 1_000_000_000


def plan(
    *,
    devices: Annotated[int, typer.Option(min=1, max=_MOST, help="How many devices there are.")] = 1_000,
    interval: Annotated[str, typer.Option(metavar="DURATION", help="How often each of them reports.")] = "10s",
    size: Annotated[
        int, typer.Option("--bytes", min=1, max=MAX_RECORD_BYTES, help="A reading's bytes, as a line of JSON.")
    ] = 180,
    retention: Annotated[str, typer.Option(metavar="DURATION", help="How long readings are kept.")] = "365d",
    devices_per_gateway: Annotated[
        int, typer.Option(min=1, max=_MOST, help="How many devices send through a gateway.")
    ] = 100,
    collect: Annotated[
        str, typer.Option(metavar="DURATION", help="How long a gateway collects for a record; alerts wait for it.")
    ] = "1s",
    alerts_per_day: Annotated[
        float | None, typer.Option(min=0, help="How many alerts fire a day. By default, one for 100 devices.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what the pipeline needs and costs for a fleet. Talks to nothing.

    iot plan --devices 100000 --interval 10s --bytes 180 --retention 365d

    iot plan --devices 5000 --interval 1m --devices-per-gateway 20

    iot plan --devices 100000 --collect 5s --json | jq .usd

    Beside ours stands the same fleet with a record for each reading, and with
    Amazon MSK in place of Kinesis. Prices are list prices of us-east-1 in USD
    a month of 30 days, without the free tier; what else is assumed is printed
    below the tables. docs/plan.md has the formulas, and where each price is
    from.
    """
    fleet = Fleet(
        devices=devices,
        interval=duration("--interval", interval),
        reading_bytes=size,
        retention=duration("--retention", retention),
        devices_per_gateway=devices_per_gateway,
        collect=duration("--collect", collect),
        alerts_per_day=alerts_per_day,
    )
    found = planning.plan(fleet)
    if as_json:
        console.print_json(show_plan.as_json(found))
    else:
        show_plan.print_plan(found)
