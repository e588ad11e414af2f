"""Rendering of alerts: the active ones, one in full, and notifications as they arrive."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.console import out
from telemetry.alerting.state import Hold
from telemetry.rules.rule_set import Severity

if TYPE_CHECKING:
    from pipeline.alerts import Event, Standing
    from pipeline.inbox import Received
    from telemetry.notifying.message import NotifiedAlert

_STYLES: dict[Severity, str] = {
    "page": "bold white on red",
    "critical": "bold red",
    "warning": "yellow",
    "info": "cyan",
}

#: How many alerts of one notification are shown.
_MAX_ALERTS = 10

#: How many characters of an alert's id are shown where there is little room: 32 bits tell those that are active apart.
_SHORT_ID = 8


def print_standings(found: Sequence[Standing], *, console: Console = out) -> None:
    """Print alerts and holds, one a line."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("alert", "status", "severity", "rule", "device", "site", "since (UTC)", "value", "who"):
        table.add_column(column, justify="right" if column == "value" else "left", overflow="fold")
    for standing in found:
        since = standing.active_at or (standing.hold.at if standing.hold else None)
        table.add_row(
            standing.alert_id[:_SHORT_ID] or "-",
            escape(_status(standing)),
            f"[{_STYLES[standing.severity]}]{standing.severity}[/]",
            standing.rule,
            escape(standing.where),
            escape(standing.site or "-"),
            f"{since:%m-%d %H:%M:%S}" if since else "-",
            "-" if standing.value is None else f"{standing.value:g}",
            escape(standing.hold.who) if standing.hold else "-",
        )
    console.print(table)


def _status(standing: Standing) -> str:
    marks = ["flapping"] if standing.flapping else []
    if standing.hold:
        marks.append(_held(standing.hold))
    status = "no alert" if standing.status == "inactive" else standing.status
    return ", ".join([status, *marks])


def _held(hold: Hold) -> str:
    if hold.until is None:
        return hold.kind
    until = f"{hold.until:%H:%M}" if hold.until - hold.at < dt.timedelta(days=1) else f"{hold.until:%m-%d %H:%M}"
    return f"{hold.kind} until {until}"


def print_standing(standing: Standing, *, console: Console = out) -> None:
    """Print everything that is known of one alert."""
    hold = standing.hold
    facts = {
        "alert": standing.alert_id,
        "status": _status(standing),
        "severity": standing.severity,
        "summary": standing.summary,
        "rule": standing.rule,
        "condition": standing.condition,
        "value": "" if standing.value is None else f"{standing.metric} {standing.value:g}".strip(),
        "device": standing.device,
        "site": standing.site,
        "gateway": standing.gateway,
        "active": _when(standing.active_at),
        "fired": _when(standing.fired_at),
        "runbook": standing.runbook,
        "held": f"{_held(hold)} by {hold.who}, {_when(hold.at)}: {hold.why}" if hold else "",
    }
    for name, fact in facts.items():
        if fact:
            console.print(f"{name:<10} {fact}", markup=False, soft_wrap=True)


def print_history(events: Sequence[Event], *, console: Console = out) -> None:
    """Print the changes of one alert, one a line."""
    for event in events:
        by = f"  by {event.who}: {event.why}" if event.who else ""
        console.print(
            f"{_when(event.changed_at)}  {event.change:<12} {event.severity:<8} {event.summary}{by}",
            markup=False,
            soft_wrap=True,
        )


def _when(moment: dt.datetime | None) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def print_notification(received: Received, *, console: Console = out) -> None:
    """Print a notification on one line; of several alerts, the first ones on lines below."""
    told = received.notification
    if len(told.alerts) == 1 and not told.omitted:
        _print_notified(received, told.alerts[0], console, lead=f"{received.received_at:%H:%M:%S}")
        return
    console.print(
        f"{received.received_at:%H:%M:%S}  {_styled(told.state, told.severity)} {escape(told.summary)}  "
        f"[dim]{told.reason}[/]",
        soft_wrap=True,
    )
    for alert in told.alerts[:_MAX_ALERTS]:
        _print_notified(received, alert, console, lead=" " * 8)
    more = len(told.alerts[_MAX_ALERTS:]) + told.omitted
    if more:
        console.print(f"{' ' * 10}and {more:,} more", style="dim")


def _print_notified(received: Received, alert: NotifiedAlert, console: Console, *, lead: str) -> None:
    # The age of an alert that still fires is not a latency.
    note = "still" if received.notification.reason == "repeat" else f"{received.latency_ms(alert):.0f} ms"
    marks = "".join(f"{mark}, " for mark in ("flapping" if alert.flapping else "", alert.held) if mark)
    why = f" ({alert.why})" if alert.why else ""
    console.print(
        f"{lead}  {_styled(alert.status, alert.severity)} {escape(alert.summary)}{escape(why)}  "
        f"[dim]{alert.rule}, {marks}{note}[/]",
        soft_wrap=True,
    )


def _styled(state: str, severity: Severity) -> str:
    style = "green" if state == "resolved" else _STYLES[severity]
    return f"[{style}]{state:<8} {severity:<8}[/]"
