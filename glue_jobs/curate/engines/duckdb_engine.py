"""The engine on one machine: DuckDB, with what it reads and writes in a temporary folder."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import starmap
from pathlib import Path
from typing import NamedTuple, Optional

import pyarrow as pa

from glue_jobs.curate.engines import parquet
from glue_jobs.curate.engines.conflicts import Conflict, conflicting_lines
from glue_jobs.curate.engines.database import connect, insert, naive
from glue_jobs.curate.engines.engine import Completeness, Counts
from glue_jobs.curate.engines.sql import made_from, sql
from glue_jobs.curate.engines.staging import Staging
from glue_jobs.curate.progress import Reporter
from glue_jobs.curate.zones import layout
from glue_jobs.curate.zones.curated import CuratedZone
from glue_jobs.curate.zones.devices import REGISTRY
from glue_jobs.curate.zones.index import ObjectHour
from glue_jobs.curate.zones.layout import Plan
from glue_jobs.curate.zones.raw import Content, RawObject, RawZone
from telemetry.reading.fields import FIELDS
from telemetry.registry.devices import DeviceRow
from telemetry.tables.curated import QUARANTINE, READINGS
from telemetry.tables.table import Table
from telemetry.text.sql import literal

#: What DuckDB keeps in memory; the rest is in the run's folder.
_MEMORY = "1GB"

#: Readings of a day from which tables are made device by device.
_READINGS_AT_ONCE = 2_500_000

_HOUR = "date_trunc('hour', ts)"

_CONFLICTING = pa.schema(
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


class _Made(NamedTuple):
    """A new file of a table's partition."""

    table: Table
    name: str
    path: Path


class DuckDBEngine:
    """See :class:`~glue_jobs.curate.engines.engine.Engine`. Its folder goes when it is closed.

    ``registry`` are rows of the table ``devices``.
    """

    def __init__(self, raw: RawZone, registry: Sequence[DeviceRow], reporter: Reporter) -> None:
        self._raw = raw
        self._reporter = reporter
        self._folder = tempfile.TemporaryDirectory(prefix="curate-")
        self._db = connect(Path(self._folder.name), memory=_MEMORY)
        self._staging = Staging(self._db)
        insert(self._db, "registry", registry, REGISTRY)
        self._readings = self._duplicates = 0
        self._days: dict[str, Completeness] = {}

    def read_whole(self, objects: Sequence[RawObject]) -> list[ObjectHour]:
        """Read every line of these objects; return which event hours their readings lie in."""
        self._staging.read_whole(self._contents(objects))
        return self._staging.object_hours()

    def read_hours(self, objects: Sequence[RawObject], hours: Collection[dt.datetime]) -> None:
        """Read the readings of these event hours from these objects."""
        self._staging.read_hours(self._contents(objects), hours)

    def leave(self, hours: Collection[dt.datetime]) -> None:
        """Leave the readings of these event hours out."""
        self._staging.leave(hours)

    def object_hours(self) -> list[ObjectHour]:
        """Return which objects hold readings of which event hours, of all that was read so far."""
        return self._staging.object_hours()

    def build_day(self, zone: CuratedZone, day: str, hours: Collection[dt.datetime], plan: Plan) -> bool:
        """Write a day's files, with these hours computed again, next to the old ones; return whether there are any."""
        with self._copies() as folder:
            kept, merged = zone.download(plan.copied, folder), zone.download(plan.merged, folder)
            for table in made_from("readings_of_hours"):
                files = zone.download(zone.files(table, day), folder)
                other_hours = parquet.rows_of(table, files, f"NOT {_is_one_of('hour_start', hours)}")
                self._db.execute(f"CREATE OR REPLACE TABLE {table.name} AS {other_hours}")
            for file in plan.copied:
                zone.copy(READINGS, day, file)
            old = parquet.rows_of(READINGS, merged, f"NOT {_is_one_of(_HOUR, hours)}")
            readings = [
                self._make_readings(day, group, folder, old if merged else "")
                for group in layout.groups(self._rows_by_hour(day, old))
            ]
            made = [*readings, *self._make_aggregates(day, folder, [*kept, *(file.path for file in readings)])]
            for table, name, path in made:
                zone.upload(table, day, name, path)
        return bool(made)

    def collect_quarantine(self) -> None:
        """Collect the lines to quarantine: refused ones, and those that contradict a reading of the days built."""
        for found, text, _ in self._raw.read(self._contradicting()):
            rows = self._db.execute(
                "SELECT ts, raw_line, first_object, first_line FROM contradicting WHERE raw_object = ?", [found.key]
            ).fetchall()
            lines = conflicting_lines(text, starmap(Conflict, rows))
            insert(
                self._db,
                "quarantined",
                [(found.key, naive(found.arrived), *line) for line in lines],
                _CONFLICTING,
                into="(reason, raw_object, arrived, ts, detail, line, raw_line, raw_offset)",
                select="'conflict', *",
            )
        self._db.execute(
            "INSERT INTO quarantined (reason, detail, line, arrived, raw_object, raw_line, raw_offset) "
            "SELECT reason, detail, line, arrived, raw_object, raw_line, raw_offset "
            "FROM refused INNER JOIN objects USING (object_no)"
        )

    def build_quarantine(
        self, zone: CuratedZone, day: str, hours: Collection[dt.datetime], objects: Collection[str]
    ) -> Optional[bool]:
        """Write a day's quarantine next to the old one; return whether it has rows, or None if nothing changes."""
        self._db.execute("CREATE OR REPLACE TABLE anew AS SELECT unnest(?::VARCHAR[]) AS raw_object", [list(objects)])
        anew = (
            f"CASE WHEN reason = 'conflict' THEN {_is_one_of(_HOUR, hours)} "
            "ELSE raw_object IN (SELECT raw_object FROM anew) END"
        )
        new = (
            f"SELECT * REPLACE (substr(md5(concat(raw_object, ':', raw_line)), 1, 16) AS id) FROM quarantined "
            f"WHERE CAST(coalesce(ts, arrived) AS DATE) = DATE {literal(day)}"
        )
        with self._copies() as folder:
            there = parquet.rows_of(QUARANTINE, zone.download(zone.files(QUARANTINE, day), folder))
            self._db.execute(f"CREATE OR REPLACE TABLE before AS {there}")
            self._db.execute(f"CREATE OR REPLACE TABLE now AS FROM before WHERE NOT ({anew}) UNION ALL BY NAME {new}")
            if not self._count("(FROM now EXCEPT ALL FROM before) UNION ALL (FROM before EXCEPT ALL FROM now)"):
                return None
            if not self._count("FROM now"):
                return False
            table, name, path = self._make(QUARANTINE, folder, "FROM now ORDER BY arrived, raw_object, raw_line")
            zone.upload(table, day, name, path)
        return True

    def counts(self) -> Counts:
        """Return what was built."""
        ((newest,),) = self._db.execute("SELECT max(ts) FROM accepted").fetchall()
        moment = newest and newest.replace(tzinfo=dt.timezone.utc)
        return Counts(self._readings, self._duplicates, self._count("FROM quarantined"), moment, self._days)

    def close(self) -> None:
        """Release the memory and the files."""
        self._db.close()
        self._folder.cleanup()

    def _contents(self, objects: Iterable[RawObject]) -> Iterator[Content]:
        """Read the contents of objects and report the run's progress."""
        lines = self._staging.lines
        for content in self._raw.read(objects):
            yield content
            self._reporter.count(objects=1, rows=self._staging.lines - lines)
            lines = self._staging.lines

    def _contradicting(self) -> list[RawObject]:
        """Return the objects with readings that contradict one which arrived first, of the days built so far."""
        rows = self._db.execute("SELECT DISTINCT raw_object FROM contradicting").fetchall()
        keys = {key for (key,) in rows}
        return [found for found in self._staging.objects if found.key in keys]

    def _rows_by_hour(self, day: str, old: str) -> dict[int, int]:
        return dict(
            self._db.execute(
                f"SELECT hour(ts), count(*) FROM (SELECT ts FROM accepted WHERE CAST(ts AS DATE) = DATE {literal(day)} "
                f"UNION ALL SELECT ts FROM ({old})) GROUP BY ALL"
            ).fetchall()
        )

    def _make_readings(self, day: str, group: Sequence[int], folder: Path, old: str) -> _Made:
        """Compute the readings of the group's hours of the day, and make a file of them and of the old ones."""
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
            f"CREATE OR REPLACE TABLE readings_of_hours AS "
            f"SELECT * FROM ({sql('readings')}) ORDER BY hour_start, device_id, seq"
        )
        self._db.execute(f"INSERT INTO contradicting {sql('conflicts')}")
        with self._in_order():
            for table in made_from("readings_of_hours"):
                self._db.execute(f"INSERT INTO {table.name} BY NAME {sql(table.name)}")
        ((readings, copies),) = self._db.execute(
            "SELECT count(*), coalesce(sum(copies), 0) FROM readings_of_hours"
        ).fetchall()
        self._readings += readings
        self._duplicates += int(copies) - readings
        rows = "SELECT * FROM readings_of_hours"
        if old:
            rows = (
                f"SELECT * FROM ({rows} UNION ALL BY NAME SELECT *, date_trunc('hour', ts) AS hour_start "
                f"FROM ({old}) WHERE {within}) ORDER BY hour_start, device_id, seq"
            )
        return self._make(READINGS, folder, rows, group)

    def _make_aggregates(self, day: str, folder: Path, readings: Sequence[Path]) -> list[_Made]:
        """Make the files of all tables that SQL makes; none for a day without readings.

        ``readings`` are all files of the day's readings.
        """
        self._db.execute(
            "CREATE OR REPLACE TABLE hours_of_day AS SELECT * FROM readings_hourly ORDER BY hour_start, device_id"
        )
        if not self._count("FROM hours_of_day"):
            return []
        with self._in_order():
            for table in made_from("hours_of_day"):
                self._db.execute(f"CREATE OR REPLACE TABLE {table.name} AS {sql(table.name)}")
        self._compute_by_device(readings)
        self._days[day] = Completeness(*map(int, self._db.execute(sql("completeness")).fetchall()[0]))
        return [
            self._make(table, folder, f"FROM {table.name} ORDER BY {', '.join(table.key)}")
            for source in ("readings_of_hours", "hours_of_day", "readings_of_day")
            for table in made_from(source)
        ]

    def _compute_by_device(self, readings: Sequence[Path]) -> None:
        """Compute the tables that are made of a day's readings, for some devices at a time."""
        everything = parquet.rows_of(READINGS, readings)
        parts = self._count(everything) // _READINGS_AT_ONCE + 1
        for part in range(parts):
            self._db.execute(
                f"CREATE OR REPLACE TEMP VIEW readings_of_day AS SELECT * FROM ({everything}) "
                f"WHERE hash(device_id) % {parts} = {part}"
            )
            for table in made_from("readings_of_day"):
                into = f"INSERT INTO {table.name}" if part else f"CREATE OR REPLACE TABLE {table.name} AS"
                self._db.execute(f"{into} {sql(table.name)}")

    def _make(self, table: Table, folder: Path, rows: str, hours: Sequence[int] = ()) -> _Made:
        """Make a file of the rows of a query; ``hours`` are for its name."""
        path = folder / f"{table.name}{f'-{min(hours)}' if hours else ''}.parquet"
        count = parquet.write(self._db, table, rows, path)
        return _Made(table, layout.file_name(hours, count) if hours else "0.parquet", path)

    def _count(self, query: str) -> int:
        ((rows,),) = self._db.execute(f"SELECT count(*) FROM ({query})").fetchall()
        return int(rows)

    @contextlib.contextmanager
    def _in_order(self) -> Iterator[None]:
        """Compute in one thread: sums of floating-point numbers depend on the order, which several threads lack."""
        self._db.execute("SET threads = 1")
        yield
        self._db.execute("RESET threads")

    @contextlib.contextmanager
    def _copies(self) -> Iterator[Path]:
        """Make a folder for copies of a day's files and for the new ones."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as name:
            yield Path(name)


def _is_one_of(moment: str, hours: Collection[dt.datetime]) -> str:
    """Return the SQL of whether a moment is one of these hours; an IN with nothing is invalid."""
    listed = ", ".join(f"TIMESTAMP {literal(str(naive(hour)))}" for hour in hours)
    return f"{moment} IN ({listed})" if listed else "FALSE"
