"""The sink that puts records directly on a Firehose delivery stream."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import boto3

from simulator.sinks.destination import Destination, Part, SinkUrl
from simulator.sinks.record import MAX_RECORD_BYTES, Record
from simulator.sinks.retry import Limits, RetryingSink

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient  # noqa: F401 - in the base class's type

# https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html; a record's limit is the batcher's.
MAX_REQUEST_RECORDS = 500
MAX_REQUEST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class DeliveryStream(Destination):
    """A delivery stream by its name."""

    name: str

    schemes: ClassVar = ("firehose",)
    usage: ClassVar = "firehose://STREAM"
    help: ClassVar = "A Firehose delivery stream that accepts direct puts."
    in_aws: ClassVar = True

    @classmethod
    def from_url(cls, url: SinkUrl) -> DeliveryStream:
        """Read the URL."""
        name = url.name()
        if not name:
            raise ValueError("the delivery stream is missing")
        return cls(name)

    @contextlib.contextmanager
    def open(self, _part: Part = (0, 1)) -> Iterator[FirehoseSink]:
        """Open the sink."""
        yield FirehoseSink(boto3.client("firehose"), self.name)


class FirehoseSink(RetryingSink["FirehoseClient"]):
    """Puts each record's lines; a delivery stream that reads from a Kinesis stream accepts none.

    Firehose has no keys and promises no order: a gateway's records are accepted one after the other, which
    is the order as far as a sender can keep it.
    """

    noun = "delivery stream"
    limits = Limits(MAX_REQUEST_RECORDS, MAX_REQUEST_BYTES, MAX_RECORD_BYTES)

    def _put(self, request: list[Record]) -> Sequence[Mapping[str, Any]]:
        return self._client.put_record_batch(
            DeliveryStreamName=self._name, Records=[{"Data": record.payload} for record in request]
        )["RequestResponses"]

    @staticmethod
    def _size(record: Record) -> int:
        return len(record.payload)
