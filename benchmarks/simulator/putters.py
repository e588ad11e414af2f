"""Who puts readings on a stream: the simulator, what tutorials show, and a loop over records that are ready."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef

STREAM_OURS, STREAM_PEER, STREAM_FLOOR = "ours", "random + json.dumps, a reading a record", "ready records"

#: In the order in which they are measured: ours and the floor side by side.
STREAM_NAMES = (STREAM_OURS, STREAM_FLOOR, STREAM_PEER)

#: Readings in a request of the tutorials: the most records that one may have.
_REQUEST = 500

#: Of the readings that are asked for, the peer puts one in so many: it takes that much longer for each.
_FEWER = 5

#: Puts readings on a stream; returns how many.
Putter = Callable[["KinesisClient", str], int]

# What a contender needs is imported where it is made: the memory of each is measured.


def ours(rows: int, _ready: Path) -> Putter:
    """The simulator as ``iot simulate --sink kinesis --no-pace`` runs it."""
    from benchmarks.simulator.ours import scenario, simulate  # noqa: PLC0415
    from simulator.sinks.kinesis import KinesisSink  # noqa: PLC0415

    return lambda client, stream: simulate(scenario("calm"), rows, KinesisSink(client, stream)).sent


def floor(rows: int, ready: Path) -> Putter:
    """The very same requests, made before."""
    from benchmarks.simulator.ready import read  # noqa: PLC0415

    requests = read(ready)

    def put(client: KinesisClient, stream: str) -> int:
        for request in requests:
            records: list[PutRecordsRequestEntryTypeDef] = [
                {"Data": payload, "PartitionKey": gateway} for gateway, payload in request
            ]
            client.put_records(StreamName=stream, Records=records)
        return rows

    return put


def peer(rows: int, _ready: Path) -> Putter:
    """A reading a record, five hundred a request."""
    from benchmarks.simulator.plain import readings  # noqa: PLC0415

    requests = -(-rows // (_REQUEST * _FEWER))
    coming = readings()

    def put(client: KinesisClient, stream: str) -> int:
        for _ in range(requests):
            records: list[PutRecordsRequestEntryTypeDef] = [
                {"Data": json.dumps(reading).encode(), "PartitionKey": reading["device_id"]}
                for reading in islice(coming, _REQUEST)
            ]
            client.put_records(StreamName=stream, Records=records)
        return requests * _REQUEST

    return put


PUTTERS: dict[str, Callable[[int, Path], Putter]] = {STREAM_OURS: ours, STREAM_FLOOR: floor, STREAM_PEER: peer}
