"""How far back a run reaches: which of the event hours it touched it leaves as they are."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import NamedTuple

from glue_jobs.curate.arguments import Arguments
from glue_jobs.curate.partition import HOUR, rfc3339
from glue_jobs.curate.raw import arrivals_of

logger = logging.getLogger(__name__)

#: How old an event hour may be for a run whose window nobody chose. To compute an hour anew is to read all
#: that arrived since: one device with a slow clock would have every scheduled run read a month.
SCHEDULED_REACH = 48 * HOUR


class Reach(NamedTuple):
    """Touched event hours: to compute anew, to leave for lack of raw objects, and to leave to another run."""

    within: list[dt.datetime]
    expired: list[dt.datetime]
    postponed: list[dt.datetime]


def reach(touched: Sequence[dt.datetime], arguments: Arguments, now: dt.datetime) -> Reach:
    """Sort the hours out. One whose raw objects may partly have expired would come out smaller than it is."""
    found = Reach([], [], [])
    oldest, scheduled = arguments.oldest_kept(now), arguments.window_from is None
    for hour in touched:
        if arrivals_of([hour])[0] < oldest:
            found.expired.append(hour)
        elif scheduled and hour < now - SCHEDULED_REACH:
            found.postponed.append(hour)
        else:
            found.within.append(hour)
    return found


def warn_of_expired(hours: Sequence[dt.datetime], readings: int, arguments: Arguments) -> None:
    """Log which hours stay as they are, whatever has arrived for them."""
    logger.warning(
        "%d readings are not curated: raw objects of their hours may be gone (raw_retention_days is %d): %s",
        readings,
        arguments.raw_retention_days,
        _listed(hours),
    )


def warn_of_postponed(hours: Sequence[dt.datetime], readings: int, window: tuple[dt.datetime, dt.datetime]) -> None:
    """Log which hours wait for a run over a window that somebody chose, and how to start it."""
    logger.warning(
        "%d readings are postponed: a run over the default window curates no hour older than %d hours: %s; "
        "to curate them: iot etl run --from %s --to %s",
        readings,
        SCHEDULED_REACH // HOUR,
        _listed(hours),
        *map(rfc3339, window),
    )


def _listed(hours: Sequence[dt.datetime]) -> str:
    return ", ".join(map(rfc3339, hours))
