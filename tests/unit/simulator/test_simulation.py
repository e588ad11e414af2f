"""A whole run: the same lines at any batch and pace, counts that add up, and the truth about the alerts."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.batches import LONGEST_WAIT, Record
from simulator.disturbances import spoiled
from simulator.fleet import FleetConfig
from simulator.run import Counts, Manifest, Mischief, simulate
from simulator.sinks import Delivery, LineSink, SinkError, open_lines
from telemetry.alerting import GatewayState, evaluate
from telemetry.codec import Batch, Reason, decode_batch
from telemetry.reading import Reading
from telemetry.recent import Recent
from telemetry.rules import parse_rules

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

START = dt.datetime(2026, 3, 1, 9, 30, tzinfo=dt.UTC)
RULES = parse_rules(Path(__file__).parents[3].joinpath("rules.yaml").read_bytes())
CONFIG = FleetConfig(devices=40, gateways=4, interval=1.0, seed=3)
MISCHIEF = Mischief(faults=8, malformed=60, duplicates=90)
REASONS: tuple[Reason, ...] = (
    "not_json",
    "wrong_type",
    "out_of_bounds",
    "not_utf8",
    "missing_field",
    "from_future",
)


class MemorySink:
    """Keeps the records it accepts; refuses those of a gateway, if told to."""

    def __init__(self, refuses: str = "") -> None:
        self._refuses = refuses
        self.records: list[Record] = []

    def send(self, records: Sequence[Record], /) -> Delivery:
        refused = tuple(record for record in records if record.gateway == self._refuses)
        self.records += [record for record in records if record.gateway != self._refuses]
        return Delivery(retried=len(refused), refused=refused, reason="not today" if refused else "")

    def lines(self) -> dict[str, list[bytes]]:
        """Each gateway's lines, in their order."""
        by_gateway: defaultdict[str, list[bytes]] = defaultdict(list)
        for record in self.records:
            by_gateway[record.gateway] += record.payload.splitlines(keepends=True)
        return by_gateway

    def decoded(self, arrived: dt.datetime) -> dict[str, Batch]:
        return {gateway: decode_batch(b"".join(lines), arrived) for gateway, lines in self.lines().items()}


def run(
    *,
    config: FleetConfig = CONFIG,
    readings: int = 2_000,
    batch: int = 100,
    mischief: Mischief = MISCHIEF,
    sink: MemorySink | None = None,
) -> tuple[Manifest, MemorySink]:
    sink = sink or MemorySink()
    return (
        simulate(config, sink, readings=readings, batch=batch, mischief=mischief, start=START, paced=False),
        sink,
    )


@pytest.mark.parametrize("batch", [1, 7, 5_000])
def test_should_send_the_same_lines_whatever_the_batch(batch: int) -> None:
    manifest, sink = run()
    other_manifest, other_sink = run(batch=batch)
    assert other_sink.lines() == sink.lines()
    assert other_manifest == manifest
    assert max(record.lines for record in other_sink.records) <= batch


def test_should_send_the_same_records_at_any_pace() -> None:
    config = FleetConfig(devices=40, gateways=4, interval=0.05, seed=3)
    hurried, paced = MemorySink(), MemorySink()
    simulate(config, hurried, readings=200, mischief=MISCHIEF, start=START, paced=False)
    simulate(config, paced, readings=200, mischief=MISCHIEF, start=START, paced=True)
    assert paced.records == hurried.records


def test_should_leave_the_readings_as_they_are_when_extra_lines_are_added() -> None:
    _, plain = run(mischief=Mischief())
    _, disturbed = run(mischief=Mischief(malformed=60, duplicates=90))
    for gateway, lines in plain.lines().items():
        wanted = set(lines)
        seen = [line for line in dict.fromkeys(disturbed.lines()[gateway]) if line in wanted]
        assert seen == lines


@given(
    readings=st.integers(1, 400),
    malformed=st.integers(0, 50),
    duplicates=st.integers(0, 50),
    seed=st.integers(0, 1_000),
    batch=st.integers(1, 50),
)
def test_should_make_every_line_exactly_one_of_reading_duplicate_and_malformed(
    readings: int, malformed: int, duplicates: int, seed: int, batch: int
) -> None:
    config = FleetConfig(devices=7, gateways=2, interval=0.5, seed=seed)
    manifest, sink = run(
        config=config, readings=readings, batch=batch, mischief=Mischief(malformed=malformed, duplicates=duplicates)
    )
    batches = sink.decoded(manifest.ended_at).values()
    good = [reading for batch in batches for reading in batch.readings]
    assert sum(len(batch.rejected) for batch in batches) == manifest.malformed == malformed
    assert len({(reading.device_id, reading.seq) for reading in good}) == readings
    assert len(good) - readings == manifest.duplicates == duplicates
    assert manifest.sent == manifest.accepted == readings + malformed + duplicates
    assert sum(record.lines for record in sink.records) == manifest.sent
    assert all(manifest.started_at <= reading.ts <= manifest.ended_at for reading in good)


@pytest.mark.parametrize("reason", REASONS)
def test_should_spoil_a_line_so_that_it_is_rejected_for_its_reason(reason: Reason) -> None:
    _, sink = run(readings=40, mischief=Mischief())
    for batch in sink.decoded(START).values():
        for reading in batch.readings:
            line = spoiled(reading, reason)
            assert line.count(b"\n") == 1
            (rejected,) = decode_batch(line, dt.datetime.now(dt.UTC)).rejected
            assert rejected.reason == reason


def test_should_spoil_lines_in_every_way() -> None:
    manifest, sink = run(mischief=Mischief(malformed=6))
    rejected = [line for batch in sink.decoded(manifest.ended_at).values() for line in batch.rejected]
    assert sorted(line.reason for line in rejected) == sorted(REASONS)


def test_should_send_a_duplicate_later_through_the_same_gateway() -> None:
    _, sink = run(mischief=Mischief(duplicates=90))
    again = 0
    for lines in sink.lines().values():
        ages = [decode_batch(line).readings[0].ts for line in lines]
        newest = START
        for line, age, before in zip(lines, ages, range(len(lines)), strict=True):
            if line in lines[:before]:
                again += 1
                assert age <= newest
            else:
                assert age >= newest, "new readings come in the order of time"
            newest = max(newest, age)
    assert again == 90


Alert = tuple[str, str, str, dt.datetime]


def alerts_of(sink: MemorySink) -> list[Alert]:
    """What the detector makes of the records: (device, rule, status, event time), record by record."""
    states: dict[str, GatewayState] = {}
    alerts: list[Alert] = []
    for record in sink.records:
        state = states.get(record.gateway, GatewayState(record.gateway))
        readings: list[Reading] = decode_batch(record.payload, START + dt.timedelta(hours=1)).readings
        states[record.gateway], transitions = evaluate(RULES, state, Recent(), readings, START)
        alerts += [(change.device, change.rule, change.status, change.changed_at) for change in transitions]
    return alerts


def truth_of(manifest: Manifest) -> list[Alert]:
    fired: list[Alert] = [(fault.device, fault.rule, "firing", fault.since) for fault in manifest.faults]
    resolved: list[Alert] = [
        (fault.device, fault.rule, "resolved", fault.until) for fault in manifest.faults if fault.until
    ]
    return fired + resolved


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    rounds=st.integers(3, 60),
    faults=st.integers(0, 20),
    batch=st.integers(1, 60),
    interval=st.sampled_from([0.05, 0.3, 10.0]),
)
def test_should_lead_to_exactly_the_alerts_the_manifest_names(
    seed: int, rounds: int, faults: int, batch: int, interval: float
) -> None:
    manifest, sink = run(
        config=FleetConfig(devices=20, gateways=3, interval=interval, seed=seed),
        readings=rounds * 20,
        batch=batch,
        mischief=Mischief(faults=faults, malformed=20, duplicates=300),
    )
    assert len(manifest.faults) == faults
    assert all(fault.until for fault in manifest.faults)
    assert sorted(alerts_of(sink)) == sorted(truth_of(manifest))


def test_should_break_every_rule_in_turn() -> None:
    manifest, _ = run()
    assert {fault.rule for fault in manifest.faults} == {rule.name for rule in RULES.rules}


@pytest.mark.parametrize("deliveries", [1, 3, 5])
def test_should_say_what_was_sent_and_what_to_expect_when_it_is_stopped(deliveries: int) -> None:
    sink = MemorySink()
    seen: list[int] = []

    def note(counts: Counts) -> None:
        seen.append(counts.sent)

    manifest = simulate(
        FleetConfig(devices=20, gateways=2, interval=0.1, seed=1),
        sink,
        readings=50_000,
        mischief=Mischief(faults=20, malformed=200, duplicates=200),
        start=START,
        paced=False,
        stopped=lambda: len(seen) >= deliveries,
        on_progress=note,
    )
    assert manifest.sent == sum(record.lines for record in sink.records) == seen[-1]
    assert manifest.sent < 50_000
    assert sorted(alerts_of(sink)) == sorted(truth_of(manifest))


def test_should_run_until_it_is_stopped_if_no_end_is_given() -> None:
    sink = MemorySink()
    config = FleetConfig(devices=4, gateways=2, interval=0.04)
    manifest = simulate(config, sink, batch=1, stopped=lambda: len(sink.records) >= 10)
    assert manifest.sent == len(sink.records) >= 10
    assert manifest.faults == ()


def test_should_count_what_the_sink_refuses_apart() -> None:
    accepted, sink = run()
    refusing = MemorySink(refuses="gateway-001")
    manifest, _ = run(sink=refusing)
    lost = sum(record.lines for record in sink.records if record.gateway == "gateway-001")
    assert (manifest.refused, manifest.sent) == (lost, accepted.sent - lost)
    kept = refusing.records
    assert manifest.duplicates == sum(record.duplicates for record in kept) < accepted.duplicates
    assert manifest.malformed == sum(record.malformed for record in kept) < accepted.malformed
    assert manifest.refusal == "not today"


def test_should_hold_no_line_back_for_longer_than_a_second() -> None:
    config = FleetConfig(devices=10, gateways=2, interval=2.0)
    _, sink = run(config=config, readings=100, batch=1_000, mischief=Mischief())
    for record in sink.records:
        times = [reading.ts for reading in decode_batch(record.payload).readings]
        assert (times[-1] - times[0]).total_seconds() <= LONGEST_WAIT


class ClockSink(MemorySink):
    """Notes how old each record's newest reading is on arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.ages: list[dt.timedelta] = []

    def send(self, records: Sequence[Record], /) -> Delivery:
        now = dt.datetime.now(dt.UTC)
        self.ages += [now - decode_batch(record.payload).readings[-1].ts for record in records]
        return super().send(records)


def test_should_send_nothing_before_its_time_when_paced() -> None:
    sink = ClockSink()
    manifest = simulate(FleetConfig(devices=20, gateways=4, interval=0.1), sink, readings=60, batch=2)
    assert manifest.sent == 60
    assert min(sink.ages) >= dt.timedelta(0)


def test_should_end_now_when_not_paced() -> None:
    before = dt.datetime.now(dt.UTC)
    manifest = simulate(CONFIG, MemorySink(), readings=4_000, paced=False)
    assert manifest.ended_at <= dt.datetime.now(dt.UTC)
    assert manifest.started_at >= before - dt.timedelta(seconds=100)
    assert manifest.ended_at - manifest.started_at > dt.timedelta(seconds=98)


@pytest.mark.parametrize(
    ("readings", "batch", "mischief", "words"),
    [
        (None, 1, Mischief(faults=1), "need a run with an end"),
        (0, 1, Mischief(), "at least one reading"),
        (10, 0, Mischief(), "at least one reading"),
        (4_000, 1, Mischief(faults=41), "41 faults are too many for 40 devices"),
        (119, 1, Mischief(faults=1), "three reports of a device"),
    ],
)
def test_should_say_what_does_not_fit_together(
    readings: int | None, batch: int, mischief: Mischief, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        simulate(CONFIG, MemorySink(), readings=readings, batch=batch, mischief=mischief)


def test_should_refuse_less_than_no_mischief() -> None:
    with pytest.raises(ValueError, match="fewer than none"):
        Mischief(malformed=-1)


def test_should_write_a_manifest_that_reads_back() -> None:
    manifest, _ = run()
    written = msgspec.json.encode(manifest)
    assert msgspec.json.decode(written, type=Manifest) == manifest
    assert {"device", "site", "gateway", "metric", "rule", "from", "to"} == set(
        msgspec.json.decode(written)["faults"][0]
    )


@pytest.mark.parametrize("name", ["readings.jsonl", "readings.jsonl.gz"])
def test_should_write_the_lines_to_a_file_and_compress_by_its_name(name: str, tmp_path: Path) -> None:
    _, memory = run()
    with open_lines(tmp_path / name) as out:
        simulate(CONFIG, LineSink(out), readings=2_000, mischief=MISCHIEF, start=START, paced=False)
    written = (tmp_path / name).read_bytes()
    if name.endswith(".gz"):
        written = gzip.decompress(written)
    assert written == b"".join(record.payload for record in memory.records)


class NarrowPipe(io.BytesIO):
    """Takes a few bytes at a time, as a pipe does when a signal interrupts the write."""

    def write(self, data: ReadableBuffer, /) -> int:
        return super().write(memoryview(data)[:7])


def test_should_write_all_even_if_a_pipe_takes_it_piecemeal() -> None:
    _, memory = run()
    pipe = NarrowPipe()
    LineSink(pipe).send(memory.records)
    assert pipe.getvalue() == b"".join(record.payload for record in memory.records)


class ExpiringSink(MemorySink):
    """Accepts so many deliveries, then can go on no more."""

    def __init__(self, deliveries: int) -> None:
        super().__init__()
        self._left = deliveries

    def send(self, records: Sequence[Record], /) -> Delivery:
        if not self._left:
            error = SinkError("the token expired")
            error.unsent = records
            raise error
        self._left -= 1
        return super().send(records)


def test_should_account_for_what_was_sent_when_the_sink_fails_halfway() -> None:
    config = FleetConfig(devices=2_000, gateways=20, interval=1.0)
    sink = ExpiringSink(2)
    manifest = simulate(config, sink, readings=40_000, paced=False)
    assert 0 < manifest.sent < 40_000
    assert manifest.sent == sum(record.lines for record in sink.records)
    assert manifest.refused > 0
    assert manifest.refusal == "the token expired"


def test_should_not_make_a_manifest_of_nothing() -> None:
    with pytest.raises(SinkError, match="the token expired"):
        simulate(FleetConfig(devices=10, gateways=2), ExpiringSink(0), readings=100, paced=False)
