"""The channel: delivers a topic to the raw zone, as MSK does on AWS, in gzip objects in a folder per hour.

Records stand in an object as they are, one after the other. A record without a value is an object with one empty
line, so that curation puts it in quarantine as ``empty``.
"""

from __future__ import annotations

import datetime as dt
import gzip
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local.kafka.event_source import OpenReader
from local.kafka.records import Record
from pipeline.names import RAW_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: When an object is written: AWS waits for at least 300 s.
_FLUSH_SECONDS = 1.0
_FLUSH_BYTES = 5 * 1024 * 1024

_MOST_RECORDS = 500
_IDLE_SECONDS = 0.5
_RETRY_SECONDS = 1.0

logger = logging.getLogger("kafka bridge")


class Channel:
    """A member of the channel's consumer group: collects records, puts them, then commits their offsets."""

    def __init__(
        self,
        name: str,
        open_reader: OpenReader,
        s3: S3Client,
        bucket: str,
        *,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._name = name
        self._s3 = s3
        self._bucket = bucket
        self._clock = clock
        self._records: list[Record] = []
        self._bytes = 0
        self._since = 0.0
        self._arrived = clock()
        self._failing = False
        self._reader = open_reader(self._forget)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Deliver until it is stopped."""
        while not stopped():
            self.turn()

    def close(self) -> None:
        """Leave the group; what was not put is read again by the next member."""
        self._reader.close()

    def turn(self) -> None:
        """Collect records, or put them when it is time."""
        left = self._since + _FLUSH_SECONDS - time.monotonic() if self._records else _IDLE_SECONDS
        if left > 0 and self._bytes < _FLUSH_BYTES:
            self._collect(self._reader.take(_MOST_RECORDS, 0, left))
        elif not self._put():
            self._reader.wait(_RETRY_SECONDS)

    def _collect(self, records: list[Record]) -> None:
        if records and not self._records:
            self._since, self._arrived = time.monotonic(), self._clock()
        self._records += records
        self._bytes += sum(len(record.value or b"") for record in records)

    def _put(self) -> bool:
        """Put what was collected and commit it; return whether it is in the bucket."""
        try:
            for body in self._bodies():
                self._s3.put_object(Bucket=self._bucket, Key=self._key(), Body=gzip.compress(body, compresslevel=1))
        except (BotoCoreError, ClientError) as error:
            if not self._failing:
                logger.warning("%s cannot put to %s: %s", self._name, self._bucket, error)
            self._failing = True
            return False
        self._failing = False
        self._reader.commit({record.partition: record.offset + 1 for record in self._records})
        self._records, self._bytes = [], 0
        return True

    def _bodies(self) -> Iterator[bytes]:
        values = [record.value for record in self._records]
        if full := b"".join(value for value in values if value):
            yield full
        yield from (b"\n" for value in values if not value)

    def _key(self) -> str:
        at = self._arrived
        return f"{RAW_PREFIX}dt={at:%Y-%m-%d}/hour={at:%H}/{self._name}-{at:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}.gz"

    def _forget(self, partitions: Collection[int]) -> None:
        """Drop what was collected of partitions that another member reads now."""
        self._records = [record for record in self._records if record.partition not in partitions]
        self._bytes = sum(len(record.value or b"") for record in self._records)
