"""Whether the demo tells a run whose alerts were all told from one where they were not."""

from __future__ import annotations

import datetime as dt
import math

from local import alert_audit
from pipeline.inbox import Received
from simulator.faults import Fault
from simulator.run import Manifest
from telemetry.message import Notification, NotifiedAlert

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


def at(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def manifest(*faults: tuple[str, float, float | None]) -> Manifest:
    return Manifest(
        seed=1, devices=1, gateways=1, started_at=NOW, ended_at=NOW, sent=0, accepted=0, refused=0, malformed=0,
        duplicates=0, retried=0, refusal="",
        faults=tuple(
            Fault(device=device, site="s", gateway="gw", metric="temperature", rule="too-hot", since=at(since),
                  until=None if until is None else at(until))
            for device, since, until in faults
        ),
    )  # fmt: skip


def an_alert(device: str, fired: float, resolved: float | None = None, changed: float | None = None) -> NotifiedAlert:
    return NotifiedAlert(
        alert_id=f"alert of {device}", sequence=1, status="firing" if resolved is None else "resolved", flapping=False,
        held=None, rule="too-hot", severity="critical", device=device, site="s", gateway="gw", metric="temperature",
        value=41.0, threshold=40.0, condition="", summary="", runbook="", active_at=at(fired), fired_at=at(fired),
        resolved_at=None if resolved is None else at(resolved),
        changed_at=at(changed or resolved or fired),
    )  # fmt: skip


def received(second: float, *alerts: NotifiedAlert) -> Received:
    notification = Notification(
        notification_id=f"{second}", reason="new", state="firing", severity="critical", group={}, firing=1, resolved=0,
        at_least=False, summary="", rules=[], sites=[], alerts=list(alerts), omitted=0, published_at=at(second),
    )  # fmt: skip
    return Received(notification, at(second))


def as_expected(run: Manifest, *notifications: Received) -> bool:
    return alert_audit.expected(run) == sorted(alert_audit.told(list(notifications)).values())


def test_should_count_an_alert_told_twice_once() -> None:
    fires, ends = received(6, an_alert("d1", 1)), received(20, an_alert("d1", 1, 9))
    assert as_expected(manifest(("d1", 1, 9)), fires, fires, ends, ends)


def test_should_count_an_alert_that_was_told_only_when_it_was_over_as_fired_and_resolved() -> None:
    assert as_expected(manifest(("d1", 1, 3), ("d2", 2, None)), received(6, an_alert("d1", 1, 3), an_alert("d2", 2)))


def test_should_take_an_alert_that_escalated_before_it_was_told_by_when_it_fired() -> None:
    assert as_expected(manifest(("d1", 1, None)), received(6, an_alert("d1", 1, changed=4)))


def test_should_notice_what_was_not_told_and_what_should_not_have_been() -> None:
    run, fires, ends = manifest(("d1", 1, 9)), received(6, an_alert("d1", 1)), received(20, an_alert("d1", 1, 9))
    assert not as_expected(run, fires)
    assert not as_expected(run, fires, ends, received(7, an_alert("d2", 1)))
    assert not as_expected(run, fires, received(20, an_alert("d1", 1, 8)))


def test_should_measure_from_the_change_to_the_first_time_that_it_was_told() -> None:
    latency = alert_audit.latency(
        [
            received(6, an_alert("d1", 1), an_alert("d2", 3.5)),
            received(10, an_alert("d1", 1)),
            received(20, an_alert("d1", 1, 9)),
        ]
    )
    assert (latency.p50, latency.p95, latency.max) == (5_000, 11_000, 11_000)


def test_should_not_make_up_a_latency_when_nothing_was_told() -> None:
    assert math.isnan(alert_audit.latency([]).max)
