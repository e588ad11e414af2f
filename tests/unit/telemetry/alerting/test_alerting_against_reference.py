"""Random rules and histories: the alert state machine reports what the slow, obvious reference model reports."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import event, given, settings

from tests.unit.telemetry.alerting.histories import histories
from tests.unit.telemetry.alerting.home import Home, as_told, by_alert, possible
from tests.unit.telemetry.alerting.reference_events import HOME, Event, RecordArrives
from tests.unit.telemetry.alerting.reference_home import ReferenceHome

EXAMPLES = 80


def compare(events: Sequence[Event]) -> None:
    told = by_alert(as_told(one) for one in Home().all_of(events).told)
    assert told == ReferenceHome(list(events)).transitions()
    for change in {one.change for one in told}:
        event(change)
    for one in events:
        if isinstance(one, RecordArrives) and one.gateway != HOME:
            event("heard through another gateway")


@settings(max_examples=2 * EXAMPLES)
@given(histories(operators=False, rules_change=False))
def test_should_report_what_the_reference_reports_of_records_and_the_clock(events) -> None:
    compare(events)


@settings(max_examples=2 * EXAMPLES)
@given(histories(operators=False))
def test_should_report_what_the_reference_reports_when_rules_change(events) -> None:
    compare(events)


@settings(max_examples=2 * EXAMPLES)
@given(histories().map(possible))
def test_should_report_what_the_reference_reports_with_operators_at_work(events) -> None:
    compare(events)
