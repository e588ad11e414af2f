"""Queries of the pages to Athena, each bounded by days (``dt``) and, where it returns rows per device, by ``LIMIT``.

In Athena's dialect, and in words that DuckDB knows too, as :mod:`pipeline.named_queries` says. Days are dates in UTC.
"""

# Nothing gets into the SQL but dates, numbers and quoted text.
# ruff: noqa: S608

from __future__ import annotations

import datetime as dt

from telemetry.reading.fields import METRICS
from telemetry.text.sql import literal, literals

#: Maximum rows of devices, readings or changes on a page.
MOST_DEVICES = 5_000
MOST_READINGS = 20_000
MOST_CHANGES = 2_000
MOST_GROUPS = 5_000  # hours of 30 days by severity, and more
MOST_LINES = 200


def _since(day: dt.date) -> str:
    return f"dt >= {literal(day.isoformat())}"


def _days(first: dt.date, last: dt.date) -> str:
    return f"dt BETWEEN {literal(first.isoformat())} AND {literal(last.isoformat())}"


def newest_hours(since: dt.date) -> str:
    """Return per site the newest hour in the tables and its values; metrics in °C, %RH and V."""
    return f"""
WITH newest AS (SELECT site, max(hour_start) AS hour_start FROM readings_hourly WHERE {_since(since)} GROUP BY site)
SELECT
    hourly.site,
    hourly.hour_start,
    count(*) AS devices,
    sum(hourly.received) AS received,
    sum(hourly.temperature_mean * hourly.temperature_count) / nullif(sum(hourly.temperature_count), 0) AS temperature,
    min(hourly.temperature_min) AS temperature_min,
    max(hourly.temperature_max) AS temperature_max,
    sum(hourly.humidity_mean * hourly.humidity_count) / nullif(sum(hourly.humidity_count), 0) AS humidity,
    min(hourly.battery_min) AS battery_min
FROM readings_hourly AS hourly
JOIN newest ON hourly.site = newest.site AND hourly.hour_start = newest.hour_start
WHERE hourly.{_since(since)}
GROUP BY hourly.site, hourly.hour_start
ORDER BY hourly.site"""


def places() -> str:
    """Return per site the mean position of its registered devices, in degrees, and their number."""
    return """
SELECT site, avg(latitude) AS latitude, avg(longitude) AS longitude, count(*) AS devices
FROM devices
WHERE latitude IS NOT NULL AND longitude IS NOT NULL
GROUP BY site
ORDER BY site"""


def days_with_devices(since: dt.date) -> str:
    """Return the days on which devices sent, newest first."""
    return f"SELECT dt, count(*) AS devices FROM device_health WHERE {_since(since)} GROUP BY dt ORDER BY dt DESC"


def fleet(day: dt.date) -> str:
    """Return a day per site and model; ``incomplete`` and ``low`` count devices under 95 % and at 2.4 V or less."""
    return f"""
SELECT
    site,
    coalesce(model, 'not registered') AS model,
    count(*) AS devices,
    sum(received) AS received,
    sum(expected) AS expected,
    sum(gaps) AS gaps,
    sum(lost) AS lost,
    sum(duplicates) AS duplicates,
    sum(CASE WHEN completeness < 0.95e0 THEN 1 ELSE 0 END) AS incomplete,
    sum(CASE WHEN battery_last <= 2.4e0 THEN 1 ELSE 0 END) AS low
FROM device_health
WHERE {_days(day, day)}
GROUP BY 1, 2
ORDER BY 1, 2"""


def devices(day: dt.date, sites: tuple[str, ...], models: tuple[str, ...]) -> str:
    """Return the devices of a day, the least complete first; without sites or models, those of all."""
    where = [_days(day, day)]
    where += [f"site IN {literals(sites)}"] if sites else []
    where += [f"coalesce(model, 'not registered') IN {literals(models)}"] if models else []
    return f"""
SELECT
    device_id,
    site,
    coalesce(model, 'not registered') AS model,
    last_seen,
    least(completeness, 1e0) AS completeness,
    received,
    gaps,
    lost,
    duplicates,
    lateness_p95,
    battery_last,
    battery_trend
FROM device_health
WHERE {" AND ".join(where)}
ORDER BY completeness, device_id
LIMIT {MOST_DEVICES}"""


def batteries(day: dt.date) -> str:
    """Return the devices per site, model and last battery ``volts`` of a day, rounded down to 0.1 V."""
    return f"""
SELECT
    site,
    coalesce(model, 'not registered') AS model,
    floor(battery_last * 10e0) / 10e0 AS volts,
    count(*) AS devices
FROM device_health
WHERE {_days(day, day)} AND battery_last IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3"""


def known_devices(since: dt.date, device: str = "") -> str:
    """Return the devices that sent since then, or one of them, by name: newest site, model and reading."""
    where = _since(since) + (f" AND device_id = {literal(device)}" if device else "")
    return f"""
SELECT
    device_id,
    max_by(site, dt) AS site,
    max_by(coalesce(model, 'not registered'), dt) AS model,
    max(last_seen) AS last_seen
FROM device_health
WHERE {where}
GROUP BY device_id
ORDER BY device_id
LIMIT {MOST_DEVICES}"""


def readings(device: str, start: dt.datetime, end: dt.datetime) -> str:
    """Return a device's readings between two times, oldest first; the newest ones where there are too many."""
    return f"""
SELECT ts, {", ".join(METRICS)}, status
FROM (
    SELECT ts, {", ".join(METRICS)}, status
    FROM readings
    WHERE {_days(start.astimezone(dt.UTC).date(), end.astimezone(dt.UTC).date())}
        AND device_id = {literal(device)} AND ts BETWEEN {_moment(start)} AND {_moment(end)}
    ORDER BY ts DESC
    LIMIT {MOST_READINGS}
) AS newest
ORDER BY ts"""


def hours(device: str, start: dt.datetime, end: dt.datetime) -> str:
    """Return a device's hours between two times, with the mean and the extremes of each metric."""
    metrics = ", ".join(f"{metric}_mean AS {metric}, {metric}_min, {metric}_max" for metric in METRICS)
    return f"""
SELECT hour_start AS ts, {metrics}, received, expected
FROM readings_hourly
WHERE {_days(start.astimezone(dt.UTC).date(), end.astimezone(dt.UTC).date())}
    AND device_id = {literal(device)} AND hour_start BETWEEN {_moment(start)} AND {_moment(end)}
ORDER BY ts
LIMIT {MOST_READINGS}"""


def _moment(when: dt.datetime) -> str:
    return f"TIMESTAMP '{when.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S.%f}'"


_CHANGES = (
    "alert_id, sequence, change, severity, rule, device, site, gateway, value, summary, active_at, fired_at, "
    "changed_at, recorded_at, who, why"
)


def changes(since: dt.datetime, *, device: str = "") -> str:
    """Return the changes of alerts, or of a device's alerts, newest first and each once.

    Alerts that never fired are left out. Times are text, RFC 3339.
    """
    where = f"{_recorded(since)} AND change NOT IN ('pending', 'inactive')"
    where += f" AND device = {literal(device)}" if device else ""
    return f"SELECT DISTINCT {_CHANGES} FROM alerts WHERE {where} ORDER BY recorded_at DESC LIMIT {MOST_CHANGES}"


def _recorded(since: dt.datetime) -> str:
    """Filter by the time of recording, RFC 3339 in the table; partitions are by arrival, which is later."""
    moment = since.astimezone(dt.UTC)
    return f"{_since(moment.date())} AND recorded_at >= {literal(f'{moment:%Y-%m-%dT%H:%M:%S}')}"


def fired_by_hour(since: dt.datetime) -> str:
    """Return the number of alerts fired by hour (``YYYY-MM-DDTHH``, of recording) and severity, newest first."""
    return f"""
SELECT substr(recorded_at, 1, 13) AS hour, severity, count(DISTINCT alert_id) AS alerts
FROM alerts
WHERE {_recorded(since)} AND change IN ('firing', 'flapping')
GROUP BY 1, 2
ORDER BY 1 DESC, 2
LIMIT {MOST_GROUPS}"""


def fired_by_place(since: dt.datetime) -> str:
    """Return the number of alerts fired by site, rule and severity, the highest first."""
    return f"""
SELECT site, rule, severity, count(DISTINCT alert_id) AS alerts
FROM alerts
WHERE {_recorded(since)} AND change IN ('firing', 'flapping')
GROUP BY 1, 2, 3
ORDER BY 4 DESC, 1, 2, 3
LIMIT {MOST_GROUPS}"""


def quarantined(since: dt.date) -> str:
    """Return the number of quarantined lines by day of arrival and reason."""
    return f"""
SELECT dt, reason, count(*) AS lines
FROM quarantine
WHERE {_since(since)}
GROUP BY dt, reason
ORDER BY dt, reason"""


def quarantined_lines(since: dt.date, reason: str) -> str:
    """Return the newest quarantined lines for a reason."""
    return f"""
SELECT arrived, detail, line, raw_object, raw_line
FROM quarantine
WHERE {_since(since)} AND reason = {literal(reason)}
ORDER BY arrived DESC, raw_object, raw_line
LIMIT {MOST_LINES}"""


def quality(since: dt.date) -> str:
    """Return per day and site: readings, copies, readings missing by ``seq``, and lateness in seconds."""
    return f"""
SELECT
    dt,
    site,
    sum(received) AS received,
    sum(duplicates) AS duplicates,
    sum(expected) AS expected,
    sum(lost) AS lost,
    avg(lateness_p50) AS lateness_p50,
    max(lateness_p95) AS lateness_p95
FROM device_health
WHERE {_since(since)}
GROUP BY dt, site
ORDER BY dt, site"""


def freshness(since: dt.date) -> str:
    """Return per site its newest reading in the tables, the stalest first."""
    return f"""
SELECT site, count(DISTINCT device_id) AS devices, max(last_seen) AS newest_reading
FROM device_health
WHERE {_since(since)}
GROUP BY site
ORDER BY newest_reading, site"""
