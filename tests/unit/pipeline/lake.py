"""Tables in DuckDB in place of Athena: queries run on the columns that ``telemetry.tables`` declares."""

from __future__ import annotations

import csv
import datetime as dt
import io

import duckdb
import pandas as pd

from telemetry.tables.table import Table

_TYPES = {"string": "VARCHAR"}


class Lake:
    """Tables with rows, and the queries that were asked."""

    def __init__(self, *tables: Table) -> None:
        self._db = duckdb.connect()
        self.asked: list[str] = []
        for table in tables:
            columns = (*table.columns, *table.partition_keys)
            declared = ", ".join(f"{column.name} {_TYPES.get(column.type, column.type)}" for column in columns)
            self._db.execute(f"CREATE TABLE {table.name} ({declared})")

    def add(self, table: Table, dt_: str, **values: str | int | dt.datetime | None) -> None:
        """A row of a table; columns that are not named are null. Times are UTC."""
        values = {
            name: value.astimezone(dt.UTC).replace(tzinfo=None) if isinstance(value, dt.datetime) else value
            for name, value in values.items()
        } | {"dt": dt_}
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(values.values()))

    def query(self, _session: object, _deployed: object, sql: str) -> pd.DataFrame:
        """What ``pipeline.athena.query`` gives: results that were CSV on the way, read as awswrangler reads them."""
        self.asked.append(sql)
        frame = self._db.execute(sql).df()
        text = io.StringIO(frame.to_csv(index=False, quoting=csv.QUOTE_ALL), newline=None)
        return pd.read_csv(
            text,
            dtype={name: "string" for name in frame.columns if frame[name].dtype.kind == "O"},
            parse_dates=[name for name in frame.columns if frame[name].dtype.kind == "M"],
            keep_default_na=False,
            na_values=["", "NaN"],
        )
