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
from glue_jobs.curate.partition import HOUR, Partition, partition_at, start_of_hour
from glue_jobs.curate.raw import RawObject, arrivals_of, fetch, list_objects
from glue_jobs.curate.transform import Counts, Transform
from telemetry.tables import CURATED, QUARANTINE, READINGS, READINGS_HOURLY

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_s3.client import S3Client


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. ``readings`` and ``duplicates`` are those of all the partitions it replaced."""

    run_id: str
    window_from: dt.datetime
    window_to: dt.datetime
    objects: int
    partitions: int
    readings: int
    duplicates: int
    quarantined: int
    newest_reading: Optional[dt.datetime]


def curate(s3: S3Client, glue: GlueClient, arguments: Arguments, now: dt.datetime) -> Summary:
    """Curate the window's arrivals.

    Whatever event hours their readings lie in are computed anew from all raw objects that can hold
    readings of these hours, so that the order and the number of runs change nothing. The raw zone has to
    keep objects for longer than a reading may be late. Raises :class:`~glue_jobs.curate.errors.CurateError`.
    """
    start, end = arguments.window(now)
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    lake = Lake(s3, glue, bucket=arguments.lake_bucket, database=arguments.database, run_id=run_id)
    with tempfile.TemporaryDirectory(prefix="curate-") as folder, closing(Transform(Path(folder))) as transform:
        window = list(list_objects(s3, arguments.raw_bucket, start, end))
        touched = transform.read_window(fetch(s3, arguments.raw_bucket, window))
        rest = _rest(s3, arguments.raw_bucket, touched, (start, end), now) if touched else []
        transform.read_rest(fetch(s3, arguments.raw_bucket, rest))
        counts = transform.build()
        replaced = {
            READINGS: [partition_at(hour) for hour in touched],
            READINGS_HOURLY: [partition_at(hour) for hour in touched],
            QUARANTINE: [partition_at(start + number * HOUR) for number in range((end - start) // HOUR)],
        }
        _write(transform, lake, Path(folder))
        for table in CURATED:
            written = transform.partitions(table)
            lake.switch(table, written, sorted(set(replaced[table]) - set(written)))
    grace = dt.timedelta(seconds=arguments.grace_seconds)
    for table in CURATED:
        lake.clean(table, replaced[table], grace=grace, now=now)
    return _summary(run_id, (start, end), len(window) + len(rest), replaced[READINGS], counts)


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


def _summary(
    run_id: str, window: tuple[dt.datetime, dt.datetime], objects: int, partitions: list[Partition], counts: Counts
) -> Summary:
    return Summary(
        run_id=run_id,
        window_from=window[0],
        window_to=window[1],
        objects=objects,
        partitions=len(partitions),
        readings=counts.readings,
        duplicates=counts.duplicates,
        quarantined=counts.quarantined,
        newest_reading=counts.newest,
    )
