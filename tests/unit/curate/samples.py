"""Raw objects made of lines, and the rows that a transform makes of them."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from glue_jobs.curate.raw import RawObject, raw_object
from glue_jobs.curate.transform import Transform
from telemetry.tables import CURATED

ARRIVED = dt.datetime(2026, 11, 23, 12, 30, tzinfo=dt.UTC)
GOOD: dict[str, Any] = {"device_id": "d1", "site": "s1", "ts": "2026-11-23T12:29:59Z", "seq": 7, "status": "ok"}

Rows = dict[str, list[dict[str, Any]]]


def line(**changes: Any) -> bytes:
    """A good line with some fields changed, or left out where the change is ``...``."""
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not ...}).encode()


def key(arrived: dt.datetime = ARRIVED, name: str = "a") -> str:
    """A key such as Firehose makes for an object begun at ``arrived``."""
    return f"raw/dt={arrived:%Y-%m-%d}/hour={arrived:%H}/iot-1-{arrived:%Y-%m-%d-%H-%M-%S}-{name}"


def stored(data: bytes, arrived: dt.datetime = ARRIVED, name: str = "a") -> tuple[RawObject, bytes]:
    """An object written the moment it was begun, with its bytes."""
    found = raw_object(key(arrived, name), len(data), arrived)
    assert found is not None
    return found, data


def curated(window: Iterable[tuple[RawObject, bytes]], rest: Iterable[tuple[RawObject, bytes]] = ()) -> Rows:
    """The rows of every curated table, in the order of the files, each with its partition."""
    with tempfile.TemporaryDirectory() as folder, closing(Transform(Path(folder))) as transform:
        transform.read_window(window)
        transform.read_rest(rest)
        transform.build()
        rows: Rows = {table.name: [] for table in CURATED}
        for table in CURATED:
            for partition in transform.partitions(table):
                file = Path(folder) / "0.parquet"
                transform.write(table, partition, file)
                rows[table.name] += [row | partition._asdict() for row in pq.read_table(file).to_pylist()]
        return rows
