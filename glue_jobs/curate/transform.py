"""Raw lines to the curated tables, in DuckDB: no AWS here, bytes go in and Parquet files come out.

DuckDB parses what is for certain a reading; everything else is decided by ``telemetry.codec`` itself, so
that the detector and the tables agree on every line, and on the reason. A line costs the more for it if it
is malformed, repeats a key or has fields that are none of a reading's.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple, Optional, Union

import duckdb
import jinja2
import msgspec
import pyarrow as pa

from glue_jobs.curate.lines import CorruptObjectError, Piece, by_encoding, content, lines_table, pieces
from glue_jobs.curate.partition import Partition
from glue_jobs.curate.raw import RawObject
from telemetry.codec import Reason, decode_batch
from telemetry.fields import FIELDS, METRICS, Kind
from telemetry.reading import MAX_CLOCK_SKEW, MAX_LATENESS
from telemetry.tables import QUARANTINE, READINGS, READINGS_HOURLY, STATUSES, Table

logger = logging.getLogger(__name__)

#: Text parsed at once.
_BATCH_BYTES = 64 * 2**20

#: Lines the codec decides at once.
_DECIDED_AT_ONCE = 100_000

#: Rows DuckDB hands to one thread; a longer Arrow batch would go to one thread whole.
_ROWS_A_THREAD = 122_880

_DUCKDB_TYPES: dict[Kind, str] = {
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "integer": "BIGINT",
    "number": "DOUBLE",
}
_JSON_TYPES: dict[Kind, tuple[str, ...]] = {
    "string": ("VARCHAR",),
    "timestamp": ("VARCHAR",),
    "integer": ("BIGINT", "UBIGINT"),
    "number": ("BIGINT", "UBIGINT", "DOUBLE"),
}
_ARROW_TYPES = {"string": pa.string(), "timestamp": pa.timestamp("us"), "integer": pa.int64(), "number": pa.float64()}

_ACCEPTED = pa.schema(
    [
        *((field.name, _ARROW_TYPES[field.kind]) for field in FIELDS),
        ("object_no", pa.int64()),
        ("raw_line", pa.int64()),
        ("undecided", pa.string()),
    ]
)


_OBJECTS = pa.schema(
    [
        ("object_no", pa.int64()),
        *((name, pa.string()) for name in ("raw_object", "dt", "hour")),
        *((name, pa.timestamp("us")) for name in ("earliest", "latest")),
    ]
)

_REFUSED = pa.schema(
    [
        *((name, pa.string()) for name in ("reason", "detail", "line")),
        ("object_no", pa.int64()),
        ("raw_line", pa.int64()),
    ]
)


class _Refused(NamedTuple):
    """A row of the quarantine; ``corrupt_object`` is a raw object of which no line can be read."""

    reason: Union[Reason, Literal["corrupt_object"]]
    detail: str
    line: str
    object_no: int
    raw_line: int


class Counts(NamedTuple):
    """Rows of the curated tables, copies removed on the way, and the newest event time in them (UTC)."""

    readings: int
    duplicates: int
    quarantined: int
    newest: Optional[dt.datetime]


class Transform:
    """One run's tables. Read the window, then the rest of the hours it touched and is not to leave, build, write.

    ``folder`` is where DuckDB spills what does not fit into memory; it belongs to the caller.
    """

    def __init__(self, folder: Path) -> None:
        self._db = duckdb.connect(config={"temp_directory": str(folder), "autoinstall_known_extensions": "false"})
        self._db.execute(_sql("staging"))
        self._objects: list[RawObject] = []
        self._described = 0

    def close(self) -> None:
        """Let go of the memory and the files."""
        self._db.close()

    def read_window(self, objects: Iterable[tuple[RawObject, bytes]]) -> list[dt.datetime]:
        """Read every line of the window's objects; the event hours of their readings come back, in order."""
        self._read(objects, whole=True)
        self._db.execute("INSERT INTO touched SELECT DISTINCT date_trunc('hour', ts) FROM accepted")
        rows = self._db.execute("SELECT hour_start FROM touched ORDER BY hour_start").fetchall()
        return [hour.replace(tzinfo=dt.timezone.utc) for (hour,) in rows]

    def leave(self, hours: Sequence[dt.datetime]) -> int:
        """Leave touched hours out of the tables; the number of their readings comes back, copies included."""
        left = ([_naive(hour) for hour in hours],)
        self._db.execute("DELETE FROM touched WHERE hour_start IN (SELECT unnest(?::TIMESTAMP[]))", left)
        ((readings,),) = self._db.execute(
            "DELETE FROM accepted WHERE date_trunc('hour', ts) IN (SELECT unnest(?::TIMESTAMP[]))", left
        ).fetchall()
        return int(readings)

    def read_rest(self, objects: Iterable[tuple[RawObject, bytes]]) -> None:
        """Read, of objects outside the window, the readings that lie in the hours the window touched."""
        self._read(objects, whole=False)

    def build(self) -> Counts:
        """Make the curated tables of what was read."""
        for table in (READINGS, QUARANTINE):
            self._db.execute(f"CREATE TABLE {table.name} AS {_sql(table.name)}")
        # Sums of floating-point numbers depend on their order, and several threads have none.
        self._db.execute("SET threads = 1")
        self._db.execute(f"CREATE TABLE {READINGS_HOURLY.name} AS {_sql(READINGS_HOURLY.name)}")
        self._db.execute("RESET threads")
        readings, duplicates, newest = self._db.execute(
            "SELECT count(*), coalesce(sum(copies) - count(*), 0)::BIGINT, max(ts) FROM readings"
        ).fetchall()[0]
        ((quarantined,),) = self._db.execute("SELECT count(*) FROM quarantine").fetchall()
        return Counts(readings, duplicates, quarantined, newest and newest.replace(tzinfo=dt.timezone.utc))

    def partitions(self, table: Table) -> list[Partition]:
        """The partitions of a built table that have rows."""
        rows = self._db.execute(f"SELECT DISTINCT dt, hour FROM {table.name} ORDER BY dt, hour").fetchall()
        return [Partition(*row) for row in rows]

    def write(self, table: Table, partition: Partition, path: Path) -> None:
        """Write one partition of a built table as a Parquet file, with the table's columns, names and types."""
        columns = ", ".join(f"CAST({column.name} AS {column.type}) AS {column.name}" for column in table.columns)
        self._db.execute(
            f"COPY (SELECT {columns} FROM {table.name} WHERE dt = {_literal(partition.dt)} "
            f"AND hour = {_literal(partition.hour)}) TO {_literal(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )

    def _read(self, objects: Iterable[tuple[RawObject, bytes]], *, whole: bool) -> None:
        batch: list[Piece] = []
        size = 0
        for found, data in objects:
            object_no = len(self._objects)
            self._objects.append(found)
            try:
                text = content(data)
            except CorruptObjectError as error:
                logger.warning("corrupt object, none of its lines is read: %s (%s)", found.key, error)
                if whole:
                    self._insert("refused", [_Refused("corrupt_object", str(error), "", object_no, 0)], _REFUSED)
                continue
            if not text or text.isspace():
                self._decide([(b"", object_no, 1)], whole=whole)
                continue
            for piece in pieces(object_no, text):
                batch.append(piece)
                size += len(piece.text)
                if size >= _BATCH_BYTES:
                    self._read_batch(batch, whole=whole)
                    batch, size = [], 0
        self._read_batch(batch, whole=whole)
        self._decide_rest(whole=whole)

    def _read_batch(self, batch: Iterable[Piece], *, whole: bool) -> None:
        self._describe_objects()
        runs = [run for piece in batch for run in by_encoding(piece)]
        text = [piece for valid, piece in runs if valid]
        if text:
            self._parse(text, whole=whole)
        self._decide(
            (
                (line, piece.object_no, piece.before + number)
                for valid, piece in runs
                if not valid
                for number, line in enumerate(piece.text.split(b"\n"), start=1)
            ),
            whole=whole,
        )

    def _describe_objects(self) -> None:
        """Bring the ``objects`` table up to what has been read."""
        rows = [
            (
                number,
                found.key,
                *found.hour,
                _naive(found.arrived - MAX_LATENESS),
                _naive(found.arrived + MAX_CLOCK_SKEW),
            )
            for number, found in enumerate(self._objects[self._described :], start=self._described)
        ]
        self._insert("objects", rows, _OBJECTS)
        self._described = len(self._objects)

    def _parse(self, text: Iterable[Piece], *, whole: bool) -> None:
        """Take what is a reading for certain, and what else is to be decided."""
        lines = lines_table(text)
        self._db.register("lines", pa.Table.from_batches(lines.to_batches(_ROWS_A_THREAD), lines.schema))
        self._db.execute(
            f"INSERT INTO accepted SELECT {', '.join(_ACCEPTED.names)} FROM ({_sql('parse')}) "
            f"WHERE NOT certain OR {_wanted(whole)}"
        )
        self._db.unregister("lines")

    def _decide_rest(self, *, whole: bool) -> None:
        """Decide what :meth:`_parse` left open, some at a time."""
        rows = self._db.cursor().execute(
            "SELECT undecided, object_no, raw_line FROM accepted WHERE undecided IS NOT NULL"
        )
        while some := rows.fetchmany(_DECIDED_AT_ONCE):
            self._decide(((line.encode(), object_no, raw_line) for line, object_no, raw_line in some), whole=whole)
        self._db.execute("DELETE FROM accepted WHERE undecided IS NOT NULL")

    def _decide(self, undecided: Iterable[tuple[bytes, int, int]], *, whole: bool) -> None:
        """Have the codec decide line by line."""
        accepted: list[tuple[object, ...]] = []
        refused: list[_Refused] = []
        for line, object_no, raw_line in undecided:
            readings, rejected = decode_batch(line, self._objects[object_no].arrived)
            for reading in readings:
                values = msgspec.structs.astuple(reading)
                columns = (_naive(value) if isinstance(value, dt.datetime) else value for value in values)
                accepted.append((*columns, object_no, raw_line, None))
            for _, reason, detail in rejected:
                refused.append(_Refused(reason, detail, line.decode(errors="backslashreplace"), object_no, raw_line))
        self._insert("accepted", accepted, _ACCEPTED, _wanted(whole))
        if whole:
            self._insert("refused", refused, _REFUSED)

    def _insert(
        self, table: str, rows: Sequence[tuple[object, ...]], schema: pa.Schema, condition: str = "TRUE"
    ) -> None:
        if rows:
            columns = [pa.array(column, field.type) for column, field in zip(zip(*rows), schema)]
            self._db.register("rows", pa.Table.from_arrays(columns, schema=schema))
            self._db.execute(f"INSERT INTO {table} SELECT * FROM rows WHERE {condition}")
            self._db.unregister("rows")


def _wanted(whole: bool) -> str:
    return "TRUE" if whole else "date_trunc('hour', ts) IN (SELECT hour_start FROM touched)"


def _naive(moment: dt.datetime) -> dt.datetime:
    """In UTC and without saying so, as timestamps stand in the tables."""
    return moment.astimezone(dt.timezone.utc).replace(tzinfo=None)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _one_of(texts: Iterable[str]) -> str:
    return f"({', '.join(map(_literal, texts))})"


def _sql(step: str) -> str:
    """The SQL of a step, its template filled in with the fields of a reading."""
    text = (resources.files("glue_jobs.curate") / "sql" / f"{step}.sql").read_text(encoding="utf-8")
    sql: str = jinja2.Template(text, undefined=jinja2.StrictUndefined).render(
        literal=_literal,
        one_of=_one_of,
        fields=FIELDS,
        metrics=METRICS,
        statuses=STATUSES,
        duckdb_types=_DUCKDB_TYPES,
        json_types=_JSON_TYPES,
    )
    return sql
