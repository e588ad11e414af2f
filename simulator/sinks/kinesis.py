"""The sink that puts records on a Kinesis stream."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from simulator.sinks.batches import Record
from simulator.sinks.retry import Limits, Putter, busy, failures
from simulator.sinks.sink import Delivery, SinkError

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
MAX_REQUEST_RECORDS = 500
#: AWS takes 10 MiB since 2025, emulators the 5 MiB of before.
MAX_REQUEST_BYTES = 5 * 1024 * 1024


class KinesisSink:
    """Puts each record with its gateway as the partition key, those of a gateway in their order."""

    def __init__(
        self,
        client: KinesisClient,
        stream: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._stream = client, stream
        # How large a record may be is the stream's setting, so only the request's size is checked here.
        limits = Limits(MAX_REQUEST_RECORDS, MAX_REQUEST_BYTES, MAX_REQUEST_BYTES)
        self._putter = Putter(self._put, limits, size=_size, sleep=sleep, chance=chance)

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Put the records; only the entries that fail are put again, ever later."""
        return self._putter.send(records)

    def _put(self, request: list[Record]) -> tuple[list[Record], str]:
        """One PutRecords: the records that failed, and why the last of them did."""
        try:
            response = self._client.put_records(
                StreamName=self._stream,
                Records=[{"Data": record.payload, "PartitionKey": record.gateway} for record in request],
            )
        except ClientError as error:
            if reason := busy(error):
                return request, reason
            raise SinkError(self._explain(error)) from error
        except BotoCoreError as error:
            raise SinkError(f"cannot put records on the Kinesis stream {self._stream!r}: {error}") from error
        return failures(request, response["Records"])

    def _explain(self, error: ClientError) -> str:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return (
                f"there is no Kinesis stream {self._stream!r} at {self._client.meta.endpoint_url}; "
                "check --stream and AWS_ENDPOINT_URL, or deploy first"
            )
        return f"the Kinesis stream {self._stream!r} took no records: {error}"


def _size(record: Record) -> int:
    """The bytes that count towards a request's limit: the data and the partition key."""
    return len(record.payload) + len(record.gateway.encode())
