"""The sink that writes to the raw zone itself, as Firehose would have at the time: for a past that nobody streamed."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from simulator.sinks.destination import Deployed, Destination, Part, SinkUrl
from simulator.sinks.record import OUTBOX_BYTES, Record
from simulator.sinks.sink import Delivery, SinkError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: How much of simulated time an object holds, seconds. Objects are named by when they begin, and taken to be complete
#: fifteen minutes later, the longest that Firehose collects one:
#: https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
WINDOW = 900

#: Objects written at once.
_CONCURRENCY = 4

#: Zlib's fastest: as the curation reads each object once or twice only.
_COMPRESSION = 1


@dataclass(frozen=True)
class RawZone(Destination):
    """The raw zone by its bucket; empty for the deployment's."""

    bucket: str = ""

    schemes: ClassVar = ("raw-zone",)
    usage: ClassVar = "raw-zone or raw-zone://BUCKET"
    help: ClassVar = (
        "Objects in the raw zone, as if Firehose had written them at the time; without a name the deployment's."
    )
    in_aws: ClassVar = True
    #: An object is made of what the sink is handed at once.
    outbox_bytes: ClassVar = 16 * OUTBOX_BYTES

    @classmethod
    def from_url(cls, url: SinkUrl) -> RawZone:
        """Read the URL."""
        return cls(url.name())

    def completed(self, find: Callable[[], Deployed]) -> RawZone:
        """Return the same with the deployment's bucket where the URL has none."""
        return self if self.bucket else RawZone(find().raw_bucket_name)

    @contextlib.contextmanager
    def open(self, _part: Part = (0, 1)) -> Iterator[RawZoneSink]:
        """Open the sink."""
        with RawZoneSink(boto3.client("s3"), self.bucket) as sink:
            yield sink


class RawZoneSink:
    """Writes the records by the time when they were sent, as gzip JSON lines, each call's in objects of their own."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client, self._bucket = client, bucket
        self._pool = ThreadPoolExecutor(_CONCURRENCY)

    def __enter__(self) -> RawZoneSink:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Write the records. Raises :class:`~simulator.sinks.sink.SinkError` if one object cannot be written."""
        windows = [(window, list(group)) for window, group in groupby(records, key=lambda r: int(r.at // WINDOW))]
        writing = [self._pool.submit(self._write, window * WINDOW, group) for window, group in windows]
        failed: list[Record] = []
        reason: Exception | None = None
        for future, (_, group) in zip(writing, windows, strict=True):
            try:
                future.result()
            except (ClientError, BotoCoreError) as error:
                failed += group
                reason = error
        if reason is not None:
            raised = SinkError(f"the raw zone s3://{self._bucket} refuses an object: {reason}")
            raised.unsent = failed
            raise raised from reason
        return Delivery()

    def _write(self, began: int, records: Iterable[Record]) -> None:
        text = b"".join(record.payload for record in records)
        self._client.put_object(
            Bucket=self._bucket,
            Key=_key(dt.datetime.fromtimestamp(began, dt.UTC)),
            Body=gzip.compress(text, _COMPRESSION, mtime=0),
        )


def _key(began: dt.datetime) -> str:
    """Return an object's name in Firehose's format: https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html"""
    return f"raw/dt={began:%Y-%m-%d}/hour={began:%H}/backfill-1-{began:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}.gz"
