"""Does it add up? Every line sent must be in a table, removed as a duplicate, or in quarantine."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import gzip
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from botocore.config import Config

from pipeline.athena import query

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment

_GZIP_MAGIC = b"\x1f\x8b"
_FETCHERS = 16


class Audit(msgspec.Struct, frozen=True):
    """Lines by where they ended. ``lost`` is negative if there are more than were sent."""

    sent: int
    raw: int
    curated: int
    duplicates: int
    quarantined: int

    @property
    def lost(self) -> int:
        """Lines sent that are nowhere in the lake."""
        return self.sent - self.curated - self.duplicates - self.quarantined

    @property
    def adds_up(self) -> bool:
        """Whether every line sent is in the raw zone and accounted for in the lake."""
        return self.lost == 0 and self.raw == self.sent


def audit(
    session: boto3.Session, deployment: Deployment, *, sent: int, started_at: dt.datetime, ended_at: dt.datetime
) -> Audit:
    """Compare what was sent between two times (UTC) with what the lake has of the objects that arrived in these hours.

    Everything that arrived in those hours counts: it adds up if nobody else was sending.
    """
    arrived = " OR ".join(f"raw_object LIKE '{_folder(hour)}%'" for hour in _hours(started_at, ended_at))
    # Event times may be a little older than the arrival.
    first, last = started_at - dt.timedelta(days=1), ended_at
    where = f"dt >= '{first:%Y-%m-%d}' AND dt <= '{last:%Y-%m-%d}' AND ({arrived})"

    def number(expression: str, table: str) -> int:
        frame = query(session, deployment, f"SELECT {expression} AS n FROM {table} WHERE {where}")  # noqa: S608
        return int(frame["n"].iloc[0])

    return Audit(
        sent=sent,
        raw=count_raw_lines(session, deployment.raw_bucket_name, started_at, ended_at),
        curated=number("count(*)", "readings"),
        duplicates=number("coalesce(sum(copies - 1), 0)", "readings"),
        quarantined=number("count(*)", "quarantine"),
    )


def count_raw_lines(session: boto3.Session, bucket: str, started_at: dt.datetime, ended_at: dt.datetime) -> int:
    """The lines in the raw zone that arrived in the hours between two times (UTC)."""
    s3 = session.client("s3", config=Config(max_pool_connections=_FETCHERS))
    keys = [
        entry["Key"]
        for hour in _hours(started_at, ended_at)
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_folder(hour))
        for entry in page.get("Contents", [])
    ]

    def lines(key: str) -> int:
        data = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        if data.startswith(_GZIP_MAGIC):
            data = gzip.decompress(data)
        # As curation counts: blank lines are nothing, an object without a line is one that is quarantined.
        return sum(1 for line in data.split(b"\n") if line.strip()) or 1

    with concurrent.futures.ThreadPoolExecutor(_FETCHERS) as pool:
        return sum(pool.map(lines, keys))


def _folder(hour: dt.datetime) -> str:
    """Where in the raw zone the objects lie that arrived in the hour."""
    return f"raw/dt={hour:%Y-%m-%d}/hour={hour:%H}/"


def _hours(started_at: dt.datetime, ended_at: dt.datetime) -> Iterator[dt.datetime]:
    """The starts of the hours that the span touches."""
    hour = started_at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    while hour <= ended_at:
        yield hour
        hour += dt.timedelta(hours=1)
