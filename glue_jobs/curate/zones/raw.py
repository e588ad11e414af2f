"""The raw zone: which objects arrived when, and their bytes."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Optional

from botocore.config import Config
from botocore.exceptions import HTTPClientError, IncompleteReadError

from glue_jobs.curate.errors import doing
from glue_jobs.curate.hours import HOUR, Partition, partition_at, start_of_hour
from glue_jobs.curate.zones.lines import CorruptObjectError, decompressed
from telemetry.reading.model import MAX_LATENESS
from telemetry.tables.raw import RAW

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)

#: Objects fetched at once.
CONCURRENCY = 16

#: What every client of the job is made with: it needs a connection for each object.
AWS_CONFIG = Config(max_pool_connections=CONCURRENCY, retries={"mode": "standard", "max_attempts": 5})

#: How often an object is asked for whose connection drops on the way; botocore tries no body again.
_READ_ATTEMPTS = 3

#: Bytes fetched ahead of what is being read, as they are stored: JSON lines are a dozen times as long.
_AHEAD_BYTES = 4 * 2**20

#: The longest Firehose collects one object:
#: https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
_LONGEST_BUFFERING = dt.timedelta(seconds=900)

_EVER = dt.datetime.max.replace(tzinfo=dt.timezone.utc)

_KEY = re.compile(rf"{RAW.name}/dt=(\d{{4}}-\d\d-\d\d)/hour=(\d\d)/.*[^/]")
_FIREHOSE_TIME = re.compile(r"-(\d{4}(?:-\d\d){5})-[^/]*$")


class RawObject(NamedTuple):
    """One object of the raw zone: the hour it arrived in and the moment all of it had arrived by."""

    key: str
    size: int
    hour: Partition
    arrived: dt.datetime


class Content(NamedTuple):
    """An object's bytes, decompressed; if that fails, no bytes and the reason."""

    found: RawObject
    text: bytes
    corrupt: str = ""


def raw_object(key: str, size: int, last_modified: dt.datetime) -> Optional[RawObject]:
    """The raw object of that key, or None if the key is none of the raw zone's.

    Firehose names an object by the time it began collecting it and writes it when its buffer is full, so
    the last of its lines may have arrived a buffering interval after the name says. Without a time in the
    name, the end of the hour has to do.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    hour = Partition(*match.groups())
    try:
        arrived = hour.start + HOUR
        named = _FIREHOSE_TIME.search(key)
        if named:
            began = dt.datetime.strptime(f"{named[1]} +0000", "%Y-%m-%d-%H-%M-%S %z")
            arrived = max(began, min(last_modified, began + _LONGEST_BUFFERING))
    except ValueError:
        return None
    return RawObject(key, size, hour, arrived)


def arrivals_of(hour: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """The arrival hours [start, end) of every object that can hold an accepted reading of this event hour.

    A reading may be ahead of its arrival by the clock skew, and its object's hour is that of the oldest
    line in it: both together stay below an hour. It may be late by ``MAX_LATENESS``.
    """
    start = start_of_hour(hour)
    return start - HOUR, start_of_hour(start + HOUR + MAX_LATENESS) + HOUR


class RawZone:
    """The raw zone's bucket, as it is read."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket

    def objects(self, start: dt.datetime, end: dt.datetime = _EVER) -> Iterator[RawObject]:
        """The raw objects that arrived in the hours [start, end), in the order of their keys."""
        root = f"{RAW.name}/"
        # Keys sort as their hours do: one listing, begun in the middle, finds any span of hours.
        after, before = (f"{root}{partition_at(moment).path}/" for moment in (start, end))
        with doing(f"list s3://{self.bucket}/{root}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=root, StartAfter=after
            )
            for item in (item for page in pages for item in page.get("Contents", [])):
                if item["Key"] >= before:
                    return
                found = raw_object(item["Key"], item["Size"], item["LastModified"])
                if found:
                    yield found
                else:
                    logger.warning("not a raw object, left alone: s3://%s/%s", self.bucket, item["Key"])

    def read(self, objects: Iterable[RawObject]) -> Iterator[Content]:
        """The contents of objects, in the same order, fetched and decompressed concurrently and a bounded way ahead.

        One that is gone since it was listed is logged and left out.
        """
        ahead: deque[tuple[int, Future[Optional[Content]]]] = deque()
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            try:
                for found in objects:
                    ahead.append((found.size, pool.submit(self._content, found)))
                    while len(ahead) > CONCURRENCY or (
                        len(ahead) > 1 and sum(size for size, _ in ahead) > _AHEAD_BYTES
                    ):
                        yield from _present(ahead.popleft()[1].result())
                while ahead:
                    yield from _present(ahead.popleft()[1].result())
            finally:
                pool.shutdown(cancel_futures=True)

    def _content(self, found: RawObject) -> Optional[Content]:
        with doing(f"read s3://{self.bucket}/{found.key}"):
            try:
                data = _read_whole(self._s3, self.bucket, found.key)
            except self._s3.exceptions.NoSuchKey:
                logger.warning("gone since it was listed: s3://%s/%s", self.bucket, found.key)
                return None
        try:
            return Content(found, decompressed(data))
        except CorruptObjectError as error:
            logger.warning("corrupt object, none of its lines is read: s3://%s/%s (%s)", self.bucket, found.key, error)
            return Content(found, b"", str(error))


def _present(content: Optional[Content]) -> Iterator[Content]:
    if content:
        yield content


def _read_whole(s3: S3Client, bucket: str, key: str, attempts: int = _READ_ATTEMPTS) -> bytes:
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    try:
        return body.read()
    except (HTTPClientError, IncompleteReadError):
        if attempts == 1:
            raise
    return _read_whole(s3, bucket, key, attempts - 1)
