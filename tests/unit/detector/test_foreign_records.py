"""A stream with other people's records: they are counted, nothing breaks, and they cost no item and no memory."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.detector.detect import Tally
from lambdas.detector.function import DetectorFunction
from lambdas.store.recent import RECENT_PART
from lambdas.store.states import ALERTS_PART
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from tests.eventsource import STREAMS, Record, Settings, Stream
from tests.unit.delivery import deployed as deployment
from tests.unit.delivery.deployed import NOW, Deployed, bundled

RULES = b"""
rules:
  - {name: too-hot, when: temperature > 40, severity: critical}
  - {name: clock-wrong, when: "rejected(from_future, too_late)"}
  - {name: silent, when: no_data, for: 5m}
  - {name: gateway-silent, when: no_data(gateway), for: 3m}
"""

pytestmark = [
    pytest.mark.filterwarnings("ignore:No application metrics to publish"),
    pytest.mark.parametrize("stream", STREAMS),
]


@pytest.fixture(scope="module", autouse=True)
def _bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with bundled(tmp_path_factory.mktemp("bundle"), RULES):
        yield


class Counted(Deployed):
    """The deployed functions, with what the detector counts and the calls it makes."""

    def __init__(self) -> None:
        super().__init__(RULES)
        self.tally = Tally()

    def arrive(self, stream: Stream, records: list[Record], partitions: int = 3) -> Counter[str]:
        """Have records arrive in one event; return the calls by name."""
        made = len(self._faults.names)
        answer = self.detector(Settings(stream=stream, shards=partitions).event(records))
        assert answer == {"batchItemFailures": []}
        return Counter(self._faults.names[made:]) - Counter(respond=1)

    @property
    def items(self) -> list[tuple[str, ...]]:
        """The keys of all items but the watchdog's own."""
        keys = self._dynamodb.tables["state_table"]
        return sorted(key for key in keys if key[1].startswith((ALERTS_PART, RECENT_PART, "home")))


@pytest.fixture(autouse=True)
def tallies(monkeypatch: pytest.MonkeyPatch) -> list[Tally]:
    """The tallies of all invocations."""
    found: list[Tally] = []
    monkeypatch.setattr(DetectorFunction, "emit", lambda _, tally: found.append(tally))
    return found


def foreign(number: int) -> bytes:
    """A record of somebody else: JSON with a device of its own, other JSON, Avro's container, bytes, or nothing."""
    kinds = [
        json.dumps({"device_id": f"x{number}", "site": "s", "value": number}).encode(),
        json.dumps({"orderId": number, "lines": [{"sku": "a"}]}).encode(),
        b"Obj\x01\x04\x14avro.codec\x08null" + number.to_bytes(8, "big") + b"\n}\n{\xff",
        number.to_bytes(4, "big") * 50,
        b"[" * 5_000,
        b"",
    ]
    return kinds[number % len(kinds)]


def strangers(first: int, count: int) -> list[Record]:
    return [Record(each, f"order-{each}", foreign(each), NOW) for each in range(first, first + count)]


def ours(number: int, temperature: float, gateway: str = "gw-1") -> Record:
    reading = Reading(device_id="d1", site="s", ts=NOW, seq=number, temperature=temperature, status="ok")
    return Record(number, gateway, encode_batch([reading]), NOW)


def test_should_count_what_others_send_and_write_no_item_for_it(stream: Stream, tallies: list[Tally]) -> None:
    counted, calls = Counted(), Counter[str]()
    for number in range(20):
        calls += counted.arrive(stream, strangers(number * 100, 100))
        counted.pass_minute()
    assert (sum(tally.records for tally in tallies), sum(tally.readings for tally in tallies)) == (2_000, 0)
    reasons = sum((tally.rejected for tally in tallies), Counter[str]())
    assert reasons.keys() == {"empty", "not_json", "not_utf8", "missing_field", "wrong_type"}
    assert reasons.total() >= 2_000
    assert (counted.items, counted.lake) == ([], [])
    # Per event of a hundred keys: their alerts, their recent past, and the homes of the devices that they name.
    reads = calls.pop("BatchGetItem")
    assert reads <= 20 * 4
    assert calls.keys() <= {"GetObject"}


def test_should_keep_nothing_of_foreign_keys_in_memory(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[DetectorFunction] = []

    class Kept(DetectorFunction):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setitem(deployment.FUNCTIONS, "detector", (Kept, deployment.FUNCTIONS["detector"][1]))
    counted = Counted()
    counted.arrive(stream, [ours(0, 20.0)])
    kept = _remembered(made[0])
    for number in range(1, 11):
        counted.arrive(stream, strangers(number * 100, 100))
    assert len(made) == 1
    assert _remembered(made[0]) == kept
    assert sum(map(len, kept)) < 10


def _remembered(function: DetectorFunction) -> list[list[str]]:
    """The names that an execution environment keeps between invocations."""
    recents, residents = function._recents, function._residents
    tables: list[Iterable[object]] = [recents._known, recents._written, recents._written_at, recents._blank]
    tables += [residents._home_of, residents._at, residents._highest]
    return [sorted(map(str, table)) for table in tables]


def test_should_go_on_alerting_between_the_records_of_others(stream: Stream) -> None:
    counted = Counted()
    counted.arrive(stream, [*strangers(0, 49), ours(49, 41.0), *strangers(50, 50)])
    assert [(device, rule) for _, device, rule, *_ in counted.active] == [("d1", "too-hot")]
    alone = Counted()
    alone.arrive(stream, [ours(49, 41.0)])
    assert counted.active == alone.active
    assert counted.items == alone.items


@pytest.mark.parametrize("key", ["k" * 4_000, "ключ" * 500], ids=["ascii", "cyrillic"])
def test_should_read_records_under_keys_that_are_too_long_for_an_item(stream: Stream, key: str) -> None:
    if stream == "kinesis":
        key = key[:256]
    counted = Counted()
    counted.arrive(stream, [ours(0, 41.0, gateway=key), *strangers(1, 3)])
    assert [(device, rule) for _, device, rule, *_ in counted.active] == [("d1", "too-hot")]


def test_should_alert_of_a_device_whose_clock_was_wrong_from_the_beginning(stream: Stream) -> None:
    late = Reading(device_id="d1", site="s", ts=NOW.replace(year=2020), seq=1, temperature=20.0, status="ok")
    counted = Counted()
    counted.arrive(stream, [Record(0, "gw-1", encode_batch([late]), NOW)])
    assert [(device, rule) for _, device, rule, *_ in counted.active] == [("d1", "clock-wrong")]


def test_should_watch_a_gateway_from_its_first_reading_on(stream: Stream) -> None:
    counted = Counted()
    counted.arrive(stream, [Record(0, "gw-1", b"nonsense\n", NOW)])
    for _ in range(8):
        counted.pass_minute()
    assert (counted.items, counted.active) == ([], set())
    now = counted.clock.now
    reading = Reading(device_id="d1", site="s", ts=now, seq=1, temperature=20.0, status="ok")
    counted.arrive(stream, [Record(1, "gw-1", encode_batch([reading]), now)])
    counted.clock.now += 2 * (now - NOW) / 8
    counted.arrive(stream, [Record(2, "gw-1", b"nonsense\n", counted.clock.now)])
    for _ in range(8):
        counted.pass_minute()
    assert {rule for *_, rule, _, _, _, _, _ in counted.active} == {"silent", "gateway-silent"}


def test_should_count_a_record_of_many_short_lines_in_little_memory(stream: Stream, tallies: list[Tally]) -> None:
    lines = 200_000
    record = Record(0, "measurements.csv", b"x\n" * lines, NOW)
    event = Settings(stream=stream).event([record])
    counted = Counted()
    tracemalloc.start()
    counted.detector(event)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert tallies[-1].rejected == Counter(not_json=lines)
    assert peak < lines * 100, "bytes, of which the lines themselves are half"


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=60)), min_size=1, max_size=10))
@settings(max_examples=50)
def test_should_accept_records_of_any_bytes(stream: Stream, sent: list[tuple[str, bytes]]) -> None:
    records = [
        Record(number, key or "-", data, NOW)
        for number, (key, data) in enumerate(sent)
        if stream == "kafka" or key.isprintable()
    ]
    Counted().arrive(stream, records or [ours(0, 20.0)])
