"""A run's lines in the raw zone: which of its devices' lines arrived, how often, in which order and how late."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import msgspec
import pyarrow as pa

from glue_jobs.curate.engines.database import connect, insert
from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.hours import HOUR, day_of, partition_at, start_of_hour
from glue_jobs.curate.zones.raw import AWS_CONFIG, Content, RawObject, RawZone
from pipeline.errors import PipelineError
from simulator.run.manifest import Manifest
from telemetry.reading.codec import decode_batch, is_blank
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS, Reading
from telemetry.tables.raw import RAW
from telemetry.text.sql import literals

if TYPE_CHECKING:
    import boto3

#: The device of lines of which no device can be read.
NOT_READABLE = ""

#: An object's hour is that of the oldest line in it, and Firehose collects for up to this long: a line may lie in an
#: object of an earlier hour, and one that waits to be collected in one of a later.
#: https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
_LONGEST_BUFFERING = dt.timedelta(seconds=900)

#: How far the clock of who sent may be ahead of S3's, which gives whole seconds.
_CLOCK_TOLERANCE = dt.timedelta(seconds=2)

#: A clock may be wrong by up to a year, by simulator.scenario.faults.ClockSkew. A reading that is so far ahead of the
#: run's end was damaged, and counts as malformed.
_BEYOND_ANY_CLOCK = dt.timedelta(days=366)

#: Rows handed to DuckDB at once, and what it may take before it goes to the temporary folder: what bounds the memory,
#: with the objects that are fetched ahead.
_ROWS_AT_ONCE = 100_000
_MEMORY = "2GB"

#: Where a damaged line still says whose it is. In Python and in Athena the same, so that both find the same device;
#: an id with a backslash counts as not readable, as the quarantine writes bytes that are not UTF-8 with one.
DEVICE_ID = r'"device_id"\s*:\s*"([^"\\]+)"'
_device_id = re.compile(DEVICE_ID.encode())

#: In microseconds: what the codec takes for timely.
_TIMELY = (
    f"arrived - ts BETWEEN {-(MAX_CLOCK_SKEW // dt.timedelta(microseconds=1))} "
    f"AND {MAX_LATENESS // dt.timedelta(microseconds=1)}"
)
_FIRSTS = (
    f"CREATE VIEW firsts AS SELECT *, {_TIMELY} AS timely FROM ("  # noqa: S608
    "SELECT device_id, any_value(seq) AS seq, any_value(ts) AS ts, min(place) AS place "
    "FROM lines WHERE seq IS NOT NULL GROUP BY device_id, text"
    ") JOIN (SELECT *, dense_rank() OVER (ORDER BY arrived) AS turn FROM objects) ON object_no = place >> 32"
)
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)

_LINES = pa.schema(
    [("device_id", pa.string()), ("seq", pa.int64()), ("ts", pa.int64()), ("text", pa.int64()), ("place", pa.int64())]
)
_OBJECTS = pa.schema([("object_no", pa.int64()), ("arrived", pa.int64())])

#: Hears how many raw objects are read, and of how many.
OnProgress = Callable[[int, int], None]


class Lateness(msgspec.Struct, frozen=True):
    """Seconds, to the millisecond, from a reading's event time until the raw object was complete it first came in."""

    p50: float
    p95: float
    max: float


class RawCounts(NamedTuple):
    """One device's lines in the raw zone: readings, damaged lines, how many of each differ, and reordered readings."""

    readings: int = 0
    different_readings: int = 0
    damaged: int = 0
    different_damaged: int = 0
    reordered: int = 0


class RawLines(NamedTuple):
    """Lines of a run in the raw zone.

    ``lateness`` is by device, and of all devices under None; of readings that curation accepts, as ``arrived - ts`` in
    its table; empty for a run that was not in real time. ``foreign`` lines are of devices that the run does not have,
    ``unreadable`` ones are of no device that can be read. ``where`` is the SQL condition for the same lines in the
    curated tables.
    """

    by_device: dict[str, RawCounts]
    lateness: dict[str | None, Lateness]
    foreign: int
    unreadable: int
    where: str


def read_raw_lines(session: boto3.Session, bucket: str, manifest: Manifest, on_progress: OnProgress) -> RawLines:
    """Read the raw objects in which the run's lines may be, and count them by device."""
    window = _Window.of(manifest.arrived_from, manifest.arrived_to)
    with tempfile.TemporaryDirectory(prefix="iot-audit-") as folder, _database(Path(folder)) as db:
        with _one_line_errors():
            zone = _zone(session, bucket)
            strangers = _read(db, zone, window.objects(zone), manifest, on_progress)
        return RawLines(
            _raw_by_device(db), _lateness(db) if manifest.speed == 1 else {}, strangers.foreign, strangers.unreadable,
            window.condition(_event_days(db)),
        )  # fmt: skip


def count_raw_lines(session: boto3.Session, bucket: str, manifest: Manifest) -> int:
    """Return the lines in the raw objects that an audit reads, whoever sent them."""
    with _one_line_errors():
        zone = _zone(session, bucket)
        objects = _Window.of(manifest.arrived_from, manifest.arrived_to).objects(zone)
        # As curation counts: an object without a line is one that is quarantined.
        return sum(len(_lines(content)) or 1 for content in zone.read(objects))


def _zone(session: boto3.Session, bucket: str) -> RawZone:
    return RawZone(session.client("s3", config=AWS_CONFIG), bucket)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except CurateError as error:
        raise PipelineError(str(error)) from error


class _Window(NamedTuple):
    """Raw objects of the hours [start, end) of arrival that were not complete before ``since``; UTC."""

    start: dt.datetime
    end: dt.datetime
    since: dt.datetime

    @classmethod
    def of(cls, arrived_from: dt.datetime, arrived_to: dt.datetime) -> _Window:
        """Return the window of objects that may hold a line that arrived between these times."""
        return cls(
            start_of_hour(arrived_from - _LONGEST_BUFFERING),
            start_of_hour(arrived_to + _LONGEST_BUFFERING) + HOUR,
            arrived_from - _CLOCK_TOLERANCE,
        )

    def objects(self, zone: RawZone) -> list[RawObject]:
        """Return the objects, in the order in which curation takes their lines for arrived."""
        found = (each for each in zone.objects(self.start, self.end) if each.arrived >= self.since)
        return sorted(found, key=lambda each: (each.arrived, each.key))

    def condition(self, event_days: Collection[str]) -> str:
        """Return the SQL condition for what came in these objects, for tables by day of event time or of arrival."""
        # An object may be complete after its hour.
        arrival_days = ((self.start + number * HOUR) for number in range((self.end - self.start) // HOUR + 1))
        days = sorted({*event_days, *map(day_of, arrival_days)})
        first, end = (f"{RAW.name}/{partition_at(moment).path}/" for moment in (self.start, self.end))
        return (
            f"dt IN {literals(days)} AND raw_object >= '{first}' AND raw_object < '{end}' "
            f"AND arrived >= TIMESTAMP '{self.since.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}'"
        )


class _Strangers(NamedTuple):
    """Lines of devices that were not asked for, and lines of which no device can be read."""

    foreign: int
    unreadable: int


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the database in which the raw lines are counted, on disk as far as they do not fit into memory.

    ``lines``: ``seq`` is null for what is damaged, ``ts`` is in microseconds since 1970, ``text`` is the line's hash,
    ``place`` its object's number and its own there. ``objects``: when each was complete, as ``ts``; those that
    were at the same time have the same ``turn``. ``firsts``: each reading once, where it first came, and whether
    curation accepts its time.
    """
    with contextlib.closing(connect(folder, memory=_MEMORY, file="lines.duckdb")) as db:
        db.execute("CREATE TABLE lines (device_id VARCHAR, seq BIGINT, ts BIGINT, text BIGINT, place BIGINT)")
        db.execute("CREATE TABLE objects (object_no BIGINT, arrived BIGINT)")
        db.execute(_FIRSTS)
        yield db


def _read(
    db: duckdb.DuckDBPyConnection,
    zone: RawZone,
    objects: Sequence[RawObject],
    manifest: Manifest,
    on_progress: OnProgress,
) -> _Strangers:
    """Put the lines of the manifest's devices into the database, and count the others."""
    latest = manifest.ended_at + _BEYOND_ANY_CLOCK
    foreign = unreadable = 0
    rows: list[_Line] = []
    numbers = {found.key: number for number, found in enumerate(objects)}
    insert(db, "objects", [(number, _microseconds(found.arrived)) for number, found in enumerate(objects)], _OBJECTS)
    on_progress(0, len(objects))
    for done, content in enumerate(zone.read(objects), start=1):
        for line in _parsed(content, numbers[content.found.key], latest):
            if line.device_id in manifest.by_device:
                rows.append(line)
            elif line.ts is None:
                unreadable += 1
            else:
                foreign += 1
        if len(rows) >= _ROWS_AT_ONCE:
            insert(db, "lines", rows, _LINES)
            rows = []
        on_progress(done, len(objects))
    insert(db, "lines", rows, _LINES)
    return _Strangers(foreign, unreadable)


class _Line(NamedTuple):
    """A row of the table ``lines``; of a damaged line that can be read nevertheless, there is just no ``seq``."""

    device_id: str
    seq: int | None
    ts: int | None
    text: int
    place: int


def _parsed(content: Content, object_no: int, latest: dt.datetime) -> Iterator[_Line]:
    """Yield the lines of an object, too early and too late ones included; of an empty or corrupt one, one line."""
    lines = _lines(content) or [b""]
    whole = decode_batch(content.text)
    for number, line in enumerate(lines):
        reading = whole.readings[number] if not whole.rejected else _first(decode_batch(line).readings)
        place = object_no << 32 | number
        if reading:
            seq = reading.seq if reading.ts <= latest else None
            yield _Line(reading.device_id, seq, _microseconds(reading.ts), hash(line), place)
        else:
            found = _device_id.search(line)
            device = found[1].decode(errors="backslashreplace") if found else NOT_READABLE
            yield _Line(device, None, None, hash(line), place)


def _lines(content: Content) -> list[bytes]:
    """Return an object's lines; blank ones are nothing."""
    return [line for line in content.text.split(b"\n") if not is_blank(line)]


def _first(readings: Sequence[Reading]) -> Reading | None:
    return readings[0] if readings else None


def _microseconds(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


_DIFFERENT = """
    SELECT device_id,
        count(seq), count(DISTINCT text) FILTER (WHERE seq IS NOT NULL),
        count(*) - count(seq), count(DISTINCT text) FILTER (WHERE seq IS NULL)
    FROM lines GROUP BY device_id
"""

_REORDERED = """
    SELECT device_id, count(*) FROM (
        SELECT device_id, seq, greatest(
            max(seq) OVER (
                PARTITION BY device_id ORDER BY turn RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ),
            max(seq) OVER (
                PARTITION BY device_id, object_no ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
        ) AS highest_before FROM firsts
    ) WHERE seq < highest_before GROUP BY device_id
"""

_LATENESS = """
    SELECT device_id, round(quantile_cont(late, 0.5), 3), round(quantile_cont(late, 0.95), 3), round(max(late), 3)
    FROM (
        SELECT device_id, (arrived - ts) / 1e6 AS late FROM firsts WHERE timely
    ) GROUP BY GROUPING SETS ((device_id), ())
"""


def _raw_by_device(db: duckdb.DuckDBPyConnection) -> dict[str, RawCounts]:
    reordered = dict(db.execute(_REORDERED).fetchall())
    found = {device: RawCounts(*counts) for device, *counts in db.execute(_DIFFERENT).fetchall()}
    return {device: raw._replace(reordered=reordered.get(device, 0)) for device, raw in found.items()}


def _lateness(db: duckdb.DuckDBPyConnection) -> dict[str | None, Lateness]:
    found = db.execute(_LATENESS).fetchall()
    return {device: Lateness(p50, p95, latest) for device, p50, p95, latest in found if latest is not None}


def _event_days(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the days (UTC) of the readings that curation accepts."""
    found = db.execute("SELECT DISTINCT strftime(make_timestamp(ts), '%Y-%m-%d') FROM firsts WHERE timely")
    return [day for (day,) in found.fetchall()]
