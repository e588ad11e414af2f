"""Progress and summary of a run, in the table of the curation's state."""

from __future__ import annotations

import datetime as dt
from typing import Optional

import msgspec


class Progress(msgspec.Struct):
    """Progress of a run."""

    phase: str = "starting"
    objects: int = 0
    objects_total: int = 0
    rows: int = 0


class ChangedHour(msgspec.Struct, frozen=True):
    """Result of a dry run for an event hour: the readings that arrived for it, copies included."""

    hour: dt.datetime
    readings: int


class Summary(msgspec.Struct, kw_only=True):
    """Summary of a run.

    ``readings`` and ``duplicates`` are those of all the hours it computed anew, ``expired_readings`` those that arrived
    for hours whose raw objects may have expired, which stay as they are. ``merged`` are days whose files were merged.
    ``completeness`` is, in percent, how many of the readings that the table ``device_health`` expects have come, of the
    days it wrote; None where it wrote none. ``would_change`` is what a dry run found; nothing else is counted then but
    ``objects``, ``lines``, ``expired_readings`` and ``quarantined``.
    """

    run_id: str
    dry_run: bool = False
    objects: int = 0
    lines: int = 0
    hours: int = 0
    days: int = 0
    readings: int = 0
    duplicates: int = 0
    quarantined: int = 0
    expired_readings: int = 0
    merged: int = 0
    watermark: Optional[dt.datetime] = None
    newest_reading: Optional[dt.datetime] = None
    completeness: Optional[float] = None
    would_change: list[ChangedHour] = []
