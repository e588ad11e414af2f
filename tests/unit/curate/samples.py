"""Raw objects made of lines, and the rows that DuckDB makes of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from glue_jobs.curate.engines.duckdb_engine import DuckDBEngine
from glue_jobs.curate.hours import day_of
from glue_jobs.curate.zones.layout import DayFile, Plan
from glue_jobs.curate.zones.lines import CorruptObjectError, decompressed
from glue_jobs.curate.zones.raw import Content, RawObject, raw_object
from telemetry.registry.devices import DeviceRow
from telemetry.tables.curated import CURATED
from telemetry.tables.table import Table

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


class _Zones:
    """A raw zone of these contents, and a curated zone that keeps the rows of what is uploaded, in the files' order."""

    def __init__(self, contents: dict[str, Content]) -> None:
        self._contents = contents
        self.rows: Rows = {table.name: [] for table in CURATED}

    def read(self, objects: Iterable[RawObject]) -> Iterator[Content]:
        return (self._contents[found.key] for found in objects)

    def files(self, _table: Table, _day: str) -> list[DayFile]:
        return []

    def download(self, _files: Sequence[DayFile], _folder: Path) -> list[Path]:
        return []

    def upload(self, table: Table, day: str, _name: str, file: Path) -> None:
        self.rows[table.name] += [{**row, "dt": day} for row in pq.read_table(file).to_pylist()]


class _Reporter:
    def count(self, *, objects: int, rows: int) -> None:
        pass


def curated(whole: Iterable[Content], registry: Sequence[DeviceRow] = ()) -> Rows:
    """The rows of every curated table, in the order of the files, each with its day."""
    contents = {content.found.key: content for content in whole}
    objects = [content.found for content in contents.values()]
    zones: Any = _Zones(contents)
    reporter: Any = _Reporter()
    with closing(DuckDBEngine(zones, registry, reporter)) as engine:
        hours = {found.hour for found in engine.read_whole(objects)}
        for day in sorted({day_of(hour) for hour in hours}):
            engine.build_day(zones, day, [hour for hour in hours if day_of(hour) == day], Plan([], []))
        engine.collect_quarantine()
        for day in sorted({day_of(moment) for moment in (*hours, *(found.arrived for found in objects))}):
            engine.build_quarantine(zones, day, hours, list(contents))
    rows: Rows = zones.rows
    return rows
