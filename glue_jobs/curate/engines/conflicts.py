"""Lines that contradict the reading of their (device_id, seq) that arrived first, read again from their raw object."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from glue_jobs.curate.zones.lines import line_bounds


class Conflict(NamedTuple):
    """The reading's ``ts``, its line (from 1), and the object and line of the reading that arrived first."""

    ts: dt.datetime
    raw_line: int
    first_object: str
    first_line: int


class ConflictingLine(NamedTuple):
    """The columns of the quarantine's row that are about the line."""

    ts: dt.datetime
    detail: str
    line: str
    raw_line: int
    raw_offset: int


def conflicting_lines(text: bytes, conflicts: Iterable[Conflict]) -> list[ConflictingLine]:
    """Return the line of each conflict in an object's text."""
    bounds = line_bounds(text)
    found = []
    for ts, number, first_object, first_line in conflicts:
        start, end = int(bounds[number - 1]), int(bounds[number])
        line = text[start:end].removesuffix(b"\n").decode(errors="backslashreplace")
        detail = f"contradicts line {first_line} of {first_object}, which arrived first"
        found.append(ConflictingLine(ts, detail, line, number, start))
    return found
