"""One run: what is to be curated, in batches of a bounded size, each committed before the next."""

from __future__ import annotations

import datetime as dt
import logging
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from glue_jobs.curate import batch as batches
from glue_jobs.curate.arguments import Arguments
from glue_jobs.curate.batch import Batch, Outcome, RunContext, curate_batch, is_closed, is_expired, is_scattered
from glue_jobs.curate.engines.engine import Completeness, Engine
from glue_jobs.curate.errors import doing
from glue_jobs.curate.hours import HOUR, day_of
from glue_jobs.curate.progress import Reporter
from glue_jobs.curate.summary import ChangedHour, Summary
from glue_jobs.curate.zones.curated import CuratedZone
from glue_jobs.curate.zones.devices import write_devices
from glue_jobs.curate.zones.index import Index
from glue_jobs.curate.zones.ledger import Ledger, Position
from glue_jobs.curate.zones.raw import RawObject, RawZone
from telemetry.registry.devices import DeviceRow, devices
from telemetry.registry.registry import RegistryError, parse_registry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)


class Clients(NamedTuple):
    """The AWS clients a run works with."""

    s3: S3Client
    glue: GlueClient
    dynamodb: DynamoDBClient


#: Makes an engine for a batch.
MakeEngine = Callable[[RawZone, Sequence[DeviceRow], Reporter], Engine]


def curate(clients: Clients, arguments: Arguments, now: dt.datetime, make_engine: MakeEngine) -> Summary:
    """Curate what the arguments say; raises :class:`~glue_jobs.curate.errors.CurateError`.

    Whatever event hours the readings of raw objects lie in are computed again from all raw objects known to hold
    readings of these hours, so that the order and the number of runs change nothing.
    """
    run_id = arguments.run_id or f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    return _Run(clients, arguments, now, run_id, make_engine).run()


class _Run:
    def __init__(
        self, clients: Clients, arguments: Arguments, now: dt.datetime, run_id: str, make_engine: MakeEngine
    ) -> None:
        self._clients = clients
        self._arguments = arguments
        self._ledger = Ledger(
            clients.dynamodb,
            clients.s3,
            table=arguments.state_table,
            bucket=arguments.lake_bucket,
            run_id=run_id,
            now=now,
        )
        self._raw = RawZone(clients.s3, arguments.raw_bucket)
        self._registry = _read_registry(clients.s3, arguments)
        reporter = Reporter(self._ledger)
        self._context = RunContext(
            engine=lambda: make_engine(self._raw, self._registry, reporter),
            index=Index(clients.s3, arguments.lake_bucket),
            ledger=self._ledger,
            reporter=reporter,
            oldest=arguments.oldest_kept(now),
            now=now,
        )
        self._summary = Summary(run_id=run_id, dry_run=arguments.dry_run)
        self._batches = 0
        self._days: dict[str, Completeness] = {}

    def run(self) -> Summary:
        self._context.reporter.phase("listing")
        if self._arguments.dry_run:
            self._look()
        else:
            self._curate()
        self._summary.lines = self._context.reporter.rows
        expected = sum(day.expected for day in self._days.values())
        if expected:
            self._summary.completeness = 100 * sum(day.received for day in self._days.values()) / expected
        self._context.reporter.end(msgspec.json.encode(self._summary).decode())
        return self._summary

    def _curate(self) -> None:
        position, unsettled = self._ledger.claim()
        days = set(unsettled)
        position = self._compute_pending(position.leaving(self._window_hours()), days)
        for batch in self._work(position):
            outcome = self._curate_batch(batch)
            days |= outcome.days
            if self._arguments.window_from is None:
                position = position.after(batch.objects)
            position = position.leaving(outcome.left)
            self._ledger.commit(position)
            self._clean(days)
            position = self._compute_pending(position, days)
        if self._registry:
            with tempfile.TemporaryDirectory(prefix="curate-") as folder:
                self._zone("").replace_devices(write_devices(Path(folder), self._registry))
        scattered = [day for day in sorted(days) if self._is_scattered(day)]
        if scattered:
            self._curate_batch(Batch(merged=scattered))
            self._summary.merged = len(scattered)
        clean = self._clean(days)
        self._ledger.settle([day for day in clean if is_closed(day, self._context.now)])
        self._summary.watermark = position.watermark

    def _compute_pending(self, position: Position, days: set[str]) -> Position:
        """Compute the hours that are pending, in pieces; the days are added to ``days``."""
        while position.pending:
            hours = self._piece(position.pending)
            days |= self._curate_batch(Batch(hours=hours)).days
            position = position.computed(hours)
            self._ledger.commit(position)
            self._clean(days)
        return position

    def _piece(self, hours: Collection[dt.datetime]) -> list[dt.datetime]:
        """The first of these hours, and more of the same day as long as their raw objects fit into a batch."""
        piece: list[dt.datetime] = []
        sizes: dict[str, int] = {}
        for hour in sorted(hours):
            sizes |= {found.key: found.size for found in self._context.index.objects([hour])}
            if piece and (sum(sizes.values()) > batches.BATCH_BYTES or day_of(hour) != day_of(piece[0])):
                break
            piece.append(hour)
        return piece

    def _window_hours(self) -> list[dt.datetime]:
        """The hours of a window of event time."""
        window = self._arguments.window(self._context.now)
        if window is None or self._arguments.window_by == "arrival":
            return []
        start, end = window
        return [start + number * HOUR for number in range((end - start) // HOUR)]

    def _work(self, position: Position) -> Iterator[Batch]:
        """The raw objects to curate, in batches of a bounded size."""
        arguments, raw, oldest = self._arguments, self._raw, self._context.oldest
        window = arguments.window(self._context.now)
        if window and arguments.window_by == "event":
            return
        if window:
            listed = raw.objects(*window)
        elif arguments.full or position.since is None:
            listed = raw.objects(oldest)
        else:
            listed = (item for item in raw.objects(max(position.since, oldest)) if item.key not in position.seen)
        found = list(self._present(listed))
        self._summary.objects = len(found)
        self._context.reporter.expect(len(found))
        yield from map(Batch, _in_batches(found))

    def _present(self, objects: Iterable[RawObject]) -> Iterator[RawObject]:
        """Leave out what says it arrives later: the watermark would go there, and nothing before it would be new."""
        for found in objects:
            if found.hour.start <= self._context.now + HOUR:
                yield found
            else:
                logger.warning("left alone, its hour of arrival is to come: s3://%s/%s", self._raw.bucket, found.key)

    def _look(self) -> None:
        """See what would change."""
        readings: dict[dt.datetime, int] = {}
        position = self._ledger.look().leaving(self._window_hours())
        for batch in self._work(position):
            with closing(self._context.engine()) as engine:
                engine.read_whole(batch.objects)
                self._see(engine, readings)
        while position.pending:
            hours = self._piece(position.pending)
            with closing(self._context.engine()) as engine:
                engine.read_hours(self._context.index.objects(hours), hours)
                self._see(engine, readings)
            position = position.computed(hours)
        self._summary.would_change = [ChangedHour(hour, readings[hour]) for hour in sorted(readings)]
        self._summary.watermark = position.watermark

    def _see(self, engine: Engine, readings: dict[dt.datetime, int]) -> None:
        """Count what was read, by event hour; what is refused, and what comes too late, in the summary."""
        engine.collect_quarantine()
        self._summary.quarantined += engine.counts().quarantined
        for touched in engine.object_hours():
            if is_expired(self._context, touched.hour):
                self._summary.expired_readings += touched.readings
            else:
                readings[touched.hour] = readings.get(touched.hour, 0) + touched.readings

    def _curate_batch(self, batch: Batch) -> Outcome:
        self._batches += 1
        outcome = curate_batch(self._context, batch, self._zone(f"{self._summary.run_id}-{self._batches}"))
        summary, counts = self._summary, outcome.counts
        summary.hours += outcome.hours
        summary.days += len(outcome.days)
        summary.expired_readings += outcome.expired
        summary.readings += counts.readings
        summary.duplicates += counts.duplicates
        summary.quarantined += counts.quarantined
        self._days |= counts.days
        newest = [moment for moment in (summary.newest_reading, counts.newest) if moment]
        summary.newest_reading = max(newest, default=None)
        return outcome

    def _zone(self, run: str) -> CuratedZone:
        arguments = self._arguments
        return CuratedZone(
            self._clients.s3, self._clients.glue, bucket=arguments.lake_bucket, database=arguments.database, run=run
        )

    def _clean(self, days: Collection[str]) -> list[str]:
        """Remove what was replaced long enough ago; the days in which nothing waits for that come back."""
        grace = dt.timedelta(seconds=self._arguments.grace_seconds)
        return self._zone("").clean(days, grace=grace, now=self._context.now)

    def _is_scattered(self, day: str) -> bool:
        if not is_closed(day, self._context.now):
            return False
        zone = self._zone("")
        zone.look([day])
        return is_scattered(zone, day)


def _read_registry(s3: S3Client, arguments: Arguments) -> list[DeviceRow]:
    """The registered devices. What is wrong with the registry is logged; the readings do not wait for it."""
    bucket, key = arguments.config_bucket, arguments.registry_key
    with doing(f"read s3://{bucket}/{key}"):
        try:
            text = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return []
    try:
        found = devices(parse_registry(text))
    except RegistryError as error:
        logger.warning("the registry is not used: s3://%s/%s: %s", bucket, key, error)
        return []
    for problem in found.problems:
        logger.warning("left out of the registry: s3://%s/%s: %s", bucket, key, problem)
    return found.rows


def _in_batches(found: Sequence[RawObject]) -> Iterator[list[RawObject]]:
    batch: list[RawObject] = []
    size = 0
    for item in found:
        if batch and size + item.size > batches.BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch
