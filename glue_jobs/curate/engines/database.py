"""DuckDB as the job and the readers of the lake's files use it: with bounded memory, and with Python's values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa


def connect(folder: Path, *, memory: str, file: str = "") -> duckdb.DuckDBPyConnection:
    """Open a database in memory, or in a ``file`` of the folder.

    It keeps no more than ``memory`` (such as ``1GB``), spills the rest into ``folder`` and installs no extensions.
    """
    return duckdb.connect(
        folder / file if file else ":memory:",
        config={
            "memory_limit": memory,
            "temp_directory": str(folder / "spill"),
            "autoinstall_known_extensions": "false",
        },
    )


def insert(
    db: duckdb.DuckDBPyConnection,
    table: str,
    rows: Sequence[tuple[object, ...]],
    schema: pa.Schema,
    condition: str = "TRUE",
    *,
    into: str = "",
    select: str = "*",
) -> None:
    """Insert rows of Python's values into a table (or its columns ``into``), where a condition holds."""
    if rows:
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows), schema)]
        db.register("rows", pa.Table.from_arrays(columns, schema=schema))
        db.execute(f"INSERT INTO {table} {into} SELECT {select} FROM rows WHERE {condition}")
        db.unregister("rows")


def naive(moment: dt.datetime) -> dt.datetime:
    """Return the moment in UTC without its time zone, as timestamps stand in the tables."""
    return moment.astimezone(dt.timezone.utc).replace(tzinfo=None)
