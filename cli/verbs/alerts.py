"""List and show alerts; acknowledge, snooze, disable and close them."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Annotated, NamedTuple

import msgspec
import typer

from cli import alert_rendering, console, target
from cli.operator import Who, Why, operator
from cli.options import Json, duration
from pipeline import alerts, holds
from pipeline.alerts import Place
from pipeline.errors import PipelineError
from pipeline.inbox import open_inbox
from telemetry.rules.rule_set import Severity

app = typer.Typer(no_args_is_help=True, help=__doc__)

Ids = Annotated[
    list[str], typer.Argument(metavar="ALERT_ID", help="Alerts, by at least the first 4 characters of their ids.")
]
MaybeIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="ALERT_ID", help="Alerts, by at least the first 4 characters of their ids."),
]
RuleName = Annotated[str, typer.Option("--rule", help="Instead of an id: the rule ...")]
Device = Annotated[str, typer.Option("--device", help="... and the device, whether it alerts or not.")]
Gateway = Annotated[
    str,
    typer.Option(
        "--gateway",
        help="Without a device: the gateway itself. With one that was never heard of: where it will be.",
    ),
]


@app.command("list")
def list_alerts(
    context: typer.Context,
    rule: Annotated[str, typer.Option(help="Only rules that match this glob.")] = "*",
    site: Annotated[str, typer.Option(help="Only sites that match this glob.")] = "*",
    device: Annotated[str, typer.Option(help="Only devices (or gateways) that match this glob.")] = "*",
    severity: Annotated[Severity | None, typer.Option(help="Only this severity.")] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is snoozed or disabled where there is no alert.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the alerts that are pending or firing, the most severe first.

    Reads the whole state table, which on AWS costs half a read unit for each 4 KB of it: ask, but not in a loop.

      iot alerts list --site "plant-*" --severity critical
    """
    session, deployed = target.deployed(context)
    found = alerts.select(
        alerts.standings(session, deployed, alerts.rules_in_use(session, deployed)),
        rule=rule,
        site=site,
        device=device,
        severity=severity,
        quiet=everything,
    )
    if as_json:
        console.print_json(msgspec.to_builtins(found))
    elif found:
        alert_rendering.print_standings(found)
    else:
        console.err.print(
            "no active alerts match these filters" if not everything else "no alerts match these filters", style="dim"
        )


@app.command("show")
def show_alert(
    context: typer.Context,
    alert_id: Annotated[
        str, typer.Argument(metavar="ALERT_ID", help="At least the first 4 characters of an alert's id.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show an alert, active or not, and its history.

    The history is read from the lake, which has it some minutes later.
    """
    session, deployed = target.deployed(context)
    standing = alerts.by_id(alerts.standings(session, deployed, alerts.rules_in_use(session, deployed)), alert_id)
    events: list[alerts.Event] = []
    try:
        events = alerts.history(
            session, deployed, standing.alert_id if standing else alert_id, standing.active_at if standing else None
        )
    except PipelineError as error:
        if standing is None:
            raise
        console.err.print(f"without its history: {error}", style="yellow", markup=False)
    if standing is None and not events:
        raise PipelineError(
            f"no alert {alert_id} is active or in the lake; 'iot alerts list' shows those that are active"
        )
    if as_json:
        console.print_json({"alert": msgspec.to_builtins(standing), "history": msgspec.to_builtins(events)})
        return
    if standing:
        alert_rendering.print_standing(standing)
    alert_rendering.print_history(events)


@app.command("ack")
def acknowledge(context: typer.Context, ids: Ids, *, why: Why, who: Who = "") -> None:
    """Acknowledge alerts: a firing alert is not repeated and does not escalate until it ends.

    An alert that is disabled stays disabled.

      iot alerts ack 3f2a9c01 --why "the door was open, I am on my way"
    """
    _hold(context, _Asked(ids), "acknowledged", _Said(who, why))


@app.command()
def snooze(
    context: typer.Context,
    ids: MaybeIds = None,
    *,
    lasts: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 1d12h.")],
    why: Why,
    rule: RuleName = "",
    device: Device = "",
    gateway: Gateway = "",
    who: Who = "",
) -> None:
    """Suppress notifications of an alert for a while. If it still fires afterwards, it is reported.

    iot alerts snooze 3f2a9c01 --for 2h --why "cleaning until noon"

    iot alerts snooze --rule too-hot --device device-00258 --for 1d --why "the heater is being tested"
    """
    snooze_for = duration("--for", lasts)
    if snooze_for <= dt.timedelta(0):
        raise PipelineError(f"--for: invalid duration {lasts!r}: write more than zero")
    _hold(context, _Asked(ids, rule, device, gateway), "snoozed", _Said(who, why), snooze_for)


@app.command()
def unsnooze(
    context: typer.Context,
    ids: MaybeIds = None,
    *,
    rule: RuleName = "",
    device: Device = "",
    gateway: Gateway = "",
    why: Why = "",
    who: Who = "",
) -> None:
    """End a snooze before its time."""
    _release(context, _Asked(ids, rule, device, gateway), "snoozed", _Said(who, why))


@app.command()
def disable(
    context: typer.Context,
    ids: MaybeIds = None,
    *,
    why: Why,
    rule: RuleName = "",
    device: Device = "",
    gateway: Gateway = "",
    who: Who = "",
) -> None:
    """Suppress notifications of a rule's alerts for a device until it is enabled again."""
    _hold(context, _Asked(ids, rule, device, gateway), "disabled", _Said(who, why))


@app.command()
def enable(
    context: typer.Context,
    ids: MaybeIds = None,
    *,
    rule: RuleName = "",
    device: Device = "",
    gateway: Gateway = "",
    why: Why = "",
    who: Who = "",
) -> None:
    """Report alerts again that were disabled."""
    _release(context, _Asked(ids, rule, device, gateway), "disabled", _Said(who, why))


@app.command()
def close(
    context: typer.Context,
    ids: MaybeIds = None,
    *,
    why: Why,
    rule: RuleName = "",
    device: Device = "",
    gateway: Gateway = "",
    who: Who = "",
) -> None:
    """End alerts, whatever the readings say. For alerts that nothing else ends.

    The end is reported, with who and why. An alert begins again with the next
    reading for which its condition holds, a silence after its "for". To keep
    it quiet, snooze or disable it; for a device that is gone for good, use
    "iot devices retire".

      iot alerts close 3f2a9c01 --why "the sensor was replaced"
    """
    orders, places = _open(context, _Asked(ids, rule, device, gateway), who)
    for place in places:
        orders.close(place, why)
        console.out.print(f"closed {_words(place)} ({orders.who}: {why})", markup=False, soft_wrap=True)


class _Asked(NamedTuple):
    """Which alerts: by their ids, or by the rule and the device (none: the gateway itself)."""

    ids: list[str] | None
    rule: str = ""
    device: str = ""
    gateway: str = ""


class _Said(NamedTuple):
    """By whom and why; empty ``who`` for the one who types."""

    who: str
    why: str


def _hold(
    context: typer.Context, asked: _Asked, kind: holds.Kind, said: _Said, lasts: dt.timedelta | None = None
) -> None:
    orders, places = _open(context, asked, said.who)
    for place in places:
        order = orders.hold(place, kind, said.why, lasts)
        until = f" until {order.until:%Y-%m-%d %H:%M} UTC" if order.until else ""
        if order.kind == kind:
            done = f"{kind} {_words(place)}{until} ({order.who}: {order.why})"
        else:
            done = f"{kind} {_words(place)}; it stays {order.kind} ({order.who}: {order.why})"
        console.out.print(done, markup=False, soft_wrap=True)


def _release(context: typer.Context, asked: _Asked, kind: holds.Kind, said: _Said) -> None:
    orders, places = _open(context, asked, said.who)
    for place in places:
        ended = orders.release(place, kind, said.why)
        console.out.print(
            f"no longer {kind}: {_words(place)} ({ended.who} had said: {ended.why})", markup=False, soft_wrap=True
        )


def _open(context: typer.Context, asked: _Asked, who: str) -> tuple[holds.Orders, list[Place]]:
    session, deployed = target.deployed(context)
    rules = alerts.rules_in_use(session, deployed)
    if asked.ids and not any((asked.rule, asked.device, asked.gateway)):
        places = alerts.places(alerts.standings(session, deployed, rules), asked.ids)
    elif not asked.ids and asked.rule and (asked.device or asked.gateway):
        places = [Place(asked.gateway, asked.device, asked.rule)]
    else:
        raise PipelineError(
            "name the alerts: give their ids, or --rule with --device (or with --gateway for its own alert)"
        )
    return holds.open_orders(session, deployed, rules, who=operator(context, session, who)), places


def _words(place: Place) -> str:
    alert = f", alert {place.alert_id}" if place.alert_id else ""
    return f"{place.rule} at {place.device or place.gateway}{alert}"


@app.command("tail")
def tail(context: typer.Context, *, as_json: Json = False) -> None:
    """Show notifications as they arrive, until Ctrl-C. With --json: one object a line."""
    session, deployed = target.deployed(context)
    with open_inbox(session, deployed.alerts_topic_arn) as inbox:
        console.err.print("waiting for alerts; Ctrl-C ends", style="dim")
        while True:
            for received in inbox.receive(wait_seconds=10):
                if as_json:
                    sys.stdout.write(msgspec.json.encode(received.notification).decode() + "\n")
                    sys.stdout.flush()
                else:
                    alert_rendering.print_notification(received)
