"""The order of records in a stream."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from telemetry.alerting.state import GatewayState, Position

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SHARD, OTHER = "shardId-000000000000", "shardId-000000000001"


@pytest.mark.parametrize(("sequence", "behind"), [("9", True), ("10", True), ("11", False)])
def test_should_order_records_of_one_shard_by_their_numbers(sequence: str, behind: bool) -> None:
    for shard in (SHARD, "readings-0"):
        assert Position(sequence, NOW, shard).is_behind(Position("10", NOW, shard)) is behind


@pytest.mark.parametrize("sequence", ["9", "10", "11"])
def test_should_see_no_order_between_shards(sequence: str) -> None:
    for one, other in ((SHARD, OTHER), ("readings-0", "readings-1"), ("readings-0", SHARD), (SHARD, "readings-0")):
        assert not Position(sequence, NOW, one).is_behind(Position("10", NOW, other))


def test_should_take_a_much_later_record_for_one_of_a_stream_created_again() -> None:
    later = NOW + dt.timedelta(minutes=2)
    assert not Position("9", later, SHARD).is_behind(Position("10", NOW, SHARD))


class TestStatesWithoutShard:
    """States that were written before positions had a shard."""

    STORED = b'{"gateway":"gw","position":{"sequence":"10","arrived":"2026-11-23T12:00:00Z"}}'

    @pytest.mark.parametrize(("sequence", "behind"), [("9", True), ("10", True), ("11", False)])
    @pytest.mark.parametrize("shard", [SHARD, OTHER])
    def test_should_order_records_of_any_kinesis_shard(self, shard: str, sequence: str, behind: bool) -> None:
        position = msgspec.json.decode(self.STORED, type=GatewayState).position
        assert position is not None
        assert Position(sequence, NOW, shard).is_behind(position) is behind

    def test_should_not_order_records_of_kafka(self) -> None:
        position = msgspec.json.decode(self.STORED, type=GatewayState).position
        assert position is not None
        assert not Position("9", NOW, "readings-0").is_behind(position)
