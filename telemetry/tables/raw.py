"""The table over the raw zone: every line as it arrived."""

from __future__ import annotations

from telemetry.tables.table import READING_COLUMNS, Table, as_json, by_hour

RAW = Table(
    name="raw",
    comment="Every line as it arrived, by arrival time; "
    "the schema of a good line (a malformed or blank one is a row of nulls)",
    kind="delivered",
    columns=tuple(map(as_json, READING_COLUMNS)),
    partition_keys=by_hour("arrival"),
    example="""\
SELECT hour, count(*) AS lines
FROM raw
WHERE dt = '2026-11-23' AND device_id = 'device-00042'
GROUP BY hour
ORDER BY hour""",
)
