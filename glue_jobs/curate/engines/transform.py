"""One batch of raw objects to the files of the days it touches, in DuckDB: no AWS here, text in, Parquet out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from itertools import starmap
from pathlib import Path
from typing import NamedTuple, Optional

import duckdb
import pyarrow as pa

from glue_jobs.curate.engines.conflicts import Conflict, conflicting_lines
from glue_jobs.curate.engines.engine import Completeness, Counts
from glue_jobs.curate.engines.sql import literal, sql
from glue_jobs.curate.engines.staging import Staging, insert, naive
from glue_jobs.curate.zones import layout
from glue_jobs.curate.zones.devices import REGISTRY
from glue_jobs.curate.zones.index import ObjectHour
from glue_jobs.curate.zones.raw import Content, RawObject
from telemetry.reading.fields import FIELDS
from telemetry.registry.devices import DeviceRow
from telemetry.tables.curated import DEVICE_HEALTH, QUARANTINE, READINGS, READINGS_HOURLY, SITE_DAILY
from telemetry.tables.table import Table

#: What DuckDB keeps in memory; the rest is in the run's folder.
_MEMORY = "1GB"

#: Readings of a day that are looked at together for the health of their devices.
_HEALTH_ROWS = 2_500_000

_HOUR = "date_trunc('hour', ts)"

_QUOTED = pa.schema(
    [
        ("raw_object", pa.string()),
        ("arrived", pa.timestamp("us")),
        ("ts", pa.timestamp("us")),
        ("detail", pa.string()),
        ("line", pa.string()),
        ("raw_line", pa.int64()),
        ("raw_offset", pa.int64()),
    ]
)


class Previous(NamedTuple):
    """Local copies of a day's files as they are now: of readings those to keep and to merge, and of their hours."""

    kept: list[Path]
    merged: list[Path]
    hourly: list[Path]


class Made(NamedTuple):
    """A new file of a table's partition; whoever takes it may remove it."""

    table: Table
    name: str
    path: Path


class Transform:
    """A batch's database. Read the new objects, then the rest of the hours they touch; then build the days.

    ``folder`` is where the database spills what memory does not hold, and where files are made; it belongs to the
    caller. ``registry`` are rows of the table ``devices``.
    """

    def __init__(self, folder: Path, registry: Sequence[DeviceRow]) -> None:
        self._folder = folder
        self._db = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": _MEMORY,
                "temp_directory": str(folder / "spill"),
                "autoinstall_known_extensions": "false",
            },
        )
        self._staging = Staging(self._db)
        insert(self._db, "registry", registry, REGISTRY)
        self._readings = self._duplicates = 0
        self._days: dict[str, Completeness] = {}
        self._files = 0

    def close(self) -> None:
        """Let go of the memory and the files."""
        self._db.close()

    @property
    def lines(self) -> int:
        """Lines read so far."""
        return self._staging.lines

    def read_whole(self, contents: Iterable[Content]) -> None:
        """Read every line of these objects."""
        self._staging.read_whole(contents)

    def object_hours(self) -> list[ObjectHour]:
        """Which objects hold readings of which event hours, of all that was read so far."""
        return self._staging.object_hours()

    def read_hours(self, contents: Iterable[Content], hours: Collection[dt.datetime]) -> None:
        """Read, of these objects, the readings of these event hours."""
        self._staging.read_hours(contents, hours)

    def leave(self, hours: Collection[dt.datetime]) -> None:
        """Leave the readings of these event hours out."""
        self._staging.leave(hours)

    def build_day(self, day: str, hours: Collection[dt.datetime], previous: Previous) -> list[Made]:
        """Make the files of a day of which these hours are computed anew, for all tables of event time.

        Nothing is made of a day without readings.
        """
        old = _parquet(READINGS, previous.merged, f"NOT {_is_one_of(_HOUR, hours)}")
        hours_of_day = _parquet(READINGS_HOURLY, previous.hourly, f"NOT {_is_one_of('hour_start', hours)}")
        self._db.execute(f"CREATE OR REPLACE TABLE new_hours AS {hours_of_day}")
        made = [
            self._write_readings(day, group, old if previous.merged else "")
            for group in layout.groups(self._rows_by_hour(day, old))
        ]
        # Sums of floating-point numbers depend on their order, and several threads have none.
        self._db.execute(
            "CREATE OR REPLACE TABLE hours_of_day AS SELECT * FROM new_hours ORDER BY hour_start, device_id"
        )
        self._db.execute("SET threads = 1")
        self._db.execute(f"CREATE OR REPLACE TABLE sites AS {sql('site_daily')}")
        self._db.execute("RESET threads")
        if not self._count("hours_of_day"):
            return []
        return [
            *made,
            self._write(READINGS_HOURLY, "SELECT * FROM hours_of_day ORDER BY hour_start, device_id"),
            self._write(SITE_DAILY, "SELECT * FROM sites ORDER BY site"),
            self._write_health(day, [*previous.kept, *(file.path for file in made)]),
        ]

    def contradicting(self) -> list[RawObject]:
        """The objects with readings that contradict one which came first, of the days built so far."""
        rows = self._db.execute("SELECT DISTINCT raw_object FROM contradicting").fetchall()
        keys = {key for (key,) in rows}
        return [found for found in self._staging.objects if found.key in keys]

    def quote(self, contents: Iterable[Content]) -> None:
        """Look the contradicting lines up in the objects they came in."""
        for found, text, _ in contents:
            rows = self._db.execute(
                "SELECT ts, raw_line, first_object, first_line FROM contradicting WHERE raw_object = ?", [found.key]
            ).fetchall()
            quoted = [
                (found.key, naive(found.arrived), *quote) for quote in conflicting_lines(text, starmap(Conflict, rows))
            ]
            insert(
                self._db,
                "quarantined",
                quoted,
                _QUOTED,
                into="(reason, raw_object, arrived, ts, detail, line, raw_line, raw_offset)",
                select="'conflict', *",
            )

    def quarantine_refused(self) -> None:
        """Put the refused lines into quarantine."""
        self._db.execute(
            "INSERT INTO quarantined (reason, detail, line, arrived, raw_object, raw_line, raw_offset) "
            "SELECT reason, detail, line, arrived, raw_object, raw_line, raw_offset "
            "FROM refused INNER JOIN objects USING (object_no)"
        )

    def build_quarantine(
        self, day: str, hours: Collection[dt.datetime], objects: Collection[str], previous: Sequence[Path]
    ) -> Optional[list[Made]]:
        """The day's file, of what is there and not computed anew, and what is new; None if nothing changes.

        What is computed anew are the conflicts of ``hours`` and the refused lines of ``objects`` (keys).
        """
        self._db.execute("CREATE OR REPLACE TABLE anew AS SELECT unnest(?::VARCHAR[]) AS raw_object", [list(objects)])
        anew = (
            f"CASE WHEN reason = 'conflict' THEN {_is_one_of(_HOUR, hours)} "
            "ELSE raw_object IN (SELECT raw_object FROM anew) END"
        )
        there = _parquet(QUARANTINE, previous, "TRUE")
        new = (
            f"SELECT * REPLACE (substr(md5(concat(raw_object, ':', raw_line)), 1, 16) AS id) FROM quarantined "
            f"WHERE CAST(coalesce(ts, arrived) AS DATE) = DATE {literal(day)}"
        )
        self._db.execute(f"CREATE OR REPLACE TABLE before AS {there}")
        self._db.execute(f"CREATE OR REPLACE TABLE now AS FROM before WHERE NOT ({anew}) UNION ALL BY NAME {new}")
        ((changed,),) = self._db.execute(
            "SELECT count(*) FROM ((FROM now EXCEPT ALL FROM before) UNION ALL (FROM before EXCEPT ALL FROM now))"
        ).fetchall()
        if not changed:
            return None
        if not self._count("now"):
            return []
        return [self._write(QUARANTINE, "SELECT * FROM now ORDER BY arrived, raw_object, raw_line")]

    def counts(self) -> Counts:
        """What was built."""
        ((quarantined,),) = self._db.execute("SELECT count(*) FROM quarantined").fetchall()
        ((newest,),) = self._db.execute("SELECT max(ts) FROM accepted").fetchall()
        moment = newest and newest.replace(tzinfo=dt.timezone.utc)
        return Counts(self._readings, self._duplicates, quarantined, moment, self._days)

    def _rows_by_hour(self, day: str, old: str) -> dict[int, int]:
        return dict(
            self._db.execute(
                f"SELECT hour(ts), count(*) FROM (SELECT ts FROM accepted WHERE CAST(ts AS DATE) = DATE {literal(day)} "
                f"UNION ALL SELECT ts FROM ({old})) GROUP BY ALL"
            ).fetchall()
        )

    def _write_readings(self, day: str, group: Sequence[int], old: str) -> Made:
        """Compute the group's hours of the day, and write them with those that stay as they are."""
        start = dt.datetime.strptime(day, "%Y-%m-%d")  # noqa: DTZ007 - naive, as in the tables
        bounds = (start + dt.timedelta(hours=min(group)), start + dt.timedelta(hours=max(group) + 1))
        within = "ts >= TIMESTAMP '{}' AND ts < TIMESTAMP '{}'".format(*bounds)
        # Keys are long and few: as an enumeration, in their order, they are sorted and carried along as numbers. It has
        # one entry more for batches that read nothing: an enumeration is never empty.
        self._db.execute(
            "CREATE TYPE IF NOT EXISTS raw_objects AS ENUM "
            "(SELECT raw_object FROM objects UNION SELECT '' ORDER BY raw_object)"
        )
        self._db.execute(
            f"CREATE OR REPLACE TEMP VIEW parsed AS SELECT {', '.join(field.name for field in FIELDS)}, "
            "date_trunc('hour', ts) AS hour_start, arrived, CAST(raw_object AS raw_objects) AS raw_object, raw_line "
            f"FROM objects INNER JOIN accepted USING (object_no) WHERE {within}"
        )
        self._db.execute(f"CREATE OR REPLACE TABLE repeated AS {sql('repeated')}")
        self._db.execute(
            f"CREATE OR REPLACE TABLE fresh AS SELECT * FROM ({sql('readings')}) ORDER BY hour_start, device_id, seq"
        )
        self._db.execute(f"INSERT INTO contradicting {sql('conflicts')}")
        self._db.execute("SET threads = 1")
        self._db.execute(f"INSERT INTO new_hours BY NAME {sql('readings_hourly')}")
        self._db.execute("RESET threads")
        readings, copies = self._db.execute("SELECT count(*), coalesce(sum(copies), 0) FROM fresh").fetchall()[0]
        self._readings += readings
        self._duplicates += int(copies) - readings
        rows = "SELECT * FROM fresh"
        if old:
            rows = (
                f"SELECT * FROM ({rows} UNION ALL BY NAME SELECT *, date_trunc('hour', ts) AS hour_start "
                f"FROM ({old}) WHERE {within}) ORDER BY hour_start, device_id, seq"
            )
        return self._write(READINGS, rows, group)

    def _write_health(self, day: str, readings: Sequence[Path]) -> Made:
        """The health of the devices, some of them at a time."""
        everything = _parquet(READINGS, readings, "TRUE")
        ((rows,),) = self._db.execute(f"SELECT count(*) FROM ({everything})").fetchall()
        parts = rows // _HEALTH_ROWS + 1
        for part in range(parts):
            self._db.execute(
                f"CREATE OR REPLACE TEMP VIEW readings_of_day AS SELECT * FROM ({everything}) "
                f"WHERE hash(device_id) % {parts} = {part}"
            )
            into = "INSERT INTO health" if part else "CREATE OR REPLACE TABLE health AS"
            self._db.execute(f"{into} {sql('device_health')}")
        self._days[day] = Completeness(*map(int, self._db.execute(sql("completeness")).fetchall()[0]))
        return self._write(DEVICE_HEALTH, "SELECT * FROM health ORDER BY device_id")

    def _write(self, table: Table, rows: str, hours: Sequence[int] = ()) -> Made:
        """Write rows as a Parquet file with the table's columns, names and types; ``hours`` are for its name."""
        self._files += 1
        path = self._folder / f"{table.name}-{self._files}.parquet"
        columns = ", ".join(f"CAST({column.name} AS {column.type}) AS {column.name}" for column in table.columns)
        ((count,),) = self._db.execute(
            f"COPY (SELECT {columns} FROM ({rows})) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()
        return Made(table, layout.file_name(hours, count) if hours else "0.parquet", path)

    def _count(self, table: str) -> int:
        ((rows,),) = self._db.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(rows)


def _parquet(table: Table, paths: Sequence[Path], condition: str) -> str:
    """The rows of a table's files where the condition holds; a column that is younger than a file is null in it."""
    empty = ", ".join(f"CAST(NULL AS {column.type}) AS {column.name}" for column in table.columns)
    nothing = f"SELECT {empty} WHERE FALSE"
    if not paths:
        return nothing
    files = ", ".join(literal(str(path)) for path in paths)
    columns = ", ".join(table.column_names)
    return (
        f"SELECT {columns} FROM ({nothing} UNION ALL BY NAME "
        f"SELECT * FROM read_parquet([{files}], union_by_name = true, hive_partitioning = false) WHERE {condition})"
    )


def _is_one_of(moment: str, hours: Collection[dt.datetime]) -> str:
    """The SQL of whether a moment is one of these hours; an IN with nothing is no SQL."""
    listed = ", ".join(f"TIMESTAMP {literal(str(naive(hour)))}" for hour in hours)
    return f"{moment} IN ({listed})" if listed else "FALSE"
