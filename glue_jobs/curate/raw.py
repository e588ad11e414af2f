"""The raw zone: which objects arrived when, and their bytes."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Optional

from botocore.exceptions import HTTPClientError, IncompleteReadError

from glue_jobs.curate.errors import doing
from glue_jobs.curate.partition import HOUR, Partition, partition_at, start_of_hour
from telemetry.reading import MAX_LATENESS
from telemetry.tables import RAW

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)

#: Objects fetched at once; the S3 client needs as many connections.
CONCURRENCY = 16

#: How often an object is asked for whose connection drops on the way; botocore tries no body again.
_READ_ATTEMPTS = 3

#: Bytes fetched ahead of what is being read, as they are stored.
_AHEAD_BYTES = 64 * 2**20

#: The longest Firehose collects one object:
#: https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
_LONGEST_BUFFERING = dt.timedelta(seconds=900)

_KEY = re.compile(rf"{RAW.name}/dt=(\d{{4}}-\d\d-\d\d)/hour=(\d\d)/.*[^/]")
_FIREHOSE_TIME = re.compile(r"-(\d{4}(?:-\d\d){5})-[^/]*$")


class RawObject(NamedTuple):
    """One object of the raw zone: the hour it arrived in and the moment all of it had arrived by."""

    key: str
    size: int
    hour: Partition
    arrived: dt.datetime


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


def list_objects(s3: S3Client, bucket: str, start: dt.datetime, end: dt.datetime) -> Iterator[RawObject]:
    """The raw objects that arrived in the hours [start, end), in the order of their keys."""
    root = f"{RAW.name}/"
    # Keys sort as their hours do: one listing, begun in the middle, finds any span of hours.
    after, before = (f"{root}{partition_at(moment).path}/" for moment in (start, end))
    with doing(f"list s3://{bucket}/{root}"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=root, StartAfter=after):
            for item in page.get("Contents", []):
                if item["Key"] >= before:
                    return
                found = raw_object(item["Key"], item["Size"], item["LastModified"])
                if found:
                    yield found
                else:
                    logger.warning("not a raw object, left alone: s3://%s/%s", bucket, item["Key"])


def arrivals_of(hours: Iterable[dt.datetime]) -> tuple[dt.datetime, dt.datetime]:
    """The arrival hours [start, end) of every object that can hold an accepted reading of these event hours.

    A reading may be ahead of its arrival by the clock skew, and its object's hour is that of the oldest
    line in it: both together stay below an hour. It may be late by ``MAX_LATENESS``.
    """
    starts = [start_of_hour(hour) for hour in hours]
    return min(starts) - HOUR, start_of_hour(max(starts) + HOUR + MAX_LATENESS) + HOUR


def fetch(s3: S3Client, bucket: str, objects: Iterable[RawObject]) -> Iterator[tuple[RawObject, bytes]]:
    """The objects with their bytes as stored, in the same order, fetched concurrently and a bounded way ahead.

    One that is gone since it was listed is logged and left out.
    """

    def get(key: str) -> Optional[bytes]:
        with doing(f"read s3://{bucket}/{key}"):
            try:
                return _read_whole(s3, bucket, key)
            except s3.exceptions.NoSuchKey:
                return None

    ahead: deque[tuple[RawObject, Future[Optional[bytes]]]] = deque()

    def next_fetched() -> Iterator[tuple[RawObject, bytes]]:
        found, future = ahead.popleft()
        data = future.result()
        if data is None:
            logger.warning("gone since it was listed: s3://%s/%s", bucket, found.key)
        else:
            yield found, data

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for found in objects:
            ahead.append((found, pool.submit(get, found.key)))
            while len(ahead) > CONCURRENCY or sum(waiting.size for waiting, _ in ahead) > _AHEAD_BYTES:
                yield from next_fetched()
        while ahead:
            yield from next_fetched()


def _read_whole(s3: S3Client, bucket: str, key: str, attempts: int = _READ_ATTEMPTS) -> bytes:
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    try:
        return body.read()
    except (HTTPClientError, IncompleteReadError):
        if attempts == 1:
            raise
    return _read_whole(s3, bucket, key, attempts - 1)
