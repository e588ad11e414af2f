"""Which files a day of readings lies in: some of them to copy as they are, the others to write anew.

A file holds whole hours and says in its name from which to which: ``07-09.parquet``. An hour is in one file only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

#: How many files a day's partition has at the most, but where its hours are larger than _ROWS_A_FILE.
MOST_FILES = 6

#: Below this a file is worth merging: Athena reads best from files of 128 MB and more, and opens each at a cost.
#: https://docs.aws.amazon.com/athena/latest/ug/performance-tuning-data-optimization-techniques.html
_SMALL_BYTES = 128 * 2**20

#: Rows written to one file: some 30 bytes each, compressed.
_ROWS_A_FILE = 5_000_000

_NAME = re.compile(r"(\d\d)-(\d\d)\.parquet")


class DayFile(NamedTuple):
    """A file of a day's partition: its object's key and size, and the first and last hour of the day it may have."""

    key: str
    size: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """The key's last part."""
        return self.key.rpartition("/")[2]


class Plan(NamedTuple):
    """What becomes of a day's files: copied as they are, or merged into new ones."""

    copied: list[DayFile]
    merged: list[DayFile]


def day_file(key: str, size: int) -> DayFile:
    """The file of that key. A name that says no hours may have them all."""
    named = _NAME.fullmatch(key.rpartition("/")[2])
    first, last = (int(named[1]), int(named[2])) if named else (0, 23)
    return DayFile(key, size, first, last)


def file_name(hours: Collection[int]) -> str:
    """The name of a file of these hours."""
    return f"{min(hours):02}-{max(hours):02}.parquet"


def plan(files: Iterable[DayFile], touched: Collection[int], *, closed: bool) -> Plan:
    """Merge the files that hold touched hours; small ones too, if the day is ``closed`` or would have too many."""
    made = Plan([], [])
    for file in files:
        holds = any(file.first <= hour <= file.last for hour in touched)
        (made.merged if holds else made.copied).append(file)
    if closed or len(made.copied) + 1 > MOST_FILES:
        small = [file for file in made.copied if file.size < _SMALL_BYTES]
        # One small file alone gains nothing, unless there is something it can be merged with.
        if len(small) > 1 or (small and (touched or made.merged)):
            return Plan([file for file in made.copied if file not in small], [*made.merged, *small])
    return made


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
