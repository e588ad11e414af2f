"""The sink that puts records on a Kinesis stream."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import boto3

from simulator.sinks.destination import Deployed, Destination, Part, SinkUrl
from simulator.sinks.record import Record
from simulator.sinks.retry import Limits, RetryingSink

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient  # noqa: F401 - in the base class's type

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
MAX_REQUEST_RECORDS = 500
#: AWS accepts 10 MiB since 2025, emulators the 5 MiB of before.
MAX_REQUEST_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True)
class KinesisStream(Destination):
    """A stream by its name; empty for the deployment's."""

    stream: str = ""

    schemes: ClassVar = ("kinesis",)
    usage: ClassVar = "kinesis or kinesis://STREAM"
    help: ClassVar = "A Kinesis stream; without a name the deployment's."
    in_aws: ClassVar = True

    @classmethod
    def from_url(cls, url: SinkUrl) -> KinesisStream:
        """Read the URL."""
        return cls(url.name())

    def completed(self, find: Callable[[], Deployed]) -> KinesisStream:
        """Return the same with the deployment's stream where the URL has none."""
        if self.stream:
            return self
        deployed = find()
        if deployed.ingest != "kinesis":
            raise ValueError(
                "--sink kinesis: readings come into this deployment by Kafka; "
                f"write --sink kafka, which is its topic {deployed.topic_name}"
            )
        return KinesisStream(deployed.stream_name)

    @contextlib.contextmanager
    def open(self, _part: Part = (0, 1)) -> Iterator[KinesisSink]:
        """Open the sink."""
        yield KinesisSink(boto3.client("kinesis"), self.stream)


class KinesisSink(RetryingSink["KinesisClient"]):
    """Puts each record with its gateway as the partition key, those of a gateway in their order."""

    noun = "Kinesis stream"
    # How large a record may be is the stream's setting, so only the request's size is checked here.
    limits = Limits(MAX_REQUEST_RECORDS, MAX_REQUEST_BYTES, MAX_REQUEST_BYTES)

    def _put(self, request: list[Record]) -> Sequence[Mapping[str, Any]]:
        return self._client.put_records(
            StreamName=self._name,
            Records=[{"Data": record.payload, "PartitionKey": record.gateway} for record in request],
        )["Records"]

    @staticmethod
    def _size(record: Record) -> int:
        return len(record.payload) + len(record.gateway.encode())
