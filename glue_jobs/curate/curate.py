"""One run: the window's raw objects in, the partitions they touch replaced whole."""

from __future__ import annotations

import datetime as dt
import tempfile
import uuid
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import msgspec

from glue_jobs.curate.arguments import Arguments
from glue_jobs.curate.lake import Lake
from glue_jobs.curate.partition import HOUR, partition_at, start_of_hour
from glue_jobs.curate.raw import RawObject, arrivals_of, fetch, list_objects
from glue_jobs.curate.reach import reach, warn_of_expired, warn_of_postponed
from glue_jobs.curate.transform import Transform
from telemetry.tables import CURATED, QUARANTINE, READINGS, READINGS_HOURLY

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_s3.client import S3Client


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. ``readings`` and ``duplicates`` are those of all the partitions it replaced.

    Readings of the window, copies included, that it left to another run are ``postponed_readings``; those of
    hours whose raw objects may have expired are ``expired_readings``.
    """

    run_id: str
    window_from: dt.datetime
    window_to: dt.datetime
    objects: int
    partitions: int
    readings: int
    duplicates: int
    quarantined: int
    postponed_readings: int
    expired_readings: int
    newest_reading: Optional[dt.datetime]


def curate(s3: S3Client, glue: GlueClient, arguments: Arguments, now: dt.datetime) -> Summary:
    """Curate the window's arrivals.

    Whatever event hours their readings lie in are computed anew from all raw objects that can hold
    readings of these hours, so that the order and the number of runs change nothing. Hours out of the run's
    :func:`~glue_jobs.curate.reach.reach` stay as they are. Raises :class:`~glue_jobs.curate.errors.CurateError`.
    """
    start, end = arguments.window(now)
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    lake = Lake(s3, glue, bucket=arguments.lake_bucket, database=arguments.database, run_id=run_id)
    with tempfile.TemporaryDirectory(prefix="curate-") as folder, closing(Transform(Path(folder))) as transform:
        window = list(list_objects(s3, arguments.raw_bucket, start, end))
        hours = reach(transform.read_window(fetch(s3, arguments.raw_bucket, window)), arguments, now)
        expired, postponed = transform.leave(hours.expired), transform.leave(hours.postponed)
        if expired:
            warn_of_expired(hours.expired, expired, arguments)
        if postponed:
            warn_of_postponed(hours.postponed, postponed, (start, end))
        rest = _rest(s3, arguments.raw_bucket, hours.within, (start, end), now) if hours.within else []
        transform.read_rest(fetch(s3, arguments.raw_bucket, rest))
        counts = transform.build()
        replaced = {
            READINGS: [partition_at(hour) for hour in hours.within],
            READINGS_HOURLY: [partition_at(hour) for hour in hours.within],
            QUARANTINE: [partition_at(start + number * HOUR) for number in range((end - start) // HOUR)],
        }
        _write(transform, lake, Path(folder))
        for table in CURATED:
            written = transform.partitions(table)
            lake.switch(table, written, sorted(set(replaced[table]) - set(written)))
    grace = dt.timedelta(seconds=arguments.grace_seconds)
    for table in CURATED:
        lake.clean(table, replaced[table], grace=grace, now=now)
    return Summary(
        run_id=run_id,
        window_from=start,
        window_to=end,
        objects=len(window) + len(rest),
        partitions=len(hours.within),
        readings=counts.readings,
        duplicates=counts.duplicates,
        quarantined=counts.quarantined,
        postponed_readings=postponed,
        expired_readings=expired,
        newest_reading=counts.newest,
    )


def _rest(
    s3: S3Client, bucket: str, touched: Iterable[dt.datetime], window: tuple[dt.datetime, dt.datetime], now: dt.datetime
) -> list[RawObject]:
    """The objects outside the window that can hold readings of the touched hours."""
    start, end = window
    first, last = arrivals_of(touched)
    last = min(last, max(end, start_of_hour(now) + HOUR))
    return [*list_objects(s3, bucket, first, min(start, last)), *list_objects(s3, bucket, max(end, first), last)]


def _write(transform: Transform, lake: Lake, folder: Path) -> None:
    for table in CURATED:
        for partition in transform.partitions(table):
            file = folder / "partition.parquet"
            transform.write(table, partition, file)
            lake.upload(table, partition, file)
            file.unlink()
