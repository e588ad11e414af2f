"""The tables of the lake: names, columns, types and meaning, in one place.

The Glue catalog, the curation job and the tests read them here. What can be derived from
:class:`~telemetry.reading.Reading` is derived. The table that is about alerts is in ``telemetry.alerts_table``.
"""

from __future__ import annotations

import msgspec

from telemetry.fields import FIELDS, METRICS, Kind


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
#: What a device says of itself.
STATUSES = next(field.choices for field in FIELDS if field.name == "status")

RAW = Table(
    "raw",
    "Every line as it arrived, by arrival time; the schema of a good line (a malformed or blank one is a row of nulls)",
    tuple(map(as_json, _READING_COLUMNS)),
    by_hour("arrival"),
)

READINGS = Table(
    "readings",
    "Valid readings, each (device_id, seq) once: the first to arrive",
    (
        *_READING_COLUMNS,
        Column("raw_object", "string", "Key of the raw object the reading came in"),
        Column("raw_line", "bigint", "Its line there, from 1"),
    ),
    by_hour("the event time"),
)

READINGS_HOURLY = Table(
    "readings_hourly",
    "One row a device and hour of event time",
    (
        Column("device_id", "string", _MEANINGS["device_id"]),
        Column("site", "string", "Where the device stood at its last reading of the hour"),
        Column("hour_start", "timestamp", "Start of the hour, UTC"),
        Column("received", "bigint", "Readings, each once"),
        Column("expected", "bigint", "Readings that should be there by seq: last - first + 1"),
        Column("duplicates", "bigint", "Readings that arrived again and were removed"),
        *(Column(f"status_{status}", "bigint", f"Readings with status {status}") for status in sorted(STATUSES)),
        *(
            Column(f"{metric}_{name}", kind, f"{meaning} {metric}")
            for metric in METRICS
            for name, kind, meaning in _STATISTICS
        ),
    ),
    by_hour("the event time"),
)

QUARANTINE = Table(
    "quarantine",
    "Every line that is no reading, with the reason",
    (
        Column("reason", "string", "Why it is no reading: one of telemetry.codec.Reason, or corrupt_object"),
        Column("detail", "string", "What is wrong and in which field, in the decoder's words"),
        Column("line", "string", "The line; bytes that are not UTF-8 stand as \\xNN"),
        Column("raw_object", "string", "Key of the raw object it came in"),
        Column("raw_line", "bigint", "Its line there, from 1; 0 for the whole object"),
    ),
    by_hour("arrival"),
)

#: What the curation job writes.
CURATED = (READINGS, READINGS_HOURLY, QUARANTINE)
