"""Parquet files of the curated tables, read and written by DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from telemetry.tables.table import Table
from telemetry.text.sql import literal


def rows_of(table: Table, files: Sequence[Path], condition: str = "TRUE") -> str:
    """Return the query of the rows in a table's files where the condition holds.

    A column that is younger than a file is null in it.
    """
    empty = ", ".join(f"CAST(NULL AS {column.type}) AS {column.name}" for column in table.columns)
    nothing = f"SELECT {empty} WHERE FALSE"
    if not files:
        return nothing
    paths = ", ".join(literal(str(path)) for path in files)
    columns = ", ".join(table.column_names)
    return (
        f"SELECT {columns} FROM ({nothing} UNION ALL BY NAME "
        f"SELECT * FROM read_parquet([{paths}], union_by_name = true, hive_partitioning = false) WHERE {condition})"
    )


def write(db: duckdb.DuckDBPyConnection, table: Table, rows: str, path: Path) -> int:
    """Write the rows of a query as a file with the table's columns, names and types; return how many they are."""
    columns = ", ".join(f"CAST({column.name} AS {column.type}) AS {column.name}" for column in table.columns)
    ((count,),) = db.execute(
        f"COPY (SELECT {columns} FROM ({rows})) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)"
    ).fetchall()
    return int(count)
