"""Who is measured, by name, and what a contender is: something that curates raw objects into tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

from benchmarks import measuring


def _nothing() -> None:
    """There is nothing to let go of."""


class Contender(NamedTuple):
    """Reads the raw objects of a data set's folder and writes, into another, folders of Parquet named as the tables.

    ``packages`` are those whose versions matter; ``close`` ends what it started.
    """

    curate: Callable[[Path, Path], object]
    packages: tuple[str, ...]
    close: Callable[[], None] = _nothing


OURS, PANDAS, POLARS, SPARK, FLOOR = "ours", "pandas", "polars", "spark", "floor"

#: What people use in its place.
PEERS = (PANDAS, POLARS, SPARK)

#: The packages that are not there until ``make bench`` installs them: too large for a newcomer's first minutes.
GUESTS = ("polars", "pyspark")

#: Where each is made. Only the one that runs is imported: its memory is measured.
_MAKERS = {
    OURS: "ours:contender",
    FLOOR: "floor:contender",
    PANDAS: "pandas_job:contender",
    POLARS: "polars_job:contender",
    SPARK: "spark_job:contender",
}

NAMES = tuple(_MAKERS)


def contender(name: str) -> Contender:
    """Make the contender of this name."""
    return cast("Contender", measuring.contender("curate", _MAKERS, name))
