"""Readings as the lake hands them out, for the tests of playing them back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import pyarrow as pa

from telemetry.reading.fields import METRICS
from telemetry.reading.model import Reading

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)

_SCHEMA = pa.schema(
    [
        ("device_id", pa.string()),
        ("site", pa.string()),
        ("ts", pa.int64()),
        ("seq", pa.int64()),
        *((name, pa.float64()) for name in METRICS),
        ("status", pa.string()),
    ]
)


def batches(readings: Sequence[Reading], size: int = 1000) -> Iterator[pa.RecordBatch]:
    """The readings by device and time, so many in a batch."""
    ordered = sorted(readings, key=lambda reading: (reading.device_id, reading.ts, reading.seq))
    for start in range(0, len(ordered), size):
        rows = [
            {name: getattr(reading, name) for name in _SCHEMA.names} | {"ts": round(reading.ts.timestamp() * 1e6)}
            for reading in ordered[start : start + size]
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=_SCHEMA)
