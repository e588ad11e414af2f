"""Glue's schedules: which there are, and how long they let the tables wait.

https://docs.aws.amazon.com/glue/latest/dg/monitor-data-warehouse-schedule.html
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

_FORM = (
    "write cron(Minutes Hours Day-of-month Month Day-of-week Year) in UTC, with ? for one of the two days, "
    "such as cron(10 * * * ? *); Glue has no rate()"
)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

#: Glue starts nothing more often.
_SHORTEST_MINUTES = 5


class _Field(NamedTuple):
    """A field of a cron expression: its bounds, its values' names from 1, and which texts are no set of values."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()
    special: str = r"(?!)"

    def values(self, text: str) -> set[int] | None:
        """The values that ``text`` stands for; None for a special one, such as the month's last day."""
        if re.fullmatch(self.special, text):
            return None
        return {value for part in text.split(",") for value in self._part(part)}

    def _part(self, part: str) -> range:
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = self.lowest, self.highest
        else:
            low = self._number(first)
            high = self._number(last) if dash else self.highest if slash else low
        if low > high or (slash and not re.fullmatch(r"[1-9]\d*", step)):
            raise ValueError(f"{part} is no value of its field {self.name}; {_FORM}")
        return range(low, high + 1, int(step) if slash else 1)

    def _number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + 1
        number = int(text) if re.fullmatch(r"\d{1,4}", text) else -1
        if not self.lowest <= number <= self.highest:
            raise ValueError(f"{text!r} is no value of its field {self.name}; {_FORM}")
        return number


_FIELDS = (
    _Field("Minutes", 0, 59),
    _Field("Hours", 0, 23),
    _Field("Day-of-month", 1, 31, special=r"\?|L|\d{1,2}W|LW"),
    _Field("Month", 1, 12, _MONTHS),
    _Field("Day-of-week", 1, 7, _DAYS, special=rf"\?|L|([1-7]|{'|'.join(_DAYS)})L"),
    _Field("Year", 1970, 2199),
)


class Schedule(NamedTuple):
    """When the curation job starts: in which minutes of a day, UTC, and whether it does so each day."""

    starts: list[int]
    every_day: bool

    @property
    def longest_wait_hours(self) -> int | None:
        """The longest time between two runs, in whole hours; None where there are days without one."""
        return math.ceil(max(_waits(self.starts)) / 60) if self.every_day else None


def parse_schedule(text: str) -> Schedule:
    """Read a Glue schedule; raises :class:`ValueError` that says what is wrong with it and what can be written."""
    found = re.fullmatch(r"cron\((.*)\)", text)
    written = found[1].split() if found else []
    if len(written) != len(_FIELDS):
        raise ValueError(f"it is no cron expression of six fields; {_FORM}")
    if (written[2] == "?") == (written[4] == "?"):
        raise ValueError(f"one of its two days, and not both, must be ?; {_FORM}")
    minutes, hours, *days = (field.values(value) for field, value in zip(_FIELDS, written, strict=True))
    starts = sorted(60 * hour + minute for hour in hours or () for minute in minutes or ())
    if min(_waits(starts)) < _SHORTEST_MINUTES:
        raise ValueError(f"it has runs less than {_SHORTEST_MINUTES} minutes apart, and Glue starts none so often")
    return Schedule(starts, every_day=_every_day(written, days))


def _every_day(written: list[str], days: list[set[int] | None]) -> bool:
    return all(
        text == "?" or (values is not None and values == field.values("*"))
        for field, text, values in zip(_FIELDS[2:], written[2:], days, strict=True)
    )


def _waits(starts: list[int]) -> list[int]:
    """From each start to the next, in minutes; from the last to the first of the next day."""
    return [later - start for start, later in zip(starts, [*starts[1:], starts[0] + 24 * 60], strict=True)]
