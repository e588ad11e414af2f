"""All that a run sends: the same lines however it is cut, in order, and flagged as they are."""

from __future__ import annotations

import datetime as dt
from math import inf

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.fleet.fleet import Fleet
from simulator.fleet.lines import DAMAGES, DUPLICATE, LATE, MALFORMED, REORDERED
from simulator.models.epoch import MICROSECONDS, microseconds
from simulator.run.batches import TrackedRecord
from simulator.run.traffic import LONGEST_WAIT, UNPACED_WAIT
from simulator.scenario import faults
from simulator.scenario.scenario import Group, Scenario
from simulator.sinks.record import MAX_RECORD_BYTES, Record
from telemetry.reading.codec import encode_batch
from tests.unit.simulator.samples import (
    START,
    by_gateway,
    lines,
    lines_of,
    readings,
    scenario,
    scenarios,
    tracked_records,
    traffic,
)

EVERYTHING = scenario(
    faults.Duplicate(start="0s", duration="2m", chance=0.2, within="20s"),
    faults.Late(start="0s", duration="2m", chance=0.2, delay="30s"),
    faults.Reorder(start="0s", duration="2m", chance=0.2, within="10s"),
    faults.Malformed(start="0s", duration="2m", chance=0.2),
    faults.GatewayDown(start="30s", duration="20s", count=1, backlog=True),
    faults.SiteOutage(start="40s", duration="30s", count=1, backlog=True),
)

WANDERING = scenario(
    *EVERYTHING.faults,
    faults.Wander(start="10s", duration="90s", every="15s", share=0.5),
    faults.HeardTwice(start="0s", duration="2m", chance=0.5, share=0.5),
    faults.GatewayDown(start="60s", duration="15s", sites=("north",), count=1),
    faults.Uploads(start="20s", duration="90s", gateways=("south-gw-01",), every="20s", newest_first=True),
    faults.Restart(start="70s", duration="10s", count=3, counter="ram"),
)


def plain(sent: list[TrackedRecord]) -> list[tuple[Record, list[int], list[int]]]:
    return [(tracked.record, tracked.device.tolist(), tracked.flags.tolist()) for tracked in sent]


@settings(max_examples=70)
@given(
    made=scenarios(),
    longest=st.sampled_from([0.1, 1.0, 2.5, 7.0, 30.0]),
    batch=st.integers(1, 12),
    wait=st.sampled_from([0.3, LONGEST_WAIT, 10.0, UNPACED_WAIT]),
)
@example(made=EVERYTHING, longest=1.0, batch=3, wait=LONGEST_WAIT)
@example(made=WANDERING, longest=1.0, batch=3, wait=LONGEST_WAIT)
def test_should_send_the_same_records_at_the_same_times_wherever_time_is_cut(
    made: Scenario, longest: float, batch: int, wait: float
) -> None:
    whole, cut = tracked_records(made, batch=batch, wait=wait), tracked_records(made, longest, batch=batch, wait=wait)
    assert plain(cut) == plain(whole)


@settings(max_examples=40)
@given(made=scenarios(), batch=st.integers(1, 30), wait=st.sampled_from([0.3, 10.0, UNPACED_WAIT]))
@example(made=EVERYTHING, batch=1, wait=UNPACED_WAIT)
@example(made=WANDERING, batch=1, wait=UNPACED_WAIT)
def test_should_send_the_same_lines_whatever_the_batch_and_however_long_gateways_wait(
    made: Scenario, batch: int, wait: float
) -> None:
    small, large = tracked_records(made, batch=batch, wait=wait), tracked_records(made, batch=10_000)
    assert by_gateway(small) == by_gateway(large)
    assert max((tracked.record.lines for tracked in small), default=0) <= batch


@settings(max_examples=40)
@given(made=scenarios(), parts=st.integers(2, 5))
@example(made=EVERYTHING, parts=2)
@example(made=WANDERING, parts=2)
def test_should_send_the_same_records_in_however_many_parts(made: Scenario, parts: int) -> None:
    sent = [tracked for number in range(parts) for tracked in tracked_records(made, part=(number, parts))]
    sent.sort(key=lambda tracked: (tracked.record.at, tracked.record.gateway))
    assert plain(sent) == plain(tracked_records(made))


@settings(max_examples=40)
@given(made=scenarios(losses=False, restarts=False), longest=st.sampled_from([1.0, 10.0, inf]))
@example(made=EVERYTHING, longest=inf)
def test_should_send_every_reading_once_and_flag_what_else_comes(made: Scenario, longest: float) -> None:
    found = lines(made, longest=longest)
    originals = [line for line in found if not line.flags & (DUPLICATE | MALFORMED)]
    assert all(line.reading for line in originals)
    taken = [(line.device, line.reading.seq) for line in originals if line.reading]
    assert len(taken) == len(set(taken))
    since = microseconds(START)
    expected = Fleet(made).count(since, since + round(made.duration * MICROSECONDS))
    # A reading that was damaged has arrived as a damaged line, or as several.
    damaged = {line.text for line in found if line.flags & MALFORMED}
    assert len(taken) <= expected <= len(taken) + sum(bool(line.flags & MALFORMED) for line in found)
    assert damaged or len(taken) == expected
    for line in found:
        assert (line.reading is None) == bool(line.flags & MALFORMED), line
        assert line.reading is not None or line.reason in DAMAGES
        assert line.reading is None or line.reading.device_id == line.device


@settings(max_examples=40)
@given(scenarios(routes=False, restarts=False))
@example(EVERYTHING)
def test_should_flag_a_line_that_came_before_and_one_that_was_overtaken(made: Scenario) -> None:
    seen: set[bytes] = set()
    newest: dict[str, int] = {}
    for line in lines(made):
        if line.reading is None:
            continue
        assert bool(line.flags & DUPLICATE) == (line.text in seen)
        seen.add(line.text)
        if line.flags & DUPLICATE:
            continue
        overtaken = line.reading.seq < newest.get(line.device, -1)
        assert bool(line.flags & REORDERED) == overtaken
        newest[line.device] = max(line.reading.seq, newest.get(line.device, -1))


@settings(max_examples=40)
@given(scenarios(routes=False, restarts=False))
@example(EVERYTHING)
def test_should_hold_a_line_back_for_a_second_at_most_unless_it_is_flagged(made: Scenario) -> None:
    skewed = any(isinstance(fault, faults.ClockSkew) for fault in made.faults)
    sent = tracked_records(made, batch=5)
    assert [tracked.record.at for tracked in sent] == sorted(tracked.record.at for tracked in sent)
    for line in lines_of(made, sent):
        if skewed or line.reading is None or line.flags & DUPLICATE:
            continue
        waited = line.at - line.reading.ts.timestamp()
        assert waited >= 0
        assert line.flags & LATE or waited <= LONGEST_WAIT
    ends = START.timestamp() + made.duration
    assert all(tracked.record.at <= ends for tracked in sent)


@settings(max_examples=40)
@given(made=scenarios(kinds=()), later=st.integers(1, 50_000_000))
def test_should_take_the_same_readings_when_it_is_started_later(made: Scenario, later: int) -> None:
    start = START + dt.timedelta(microseconds=later)
    length = made.duration - later / MICROSECONDS
    whole, rest = readings(made), readings(made, start=start, length=length)
    assert rest == {key: reading for key, reading in whole.items() if reading.ts >= start}
    assert rest


@settings(max_examples=40)
@given(made=scenarios(kinds=()), pause=st.integers(0, 20_000_000), seed=st.integers(0, 99))
def test_should_go_on_counting_in_a_later_run_of_any_seed(made: Scenario, pause: int, seed: int) -> None:
    start = START + dt.timedelta(seconds=made.duration, microseconds=pause)
    first, second = readings(made), readings(msgspec.structs.replace(made, seed=seed), start=start)
    assert not first.keys() & second.keys()
    fleet = Fleet(made)
    for place, device in enumerate(fleet.devices):
        before = [seq for name, seq in first if name == device.id]
        after = [seq for name, seq in second if name == device.id]
        assert sorted(before + after) == before + after
        if before and after and not pause:
            assert after[0] == before[-1] + 1
        assert fleet.interval[place] > 0


def test_should_send_another_gateways_lines_in_another_record() -> None:
    gateways = {device.id: device.gateway for device in Fleet(scenario()).devices}
    assert all(gateways[line.device] == line.gateway for line in lines(scenario()))


def test_should_send_a_batch_at_once_when_it_is_full() -> None:
    made = scenario(devices=(Group(model="indoor", count=1),), interval="100ms", length="5s")
    sent = tracked_records(made, batch=3)
    full = [tracked for tracked in sent if tracked.record.lines == 3]
    assert len(full) > 10
    for tracked in full:
        (*_, last) = lines_of(made, [tracked])
        assert last.reading is not None
        assert last.at == last.reading.ts.timestamp()
    assert {tracked.record.lines for tracked in sent} <= {1, 2, 3}


def test_should_cut_what_is_too_large_for_a_record_and_keep_every_line_in_order() -> None:
    large = faults.Oversize(start="0s", duration="2m", chance=0.5, bytes=300_000)
    made = scenario(large, interval="300ms", length="3s")
    sent = tracked_records(made, batch=10_000)
    assert sum(map(len, by_gateway(sent).values())) > 10 * MAX_RECORD_BYTES
    assert max(len(tracked.record.payload) for tracked in sent) <= MAX_RECORD_BYTES
    one_by_one = by_gateway(tracked_records(made, batch=1))
    assert by_gateway(sent) == one_by_one


def test_should_leave_a_line_alone_that_is_larger_than_a_record() -> None:
    huge = faults.Oversize(start="0s", duration="2m", chance=1.0, bytes=2_000_000)
    sent = tracked_records(scenario(huge, length="3s"))
    assert {tracked.record.lines for tracked in sent} == {1}
    assert all(len(tracked.record.payload) > 2_000_000 for tracked in sent)


def test_should_encode_lines_as_the_contract_has_them() -> None:
    for line in lines(scenario()):
        assert line.reading is not None
        assert line.text == encode_batch([line.reading])
        assert line.reading.temperature == round(line.reading.temperature or 0.0, 2)


def test_should_send_nothing_in_a_run_without_a_reading() -> None:
    assert tracked_records(scenario(interval="1d", length="1ms")) == []


def test_should_send_the_one_reading_of_a_run_of_one() -> None:
    made = scenario(interval="1d", devices=(Group(model="indoor", count=1),), length="1d")
    (line,) = lines(made)
    assert line.reading


def test_should_send_nothing_of_gateways_that_have_no_device() -> None:
    made = scenario(devices=(Group(model="indoor", count=1),))
    counts = [len(tracked_records(made, part=(number, 5))) for number in range(5)]
    assert sorted(map(bool, counts)) == [False] * 4 + [True]


def test_should_send_what_was_held_back_and_nothing_younger_when_it_is_stopped() -> None:
    stopped = START + dt.timedelta(seconds=60)
    made = scenario(
        faults.SiteOutage(start="10s", duration="100s", backlog=True, sites=("south",)),
        faults.Late(start="0s", duration="2m", chance=0.5, delay="60s", sites=("north",)),
    )
    running, sent = traffic(made), list[TrackedRecord]()
    for some in running.slices(1.0):
        sent += [tracked for tracked in some if tracked.record.at <= stopped.timestamp()]
        if some and some[-1].record.at > stopped.timestamp():
            break
    before, rest = lines_of(made, sent), lines_of(made, running.rest(microseconds(stopped)))
    assert {line.gateway.split("-")[0] for line in rest} == {"north", "south"}
    assert all(line.flags & LATE and line.at <= stopped.timestamp() for line in rest)
    assert all(line.reading and line.reading.ts < stopped for line in rest)
    assert not {line.text for line in before} & {line.text for line in rest}
    dark = {line.text for line in lines(scenario()) if line.reading and line.reading.site == "south"
            and dt.timedelta(seconds=10) <= line.reading.ts - START < dt.timedelta(seconds=60)}  # fmt: skip
    assert {line.text for line in rest if line.gateway.startswith("south")} == dark


@pytest.mark.parametrize("longest", [0.001, 1, 86_400])
def test_should_give_slices_in_the_order_of_time(longest: float) -> None:
    slices = list(traffic(EVERYTHING).slices(longest))
    times = [tracked.record.at for some in slices for tracked in some]
    assert times == sorted(times)
    assert len(slices) == (1 if longest > LONGEST_WAIT else 123)
