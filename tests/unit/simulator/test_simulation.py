"""A whole run: sent at its time, counted, with the truth about it, and ended in order whatever happens."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.faults.truth import InjectedFault
from simulator.fleet.fleet import Fleet
from simulator.fleet.lines import DUPLICATE, LATE, MALFORMED, REORDERED
from simulator.run import simulation
from simulator.run.manifest import DeviceCounts, Manifest
from simulator.run.sender import Counts
from simulator.run.simulation import Plan, plan, records, simulate
from simulator.scenario import faults as kinds
from simulator.scenario.scenario import Group, Scenario, ScenarioError
from simulator.sinks.lines import LineSink, open_lines
from simulator.sinks.record import Record
from simulator.sinks.sink import Delivery, SinkError
from telemetry.reading.codec import decode_batch
from tests.unit.simulator.samples import START, MemorySink, lines, lines_by_gateway, scenario, scenarios

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

DISTURBED = scenario(
    kinds.Duplicate(start="0s", duration="20m", chance=0.2),
    kinds.Malformed(start="0s", duration="20m", chance=0.1),
    kinds.Late(start="0s", duration="20m", chance=0.1, delay="10s"),
    kinds.Step(start="5m", duration="5m", count=3, size=40),
    length="20m",
    interval="20s",
)

FLAGS = {"duplicates": DUPLICATE, "malformed": MALFORMED, "late": LATE, "reordered": REORDERED}


def planned(made: Scenario, **more: Any) -> Plan:
    options: dict[str, Any] = {"length": made.duration, "start": START, "speed": 0} | more
    return plan(made, **options)


def ran(made: Scenario, sink: MemorySink | None = None, **more: Any) -> tuple[Manifest, MemorySink]:
    sink = sink or MemorySink()
    return simulate(planned(made), sink, **more), sink


@settings(max_examples=40)
@given(scenarios())
def test_should_count_each_devices_lines_by_what_became_of_them(made: Scenario) -> None:
    manifest, sink = ran(made)
    found = lines(made)
    assert sum(record.lines for record in sink.records) == manifest.sent == len(found)
    for name, flag in FLAGS.items():
        assert getattr(manifest, name) == sum(bool(line.flags & flag) for line in found)
    devices = Counter(line.device for line in found)
    assert {name: counts.sent for name, counts in manifest.by_device.items()} == devices
    for name, counts in manifest.by_device.items():
        mine = [line.flags for line in found if line.device == name]
        assert counts == DeviceCounts(
            sent=len(mine), **{field: sum(bool(flags & flag) for flags in mine) for field, flag in FLAGS.items()}
        )
    assert (manifest.refused, manifest.retried, manifest.refusal) == (0, 0, "")


@settings(max_examples=40)
@given(made=scenarios(), outbox=st.integers(1, 20_000), batch=st.integers(1, 200))
def test_should_send_the_same_whatever_the_sink_is_handed_at_once(made: Scenario, outbox: int, batch: int) -> None:
    small, large = MemorySink(), MemorySink()
    simulate(planned(made, batch=batch), small, outbox_bytes=outbox)
    simulate(planned(made, batch=batch), large)
    assert small.records == large.records
    assert small.lines() == lines_by_gateway(records(made, START, 10))


def test_should_say_what_it_was_a_run_of() -> None:
    before = dt.datetime.now(dt.UTC)
    manifest, _ = ran(DISTURBED)
    assert (manifest.scenario, manifest.seed, manifest.devices, manifest.gateways) == ("sample", 5, 20, 5)
    assert (manifest.started_at, manifest.ended_at) == (START, START + dt.timedelta(minutes=20))
    assert before <= manifest.arrived_from <= manifest.arrived_to <= dt.datetime.now(dt.UTC)
    assert manifest.speed == 0


def test_should_write_a_manifest_that_reads_back() -> None:
    manifest, _ = ran(DISTURBED)
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest


def test_should_send_the_same_records_at_any_pace() -> None:
    brief = scenario(*DISTURBED.faults[:3], interval="100ms", length="300ms")
    hurried, paced = MemorySink(), MemorySink()
    simulate(planned(brief), hurried)
    simulate(planned(brief, speed=2.0), paced)
    assert paced.lines() == hurried.lines()
    assert hurried.records


class ClockSink(MemorySink):
    """Notes how old each record's newest reading is on arrival, and how often it is handed something."""

    def __init__(self) -> None:
        super().__init__()
        self.ages: list[dt.timedelta] = []
        self.calls = 0

    def send(self, records: Sequence[Record], /) -> Delivery:
        self.calls += 1
        now = dt.datetime.now(dt.UTC)
        self.ages += [now - decode_batch(record.payload).readings[-1].ts for record in records]
        return super().send(records)


def test_should_send_nothing_before_its_time_when_paced() -> None:
    sink = ClockSink()
    made = scenario(interval="100ms")
    manifest = simulate(plan(made, length=1.0, batch=2), sink)
    assert manifest.sent == 200
    assert min(sink.ages) >= dt.timedelta(0)
    assert sink.calls > 3, "as it happens, not all at the end"


def test_should_take_as_long_as_its_speed_says_and_no_less() -> None:
    began = time.monotonic()
    manifest = simulate(planned(scenario(interval="1s"), length=60.0, speed=200.0), MemorySink())
    assert time.monotonic() - began >= 0.3
    assert manifest.sent == 20 * 60


def test_should_run_until_it_is_stopped_if_no_end_is_given() -> None:
    sink = MemorySink()
    made = scenario(interval="40ms", devices=(Group(model="indoor", count=4),))
    endless = plan(made, batch=1)
    assert endless.until is None
    manifest = simulate(endless, sink, stopped=lambda: len(sink.records) >= 10)
    assert manifest.sent == len(sink.records) >= 10
    assert manifest.started_at < manifest.ended_at <= manifest.arrived_to + dt.timedelta(seconds=1)


@pytest.mark.parametrize("speed", [0.0, 1.0])
def test_should_stop_before_anything_is_sent(speed: float) -> None:
    sink = MemorySink()
    manifest = simulate(planned(scenario(), speed=speed), sink, stopped=lambda: True)
    assert speed == 0 or not sink.records
    assert manifest.sent == sum(record.lines for record in sink.records)
    assert manifest.ended_at >= manifest.started_at


def stopped_after(deliveries: int, made: Scenario) -> tuple[Manifest, MemorySink, list[InjectedFault]]:
    """A run that is stopped after so many deliveries."""
    seen: list[Counts] = []
    told: list[InjectedFault] = []
    sink = MemorySink()
    manifest = simulate(
        planned(made),
        sink,
        stopped=lambda: len(seen) >= deliveries,
        on_progress=seen.append,
        on_injected=told.append,
        outbox_bytes=10_000,
    )
    assert [counts.sent for counts in seen] == sorted(counts.sent for counts in seen)
    assert seen[-1].sent == manifest.sent
    return manifest, sink, told


@pytest.mark.parametrize("deliveries", [1, 5, 10])
def test_should_say_what_was_sent_when_it_is_stopped(deliveries: int) -> None:
    manifest, sink, _ = stopped_after(deliveries, DISTURBED)
    whole, _ = ran(DISTURBED)
    assert 0 < manifest.sent == sum(record.lines for record in sink.records) < whole.sent
    rejected = decode_batch(sink.text(), manifest.ended_at).rejected
    assert len(rejected) == manifest.malformed
    assert START < manifest.ended_at < whole.ended_at
    assert max(record.at for record in sink.records) <= manifest.ended_at.timestamp()
    for line in decode_batch(sink.text()).readings:
        assert line.ts <= manifest.ended_at or line.ts > START + dt.timedelta(days=300)


def test_should_tell_of_faults_as_they_are_injected() -> None:
    told: list[tuple[InjectedFault, int]] = []
    sink = MemorySink()
    simulate(planned(DISTURBED), sink, on_injected=lambda it: told.append((it, len(sink.records))), outbox_bytes=1)
    assert [fault for fault, _ in told] == simulation.injected_faults(DISTURBED, START)
    at_once = [sent for fault, sent in told if fault.number != 4]
    later = [sent for fault, sent in told if fault.number == 4]
    assert set(at_once) == {0}
    assert len(later) == 3
    assert len(sink.records) / 5 < min(later) < len(sink.records) / 2


def test_should_tell_of_faults_after_which_nothing_is_sent() -> None:
    outage = kinds.SiteOutage(start="5m", duration="1h")
    made = scenario(outage, kinds.Silence(start="15m", duration="1h", count=2), length="20m", interval="20s")
    told: list[InjectedFault] = []
    _, sink = ran(made, on_injected=told.append)
    assert max(record.at for record in sink.records) < START.timestamp() + 10 * 60
    assert told == simulation.injected_faults(made, START)
    assert {fault.number for fault in told} == {1, 2}


def test_should_cut_faults_short_when_it_is_stopped() -> None:
    made = scenario(
        kinds.Step(start="0s", duration="1s", count=1, size=9),
        kinds.Step(start="10s", duration="18m", count=2, size=9),
        kinds.Step(start="19m", duration="5s", count=1, size=9),
        length="20m",
        interval="20s",
    )
    manifest, _, told = stopped_after(5, made)
    assert START + dt.timedelta(seconds=10) < manifest.ended_at < START + dt.timedelta(minutes=18)
    assert [fault.number for fault in told] == [1, 2, 2, 2, 2], "the last two once more, and the third never"
    assert [fault.until for fault in told[3:]] == [manifest.ended_at] * 2
    assert [fault.id for fault in told[3:]] == [fault.id for fault in told[1:3]]


def test_should_count_what_the_sink_refuses_apart() -> None:
    accepted, sink = ran(DISTURBED)
    manifest, refusing = ran(DISTURBED, MemorySink(refuses="south-gw-01"))
    lost = sum(record.lines for record in sink.records if record.gateway == "south-gw-01")
    assert (manifest.refused, manifest.sent) == (lost, accepted.sent - lost)
    assert 0 < manifest.malformed == len(decode_batch(refusing.text(), manifest.ended_at).rejected)
    assert manifest.malformed < accepted.malformed
    assert manifest.refusal == "not today"
    assert manifest.retried == sum(record.gateway == "south-gw-01" for record in sink.records)
    gateways = {device.id: device.gateway for device in Fleet(DISTURBED).devices}
    for name, counts in manifest.by_device.items():
        assert bool(counts.refused) == (gateways[name] == "south-gw-01") != bool(counts.sent)


class ExpiringSink(MemorySink):
    """Accepts so many deliveries, then can go on no more; of the last one it has taken some."""

    def __init__(self, deliveries: int, taken: int = 0, *, silent: bool = False) -> None:
        super().__init__()
        self._left, self._taken, self._silent = deliveries, taken, silent
        self.failures = 0

    def send(self, records: Sequence[Record], /) -> Delivery:
        if not self._left:
            self.failures += 1
            error = SinkError("the token expired")
            self.records += records[: self._taken]
            if not self._silent:
                error.unsent = records[self._taken :]
            raise error
        self._left -= 1
        return super().send(records)


@pytest.mark.parametrize(("deliveries", "taken", "silent"), [(2, 0, False), (2, 0, True), (2, 1, False), (0, 1, False)])
def test_should_account_for_what_was_sent_when_the_sink_fails_halfway(
    deliveries: int, taken: int, silent: bool
) -> None:
    sink = ExpiringSink(deliveries, taken, silent=silent)
    told: list[InjectedFault] = []
    manifest = simulate(planned(DISTURBED), sink, outbox_bytes=10_000, on_injected=told.append)
    whole, _ = ran(DISTURBED)
    assert 0 < manifest.sent == sum(record.lines for record in sink.records) < whole.sent
    assert manifest.refused > 0
    assert manifest.refusal == "the token expired"
    assert manifest.ended_at < whole.ended_at
    assert sink.failures == 1, "a sink that has failed is left alone"
    assert told


@pytest.mark.parametrize("silent", [True, False])
def test_should_not_make_a_manifest_of_nothing(silent: bool) -> None:
    with pytest.raises(SinkError, match="the token expired"):
        simulate(planned(scenario()), ExpiringSink(0, silent=silent))


class BrokenSink(MemorySink):
    """Raises an error of another kind after so many deliveries."""

    def __init__(self, deliveries: int, error: BaseException) -> None:
        super().__init__()
        self._left, self._error = deliveries, error

    def send(self, records: Sequence[Record], /) -> Delivery:
        if not self._left:
            raise self._error
        self._left -= 1
        return super().send(records)


@pytest.mark.parametrize(
    "error",
    [BrokenPipeError("gone"), OSError(28, "No space left on device"), RuntimeError("a bug"), KeyboardInterrupt()],
)
@pytest.mark.parametrize("deliveries", [0, 3])
def test_should_raise_what_the_sink_raises_in_its_thread(deliveries: int, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        simulate(planned(DISTURBED), BrokenSink(deliveries, error), outbox_bytes=10_000)
    assert caught.value is error


def test_should_end_when_whoever_watches_it_fails() -> None:
    def interrupted(_: Counts) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(DISTURBED, on_progress=interrupted)


def test_should_refuse_a_fault_that_affects_no_device() -> None:
    with pytest.raises(ScenarioError, match="affects no device"):
        ran(scenario(kinds.Silence(start="0s", duration="1m", models=("zoo",))))


@pytest.mark.parametrize("readings", [1, 19, 20, 1_000])
@pytest.mark.parametrize("speed", [0.0, 1.0, 60.0])
def test_should_plan_for_as_many_readings_as_asked(readings: int, speed: float) -> None:
    made = plan(scenario(), readings=readings, speed=speed)
    assert simulate(msgspec.structs.replace(made, speed=0.0), MemorySink()).sent == readings


@pytest.mark.parametrize(("speed", "ago"), [(0.0, 100.0), (1.0, 0.0), (4.0, 75.0), (0.5, 0.0)])
def test_should_begin_so_that_it_ends_now_and_nothing_is_of_the_future(speed: float, ago: float) -> None:
    before = dt.datetime.now(dt.UTC)
    made = plan(scenario(), length=100.0, speed=speed)
    after = dt.datetime.now(dt.UTC)
    assert before <= made.since + dt.timedelta(seconds=ago) <= after
    assert made.until == made.since + dt.timedelta(seconds=100)


def test_should_begin_when_it_is_told_in_whatever_time_zone() -> None:
    start = START.astimezone(dt.timezone(dt.timedelta(hours=-5)))
    made = plan(scenario(), length=10.0, start=start)
    assert (made.since, made.since.tzinfo) == (START, dt.UTC)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"readings": 0}, "at least one reading"),
        ({"length": 0.0}, "at least one reading"),
        ({"batch": 0}, "at least one reading"),
        ({"speed": -1.0}, "invalid speed -1"),
        ({"speed": float("nan")}, "invalid speed nan"),
        ({"speed": float("inf")}, "invalid speed inf"),
        ({"length": 4e8}, r"would take 12\.7 years; ten are the most"),
        ({"readings": 10**15}, "years; ten are the most"),
        ({"start": dt.datetime(1969, 12, 31, tzinfo=dt.UTC)}, "begins in 1969; let it be between 1970 and 2200"),
        ({"start": dt.datetime(9999, 12, 31, tzinfo=dt.UTC)}, "begins in 9999; let it be between 1970 and 2200"),
    ],
)
def test_should_say_what_cannot_be_planned(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(scenario(), **more)


@pytest.mark.parametrize("start", [dt.datetime(1970, 1, 2, tzinfo=dt.UTC), dt.datetime(2199, 12, 31, tzinfo=dt.UTC)])
def test_should_run_at_either_end_of_time(start: dt.datetime) -> None:
    manifest = simulate(planned(DISTURBED, start=start), sink := MemorySink())
    batches = [decode_batch(record.payload, dt.datetime.fromtimestamp(record.at, dt.UTC)) for record in sink.records]
    assert sum(len(batch.rejected) for batch in batches) == manifest.malformed > 0


def test_should_run_a_fleet_that_reports_less_often_than_the_run_is_long() -> None:
    manifest, _ = ran(scenario(interval="30d", length="1m"))
    assert manifest.sent <= 1
    assert manifest.devices == 20


@pytest.mark.parametrize("name", ["readings.jsonl", "readings.jsonl.gz"])
def test_should_write_the_lines_to_a_file_and_compress_by_its_name(name: str, tmp_path: Path) -> None:
    _, memory = ran(DISTURBED)
    with open_lines(tmp_path / name) as out:
        simulate(planned(DISTURBED), LineSink(out))
    written = (tmp_path / name).read_bytes()
    if name.endswith(".gz"):
        written = gzip.decompress(written)
    assert written == memory.text()


class NarrowPipe(io.BytesIO):
    """Takes a few bytes at a time, as a pipe does when a signal interrupts the write."""

    def write(self, data: ReadableBuffer, /) -> int:
        return super().write(memoryview(data)[:7])


def test_should_write_all_even_if_a_pipe_takes_it_piecemeal() -> None:
    _, memory = ran(scenario(length="5s"))
    pipe = NarrowPipe()
    LineSink(pipe).send(memory.records)
    assert pipe.getvalue() == memory.text()
