"""The tables that the curation job writes: the entry of each, and the list of those with partitions.

To add one, write its entry here, list it in :data:`CURATED`, and write ``glue_jobs/curate/sql/<name>.sql``. What can be
derived from :class:`~telemetry.reading.model.Reading` is derived.
"""

from __future__ import annotations

from telemetry.reading.fields import METRICS
from telemetry.reading.model import STATUSES
from telemetry.tables.table import MEANINGS, METRIC_UNITS, READING_COLUMNS, Column, Table, by_day

_STATISTICS = (
    ("count", "bigint", "Readings with a value of"),
    ("min", "double", "Smallest"),
    ("mean", "double", "Arithmetic mean of"),
    ("max", "double", "Largest"),
    ("p95", "double", "95th percentile, interpolated, of"),
    ("stddev", "double", "Sample standard deviation of"),
)


def _status_counts() -> tuple[Column, ...]:
    return tuple(Column(f"status_{status}", "bigint", f"Readings with status {status}") for status in sorted(STATUSES))


def _metric_statistics(*names: str) -> tuple[Column, ...]:
    return tuple(
        Column(f"{metric}_{name}", kind, f"{meaning} {metric}", "" if name == "count" else METRIC_UNITS.get(metric, ""))
        for metric in METRICS
        for name, kind, meaning in _STATISTICS
        if name in names
    )


#: What the registry adds to a reading.
_REGISTERED = (
    Column("model", "string", "The device's model, from the registry; null where it is not registered"),
    Column("latitude", "double", "Where the device stands, degrees north, from the registry", "° north"),
    Column("longitude", "double", "Where the device stands, degrees east, from the registry", "° east"),
)

#: The metric that the registry's calibration offset is added to.
CALIBRATED = "temperature"

READINGS = Table(
    name="readings",
    comment="Valid readings, each (device_id, seq) of an hour once: the first to arrive, calibrated and enriched",
    kind="curated",
    columns=(
        *READING_COLUMNS,
        Column(
            f"{CALIBRATED}_raw",
            "double",
            "Temperature as the device sent it, before calibration, degrees Celsius",
            "°C",
        ),
        *_REGISTERED,
        Column("copies", "bigint", "How often the reading arrived with the same content"),
        Column(
            "arrived",
            "timestamp",
            "When its raw object was complete, UTC: up to a buffering interval after it came",
            "UTC",
        ),
        Column("raw_object", "string", "Key of the raw object the reading came in"),
        Column("raw_line", "bigint", "Its line there, from 1"),
    ),
    partition_keys=by_day("the event time"),
    example="""\
SELECT ts, temperature, battery, status
FROM readings
WHERE dt = '2026-11-23' AND device_id = 'device-00042'
ORDER BY ts""",
)

READINGS_HOURLY = Table(
    name="readings_hourly",
    comment="One row a device and hour of event time",
    kind="curated",
    columns=(
        Column("device_id", "string", MEANINGS["device_id"]),
        Column("site", "string", "Where the device stood at its last reading of the hour"),
        Column("model", "string", _REGISTERED[0].comment),
        Column("hour_start", "timestamp", "Start of the hour, UTC", "UTC"),
        Column("received", "bigint", "Readings, each once"),
        Column("expected", "bigint", "Readings that should be there by seq: last - first + 1"),
        Column("duplicates", "bigint", "Readings that arrived again and were removed"),
        *_status_counts(),
        *_metric_statistics("count", "min", "mean", "max", "p95", "stddev"),
    ),
    partition_keys=by_day("the event time"),
    source="readings_of_hours",
    key=("hour_start", "device_id"),
    example="""\
SELECT hour_start, temperature_mean, temperature_max, received, expected
FROM readings_hourly
WHERE dt BETWEEN '2026-11-17' AND '2026-11-23' AND device_id = 'device-00042'
ORDER BY hour_start""",
)

SITE_DAILY = Table(
    name="site_daily",
    comment="One row a site and day of event time",
    kind="curated",
    columns=(
        Column("site", "string", MEANINGS["site"]),
        Column("day_start", "timestamp", "Start of the day, UTC", "UTC"),
        Column("devices", "bigint", "Devices that sent anything"),
        Column("received", "bigint", "Readings, each once"),
        Column("duplicates", "bigint", "Readings that arrived again and were removed"),
        *_status_counts(),
        *_metric_statistics("count", "min", "mean", "max"),
    ),
    partition_keys=by_day("the event time"),
    source="hours_of_day",
    key=("site",),
    example="""\
SELECT dt, site, devices, received, temperature_mean
FROM site_daily
WHERE dt >= '2026-11-01'
ORDER BY dt, site""",
)

DEVICE_HEALTH = Table(
    name="device_health",
    comment="One row a device and day of event time: what of its readings came, how late, and how its battery does",
    kind="curated",
    columns=(
        Column("device_id", "string", MEANINGS["device_id"]),
        Column("site", "string", "Where the device stood at its last reading of the day"),
        Column("model", "string", _REGISTERED[0].comment),
        Column("day_start", "timestamp", "Start of the day, UTC", "UTC"),
        Column("first_seen", "timestamp", "Event time of the day's first reading, UTC", "UTC"),
        Column("last_seen", "timestamp", "Event time of the day's last reading, UTC", "UTC"),
        Column("received", "bigint", "Readings, each once"),
        Column("gaps", "bigint", "Times that numbers are missing between one reading and the next, by event time"),
        Column("lost", "bigint", "Numbers missing in these gaps; a device that counts from the start again lost none"),
        Column(
            "expected",
            "bigint",
            "Readings there should be between the first and the last: by the registry's interval, else received + lost",
        ),
        Column("completeness", "double", "received / expected, at most 1", "0 to 1"),
        Column("duplicates", "bigint", "Readings that arrived again and were removed"),
        Column("lateness_p50", "double", "Median of arrived - ts, seconds", "s"),
        Column("lateness_p95", "double", "95th percentile, interpolated, of arrived - ts, seconds", "s"),
        Column("battery_last", "double", "Battery voltage of the last reading that has one, volts", "V"),
        Column(
            "battery_trend", "double", "Least-squares slope of the battery voltage over the day, volts a day", "V a day"
        ),
    ),
    partition_keys=by_day("the event time"),
    source="readings_of_day",
    key=("device_id",),
    example="""\
SELECT device_id, completeness, gaps, lost, lateness_p95, battery_last
FROM device_health
WHERE dt = '2026-11-23' AND completeness < 0.95
ORDER BY completeness""",
)

QUARANTINE = Table(
    name="quarantine",
    comment="Every line that is no reading, or contradicts one that arrived before it, with the reason",
    kind="curated",
    columns=(
        Column("id", "string", "Names the line: the first 16 hexadecimal digits of a hash of raw_object and raw_line"),
        Column("reason", "string", "One of telemetry.reading.codec.Reason, corrupt_object, or conflict"),
        Column("detail", "string", "What is wrong and in which field, in the decoder's words"),
        Column("line", "string", "The line; bytes that are not UTF-8 stand as \\xNN"),
        Column("arrived", "timestamp", "When its raw object was complete, UTC", "UTC"),
        Column(
            "ts", "timestamp", "Event time of a conflicting reading, UTC; null for a line that is no reading", "UTC"
        ),
        Column("raw_object", "string", "Key of the raw object it came in"),
        Column("raw_line", "bigint", "Its line there, from 1; 0 for the whole object"),
        Column("raw_offset", "bigint", "Bytes before the line in the object, decompressed", "bytes"),
    ),
    partition_keys=by_day("arrival (of a conflict: of the event time)"),
    example="""\
SELECT arrived, reason, detail, line, raw_object, raw_line
FROM quarantine
WHERE dt = '2026-11-23' AND reason <> 'conflict'
ORDER BY arrived""",
)

DEVICES = Table(
    name="devices",
    comment="The registry of devices as the last run of the curation saw it",
    kind="single_file",
    columns=(
        Column("device_id", "string", MEANINGS["device_id"]),
        Column("site", "string", "Where the device stands"),
        Column("model", "string", "What it is"),
        Column("latitude", "double", "Where it stands, degrees north", "° north"),
        Column("longitude", "double", "Where it stands, degrees east", "° east"),
        Column("installed", "date", "Since when it stands there"),
        Column("interval_seconds", "double", "Seconds that should lie between two of its readings", "s"),
        Column("calibration_offset", "double", "What is added to its temperature, degrees Celsius", "°C"),
        Column("attributes", "string", "All that the registry says of it, a JSON object of strings"),
    ),
    example="""\
SELECT site, model, count(*) AS devices, min(installed) AS first_installed
FROM devices
GROUP BY site, model""",
)

#: The partitioned tables that the curation job writes, in the order in which it switches their partitions.
CURATED = (READINGS, READINGS_HOURLY, SITE_DAILY, DEVICE_HEALTH, QUARANTINE)
