"""The tables of the lake: names, columns, types and meaning, in one place.

The Glue catalog, the curation job and the tests read them here. What can be derived from
:class:`~telemetry.reading.model.Reading` is derived. The table that is about alerts is in ``telemetry.tables.alerts``.
"""

from __future__ import annotations

import msgspec

from telemetry.reading.fields import FIELDS, METRICS, Kind
from telemetry.reading.model import STATUSES


class Column(msgspec.Struct, frozen=True):
    """One column; ``type`` is Athena's (Hive's) name for it."""

    name: str
    type: str
    comment: str


class Table(msgspec.Struct, frozen=True):
    """One table. The partition keys stand in the path as ``key=value`` folders, in this order."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns in the files: without the partition keys."""
        return tuple(column.name for column in self.columns)


ATHENA_TYPES: dict[Kind, str] = {
    "string": "string",
    "timestamp": "timestamp",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
}

_MEANINGS = {
    "device_id": "Device, unique in the fleet",
    "site": "Where the device stands",
    "ts": "Event time set by the device, UTC",
    "seq": "Counts up by one for each reading of a device",
    "temperature": "Temperature, degrees Celsius",
    "humidity": "Relative humidity, percent",
    "battery": "Battery voltage, volts",
    "status": "The device's own verdict: ok, degraded or fault",
}


def by_hour(what: str) -> tuple[Column, ...]:
    """The partition keys of a table that lies by the UTC hour of ``what``."""
    return (
        Column("dt", "string", f"Date of {what}, UTC, YYYY-MM-DD"),
        Column("hour", "string", f"Hour of {what}, UTC, 00 to 23"),
    )


def by_day(what: str) -> tuple[Column, ...]:
    """The partition key of a table that lies by the UTC day of ``what``."""
    return (Column("dt", "string", f"Date of {what}, UTC, YYYY-MM-DD"),)


def as_json(column: Column) -> Column:
    """The column in JSON lines, where times are text: Hive's timestamp does not parse RFC 3339."""
    return msgspec.structs.replace(column, type="string") if column.type == "timestamp" else column


_STATISTICS = (
    ("count", "bigint", "Readings with a value of"),
    ("min", "double", "Smallest"),
    ("mean", "double", "Arithmetic mean of"),
    ("max", "double", "Largest"),
    ("p95", "double", "95th percentile, interpolated, of"),
    ("stddev", "double", "Sample standard deviation of"),
)

_READING_COLUMNS = tuple(
    Column(field.name, ATHENA_TYPES[field.kind], _MEANINGS.get(field.name, field.name)) for field in FIELDS
)


def _status_counts() -> tuple[Column, ...]:
    return tuple(Column(f"status_{status}", "bigint", f"Readings with status {status}") for status in sorted(STATUSES))


def _metric_statistics(*names: str) -> tuple[Column, ...]:
    return tuple(
        Column(f"{metric}_{name}", kind, f"{meaning} {metric}")
        for metric in METRICS
        for name, kind, meaning in _STATISTICS
        if name in names
    )


RAW = Table(
    "raw",
    "Every line as it arrived, by arrival time; the schema of a good line (a malformed or blank one is a row of nulls)",
    tuple(map(as_json, _READING_COLUMNS)),
    by_hour("arrival"),
)


#: What the registry adds to a reading.
_REGISTERED = (
    Column("model", "string", "The device's model, from the registry; null where it is not registered"),
    Column("latitude", "double", "Where the device stands, degrees north, from the registry"),
    Column("longitude", "double", "Where the device stands, degrees east, from the registry"),
)

#: The metric that the registry's calibration offset is added to.
CALIBRATED = "temperature"

READINGS = Table(
    "readings",
    "Valid readings, each (device_id, seq) of an hour once: the first to arrive, calibrated and enriched",
    (
        *_READING_COLUMNS,
        Column(f"{CALIBRATED}_raw", "double", "Temperature as the device sent it, before calibration, degrees Celsius"),
        *_REGISTERED,
        Column("copies", "bigint", "How often the reading arrived with the same content"),
        Column(
            "arrived", "timestamp", "When its raw object was complete, UTC: up to a buffering interval after it came"
        ),
        Column("raw_object", "string", "Key of the raw object the reading came in"),
        Column("raw_line", "bigint", "Its line there, from 1"),
    ),
    by_day("the event time"),
)

READINGS_HOURLY = Table(
    "readings_hourly",
    "One row a device and hour of event time",
    (
        Column("device_id", "string", _MEANINGS["device_id"]),
        Column("site", "string", "Where the device stood at its last reading of the hour"),
        Column("model", "string", _REGISTERED[0].comment),
        Column("hour_start", "timestamp", "Start of the hour, UTC"),
        Column("received", "bigint", "Readings, each once"),
        Column("expected", "bigint", "Readings that should be there by seq: last - first + 1"),
        Column("duplicates", "bigint", "Readings that arrived again and were removed"),
        *_status_counts(),
        *_metric_statistics("count", "min", "mean", "max", "p95", "stddev"),
    ),
    by_day("the event time"),
)

SITE_DAILY = Table(
    "site_daily",
    "One row a site and day of event time",
    (
        Column("site", "string", _MEANINGS["site"]),
        Column("day_start", "timestamp", "Start of the day, UTC"),
        Column("devices", "bigint", "Devices that sent anything"),
        Column("received", "bigint", "Readings, each once"),
        Column("duplicates", "bigint", "Readings that arrived again and were removed"),
        *_status_counts(),
        *_metric_statistics("count", "min", "mean", "max"),
    ),
    by_day("the event time"),
)

DEVICE_HEALTH = Table(
    "device_health",
    "One row a device and day of event time: what of its readings came, how late, and how its battery does",
    (
        Column("device_id", "string", _MEANINGS["device_id"]),
        Column("site", "string", "Where the device stood at its last reading of the day"),
        Column("model", "string", _REGISTERED[0].comment),
        Column("day_start", "timestamp", "Start of the day, UTC"),
        Column("first_seen", "timestamp", "Event time of the day's first reading, UTC"),
        Column("last_seen", "timestamp", "Event time of the day's last reading, UTC"),
        Column("received", "bigint", "Readings, each once"),
        Column("gaps", "bigint", "Times that numbers are missing between one reading and the next, by event time"),
        Column("lost", "bigint", "Numbers missing in these gaps; a device that counts from the start again lost none"),
        Column(
            "expected",
            "bigint",
            "Readings there should be between the first and the last: by the registry's interval, else received + lost",
        ),
        Column("completeness", "double", "received / expected, at most 1"),
        Column("duplicates", "bigint", "Readings that arrived again and were removed"),
        Column("lateness_p50", "double", "Median of arrived - ts, seconds"),
        Column("lateness_p95", "double", "95th percentile, interpolated, of arrived - ts, seconds"),
        Column("battery_last", "double", "Battery voltage of the last reading that has one, volts"),
        Column("battery_trend", "double", "Least-squares slope of the battery voltage over the day, volts a day"),
    ),
    by_day("the event time"),
)

QUARANTINE = Table(
    "quarantine",
    "Every line that is no reading, or contradicts one that arrived before it, with the reason",
    (
        Column("id", "string", "Names the line: the first 16 hexadecimal digits of a hash of raw_object and raw_line"),
        Column("reason", "string", "One of telemetry.reading.codec.Reason, corrupt_object, or conflict"),
        Column("detail", "string", "What is wrong and in which field, in the decoder's words"),
        Column("line", "string", "The line; bytes that are not UTF-8 stand as \\xNN"),
        Column("arrived", "timestamp", "When its raw object was complete, UTC"),
        Column("ts", "timestamp", "Event time of a conflicting reading, UTC; null for a line that is no reading"),
        Column("raw_object", "string", "Key of the raw object it came in"),
        Column("raw_line", "bigint", "Its line there, from 1; 0 for the whole object"),
        Column("raw_offset", "bigint", "Bytes before the line in the object, decompressed"),
    ),
    by_day("arrival (of a conflict: of the event time)"),
)

DEVICES = Table(
    "devices",
    "The registry of devices as the last run of the curation saw it",
    (
        Column("device_id", "string", _MEANINGS["device_id"]),
        Column("site", "string", "Where the device stands"),
        Column("model", "string", "What it is"),
        Column("latitude", "double", "Where it stands, degrees north"),
        Column("longitude", "double", "Where it stands, degrees east"),
        Column("installed", "date", "Since when it stands there"),
        Column("interval_seconds", "double", "Seconds that should lie between two of its readings"),
        Column("calibration_offset", "double", "What is added to its temperature, degrees Celsius"),
        Column("attributes", "string", "All that the registry says of it, a JSON object of strings"),
    ),
    (),
)

#: The partitioned tables that the curation job writes, in the order in which it switches their partitions.
CURATED = (READINGS, READINGS_HOURLY, SITE_DAILY, DEVICE_HEALTH, QUARANTINE)
