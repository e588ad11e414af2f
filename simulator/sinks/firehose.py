"""The sink that puts records directly on a Firehose delivery stream."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from simulator.sinks.batches import MAX_RECORD_BYTES, Record
from simulator.sinks.retry import Limits, Putter, busy, failures
from simulator.sinks.sink import Delivery, SinkError

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient

# https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html; a record's limit is the batcher's.
MAX_REQUEST_RECORDS = 500
MAX_REQUEST_BYTES = 4 * 1024 * 1024


class FirehoseSink:
    """Puts each record's lines; a delivery stream that reads from a Kinesis stream takes none.

    Firehose has no keys and promises no order: a gateway's records are accepted one after the other, which
    is the order as far as a sender can keep it.
    """

    def __init__(
        self,
        client: FirehoseClient,
        stream_name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._stream = client, stream_name
        limits = Limits(MAX_REQUEST_RECORDS, MAX_REQUEST_BYTES, MAX_RECORD_BYTES)
        self._putter = Putter(self._put, limits, size=_size, sleep=sleep, chance=chance)

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Put the records; only the entries that fail are put again, ever later."""
        return self._putter.send(records)

    def _put(self, request: list[Record]) -> tuple[list[Record], str]:
        """One PutRecordBatch: the records that failed, and why the last of them did."""
        try:
            response = self._client.put_record_batch(
                DeliveryStreamName=self._stream, Records=[{"Data": record.payload} for record in request]
            )
        except ClientError as error:
            if reason := busy(error):
                return request, reason
            raise SinkError(self._explain(error)) from error
        except BotoCoreError as error:
            raise SinkError(f"cannot put records on the delivery stream {self._stream!r}: {error}") from error
        return failures(request, response["RequestResponses"])

    def _explain(self, error: ClientError) -> str:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return (
                f"there is no delivery stream {self._stream!r} at {self._client.meta.endpoint_url}; "
                "check --delivery-stream and AWS_ENDPOINT_URL, or deploy first"
            )
        return f"the delivery stream {self._stream!r} took no records: {error}"


def _size(record: Record) -> int:
    return len(record.payload)
