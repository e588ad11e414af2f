"""The data of the detector's benchmark."""

from __future__ import annotations

import base64
import datetime as dt
from collections import Counter
from itertools import islice, pairwise
from typing import Any

import msgspec
import pytest

from benchmarks.detector.data import events
from benchmarks.detector.shape import Shape, shape
from benchmarks.detector.streams import last_arrival, of_kafka
from lambdas.detector.records import decode_event
from telemetry.reading.codec import decode_batch
from telemetry.reading.model import Reading

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def decoded(event: dict[str, Any]) -> list[Reading]:
    readings = []
    for record in event["Records"]:
        arrived = dt.datetime.fromtimestamp(record["kinesis"]["approximateArrivalTimestamp"], dt.UTC)
        batch = decode_batch(base64.b64decode(record["kinesis"]["data"]), arrived)
        assert batch.rejected == []
        readings += batch.readings
    return readings


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, Shape(1, 1)),
        (1_000, Shape(1, 10)),
        (10_000, Shape(1, 100)),
        (10_001, Shape(2, 100)),
        (200_000, Shape(20, 100)),
    ],
)
def test_should_give_at_least_the_rows_that_are_asked_for(rows: int, expected: Shape) -> None:
    assert shape(rows) == expected
    assert expected.rows >= rows


def test_should_send_two_readings_of_each_device_in_one_record_a_gateway() -> None:
    (event, *rest) = events(Shape(events=1, records=3))
    assert len(rest) == 1, "one to warm up, and one to measure"
    assert len({record["kinesis"]["partitionKey"] for record in event["Records"]}) == 3
    assert [len(decoded({"Records": [record]})) for record in event["Records"]] == [100, 100, 100]
    assert set(Counter(reading.device_id for reading in decoded(event)).values()) == {2}


def test_should_be_the_same_in_every_run() -> None:
    one, other = (msgspec.json.encode(list(events(Shape(events=2, records=2)))) for _ in range(2))
    assert one == other


def test_should_number_the_records_of_the_stream_in_their_order() -> None:
    numbers = [
        int(record["kinesis"]["sequenceNumber"])
        for event in events(Shape(events=2, records=3))
        for record in event["Records"]
    ]
    assert numbers == sorted(set(numbers))


def test_should_have_two_percent_of_the_devices_alerting_and_change_which() -> None:
    alerting = []
    for event in islice(events(Shape(events=30, records=20)), 30):
        readings = decoded(event)
        alerting.append({reading.device_id for reading in readings if reading.status == "fault"})
    devices = 20 * 50
    assert 0.015 < sum(map(len, alerting)) / len(alerting) / devices < 0.025
    came = sum(len(later - earlier) for earlier, later in pairwise(alerting))
    assert came > devices * 0.04


def test_should_have_the_same_records_in_events_of_kafka() -> None:
    (event, _) = events(Shape(events=1, records=6))
    by_kinesis, by_kafka = (decode_event(each, lambda: NOW) for each in (event, of_kafka(event)))
    assert sorted(record.gateway for record in by_kafka) == sorted(record.gateway for record in by_kinesis)
    assert {record.data for record in by_kafka} == {record.data for record in by_kinesis}
    assert len({record.position.shard for record in by_kafka}) == 4
    assert last_arrival(of_kafka(event)) == max(record.arrived.timestamp() for record in by_kafka)
