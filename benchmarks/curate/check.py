"""Whether what a contender wrote is right: ``python -m benchmarks.curate.check NAME DATA OUT``.

In a process of its own, so that its memory is not counted as the contender's or the next one's.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import duckdb

from benchmarks.curate.contenders import FLOOR
from benchmarks.curate.dataset import contents
from telemetry.tables.curated import QUARANTINE, READINGS


class WrongOutputError(Exception):
    """A contender that is fast because it does something else."""


def check(name: str, data: Path, out: Path) -> None:
    """Raises :class:`WrongOutputError` unless all readings are there, each once, and all malformed lines.

    The floor removes no copies, has no quarantine, and DuckDB takes some lines after a malformed one for malformed too.
    """
    held = contents(data)
    readings, humidity = _sums(out, READINGS.name, "count(device_id), coalesce(sum(humidity), 0)")
    if name == FLOOR:
        right = held.rows - held.malformed <= readings <= held.rows + held.duplicates
        _expect(right, f"{name}: {readings:,} readings instead of some {held.rows:,}")
        return
    _expect(readings == held.rows, f"{name}: {readings:,} readings instead of {held.rows:,}")
    # Added up in another order than the data's maker did.
    right = math.isclose(humidity, held.humidity, rel_tol=1e-6)
    _expect(right, f"{name}: humidity adds up to {humidity} instead of {held.humidity}")
    (malformed,) = _sums(out, QUARANTINE.name, "count(*)")
    _expect(malformed == held.malformed, f"{name}: {malformed:,} malformed lines instead of {held.malformed:,}")


def _sums(out: Path, table: str, what: str) -> tuple[float, ...]:
    files = [str(path) for path in (out / table).rglob("*.parquet")]
    _expect(bool(files), f"no Parquet in {out / table}")
    return duckdb.read_parquet(files, hive_partitioning=False).aggregate(what).fetchall()[0]


def _expect(right: bool, otherwise: str) -> None:
    if not right:
        raise WrongOutputError(otherwise)


if __name__ == "__main__":
    check(sys.argv[1], *map(Path, sys.argv[2:]))
