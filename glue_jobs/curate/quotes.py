"""Lines that contradict the reading of their (device_id, seq) which arrived first, looked up in their object."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from glue_jobs.curate.lines import line_bounds


class Contradiction(NamedTuple):
    """The reading's ``ts``, its line (from 1), and the object and line that hold what arrived first."""

    ts: dt.datetime
    raw_line: int
    first_object: str
    first_line: int


class Quote(NamedTuple):
    """What the quarantine says of it."""

    ts: dt.datetime
    detail: str
    line: str
    raw_line: int
    raw_offset: int


def quotes(text: bytes, contradictions: Iterable[Contradiction]) -> list[Quote]:
    """The lines of an object's text."""
    bounds = line_bounds(text)
    quoted = []
    for ts, number, first_object, first_line in contradictions:
        start, end = int(bounds[number - 1]), int(bounds[number])
        line = text[start:end].removesuffix(b"\n").decode(errors="backslashreplace")
        detail = f"contradicts line {first_line} of {first_object}, which arrived first"
        quoted.append(Quote(ts, detail, line, number, start))
    return quoted
