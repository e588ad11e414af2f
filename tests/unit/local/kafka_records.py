"""Records of a topic and a source, for tests of the bridge."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from local.kafka.records import Record, Source

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
SOURCE = Source("readings", "127.0.0.1:9092", "arn:aws:kafka:us-east-1:000000000000:cluster/readings/local")


def record(
    offset: int, partition: int = 0, *, value: bytes | None = b"1\n", age: dt.timedelta = dt.timedelta()
) -> Record:
    return Record(partition, offset, round((NOW - age).timestamp() * 1000), b"gw-1", value)


def places(event: bytes) -> list[tuple[str, int]]:
    """Where the records of an event come from, in its order."""
    records: dict[str, list[dict[str, Any]]] = json.loads(event)["records"]
    return [(name, each["offset"]) for name, some in records.items() for each in some]
