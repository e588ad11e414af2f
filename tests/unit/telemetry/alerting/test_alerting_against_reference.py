"""Random rules and histories: the alert state machine reports what the slow, obvious reference model reports."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence

from hypothesis import event, given, settings

from tests.unit.telemetry.alerting.histories import histories
from tests.unit.telemetry.alerting.home import Home, as_told, by_alert, possible
from tests.unit.telemetry.alerting.reference_events import HOME, Event, RecordArrives
from tests.unit.telemetry.alerting.reference_home import ReferenceHome
from tests.unit.telemetry.alerting.reference_order import LONG_AGO, NOTHING, Hearing, readings_of

EXAMPLES = 80


def compare(events: Sequence[Event]) -> None:
    told = by_alert(as_told(one) for one in Home().all_of(events).told)
    assert told == ReferenceHome(list(events)).transitions()
    for trait in {*traits(events), *(one.change for one in told)}:
        event(trait)


def traits(events: Sequence[Event]) -> Iterator[str]:
    """What is in a history: ``pytest --hypothesis-show-statistics`` says how often each comes."""
    known: defaultdict[str, Hearing] = defaultdict(Hearing)
    for one in events:
        if not isinstance(one, RecordArrives):
            yield type(one).__name__
            continue
        yield from ["heard through another gateway"] if one.gateway != HOME else []
        yield from ["lines are rejected"] if one.refused else []
        for device in {reading.device_id for reading in one.readings}:
            as_sent = [reading for reading in one.readings if reading.device_id == device]
            yield from ["readings are not in order"] if as_sent != readings_of(one, device) else []
            looks = known[device].looks(one, device)
            known[device].hears(one, device)
            yield from ["late readings"] if len(looks) < len(as_sent) else []
            for look in looks:
                step = look.reading.ts - look.before[0] if look.before else NOTHING
                yield from ["a batch is due"] if look.next_batch > LONG_AGO else []
                yield from ["a clock is set back"] if step < NOTHING else []
                yield from ["a clock is set forward"] if step > dt.timedelta(minutes=30) else []


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
