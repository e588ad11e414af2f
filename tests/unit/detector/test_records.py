"""Records of an event, whatever producers put into a topic."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.detector.records import MAX_GATEWAY_LENGTH, Record, UnknownSourceError, decode_event
from telemetry.alerting.state import Position

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def kafka(offset: int, key: bytes | None, value: bytes | None, **more: Any) -> dict[str, Any]:
    texts = {name: text and base64.b64encode(text).decode() for name, text in (("key", key), ("value", value))}
    stamp = {"timestamp": int(NOW.timestamp() * 1000), "timestampType": "LOG_APPEND_TIME"}
    return {"topic": "t", "partition": 0, "offset": offset, **stamp, **texts, "headers": [], **more}


def decoded(records: dict[str, list[dict[str, Any]]], now: dt.datetime = NOW) -> list[Record]:
    return decode_event({"eventSource": "aws:kafka", "records": records}, lambda: now)


def test_should_keep_the_order_of_each_partition() -> None:
    records = decoded({"t-1": [kafka(7, b"a", b"1"), kafka(8, b"b", b"2")], "u-0": [kafka(3, b"c", b"3")]})
    assert [(record.gateway, record.position.shard, record.identifier) for record in records] == [
        ("a", "t-1", {"partition": "t-1", "offset": 7}),
        ("b", "t-1", {"partition": "t-1", "offset": 8}),
        ("c", "u-0", {"partition": "u-0", "offset": 3}),
    ]


@pytest.mark.parametrize(
    ("key", "gateway"),
    [(None, "t-0"), (b"", "t-0"), (b"gw-1", "gw-1"), ("wärme".encode(), "wärme"), (b"\xff\x00", "\\xff\x00")],
)
def test_should_have_a_gateway_for_every_key(key: bytes | None, gateway: str) -> None:
    assert [record.gateway for record in decoded({"t-0": [kafka(0, key, b"1")]})] == [gateway]


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_should_name_gateways_by_keys_of_any_bytes_and_length(key: bytes, other: bytes) -> None:
    first, second = decoded({"t-0": [kafka(0, b"k" + key, b""), kafka(1, b"k" + other, b"")]})
    assert 1 <= len(first.gateway) <= MAX_GATEWAY_LENGTH
    assert len(first.gateway.encode()) <= 2_048, "the most that a key of DynamoDB may have"
    if len(key) != len(other) or key.isascii():
        assert (first.gateway == second.gateway) == (key == other)


def test_should_tell_long_keys_apart() -> None:
    records = decoded({"t-0": [kafka(0, b"k" * 5_000 + end, b"") for end in (b"a", b"b", b"a")]})
    assert len({record.gateway for record in records}) == 2
    assert all(record.gateway.startswith("kkk") for record in records)


@pytest.mark.parametrize("record", [kafka(0, b"gw", None), kafka(0, b"gw", b""), {"offset": 0}])
def test_should_read_a_tombstone_as_a_record_without_lines(record: dict[str, Any]) -> None:
    assert [each.data for each in decoded({"t-0": [record]})] == [b""]


def test_should_believe_the_brokers_clock() -> None:
    (record,) = decoded({"t-0": [kafka(0, b"gw", b"")]}, NOW - dt.timedelta(hours=2))
    assert (record.arrived, record.position.arrived) == (NOW, NOW)


def test_should_not_believe_a_producers_clock_that_is_ahead() -> None:
    past, future = (int((NOW + ahead).timestamp() * 1000) for ahead in (-SECOND, dt.timedelta(days=1)))
    records = decoded(
        {"t-0": [kafka(0, b"gw", b"", timestamp=at, timestampType="CREATE_TIME") for at in (past, future)]}
    )
    assert [record.arrived for record in records] == [NOW - SECOND, NOW]
    assert [record.position.arrived for record in records] == [NOW - SECOND, NOW + dt.timedelta(days=1)]


@pytest.mark.parametrize("stamp", [-1, None, 1_795_435_200 * 10**9, 2**63 - 1])
def test_should_know_a_record_without_a_time_by_its_offset(stamp: int | None) -> None:
    (first,), (again,) = (
        decoded({"t-0": [kafka(5, b"gw", b"", timestamp=stamp)]}, at) for at in (NOW, NOW + dt.timedelta(hours=1))
    )
    assert (first.arrived, again.arrived) == (NOW, NOW + dt.timedelta(hours=1))
    assert again.position.is_behind(first.position)


def test_should_not_compare_offsets_of_partitions() -> None:
    """After an increase of partitions, a key may be in another one, whose offsets begin from below."""
    before, after = decoded({"t-0": [kafka(1_000, b"gw", b"")], "t-6": [kafka(0, b"gw", b"")]})
    assert not after.position.is_behind(before.position)
    assert not before.position.is_behind(after.position)
    assert before.position.is_behind(before.position)
    assert not before.position.is_behind(Position("1001", NOW)), "a state of Kinesis without a shard"


def test_should_say_which_sources_can_be_read() -> None:
    with pytest.raises(UnknownSourceError, match="'aws:sqs' cannot be read: map aws:kinesis, aws:kafka, SelfManaged"):
        decode_event({"Records": [{"eventSource": "aws:sqs"}]}, lambda: NOW)
