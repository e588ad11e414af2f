"""The engine on one machine: DuckDB, with what it reads and writes in a temporary folder."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Optional

from glue_jobs.curate.engines.engine import Counts
from glue_jobs.curate.engines.transform import Made, Previous, Transform
from glue_jobs.curate.progress import Reporter
from glue_jobs.curate.zones.curated import CuratedZone
from glue_jobs.curate.zones.index import ObjectHour
from glue_jobs.curate.zones.layout import Plan
from glue_jobs.curate.zones.raw import Content, RawObject, RawZone
from telemetry.registry.devices import DeviceRow
from telemetry.tables.curated import QUARANTINE, READINGS, READINGS_HOURLY


class DuckDBEngine:
    """See :class:`~glue_jobs.curate.engines.engine.Engine`. Its folder goes when it is closed."""

    def __init__(self, raw: RawZone, registry: Sequence[DeviceRow], reporter: Reporter) -> None:
        self._raw = raw
        self._reporter = reporter
        self._folder = tempfile.TemporaryDirectory(prefix="curate-")
        self._transform = Transform(Path(self._folder.name), registry)

    def read_whole(self, objects: Sequence[RawObject]) -> list[ObjectHour]:
        """Read every line of these objects; which event hours their readings lie in comes back."""
        self._transform.read_whole(self._contents(objects))
        return self._transform.object_hours()

    def read_hours(self, objects: Sequence[RawObject], hours: Collection[dt.datetime]) -> None:
        """Read, of these objects, the readings of these event hours."""
        self._transform.read_hours(self._contents(objects), hours)

    def leave(self, hours: Collection[dt.datetime]) -> None:
        """Leave the readings of these event hours out."""
        self._transform.leave(hours)

    def object_hours(self) -> list[ObjectHour]:
        """Which objects hold readings of which event hours, of all that was read so far."""
        return self._transform.object_hours()

    def build_day(self, zone: CuratedZone, day: str, hours: Collection[dt.datetime], plan: Plan) -> bool:
        """Put a day's files, with these hours computed anew, beside the old ones; whether there are any."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as name:
            copies = Path(name)
            previous = Previous(
                kept=zone.download(plan.copied, copies),
                merged=zone.download(plan.merged, copies),
                hourly=zone.download(zone.files(READINGS_HOURLY, day), copies),
            )
            for file in plan.copied:
                zone.copy(READINGS, day, file)
            made = self._transform.build_day(day, hours, previous)
            _upload(zone, day, made)
        return bool(made)

    def collect_quarantine(self) -> None:
        """Collect what is to be quarantined: refused lines, and those that contradict a reading of the days built."""
        self._transform.quote(self._raw.read(self._transform.contradicting()))
        self._transform.quarantine_refused()

    def build_quarantine(
        self, zone: CuratedZone, day: str, hours: Collection[dt.datetime], objects: Collection[str]
    ) -> Optional[bool]:
        """Put a day's quarantine beside the old one; whether there is any, or None if nothing changes."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as copies:
            there = zone.download(zone.files(QUARANTINE, day), Path(copies))
            made = self._transform.build_quarantine(day, hours, objects, there)
            if made is None:
                return None
            _upload(zone, day, made)
        return bool(made)

    def counts(self) -> Counts:
        """What was built."""
        return self._transform.counts()

    def close(self) -> None:
        """Let go of the memory and the files."""
        self._transform.close()
        self._folder.cleanup()

    def _contents(self, objects: Iterable[RawObject]) -> Iterator[Content]:
        """The contents of objects, while the run's progress is told."""
        lines = self._transform.lines
        for content in self._raw.read(objects):
            yield content
            self._reporter.count(objects=1, rows=self._transform.lines - lines)
            lines = self._transform.lines


def _upload(zone: CuratedZone, day: str, made: Iterable[Made]) -> None:
    for table, name, path in made:
        zone.upload(table, day, name, path)
        path.unlink()
