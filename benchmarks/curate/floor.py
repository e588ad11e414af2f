"""The floor: DuckDB reads the typed columns of every line and writes them, and does nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from benchmarks.curate.contenders import Contender
from benchmarks.curate.dataset import raw_objects
from benchmarks.curate.without_pandas import hide_pandas
from telemetry.tables.curated import READINGS

_COLUMNS = {
    "device_id": "VARCHAR",
    "site": "VARCHAR",
    "ts": "TIMESTAMP",
    "seq": "BIGINT",
    "temperature": "DOUBLE",
    "humidity": "DOUBLE",
    "battery": "DOUBLE",
    "status": "VARCHAR",
}


def contender() -> Contender:
    """One statement; a malformed line is a row of nulls, a copy is a row."""
    hide_pandas()
    return Contender(_curate, ("duckdb",))


def _curate(data: Path, out: Path) -> None:
    (out / READINGS.name).mkdir()
    paths: Any = [str(path) for path in raw_objects(data)]  # DuckDB's types know of one file only
    duckdb.read_json(
        paths,
        format="newline_delimited",
        columns=_COLUMNS,
        ignore_errors=True,
        hive_partitioning=False,
    ).write_parquet(str(out / READINGS.name / "0.parquet"), compression="zstd")
