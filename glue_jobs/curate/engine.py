"""What computes a batch: DuckDB on one machine, or Spark on many. Both run the same SQL and leave the same rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import NamedTuple, Optional, Protocol

from glue_jobs.curate.lake import Lake
from glue_jobs.curate.layout import Plan
from glue_jobs.curate.raw import RawObject


class Touched(NamedTuple):
    """Readings that an object holds for an event hour (UTC), copies included."""

    hour: dt.datetime
    found: RawObject
    readings: int


class Share(NamedTuple):
    """Of the readings that a day's devices sent by their numbers or their intervals, those that are there."""

    received: int
    expected: int


class Counts(NamedTuple):
    """Readings of the hours computed anew, copies removed from them, lines quarantined, and the newest ``ts``.

    ``days`` are those that were built and have readings.
    """

    readings: int
    duplicates: int
    quarantined: int
    newest: Optional[dt.datetime]
    days: dict[str, Share]


class Engine(Protocol):
    """One batch. Read the new objects, then others that hold readings of the same hours; build the days; quarantine."""

    def read_whole(self, objects: Sequence[RawObject]) -> list[Touched]:
        """Read every line of these objects; which event hours their readings lie in comes back."""

    def read_hours(self, objects: Sequence[RawObject], hours: Collection[dt.datetime]) -> None:
        """Read, of these objects, the readings of these event hours."""

    def leave(self, hours: Collection[dt.datetime]) -> None:
        """Leave the readings of these event hours out."""

    def touched(self) -> list[Touched]:
        """Which objects hold readings of which event hours, of all that was read so far."""

    def build_day(self, lake: Lake, day: str, hours: Collection[dt.datetime], plan: Plan) -> bool:
        """Put a day's files, with these hours computed anew, beside the old ones; whether there are any.

        ``plan`` says which of the day's present files of readings are copied and which are merged.
        """

    def collect_quarantine(self) -> None:
        """Collect what is to be quarantined: refused lines, and those that contradict a reading of the days built."""

    def build_quarantine(
        self, lake: Lake, day: str, hours: Collection[dt.datetime], objects: Collection[str]
    ) -> Optional[bool]:
        """Put a day's quarantine beside the old one; whether there is any, or None if nothing changes.

        What is computed anew are the conflicts of ``hours`` and the refused lines of ``objects`` (keys).
        """

    def counts(self) -> Counts:
        """What was built."""

    def close(self) -> None:
        """Let go of the memory and the files."""
