"""Random rules and histories: what holds of the alert state machine whatever happens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from telemetry.alerting.evaluate import next_silence, silent
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.rule_set import Flapping, Rule
from tests.unit.telemetry.alerting.histories import DEVICES, START, histories
from tests.unit.telemetry.alerting.home import Home, possible, through_json
from tests.unit.telemetry.alerting.reference_events import (
    ClockTicks,
    Event,
    OperatorRetires,
    RecordArrives,
    RulesAre,
    RulesAreReviewed,
    SilenceIsChecked,
    SoftStateIsLost,
)
from tests.unit.telemetry.alerting.rule_strategies import FAULT

EXAMPLES = 80


@settings(max_examples=EXAMPLES // 2)
@given(histories())
def test_should_identify_every_transition_by_alert_and_sequence(events) -> None:
    told = [(one.alert_id, one.sequence) for one in Home().all_of(heard_once(events)).told if one.alert_id]
    assert len(set(told)) == len(told)


def heard_once(events: Sequence[Event]) -> list[Event]:
    """With each reading once, and without retirements.

    Where a clock was set back, a reading from before that is not late when it comes again: the same alert may begin
    again with it, and what is told of that again is told once by the notifier. So may alerts of a device that is new.
    """
    heard: set[Reading] = set()
    done: list[Event] = []
    for one in events:
        if isinstance(one, RecordArrives):
            readings = tuple(reading for reading in dict.fromkeys(one.readings) if reading not in heard)
            heard |= {*readings}
            done.append(replace(one, readings=readings))
        elif isinstance(one, RulesAreReviewed):
            done.append(replace(one, retired=frozenset()))
        elif not isinstance(one, OperatorRetires):
            done.append(one)
    return possible(done)


@settings(max_examples=EXAMPLES // 2)
@given(histories())
def test_should_resolve_only_what_fired_and_fire_nothing_twice(events) -> None:
    last: dict[str, str] = {}
    for one in Home().all_of(heard_once(events)).told:
        if not one.alert_id:
            continue
        allowed = {
            None: {"pending", "firing"},
            "pending": {"pending", "inactive", "firing"},
            "firing": {"firing", "resolved"},
        }
        assert one.status in allowed.get(last.get(one.alert_id), set())
        last[one.alert_id] = one.status


@settings(max_examples=EXAMPLES // 2)
@given(histories())
def test_should_report_one_site_and_one_gateway_of_an_alert(events) -> None:
    """Wherever its device goes: its group of notifications stays the same."""
    labels: dict[str, tuple[str, str]] = {}
    for one in Home().all_of(heard_once(events)).told:
        if one.alert_id:
            assert labels.setdefault(one.alert_id, (one.site, one.gateway)) == (one.site, one.gateway)


@settings(max_examples=EXAMPLES // 2)
@given(histories().map(possible))
def test_should_forget_alerts_that_ended_longer_ago_than_a_reading_may_take(events) -> None:
    """With the next change: a write only to forget would not be worth its price."""
    home = Home().all_of(events)
    event("something to forget" if home.state.past else "nothing to forget")
    later = START + MAX_LATENESS + dt.timedelta(days=2)
    faulty = Reading(device_id="new", site="north", ts=later, seq=0, status="fault")
    home.happens(RulesAre((FAULT,)))
    home.happens(RecordArrives(later, (faulty,)))
    assert home.state.alerts["new"].keys() == {"fault"}
    ended = [past.changed_at for rules in home.state.past.values() for past in rules.values()]
    assert all(moment >= later - MAX_LATENESS for moment in ended)


@settings(max_examples=EXAMPLES // 2)
@given(histories().map(possible))
def test_should_say_when_the_next_silence_is_due(events) -> None:
    home = Home().all_of(events)
    due = next_silence(home.rules, home.state, home.recent)
    for moment, holds in (
        [(START + MAX_LATENESS, False)] if due is None else [(due - dt.timedelta(microseconds=1), False), (due, True)]
    ):
        # By the alerts and not by transitions: one that was about to be over goes on firing, and nobody is told.
        after = silent(home.rules, home.state, home.recent, moment).state
        assert (after.alerts != home.state.alerts) == holds


@settings(max_examples=EXAMPLES)
@given(histories().map(possible), st.data())
def test_should_report_the_same_in_whatever_pieces_it_works(events, data) -> None:
    """The detector commits a long record in parts, and the watchdog what many devices make due in pieces."""

    def cuts(readings: int) -> Sequence[int]:
        return sorted(data.draw(st.lists(st.integers(0, readings), max_size=2)))

    whole, pieces = Home().all_of(events), Home(cuts=cuts, most=data.draw(st.integers(1, 3))).all_of(events)
    assert sorted(map(str, pieces.told)) == sorted(map(str, whole.told))
    assert pieces.state.alerts == whole.state.alerts


def by_device(events: Sequence[Event]) -> list[Event]:
    """Each record as several that arrived together, each with what concerns one device."""
    parts: list[Event] = []
    for one in events:
        if isinstance(one, RecordArrives):
            parts += [replace(one, readings=(), refused=())]
            for device in sorted({*DEVICES, *(line.device for line in one.refused)}):
                readings = tuple(reading for reading in one.readings if reading.device_id == device)
                refused = tuple(line for line in one.refused if line.device == device)
                parts += [replace(one, readings=readings, refused=refused)] if readings or refused else []
        else:
            parts.append(one)
    return parts


def told_of_devices(home: Home) -> list[str]:
    return sorted(str(one) for one in home.told if one.device)


@settings(max_examples=EXAMPLES)
@given(histories().map(possible))
def test_should_report_the_same_wherever_records_are_cut_between_devices(events) -> None:
    """Only between devices: a device's readings have their order and their times from the record they came in.

    Of alerts about the gateway itself, the site depends on which devices came last.
    """
    whole = Home().all_of(events)
    assert told_of_devices(Home().all_of(by_device(events))) == told_of_devices(whole)


def timeless(rule: Rule) -> Rule:
    """A rule without durations. That of silence stays: it counts from one record to the next."""
    never = Flapping(changes=100, window=rule.flapping.window)
    hold_for = rule.hold_for if rule.no_data else dt.timedelta(0)
    return msgspec.structs.replace(
        rule, hold_for=hold_for, keep_firing_for=dt.timedelta(0), escalate=None, flapping=never
    )


def cut(events: Sequence[Event], data: st.DataObject) -> list[Event]:
    """Each record in two at some line of it, both with its arrival."""
    parts: list[Event] = []
    for one in events:
        if isinstance(one, RecordArrives) and len(one.readings) > 1:
            at = data.draw(st.integers(1, len(one.readings) - 1))
            parts += [replace(one, readings=one.readings[:at]), replace(one, readings=one.readings[at:])]
        else:
            parts.append(one)
    return parts


def in_order_and_timeless(events: Sequence[Event]) -> list[Event]:
    """Without what lasts, and with the readings of each record in the order of its devices."""
    done: list[Event] = []
    for one in events:
        if isinstance(one, RulesAre):
            done.append(replace(one, rules=tuple(timeless(rule) for rule in one.rules)))
        elif isinstance(one, RecordArrives):
            readings = sorted(dict.fromkeys(one.readings), key=lambda reading: (reading.seq, reading.ts))
            done.append(replace(one, readings=tuple(readings), refused=()))
        else:
            done.append(one)
    return possible(done)


@settings(max_examples=EXAMPLES)
@given(histories(), st.data())
def test_should_report_the_same_wherever_records_in_order_are_cut_where_nothing_has_to_last(events, data) -> None:
    """For ``for`` and the like, the readings of one record were taken one after the other, those of two together.

    What is rejected is left out: it is looked at after what was accepted, within a record.
    """
    events = in_order_and_timeless(events)
    assert Home().all_of(cut(events, data)).told == Home().all_of(events).told


@settings(max_examples=EXAMPLES)
@given(histories().map(possible))
def test_should_report_the_same_through_json_after_every_step(events) -> None:
    assert Home(between=through_json).all_of(events).told == Home().all_of(events).told


@settings(max_examples=EXAMPLES)
@given(histories(rules_change=False).map(possible), st.data())
def test_should_change_nothing_when_records_are_delivered_again(events, data) -> None:
    """After any step, any number of the latest records come once more, in their order.

    Those from before the clock changed something do not: one that changed nothing then is a late one now. Nor do those
    from before the device was retired or the soft state lost: it is a new device then. Nor those from before a record
    of the other gateway changed something: each gateway has its own position, and where the device's clock was set back
    in between, its earlier readings look like those of a counter that began again.
    """
    smooth, bumpy = Home(), Home()
    delivered: list[tuple[int, RecordArrives]] = []
    for one in events:
        before = bumpy.state
        smooth.happens(one)
        bumpy.happens(one)
        by_clock = isinstance(one, ClockTicks | SilenceIsChecked) and bumpy.state is not before
        if by_clock or isinstance(one, OperatorRetires | SoftStateIsLost):
            delivered.clear()
        if isinstance(one, RecordArrives):
            if bumpy.state is not before:
                delivered = [record for record in delivered if record[1].gateway == one.gateway]
            delivered.append((bumpy.records, one))
            again = data.draw(st.integers(0, len(delivered)))
            for number, record in delivered[len(delivered) - again :]:
                bumpy.record(number, record)
    assert bumpy.told == smooth.told
    assert bumpy.state == smooth.state
