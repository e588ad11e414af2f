"""Interface of an engine, which curates one batch. DuckDB and Spark run the same SQL and write the same rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import NamedTuple, Optional, Protocol

from glue_jobs.curate.zones.curated import CuratedZone
from glue_jobs.curate.zones.index import ObjectHour
from glue_jobs.curate.zones.layout import Plan
from glue_jobs.curate.zones.raw import RawObject


class Completeness(NamedTuple):
    """Readings received of a day's devices, and expected by their numbers or intervals."""

    received: int
    expected: int


class Counts(NamedTuple):
    """Readings of the hours computed again, copies removed from them, lines quarantined, and the newest ``ts``.

    ``days`` are those that were built and have readings.
    """

    readings: int
    duplicates: int
    quarantined: int
    newest: Optional[dt.datetime]
    days: dict[str, Completeness]


class Engine(Protocol):
    """One batch. Read the new objects, then others with readings of the same hours; build the days; quarantine."""

    def read_whole(self, objects: Sequence[RawObject]) -> list[ObjectHour]:
        """Read every line of these objects; return which event hours their readings lie in."""

    def read_hours(self, objects: Sequence[RawObject], hours: Collection[dt.datetime]) -> None:
        """Read the readings of these event hours from these objects."""

    def leave(self, hours: Collection[dt.datetime]) -> None:
        """Leave the readings of these event hours out."""

    def object_hours(self) -> list[ObjectHour]:
        """Return which objects hold readings of which event hours, of all that was read so far."""

    def build_day(self, zone: CuratedZone, day: str, hours: Collection[dt.datetime], plan: Plan) -> bool:
        """Write a day's files, with these hours computed again, next to the old ones; return whether there are any.

        ``plan`` says which of the day's present files of readings are copied and which are merged.
        """

    def collect_quarantine(self) -> None:
        """Collect the lines to quarantine: refused ones, and those that contradict a reading of the days built."""

    def build_quarantine(
        self, zone: CuratedZone, day: str, hours: Collection[dt.datetime], objects: Collection[str]
    ) -> Optional[bool]:
        """Write a day's quarantine next to the old one; return whether it has rows, or None if nothing changes.

        The conflicts of ``hours`` and the refused lines of ``objects`` (keys) are computed again.
        """

    def counts(self) -> Counts:
        """Return what was built."""

    def close(self) -> None:
        """Release the memory and the files."""
