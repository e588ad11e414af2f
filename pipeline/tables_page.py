"""``docs/tables.md``: every table of the lake, column by column, from where the code has them.

``python -m pipeline.tables_page`` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline import named_queries
from telemetry.reading.fields import METRICS
from telemetry.tables.alerts import ALERTS
from telemetry.tables.ground_truth import GROUND_TRUTH
from telemetry.tables.lake import CURATED, DEVICES, RAW, Column, Table

PAGE = Path(__file__).parent.parent / "docs" / "tables.md"

#: All of them, those that most questions are about first.
TABLES = (*CURATED, DEVICES, ALERTS, GROUND_TRUTH, RAW)

#: The units of what a device measures, as they are written everywhere.
METRIC_UNITS = {"temperature": "°C", "humidity": "%RH", "battery": "V"}
_UNITS = {
    **METRIC_UNITS,
    "temperature_raw": "°C",
    "calibration_offset": "°C",
    "latitude": "° north",
    "longitude": "° east",
    "interval_seconds": "s",
    "lateness_p50": "s",
    "lateness_p95": "s",
    "battery_last": "V",
    "battery_trend": "V a day",
    "completeness": "0 to 1",
    "raw_offset": "bytes",
    "value": "the metric's",
    "threshold": "the metric's",
}
_STATISTIC = re.compile(rf"(?P<metric>{'|'.join(METRICS)})_(?:min|mean|max|p95|stddev)")
_TEXT_TIME = re.compile(r"ts|since|until|\w+_at")

#: One question to each, in Athena's dialect.
EXAMPLES = {
    "readings": """\
SELECT ts, temperature, battery, status
FROM readings
WHERE dt = '2026-11-23' AND device_id = 'device-00042'
ORDER BY ts""",
    "readings_hourly": """\
SELECT hour_start, temperature_mean, temperature_max, received, expected
FROM readings_hourly
WHERE dt BETWEEN '2026-11-17' AND '2026-11-23' AND device_id = 'device-00042'
ORDER BY hour_start""",
    "site_daily": """\
SELECT dt, site, devices, received, temperature_mean
FROM site_daily
WHERE dt >= '2026-11-01'
ORDER BY dt, site""",
    "device_health": """\
SELECT device_id, completeness, gaps, lost, lateness_p95, battery_last
FROM device_health
WHERE dt = '2026-11-23' AND completeness < 0.95
ORDER BY completeness""",
    "quarantine": """\
SELECT arrived, reason, detail, line, raw_object, raw_line
FROM quarantine
WHERE dt = '2026-11-23' AND reason <> 'conflict'
ORDER BY arrived""",
    "devices": """\
SELECT site, model, count(*) AS devices, min(installed) AS first_installed
FROM devices
GROUP BY site, model""",
    "alerts": """\
SELECT DISTINCT alert_id, sequence, change, rule, device, changed_at
FROM alerts
WHERE dt = '2026-11-23' AND severity = 'critical'
ORDER BY changed_at""",
    "ground_truth": """\
SELECT kind, count(*) AS faults, min(since) AS first
FROM ground_truth
WHERE dt = '2026-11-23' AND scenario = 'cold-chain-break'
GROUP BY kind""",
    "raw": """\
SELECT hour, count(*) AS lines
FROM raw
WHERE dt = '2026-11-23' AND device_id = 'device-00042'
GROUP BY hour
ORDER BY hour""",
}

_INTRODUCTION = """\
# The tables of the lake

<!-- Written by "python -m pipeline.tables_page" from telemetry/tables/lake.py: edit that. A test compares. -->

`iot query --tables` prints the same. All times are UTC. Athena bills the bytes that a query scans: say in `WHERE` which
days (`dt`) it is about, and name the columns that you need.
"""

_ABOUT_QUERIES = """\
The usual questions, ready to be asked: `iot query --name hottest-devices`. Their SQL is in
[pipeline/queries](../pipeline/queries).
"""


def unit_of(column: Column) -> str:
    """The unit of a column's values; empty for counts, names and texts."""
    if statistic := _STATISTIC.fullmatch(column.name):
        return METRIC_UNITS[statistic["metric"]]
    if column.type == "timestamp":
        return "UTC"
    if column.type == "string" and _TEXT_TIME.fullmatch(column.name):
        return "UTC, RFC 3339"
    return _UNITS.get(column.name, "")


def layout_of(table: Table) -> str:
    """Where a table's files lie, in which format, and what its partitions are, in one or two sentences."""
    keys = " and ".join(f"`{key.name}` ({_lower(key.comment)})" for key in table.partition_keys)
    folders = "/".join(f"{key.name}=…" for key in table.partition_keys)
    if table in CURATED:
        return (
            f"Parquet in `{table.name}/{folders}/`, partitioned by {keys}. A run of the curation replaces a partition "
            "as a whole, by one call to the catalog: a query sees the old files or the new ones."
        )
    if table == DEVICES:
        return f"One Parquet file, `{table.name}/{table.name}.parquet`; not partitioned."
    return (
        f"JSON lines in `{table.name}/{folders}/`, partitioned by {keys}. Partitions are projected: what Firehose "
        "delivers can be asked for at once."
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def page() -> str:
    """The page, Markdown."""
    queries = named_queries.load()
    parts = [
        _INTRODUCTION,
        _rows(("table", "what is in it"), [(f"[{table.name}](#{table.name})", table.comment) for table in TABLES]),
        "## Named queries\n",
        _ABOUT_QUERIES,
        _rows(("name", "what it answers"), [(f"`{query.name}`", query.description) for query in queries]),
        *(_section(table, queries) for table in TABLES),
    ]
    return "\n".join(parts)


def _section(table: Table, queries: tuple[named_queries.NamedQuery, ...]) -> str:
    about = [query.name for query in queries if re.search(rf"\b(?:FROM|JOIN) {table.name}\b", query.sql)]
    columns = [
        (f"`{column.name}`", column.type, unit_of(column), column.comment)
        for column in (*table.columns, *table.partition_keys)
    ]
    parts = [
        f"## {table.name}\n",
        f"{table.comment}.\n",
        f"{layout_of(table)}\n",
        f"```sql\n{EXAMPLES[table.name]}\n```\n",
        *([f"Named queries: {', '.join(f'`{name}`' for name in about)}.\n"] if about else []),
        _rows(("column", "type", "unit", "meaning"), columns),
    ]
    return "\n".join(parts)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", r"\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
