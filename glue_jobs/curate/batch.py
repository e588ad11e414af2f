"""One batch of a run: from raw lines to switched partitions."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

import msgspec

from glue_jobs.curate import layout
from glue_jobs.curate.engine import Counts, Engine, Touched
from glue_jobs.curate.index import Index
from glue_jobs.curate.lake import Lake
from glue_jobs.curate.ledger import Ledger
from glue_jobs.curate.partition import DAY, day_of, rfc3339
from glue_jobs.curate.progress import Reporter
from glue_jobs.curate.raw import RawObject, arrivals_of
from telemetry.tables import CURATED, QUARANTINE, READINGS

logger = logging.getLogger(__name__)

#: A day's files are merged for good when it has been over for as long as this.
_CLOSED_AFTER = DAY


class Batch(NamedTuple):
    """Raw objects to read, event hours to compute anew, or days whose files to merge."""

    objects: Sequence[RawObject] = ()
    hours: Sequence[dt.datetime] = ()
    merged: Sequence[str] = ()


class Outcome(NamedTuple):
    """What came of a batch. ``days`` are those whose partitions may have been switched, ``hours`` were computed anew.

    ``expired`` are the readings that arrived for hours whose raw objects may be gone.
    """

    days: frozenset[str]
    hours: int
    expired: int
    counts: Counts


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What all batches of a run work with.

    ``engine`` makes a new one for each batch. ``oldest`` is the first arrival hour that the raw zone surely keeps.
    """

    engine: Callable[[], Engine]
    index: Index
    ledger: Ledger
    reporter: Reporter
    oldest: dt.datetime
    now: dt.datetime


def curate_batch(bench: Bench, batch: Batch, lake: Lake) -> Outcome:
    """Take a batch from raw lines to switched partitions; raises :class:`~glue_jobs.curate.errors.CurateError`."""
    with closing(bench.engine()) as engine:
        hours, expired = _read(bench, engine, batch)
        days = {*map(day_of, hours), *batch.merged}
        every = days | {day_of(found.arrived) for found in batch.objects}
        bench.reporter.phase("computing")
        if every:
            bench.ledger.begin(every)
        lake.look(every)
        switched: dict[str, bool] = {}
        for day in sorted(days):
            some = [hour for hour in hours if day_of(hour) == day]
            plan = layout.plan(
                lake.files(READINGS, day), [hour.hour for hour in some], closed=is_closed(day, bench.now)
            )
            switched[day] = engine.build_day(lake, day, some, plan)
        engine.collect_quarantine()
        keys = [found.key for found in batch.objects]
        quarantined = {day: engine.build_quarantine(lake, day, hours, keys) for day in sorted(every)}
        bench.reporter.phase("switching")
        bench.ledger.check_claim()
        for table in CURATED:
            changed = {day: made for day, made in quarantined.items() if made is not None}
            lake.switch(table, changed if table is QUARANTINE else switched)
        return Outcome(frozenset(every), len(hours), expired, engine.counts())


def is_closed(day: str, now: dt.datetime) -> bool:
    """Whether the day has been over for long enough that its files are merged."""
    return dt.datetime.strptime(f"{day} +0000", "%Y-%m-%d %z") + DAY + _CLOSED_AFTER <= now


def is_scattered(lake: Lake, day: str) -> bool:
    """Whether merging the day's files would leave fewer of them."""
    return bool(layout.plan(lake.files(READINGS, day), [], closed=True).merged)


def _read(bench: Bench, engine: Engine, batch: Batch) -> tuple[list[dt.datetime], int]:
    """Read a batch's objects and all others that hold readings of the same hours.

    The hours come back, and the number of readings of those that are left as they are.
    """
    touched: list[Touched] = []
    bench.reporter.phase("reading")
    if batch.objects:
        touched = engine.read_whole(batch.objects)
        bench.index.add(touched)
    hours = {item.hour for item in touched} | set(batch.hours)
    expired = {hour for hour in hours if arrivals_of(hour)[0] < bench.oldest}
    readings = sum(item.readings for item in touched if item.hour in expired)
    if expired:
        logger.warning(
            "%d readings are not curated: raw objects of their hours may be gone: %s",
            readings,
            ", ".join(map(rfc3339, sorted(expired))),
        )
        engine.leave(expired)
        hours -= expired
    known = {found.key for found in batch.objects}
    rest = [found for found in bench.index.objects(hours) if found.key not in known]
    engine.read_hours(rest, hours)
    return sorted(hours), readings
