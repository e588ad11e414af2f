"""One batch of a run: from raw lines to switched partitions."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

import msgspec

from glue_jobs.curate.engines.engine import Counts, Engine
from glue_jobs.curate.hours import DAY, day_of, rfc3339
from glue_jobs.curate.progress import Reporter
from glue_jobs.curate.zones import layout
from glue_jobs.curate.zones.curated import CuratedZone
from glue_jobs.curate.zones.index import Index, ObjectHour
from glue_jobs.curate.zones.ledger import Ledger
from glue_jobs.curate.zones.raw import RawObject, arrivals_of
from telemetry.tables.curated import CURATED, QUARANTINE, READINGS

logger = logging.getLogger(__name__)

#: Raw objects curated together, in bytes as they are stored: what bounds the time between two commits, and the room on
#: disk. JSON lines are a dozen times as long as that, and their rows in the database about as long as the lines.
BATCH_BYTES = 512 * 2**20

#: A day's files are merged for good when it has been over for as long as this.
_CLOSED_AFTER = DAY


class Batch(NamedTuple):
    """Raw objects to read, event hours to compute again, or days whose files to merge."""

    objects: Sequence[RawObject] = ()
    hours: Sequence[dt.datetime] = ()
    merged: Sequence[str] = ()


class Outcome(NamedTuple):
    """The result of a batch. The partitions of ``days`` may have been switched, ``hours`` were computed again.

    ``left`` are hours that were touched and take more than a batch to be computed: they are left for batches of their
    own. ``expired`` are the readings that arrived for hours whose raw objects may be gone.
    """

    days: frozenset[str]
    hours: int
    left: frozenset[dt.datetime]
    expired: int
    counts: Counts


class RunContext(msgspec.Struct, frozen=True, kw_only=True):
    """The collaborators and times that all batches of a run share.

    ``engine`` makes a new one for each batch. ``oldest`` is the first arrival hour that the raw zone surely keeps.
    """

    engine: Callable[[], Engine]
    index: Index
    ledger: Ledger
    reporter: Reporter
    oldest: dt.datetime
    now: dt.datetime


def curate_batch(context: RunContext, batch: Batch, zone: CuratedZone) -> Outcome:
    """Take a batch from raw lines to switched partitions; raises :class:`~glue_jobs.curate.errors.CurateError`."""
    with closing(context.engine()) as engine:
        hours, left, expired = _read(context, engine, batch)
        days = {*map(day_of, hours), *batch.merged}
        every = days | {day_of(found.arrived) for found in batch.objects}
        context.reporter.phase("computing")
        if every:
            context.ledger.begin(every)
        zone.look(every)
        switched: dict[str, bool] = {}
        for day in sorted(days):
            some = [hour for hour in hours if day_of(hour) == day]
            plan = layout.plan(
                zone.files(READINGS, day), [hour.hour for hour in some], closed=is_closed(day, context.now)
            )
            switched[day] = engine.build_day(zone, day, some, plan)
        engine.collect_quarantine()
        keys = [found.key for found in batch.objects]
        quarantined = {day: engine.build_quarantine(zone, day, hours, keys) for day in sorted(every)}
        context.reporter.phase("switching")
        context.ledger.check_claim()
        for table in CURATED:
            changed = {day: made for day, made in quarantined.items() if made is not None}
            zone.switch(table, changed if table is QUARANTINE else switched)
        return Outcome(frozenset(every), len(hours), frozenset(left), expired, engine.counts())


def is_closed(day: str, now: dt.datetime) -> bool:
    """Whether the day has been over for long enough that its files are merged."""
    return dt.datetime.strptime(f"{day} +0000", "%Y-%m-%d %z") + DAY + _CLOSED_AFTER <= now


def is_expired(context: RunContext, hour: dt.datetime) -> bool:
    """Whether raw objects with readings of this event hour may be gone."""
    return arrivals_of(hour)[0] < context.oldest


def is_scattered(zone: CuratedZone, day: str) -> bool:
    """Whether merging the day's files would leave fewer of them."""
    return bool(layout.plan(zone.files(READINGS, day), [], closed=True).merged)


def _read(context: RunContext, engine: Engine, batch: Batch) -> tuple[list[dt.datetime], set[dt.datetime], int]:
    """Read a batch's objects and all others that hold readings of the same hours.

    The hours come back; in their place those that take more than this batch; and the number of readings of hours that
    stay as they are.
    """
    touched: list[ObjectHour] = []
    context.reporter.phase("reading")
    if batch.objects:
        touched = engine.read_whole(batch.objects)
        context.index.add(touched)
    hours = {item.hour for item in touched} | set(batch.hours)
    expired = {hour for hour in hours if is_expired(context, hour)}
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
    rest = [found for found in context.index.objects(hours) if found.key not in known]
    if batch.objects and sum(found.size for found in rest) > BATCH_BYTES:
        engine.leave(hours)
        return [], hours, readings
    engine.read_hours(rest, hours)
    return sorted(hours), set(), readings
