"""Does it add up? Every line that a run sent must be in the raw zone, and from there in a table or in quarantine."""

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

from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.partition import HOUR, day_of, partition_at, start_of_hour
from glue_jobs.curate.raw import AWS_CONFIG, Content, RawObject, RawZone
from pipeline.athena import query
from pipeline.errors import PipelineError
from pipeline.rows import structs
from simulator.run.manifest import DeviceCounts, Manifest
from telemetry.reading.codec import decode_batch
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS, Reading
from telemetry.tables.lake import QUARANTINE, RAW, READINGS

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment

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
_DEVICE_ID = r'"device_id"\s*:\s*"([^"\\]+)"'
_device_id = re.compile(_DEVICE_ID.encode())

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


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Lines by what became of them, stage by stage.

    ``sent`` were accepted by the sink, ``refused`` were not. ``raw`` are in the raw zone; ``redelivered`` of them came
    there more often than they were sent, which at-least-once delivery may do, and ``surplus_in_delivery`` were never
    sent. ``lost_in_delivery`` are in no raw object. ``unreadable`` were sent damaged, so that no device can be read of
    them, and stand under :data:`NOT_READABLE`.

    ``curated`` are readings in the table, each once; ``duplicates`` the copies of them that were removed;
    ``quarantined`` are kept with a reason. ``lost_in_curation`` are in the raw zone and in none of the three,
    ``surplus_in_curation`` are in one of the three and not in the raw zone.

    ``reordered`` are readings that arrived after one of the device with a higher ``seq``, of several copies the first.
    What came in different objects that were complete at the same time is taken to be in order. ``lateness`` is None
    where no reading arrived, and of a run that was not in real time.

    So ``sent + redelivered + surplus_in_delivery = raw + lost_in_delivery (+ unreadable, of one device)``, and
    ``raw + surplus_in_curation = curated + duplicates + quarantined + lost_in_curation``.
    """

    sent: int = 0
    refused: int = 0
    unreadable: int = 0
    raw: int = 0
    redelivered: int = 0
    surplus_in_delivery: int = 0
    lost_in_delivery: int = 0
    curated: int = 0
    duplicates: int = 0
    quarantined: int = 0
    surplus_in_curation: int = 0
    lost_in_curation: int = 0
    reordered: int = 0
    lateness: Lateness | None = None

    @property
    def lost(self) -> int:
        """Lines that were accepted, and are gone."""
        return self.lost_in_delivery + self.lost_in_curation

    @property
    def surplus(self) -> int:
        """Lines that come from nowhere."""
        return self.surplus_in_delivery + self.surplus_in_curation


class DeviceRow(Counts, frozen=True, kw_only=True):
    """The counts of one device; of :data:`NOT_READABLE`, ``sent`` are the ``unreadable`` of all the others."""

    device: str


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """A run's lines: in all, and by device in the order of their ids.

    ``foreign`` lines of the same hours are of devices that the run does not have, or are unreadable and more than it
    can have sent: somebody else's, and no failure. ``real_time`` is whether lateness means anything.
    """

    totals: Counts
    devices: list[DeviceRow]
    foreign: int
    real_time: bool

    @property
    def lost(self) -> int:
        """Lines that were accepted by the sink, and are gone."""
        return self.totals.lost

    @property
    def adds_up(self) -> bool:
        """Whether no line of any device is lost, and none comes from nowhere.

        What the sink refused was never accepted, what is delivered again is removed: both are counted, and no loss.
        """
        return not self.totals.lost and not self.totals.surplus

    def worst(self, most: int) -> list[DeviceRow]:
        """The devices that lost most; of those that lost nothing, those with most duplicates and quarantined lines."""

        def badness(row: DeviceRow) -> tuple[int, int, int, str]:
            return -row.lost, -row.surplus, -row.duplicates - row.quarantined, row.device

        return sorted(self.devices, key=badness)[:most]


def audit(
    session: boto3.Session,
    deployment: Deployment,
    manifest: Manifest,
    *,
    on_progress: OnProgress = lambda _done, _of: None,
) -> Audit:
    """Compare what a run sent with what the lake has of it, device by device.

    The lines are those of the manifest's devices in all raw objects that may hold something that arrived between
    ``arrived_from`` and ``arrived_to``, by the hour: in these hours, the same devices may not have sent anything else
    afterwards. Raises :class:`PipelineError`.

    In the raw zone, a line is known by its bytes. Of a device with ``sent`` lines, ``duplicates`` of them copies, there
    must be ``sent - duplicates`` different lines (fewer are lost, more are surplus) and ``duplicates`` copies of
    readings (fewer are lost, more are redelivered). So one line that came twice does not make up for another that
    did not come at all. Only a copy that was sent and is lost is not missed if a copy was delivered again.

    A damaged line may not say whose it is. A device's missing lines are taken to be among those of which no device can
    be read as long as it sent so many damaged ones that are not found under its id, and there are so many. What all
    devices have in that way must be there in all.
    """
    window = _Window.of(manifest.arrived_from, manifest.arrived_to)
    with tempfile.TemporaryDirectory(prefix="iot-audit-") as folder, _database(Path(folder)) as db:
        with _one_line():
            zone = _zone(session, deployment.raw_bucket_name)
            strangers = _read(db, zone, window.objects(zone), manifest, on_progress)
        raw, lateness = _raw_by_device(db), _lateness(db) if manifest.speed == 1 else {}
        where = window.condition(_event_days(db))
    tables = _tables(session, deployment, where, manifest.by_device)
    rows = [
        _row(device, sent, raw.get(device, _Raw()), tables.get(device, _Tables()), strangers.unreadable)
        for device, sent in sorted(manifest.by_device.items())
    ]
    damaged = _row_not_readable(
        sum(row.unreadable for row in rows), strangers.unreadable, tables.get(NOT_READABLE, _Tables()).quarantined
    )
    return Audit(
        totals=_totals([*rows, damaged], lateness.get(None)),
        devices=[
            *([damaged] if damaged.sent else []),
            *(msgspec.structs.replace(row, lateness=lateness.get(row.device)) for row in rows),
        ],
        foreign=strangers.foreign + strangers.unreadable - damaged.raw,
        real_time=manifest.speed == 1,
    )


def count_raw_lines(session: boto3.Session, bucket: str, manifest: Manifest) -> int:
    """The lines in the raw objects that an audit reads, whoever sent them."""
    with _one_line():
        zone = _zone(session, bucket)
        objects = _Window.of(manifest.arrived_from, manifest.arrived_to).objects(zone)
        # As curation counts: an object without a line is one that is quarantined.
        return sum(len(_lines(content)) or 1 for content in zone.read(objects))


def _zone(session: boto3.Session, bucket: str) -> RawZone:
    return RawZone(session.client("s3", config=AWS_CONFIG), bucket)


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
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
        """All that may hold a line that arrived between these times, and nothing that was there before."""
        return cls(
            start_of_hour(arrived_from - _LONGEST_BUFFERING),
            start_of_hour(arrived_to + _LONGEST_BUFFERING) + HOUR,
            arrived_from - _CLOCK_TOLERANCE,
        )

    def objects(self, zone: RawZone) -> list[RawObject]:
        """The objects, in the order in which curation takes their lines for arrived."""
        found = (each for each in zone.objects(self.start, self.end) if each.arrived >= self.since)
        return sorted(found, key=lambda each: (each.arrived, each.key))

    def condition(self, event_days: Collection[str]) -> str:
        """What came in these objects, in SQL, for tables by day of event time or of arrival."""
        # An object may be complete after its hour.
        arrival_days = ((self.start + number * HOUR) for number in range((self.end - self.start) // HOUR + 1))
        days = sorted({*event_days, *map(day_of, arrival_days)})
        first, end = (f"{RAW.name}/{partition_at(moment).path}/" for moment in (self.start, self.end))
        quoted = ", ".join(f"'{day}'" for day in days)
        return (
            f"dt IN ({quoted}) AND raw_object >= '{first}' AND raw_object < '{end}' "
            f"AND arrived >= TIMESTAMP '{self.since.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}'"
        )


class _Strangers(NamedTuple):
    """Lines of devices that were not asked for, and lines of which no device can be read."""

    foreign: int
    unreadable: int


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Where the raw lines are counted, on disk as far as they do not fit into the memory.

    ``lines``: ``seq`` is null for what is damaged, ``ts`` is in microseconds since 1970, ``text`` is the line's hash,
    ``place`` its object's number and its own there. ``objects``: when each was complete, as ``ts``; those that
    were at the same time have the same ``turn``. ``firsts``: each reading once, where it first came, and whether
    curation accepts its time.
    """
    connection = duckdb.connect(
        folder / "lines.duckdb",
        config={"memory_limit": _MEMORY, "temp_directory": str(folder), "autoinstall_known_extensions": "false"},
    )
    with contextlib.closing(connection) as db:
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
    _insert(db, "objects", [(number, _microseconds(found.arrived)) for number, found in enumerate(objects)], _OBJECTS)
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
            _insert(db, "lines", rows, _LINES)
            rows = []
        on_progress(done, len(objects))
    _insert(db, "lines", rows, _LINES)
    return _Strangers(foreign, unreadable)


class _Line(NamedTuple):
    """A row of the table ``lines``; of a damaged line that can be read nevertheless, there is just no ``seq``."""

    device_id: str
    seq: int | None
    ts: int | None
    text: int
    place: int


def _parsed(content: Content, object_no: int, latest: dt.datetime) -> Iterator[_Line]:
    """The lines of an object, those that are too early or too late included; of an empty or corrupt one, one line."""
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
    """An object's lines; blank ones are nothing."""
    return [line for line in content.text.split(b"\n") if line and not line.isspace()]


def _first(readings: Sequence[Reading]) -> Reading | None:
    return readings[0] if readings else None


def _microseconds(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def _insert(db: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> None:
    if rows:
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
        db.register("rows", pa.Table.from_arrays(columns, schema=schema))
        db.execute(f"INSERT INTO {table} FROM rows")
        db.unregister("rows")


class _Raw(NamedTuple):
    """A device in the raw zone: lines that are readings and that are none, how many of them differ, and reordered."""

    readings: int = 0
    different_readings: int = 0
    damaged: int = 0
    different_damaged: int = 0
    reordered: int = 0


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


def _raw_by_device(db: duckdb.DuckDBPyConnection) -> dict[str, _Raw]:
    reordered = dict(db.execute(_REORDERED).fetchall())
    found = {device: _Raw(*counts) for device, *counts in db.execute(_DIFFERENT).fetchall()}
    return {device: raw._replace(reordered=reordered.get(device, 0)) for device, raw in found.items()}


def _lateness(db: duckdb.DuckDBPyConnection) -> dict[str | None, Lateness]:
    """By device, and of all under None; of readings that curation accepts, as ``arrived - ts`` in its table."""
    found = db.execute(_LATENESS).fetchall()
    return {device: Lateness(p50, p95, latest) for device, p50, p95, latest in found if latest is not None}


def _event_days(db: duckdb.DuckDBPyConnection) -> list[str]:
    """The days (UTC) of the readings that curation accepts."""
    found = db.execute("SELECT DISTINCT strftime(make_timestamp(ts), '%Y-%m-%d') FROM firsts WHERE timely")
    return [day for (day,) in found.fetchall()]


class _Tables(NamedTuple):
    """A device in the curated tables."""

    curated: int = 0
    duplicates: int = 0
    quarantined: int = 0


class _Curated(msgspec.Struct):
    device_id: str
    curated: int
    duplicates: int


class _Quarantined(msgspec.Struct):
    readable: bool
    lines: int
    device_id: str = NOT_READABLE


def _tables(session: boto3.Session, deployment: Deployment, where: str, devices: Collection[str]) -> dict[str, _Tables]:
    """What is in the tables, by device; quarantined lines only of these devices, and those that do not say whose."""
    curated = (
        "SELECT device_id, count(*) AS curated, CAST(sum(copies - 1) AS bigint) AS duplicates "  # noqa: S608
        f"FROM {READINGS.name} WHERE {where} GROUP BY device_id"
    )
    quarantined = (
        "SELECT device_id, readable, count(*) AS lines FROM ("  # noqa: S608
        f"SELECT regexp_extract(line, '{_DEVICE_ID}', 1) AS device_id, "
        "reason IN ('conflict', 'from_future', 'too_late') AS readable "
        f"FROM {QUARANTINE.name} WHERE {where}"
        ") GROUP BY device_id, readable"
    )
    found = {
        row.device_id: _Tables(row.curated, row.duplicates)
        for row in structs(query(session, deployment, curated), _Curated)
    }
    for row in structs(query(session, deployment, quarantined), _Quarantined):
        if row.device_id in devices or not row.readable:
            device = row.device_id if row.device_id in devices else NOT_READABLE
            before = found.get(device, _Tables())
            found[device] = before._replace(quarantined=before.quarantined + row.lines)
    return found


def _row(device: str, sent: DeviceCounts, raw: _Raw, tables: _Tables, unreadable: int) -> DeviceRow:
    """One device's account, where ``unreadable`` lines of any device are there."""
    missing = sent.sent - sent.duplicates - raw.different_readings - raw.different_damaged
    # Damaged lines may be the same: what is missing of them is no redelivery.
    alike = max(0, min(missing, raw.damaged - raw.different_damaged, sent.malformed - raw.different_damaged))
    missing -= alike
    taken = max(0, min(missing, sent.malformed - raw.different_damaged - alike, unreadable))
    copies = raw.readings - raw.different_readings
    # A copy whose first was refused by the sink is the first.
    first = max(0, min(-missing, sent.duplicates - copies, sent.refused))
    accounted = raw.readings + raw.damaged - sum(tables)
    return DeviceRow(
        device=device,
        sent=sent.sent,
        refused=sent.refused,
        unreadable=taken,
        raw=raw.readings + raw.damaged,
        redelivered=max(0, copies - sent.duplicates) + raw.damaged - raw.different_damaged - alike,
        surplus_in_delivery=max(0, -missing) - first,
        lost_in_delivery=max(0, missing) - taken + max(0, sent.duplicates - copies) - first,
        curated=tables.curated,
        duplicates=tables.duplicates,
        quarantined=tables.quarantined,
        surplus_in_curation=max(0, -accounted),
        lost_in_curation=max(0, accounted),
        reordered=raw.reordered,
    )


def _row_not_readable(sent: int, raw: int, quarantined: int) -> DeviceRow:
    """The account of the lines that were sent and of which no device can be read; more of them are somebody else's."""
    ours = min(sent, raw)
    lost = min(ours, max(0, raw - quarantined))
    return DeviceRow(
        device=NOT_READABLE,
        sent=sent,
        raw=ours,
        lost_in_delivery=sent - ours,
        quarantined=ours - lost,
        lost_in_curation=lost,
    )


def _totals(rows: Sequence[DeviceRow], lateness: Lateness | None) -> Counts:
    names = [name for name in Counts.__struct_fields__ if name != "lateness"]
    sums = {name: sum(getattr(row, name) for row in rows) for name in names}
    # What is not readable was sent by a device.
    return Counts(**sums | {"sent": sums["sent"] - sums["unreadable"]}, lateness=lateness)
