"""The files of a day of readings, and the plan which of them to copy as they are and which to write again.

A file holds whole hours and says in its name from which to which, and how many rows: ``07-09-5000.parquet``. An hour
is in one file only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

#: How many files a day's partition has at the most, but where they are of the size they should be.
MOST_FILES = 6

#: Rows written to one file, or one hour's if it has more: some 150 MB. Athena reads best from files of 128 MB and more,
#: and opens each at a cost.
#: https://docs.aws.amazon.com/athena/latest/ug/performance-tuning-data-optimization-techniques.html
_ROWS_A_FILE = 5_000_000

_NAME = re.compile(r"(\d\d)-(\d\d)-(\d+)\.parquet")


class DayFile(NamedTuple):
    """A file of a day's partition: its object's key, the first and last hour of the day it may have, and its rows."""

    key: str
    first: int
    last: int
    rows: int

    @property
    def name(self) -> str:
        """The key's last part."""
        return self.key.rpartition("/")[2]


class Plan(NamedTuple):
    """Plan for a day's files: copy them as they are, or merge them into new ones."""

    copied: list[DayFile]
    merged: list[DayFile]


def day_file(key: str) -> DayFile:
    """The file of that key. A name that says no hours may have them all, and is merged when there is an occasion."""
    named = _NAME.fullmatch(key.rpartition("/")[2])
    first, last, rows = map(int, named.groups()) if named else (0, 23, 0)
    return DayFile(key, first, last, rows)


def file_name(hours: Collection[int], rows: int) -> str:
    """The name of a file of so many rows of these hours."""
    return f"{min(hours):02}-{max(hours):02}-{rows}.parquet"


def plan(files: Iterable[DayFile], touched: Collection[int], *, closed: bool) -> Plan:
    """Merge the files that hold touched hours; neighbours that fit into one too, if there would be too many files.

    The day is ``closed`` when even two are. Merged neighbours are fewer files afterwards, so that an end comes to it.
    """
    ordered = sorted(files, key=lambda file: file.first)
    holds = [any(file.first <= hour <= file.last for hour in touched) for file in ordered]
    if closed or holds.count(False) + 1 > MOST_FILES:
        fit = [one.rows + other.rows <= _ROWS_A_FILE for one, other in zip(ordered, ordered[1:])]
        merged = [any(three) for three in zip(holds, [*fit, False], [False, *fit])]
    else:
        merged = holds
    return Plan(
        [file for file, written in zip(ordered, merged) if not written],
        [file for file, written in zip(ordered, merged) if written],
    )


def groups(rows: Mapping[int, int]) -> Iterator[list[int]]:
    """Hours, each with its rows, as they go into one file each: in order, up to _ROWS_A_FILE together."""
    group: list[int] = []
    size = 0
    for hour in sorted(rows):
        if group and size + rows[hour] > _ROWS_A_FILE:
            yield group
            group, size = [], 0
        group.append(hour)
        size += rows[hour]
    if group:
        yield group
