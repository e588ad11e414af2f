"""Raw objects made of lines, and the rows that a transform makes of them."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from glue_jobs.curate.engines.transform import Made, Previous, Transform
from glue_jobs.curate.hours import day_of
from glue_jobs.curate.zones.lines import CorruptObjectError, decompressed
from glue_jobs.curate.zones.raw import Content, raw_object
from telemetry.registry.devices import DeviceRow
from telemetry.tables.curated import CURATED

ARRIVED = dt.datetime(2026, 11, 23, 12, 30, tzinfo=dt.UTC)
GOOD: dict[str, Any] = {"device_id": "d1", "site": "s1", "ts": "2026-11-23T12:29:59Z", "seq": 7, "status": "ok"}

Rows = dict[str, list[dict[str, Any]]]


def line(**changes: Any) -> bytes:
    """A good line with some fields changed, or left out where the change is ``...``."""
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not ...}).encode()


def key(arrived: dt.datetime = ARRIVED, name: str = "a") -> str:
    """A key such as Firehose makes for an object begun at ``arrived``."""
    return f"raw/dt={arrived:%Y-%m-%d}/hour={arrived:%H}/iot-1-{arrived:%Y-%m-%d-%H-%M-%S}-{name}"


def stored(data: bytes, arrived: dt.datetime = ARRIVED, name: str = "a") -> Content:
    """The content of an object written the moment it was begun."""
    found = raw_object(key(arrived, name), len(data), arrived)
    assert found is not None
    try:
        return Content(found, decompressed(data))
    except CorruptObjectError as error:
        return Content(found, b"", str(error))


def curated(whole: Iterable[Content], registry: Sequence[DeviceRow] = ()) -> Rows:
    """The rows of every curated table, in the order of the files, each with its day."""
    contents = {content.found.key: content for content in whole}
    with tempfile.TemporaryDirectory() as folder, closing(Transform(Path(folder), registry)) as transform:
        transform.read_whole(contents.values())
        hours = {touched.hour for touched in transform.object_hours()}
        rows: Rows = {table.name: [] for table in CURATED}

        def take(day: str, made: Iterable[Made]) -> None:
            for table, _, path in made:
                rows[table.name] += [{**row, "dt": day} for row in pq.read_table(path).to_pylist()]

        for day in sorted({day_of(hour) for hour in hours}):
            take(day, transform.build_day(day, [hour for hour in hours if day_of(hour) == day], Previous([], [], [])))
        transform.quote(contents[found.key] for found in transform.contradicting())
        transform.quarantine_refused()
        for day in sorted({day_of(moment) for moment in (*hours, *(c.found.arrived for c in contents.values()))}):
            take(day, transform.build_quarantine(day, hours, list(contents), []) or [])
        return rows
