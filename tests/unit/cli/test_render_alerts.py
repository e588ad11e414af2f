"""How alerts look to a person."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.console import Console

from cli import alert_rendering as show_alerts
from pipeline.alerts import Event, Standing
from pipeline.inbox import Received
from telemetry.alerting.state import Hold
from telemetry.notifying.message import Notification, NotifiedAlert

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(seconds=1.5)


def shown(show: Callable[..., None], what: Any) -> list[str]:
    """The lines, without the space at their ends."""
    file = io.StringIO()
    show(what, console=Console(file=file, width=160))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def an_alert(device: str = "d1", **fields: Any) -> NotifiedAlert:
    usual: dict[str, Any] = {
        "alert_id": f"id-{device}", "sequence": 1, "status": "firing", "flapping": False, "held": None,
        "rule": "too-hot", "severity": "critical", "device": device, "site": "s", "gateway": "gw",
        "metric": "temperature", "value": 41.0, "threshold": 40.0, "condition": "temperature > 40",
        "summary": f"{device} is hot", "runbook": "",
        "active_at": NOW, "fired_at": NOW, "resolved_at": None, "changed_at": NOW,
    }  # fmt: skip
    return NotifiedAlert(**{**usual, **fields})


def received(*alerts: NotifiedAlert, **fields: Any) -> Received:
    usual: dict[str, Any] = {
        "notification_id": "n", "reason": "new", "state": "firing", "severity": "critical",
        "group": {"rule": "too-hot"}, "firing": len(alerts), "resolved": 0, "at_least": False,
        "summary": f"{len(alerts)} firing: rule too-hot",
        "rules": ["too-hot"], "sites": ["s"], "alerts": list(alerts), "omitted": 0, "published_at": NOW,
    }  # fmt: skip
    return Received(Notification(**{**usual, **fields}), LATER)


def test_should_show_a_notification_about_one_alert_on_one_line() -> None:
    assert shown(show_alerts.print_notification, received(an_alert())) == [
        "12:00:01  firing   critical d1 is hot  too-hot, 1500 ms"
    ]


def test_should_show_the_marks_of_an_alert_and_no_latency_for_a_repeated_one() -> None:
    alert = an_alert(flapping=True, held="acknowledged")
    assert shown(show_alerts.print_notification, received(alert, reason="repeat")) == [
        "12:00:01  firing   critical d1 is hot  too-hot, flapping, acknowledged, still"
    ]


def test_should_show_a_headline_and_the_alerts_of_a_group_below() -> None:
    over = an_alert("d2", status="resolved", resolved_at=NOW, changed_at=LATER, summary="too-hot is over at d2")
    lines = shown(
        show_alerts.print_notification,
        received(an_alert(), over, summary="1 firing, 1 resolved: rule too-hot", reason="update"),
    )
    assert lines == [
        "12:00:01  firing   critical 1 firing, 1 resolved: rule too-hot  update",
        "          firing   critical d1 is hot  too-hot, 1500 ms",
        "          resolved critical too-hot is over at d2  too-hot, 0 ms",
    ]


@pytest.mark.parametrize(
    ("listed", "omitted", "last"), [(10, 0, "d9"), (12, 0, "and 2 more"), (12, 1_500, "and 1,502 more")]
)
def test_should_show_at_most_ten_alerts_of_a_notification(listed: int, omitted: int, last: str) -> None:
    lines = shown(
        show_alerts.print_notification, received(*(an_alert(f"d{i}") for i in range(listed)), omitted=omitted)
    )
    assert sum(" is hot " in line for line in lines) == 10
    assert last in lines[-1]


def test_should_show_a_notification_that_had_to_leave_all_but_one_alert_out_as_a_group() -> None:
    lines = shown(show_alerts.print_notification, received(an_alert(), omitted=3, summary="4 firing: all"))
    assert [line.strip() for line in lines[::2]] == ["12:00:01  firing   critical 4 firing: all  new", "and 3 more"]


def test_should_show_what_a_device_calls_itself_as_it_is() -> None:
    assert "[red]d[/] is hot" in shown(show_alerts.print_notification, received(an_alert("[red]d[/]")))[0]


ACTIVE = Standing(
    alert_id="3f2a9c0102030405aabb", status="firing", severity="critical", rule="too-hot", device="hot", site="plant-1",
    gateway="gw-1", active_at=NOW, fired_at=LATER, metric="temperature", value=42.5, threshold=40.0,
    condition="temperature > 40", summary="hot is 42.5 °C hot", runbook="docs/hot.md",
)  # fmt: skip


def with_hold(standing: Standing, hold: Hold, **fields: Any) -> Standing:
    return msgspec.structs.replace(standing, hold=hold, **fields)


def test_should_list_alerts_with_what_holds_them() -> None:
    snooze = Hold("snoozed", "bob", "new cells", NOW, NOW + dt.timedelta(hours=2))
    quiet = Standing(severity="info", rule="battery-low", device="", gateway="gw-2", hold=snooze)
    days = Hold("snoozed", "bob", "", NOW, NOW + dt.timedelta(days=2))
    lines = shown(
        show_alerts.print_standings,
        [
            ACTIVE,
            with_hold(ACTIVE, Hold("acknowledged", "ann", "on it", NOW), flapping=True),
            with_hold(ACTIVE, days),
            quiet,
        ],
    )
    assert lines[0].split() == [
        "alert",
        "status",
        "severity",
        "rule",
        "device",
        "site",
        "since",
        "(UTC)",
        "value",
        "who",
    ]
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "3f2a9c01 firing critical too-hot hot plant-1 11-23 12:00:00 42.5 -",
        "3f2a9c01 firing, flapping, acknowledged critical too-hot hot plant-1 11-23 12:00:00 42.5 ann",
        "3f2a9c01 firing, snoozed until 11-25 12:00 critical too-hot hot plant-1 11-23 12:00:00 42.5 bob",
        "- no alert, snoozed until 14:00 info battery-low gw-2 - 11-23 12:00:00 - bob",
    ]


def test_should_show_everything_about_one_alert() -> None:
    hold = Hold("acknowledged", "ann", "on it [now]", LATER)
    lines = shown(show_alerts.print_standing, with_hold(ACTIVE, hold))
    facts = {line[:10].rstrip(): line[11:] for line in lines}
    assert facts == {
        "alert": "3f2a9c0102030405aabb", "status": "firing, acknowledged", "severity": "critical",
        "summary": "hot is 42.5 °C hot", "rule": "too-hot", "condition": "temperature > 40",
        "value": "temperature 42.5",
        "device": "hot", "site": "plant-1", "gateway": "gw-1", "active": "2026-11-23 12:00:00 UTC",
        "fired": "2026-11-23 12:00:01 UTC", "runbook": "docs/hot.md",
        "held": "acknowledged by ann, 2026-11-23 12:00:01 UTC: on it [now]",
    }  # fmt: skip


def test_should_show_what_happened_to_an_alert_and_who_did_it() -> None:
    event = Event(
        alert_id="a", sequence=1, change="firing", severity="critical", rule="r", device="d", site="s", gateway="gw",
        value=41.0, summary="d is hot", changed_at=NOW, recorded_at=LATER, who="", why="",
    )  # fmt: skip
    done = msgspec.structs.replace(event, change="acknowledged", who="ann", why="on it")
    assert shown(show_alerts.print_history, [event, done]) == [
        "2026-11-23 12:00:00 UTC  firing       critical d is hot",
        "2026-11-23 12:00:00 UTC  acknowledged critical d is hot  by ann: on it",
    ]
