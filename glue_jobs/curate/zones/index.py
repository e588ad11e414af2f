"""Which raw objects hold readings of which event hours, so that an hour is computed again from just these.

One JSON object for an hour and a batch of raw objects. Raw objects never change, so neither does what is said of one:
entries are written before anything else and never taken back, whatever becomes of the run, and a batch that is read
again writes the same entries to the same names.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from glue_jobs.curate.errors import CurateError, doing
from glue_jobs.curate.hours import partition_at
from glue_jobs.curate.zones.raw import CONCURRENCY, RawObject

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: To be counted up when a line may be taken for a reading of another hour than before: then run with --full.
_VERSION = 1

PREFIX = f"curate/index/v{_VERSION}/"

_decoder = msgspec.json.Decoder(list[RawObject])


class ObjectHour(NamedTuple):
    """The number of readings that an object holds of an event hour (UTC), copies included."""

    hour: dt.datetime
    found: RawObject
    readings: int


class Index:
    """The index in the lake's bucket."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def add(self, object_hours: Iterable[ObjectHour]) -> None:
        """Note which objects hold readings of which hours."""
        objects: dict[dt.datetime, set[RawObject]] = {}
        for hour, found, _ in object_hours:
            objects.setdefault(hour, set()).add(found)

        def put(hour: dt.datetime) -> None:
            body = msgspec.json.encode(sorted(objects[hour]))
            key = f"{_folder(hour)}{hashlib.sha256(body).hexdigest()[:32]}.json"
            with doing(f"write s3://{self._bucket}/{key}"):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")

        with ThreadPoolExecutor(CONCURRENCY) as pool:
            list(pool.map(put, sorted(objects)))

    def objects(self, hours: Collection[dt.datetime]) -> list[RawObject]:
        """The objects known to hold readings of these hours, in the order of their keys."""
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            keys = [key for some in pool.map(self._keys, sorted(hours)) for key in some]
            # An object that was put again has arrived again: what counts is the last time.
            last = {
                found.key: found for found in sorted(found for some in pool.map(self._read, keys) for found in some)
            }
            return list(last.values())

    def _keys(self, hour: dt.datetime) -> list[str]:
        prefix = _folder(hour)
        with doing(f"list s3://{self._bucket}/{prefix}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def _read(self, key: str) -> list[RawObject]:
        with doing(f"read s3://{self._bucket}/{key}"):
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            return _decoder.decode(body)
        except msgspec.DecodeError as error:
            raise CurateError(
                f"s3://{self._bucket}/{key} is not a valid index entry ({error}): remove it and run with --full"
            ) from error


def _folder(hour: dt.datetime) -> str:
    return f"{PREFIX}{partition_at(hour).path}/"
