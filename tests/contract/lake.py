"""The lake's tables in DuckDB: empty, or with a few rows to which every named query has an answer.

The columns and their types are those of ``telemetry.tables``; a row needs only the
values that matter to a test, the others are made up by the column's type.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import sqlglot

from telemetry.tables.lake import TABLES
from telemetry.tables.table import Column, Table

Row = Mapping[str, Any]

_DUCKDB_TYPES = {"string": "VARCHAR"}


def connect(rows: Mapping[str, Iterable[Row]], *, time_zone: str = "UTC") -> duckdb.DuckDBPyConnection:
    """Every table, with these rows by the tables' names; ``time_zone`` is the machine's."""
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = '{time_zone}'")
    for table in TABLES:
        columns = columns_of(table)
        declared = ", ".join(f'"{column.name}" {_DUCKDB_TYPES.get(column.type, column.type)}' for column in columns)
        connection.execute(f"CREATE TABLE {table.name} ({declared})")
        for row in rows.get(table.name, ()):
            marks = ", ".join("?" for _ in columns)
            connection.execute(f"INSERT INTO {table.name} VALUES ({marks})", list(complete(table, row).values()))
    return connection


def columns_of(table: Table) -> tuple[Column, ...]:
    """All that can be asked of a table, partition keys included."""
    return (*table.columns, *table.partition_keys)


def complete(table: Table, row: Row) -> dict[str, Any]:
    """The row with a value in each column; raises for a value of a column that the table does not have."""
    columns = columns_of(table)
    assert set(row) <= {column.name for column in columns}, table.name
    return {column.name: row[column.name] if column.name in row else _made_up(column) for column in columns}


def _made_up(column: Column) -> object:
    values: dict[str, object] = {
        "string": column.name,
        "bigint": 1,
        "double": 1.0,
        "boolean": False,
        "timestamp": dt.datetime(2026, 11, 23, 12),
        "date": dt.date(2026, 11, 23),
    }
    return values[column.type]


def few_rows(now: dt.datetime) -> dict[str, Sequence[Row]]:
    """Some rows of the days before ``now`` (UTC, without a zone): two devices, of which one has fallen silent."""

    def day(ago: int) -> str:
        return f"{now - dt.timedelta(days=ago):%Y-%m-%d}"

    def text(ago: dt.timedelta) -> str:
        return f"{now - ago:%Y-%m-%dT%H:%M:%S}.25Z"

    device, silent = {"device_id": "d-1", "site": "north"}, {"device_id": "d-2", "site": "south"}
    line = json.dumps(device)
    alert = {"alert_id": "a1", "rule": "too-hot", "device": "d-1", "site": "north", "dt": day(0), "hour": "00"}
    fired, resolved = text(dt.timedelta(minutes=20)), text(dt.timedelta(minutes=5))
    firing = alert | {"sequence": 1, "change": "firing", "fired_at": fired, "changed_at": fired}
    return {
        "readings": [
            device | {"ts": now - dt.timedelta(seconds=late), "arrived": now, "seq": late, "dt": day(0)}
            for late in (1, 2, 3, 7200)
        ],
        "readings_hourly": [device | {"hour_start": now.replace(minute=0, second=0, microsecond=0), "dt": day(0)}],
        "site_daily": [{"site": "north", "dt": day(0)}],
        "device_health": [
            *(
                device | {"last_seen": now - dt.timedelta(days=ago), "battery_last": 2.5 + ago / 100, "dt": day(ago)}
                for ago in range(5)
            ),
            silent | {"last_seen": now - dt.timedelta(days=3), "battery_last": 3.0, "battery_trend": 0.0, "dt": day(3)},
        ],
        "quarantine": [
            {"reason": "not_json", "line": "{", "ts": None, "arrived": now, "dt": day(0)},
            {"reason": "conflict", "line": line, "ts": now, "arrived": now, "dt": day(0)},
        ],
        "devices": [device, silent],
        "alerts": [
            firing,
            firing,  # told twice
            alert | {"sequence": 2, "change": "resolved", "fired_at": fired, "changed_at": resolved},
        ],
    }


def at(moment: dt.datetime, sql: str, *, time_zone: str = "UTC") -> str:
    """The query as if it were asked at that moment (UTC, without a zone), on a machine in that time zone."""
    utc = moment.replace(tzinfo=dt.UTC)
    today = utc.astimezone(zoneinfo.ZoneInfo(time_zone)).date()
    sql = re.sub(r"\bcurrent_date\b", f"DATE '{today}'", sql)
    return re.sub(r"\bcurrent_timestamp\b", f"CAST('{utc:%Y-%m-%d %H:%M:%S+00:00}' AS timestamp with time zone)", sql)


def as_duckdb(sql: str) -> str:
    """Athena's SQL in DuckDB's dialect."""
    (translated,) = sqlglot.transpile(sql, read="trino", write="duckdb")
    return translated


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    """What a query answers, by the names of its columns."""
    result = connection.execute(sql)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
