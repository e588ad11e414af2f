"""The form of a table's entry: its columns with type, unit and meaning, its partitions, and how it is made."""

from __future__ import annotations

from typing import Literal, Optional

import msgspec

from telemetry.reading.fields import FIELDS, Field, Kind

#: How a table's files come about.
#:
#: - ``delivered``: JSON lines as they are sent, below folders of the hour of arrival; partitions are projected.
#: - ``curated``: Parquet files of the curation job, which replaces a day's partition as a whole.
#: - ``single_file``: one Parquet file, which the curation job replaces.
TableKind = Literal["delivered", "curated", "single_file"]

#: The relation that a curated table's SQL reads. Any SQL may join ``registry``, which has the columns of ``devices``.
#:
#: - ``readings_of_hours``: the readings of the hours that are computed again, with their ``hour_start``. The SQL groups
#:   by ``hour_start``; the table's rows of the day's other hours stay as they are.
#: - ``hours_of_day``: the rows of ``readings_hourly`` of one day.
#: - ``readings_of_day``: the readings of one day, of some of its devices at a time. The SQL groups by ``device_id``.
Source = Literal["readings_of_hours", "hours_of_day", "readings_of_day"]


class Column(msgspec.Struct, frozen=True):
    """One column; ``type`` is Athena's (Hive's) name for it, ``unit`` is empty for counts, names and texts."""

    name: str
    type: str
    comment: str
    unit: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table.

    The partition keys stand in the path as ``key=value`` folders, in this order. ``example`` is a query on the table,
    in Athena's dialect. A curated table with a ``source`` is made by ``glue_jobs/curate/sql/<name>.sql`` from that
    relation, one row per ``key``, in the order of ``key``.
    """

    name: str
    comment: str
    kind: TableKind
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...] = ()
    source: Optional[Source] = None
    key: tuple[str, ...] = ()
    example: str

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

#: The units of what a device measures, as they are written everywhere.
METRIC_UNITS = {"temperature": "°C", "humidity": "%RH", "battery": "V"}

#: The meanings of a reading's fields, wherever they are columns.
MEANINGS = {
    "device_id": "Device, unique in the fleet",
    "site": "Where the device stands",
    "ts": "Event time set by the device, UTC",
    "seq": "Counts up by one for each reading of a device",
    "temperature": "Temperature, degrees Celsius",
    "humidity": "Relative humidity, percent",
    "battery": "Battery voltage, volts",
    "status": "The device's own verdict: ok, degraded or fault",
}


def column_of(field: Field, comment: str, unit: str = "") -> Column:
    """Return the column of a struct's field; a time is in UTC."""
    return Column(field.name, ATHENA_TYPES[field.kind], comment, "UTC" if field.kind == "timestamp" else unit)


#: The columns of a reading, as the device sent it.
READING_COLUMNS = tuple(
    column_of(field, MEANINGS.get(field.name, field.name), METRIC_UNITS.get(field.name, "")) for field in FIELDS
)


def as_json(column: Column) -> Column:
    """Return the column in JSON lines, where times are text: Hive's timestamp does not parse RFC 3339."""
    if column.type != "timestamp":
        return column
    return msgspec.structs.replace(column, type="string", unit="UTC, RFC 3339")


def by_hour(what: str) -> tuple[Column, ...]:
    """Return the partition keys of a table that lies by the UTC hour of ``what``."""
    return (
        Column("dt", "string", f"Date of {what}, UTC, YYYY-MM-DD"),
        Column("hour", "string", f"Hour of {what}, UTC, 00 to 23"),
    )


def by_day(what: str) -> tuple[Column, ...]:
    """Return the partition key of a table that lies by the UTC day of ``what``."""
    return (Column("dt", "string", f"Date of {what}, UTC, YYYY-MM-DD"),)
