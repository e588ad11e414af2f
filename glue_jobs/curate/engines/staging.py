"""Raw lines to typed rows, in DuckDB.

DuckDB parses what is for certain a reading; everything else is decided by ``telemetry.reading.codec`` itself, so
that the detector and the tables agree on every line, and on the reason. A line costs the more for it if it
is malformed, repeats a key or has fields that are none of a reading's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

import duckdb
import msgspec
import pyarrow as pa

from glue_jobs.curate.engines.database import insert, naive
from glue_jobs.curate.engines.sql import sql
from glue_jobs.curate.zones.columns import ARROW_TYPES
from glue_jobs.curate.zones.index import ObjectHour
from glue_jobs.curate.zones.lines import LINES, NO_LINE, Line, lines_table
from glue_jobs.curate.zones.raw import Content, RawObject
from telemetry.reading.codec import decode_batch, is_blank
from telemetry.reading.fields import FIELDS
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS
from telemetry.tables.table import ATHENA_TYPES

#: Text parsed at once.
_BATCH_BYTES = 64 * 2**20

#: Lines the codec decides at once.
_DECIDED_AT_ONCE = 100_000

#: Rows DuckDB hands to one thread; a longer Arrow batch would go to one thread whole.
_ROWS_A_THREAD = 32_768

_PLACE = [("object_no", pa.int64()), ("raw_line", pa.int64()), ("raw_offset", pa.int64())]

_ACCEPTED = pa.schema([*((field.name, ARROW_TYPES[ATHENA_TYPES[field.kind]]) for field in FIELDS), *_PLACE])
_OBJECTS = pa.schema(
    [
        ("object_no", pa.int64()),
        ("raw_object", pa.string()),
        *((name, pa.timestamp("us")) for name in ("arrived", "earliest", "latest")),
    ]
)
_REFUSED = pa.schema([*((name, pa.string()) for name in ("reason", "detail", "line")), *_PLACE])
_HOURS = pa.schema([("hour_start", pa.timestamp("us"))])


class Staging:
    """The rows of a run's raw objects: the tables ``objects``, ``accepted`` and ``refused`` of the database.

    ``objects`` are those read so far, ``lines`` how many lines they had.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db
        for statement in duckdb.extract_statements(sql("staging")):
            db.execute(statement)
        self.objects: list[RawObject] = []
        self.lines = 0
        self._described = 0

    def read_whole(self, contents: Iterable[Content]) -> None:
        """Read every line of these objects."""
        self._read(contents, whole=True)

    def read_hours(self, contents: Iterable[Content], hours: Collection[dt.datetime]) -> None:
        """Read, of these objects, the readings of these event hours."""
        insert(self._db, "wanted", [(naive(hour),) for hour in hours], _HOURS)
        self._read(contents, whole=False)

    def object_hours(self) -> list[ObjectHour]:
        """Which objects hold readings of which event hours, of all that was read so far."""
        rows = self._db.execute(
            "SELECT date_trunc('hour', ts), object_no, count(*) FROM accepted GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        return [ObjectHour(hour.replace(tzinfo=dt.timezone.utc), self.objects[no], count) for hour, no, count in rows]

    def leave(self, hours: Collection[dt.datetime]) -> None:
        """Leave the readings of these event hours out."""
        self._db.execute(
            "DELETE FROM accepted WHERE date_trunc('hour', ts) IN (SELECT unnest(?::TIMESTAMP[]))",
            ([naive(hour) for hour in hours],),
        )

    def _read(self, contents: Iterable[Content], *, whole: bool) -> None:
        batch: list[pa.RecordBatch] = []
        size = 0
        for found, text, corrupt in contents:
            object_no = len(self.objects)
            self.objects.append(found)
            if corrupt:
                if whole:
                    insert(self._db, "refused", [("corrupt_object", corrupt, "", object_no, 0, 0)], _REFUSED)
                continue
            if is_blank(text):
                self._decide([(object_no, NO_LINE)], whole=whole)
                continue
            lines, others = lines_table(object_no, text)
            self._decide(((object_no, line) for line in others), whole=whole)
            batch.append(lines)
            self.lines += lines.num_rows + len(others)
            size += len(text)
            if size >= _BATCH_BYTES:
                self._parse(batch, whole=whole)
                batch, size = [], 0
        if batch:
            self._parse(batch, whole=whole)
        self._describe()

    def _describe(self) -> None:
        """Bring the table ``objects``, and what parsing looks up of it, up to what has been read."""
        insert(
            self._db,
            "objects",
            [
                (number, found.key, *map(naive, (found.arrived, *_plausible(found))))
                for number, found in enumerate(self.objects[self._described :], start=self._described)
            ],
            _OBJECTS,
        )
        self._described = len(self.objects)
        # A look-up instead of a join, which would carry every line along.
        for name in ("earliest", "latest"):
            self._db.execute(f"SET VARIABLE {name} = (SELECT list({name} ORDER BY object_no) FROM objects)")

    def _parse(self, batch: Sequence[pa.RecordBatch], *, whole: bool) -> None:
        """Take what is a reading for certain, and have the rest decided, some at a time."""
        self._describe()
        lines = pa.Table.from_batches(batch, LINES)
        # In one piece first: a batch of many small objects is many small pieces, which DuckDB has no memory for.
        pieces = lines.combine_chunks().to_batches(_ROWS_A_THREAD)
        self._db.register("lines", pa.Table.from_batches(pieces, LINES))
        self._db.execute(f"CREATE TABLE batch AS {sql('parse')}")
        self._db.unregister("lines")
        self._db.execute(
            f"INSERT INTO accepted SELECT {', '.join(_ACCEPTED.names)} FROM batch WHERE certain AND {_wanted(whole)}"
        )
        rest = self._db.cursor().execute(
            "SELECT undecided, object_no, raw_line, raw_offset FROM batch WHERE NOT certain"
        )
        while some := rest.fetchmany(_DECIDED_AT_ONCE):
            lines = (
                (object_no, Line(line.encode().removesuffix(b"\n"), number, offset))
                for line, object_no, number, offset in some
            )
            self._decide(((object_no, line) for object_no, line in lines if not is_blank(line.text)), whole=whole)
        self._db.execute("DROP TABLE batch")

    def _decide(self, undecided: Iterable[tuple[int, Line]], *, whole: bool) -> None:
        """Have the codec decide line by line."""
        accepted: list[tuple[object, ...]] = []
        refused: list[tuple[object, ...]] = []
        for object_no, (line, *place) in undecided:
            readings, rejected = decode_batch(line, self.objects[object_no].arrived)
            for reading in readings:
                values = msgspec.structs.astuple(reading)
                columns = (naive(value) if isinstance(value, dt.datetime) else value for value in values)
                accepted.append((*columns, object_no, *place))
            text = line.decode(errors="backslashreplace")
            refused.extend((each.reason, each.detail, text, object_no, *place) for each in rejected)
        insert(self._db, "accepted", accepted, _ACCEPTED, _wanted(whole))
        if whole:
            insert(self._db, "refused", refused, _REFUSED)


def _plausible(found: RawObject) -> tuple[dt.datetime, dt.datetime]:
    """The first and the last event time that is taken for true of a reading in this object."""
    return found.arrived - MAX_LATENESS, found.arrived + MAX_CLOCK_SKEW


def _wanted(whole: bool) -> str:
    return "TRUE" if whole else "date_trunc('hour', ts) IN (SELECT hour_start FROM wanted)"
