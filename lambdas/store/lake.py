"""The alerts' delivery stream (Firehose), which writes transitions to the lake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lambdas.store.backoff import BACKOFF, TRIES, Backoff
from telemetry.alerting.transitions import Transition
from telemetry.notifying.queue import json_text
from telemetry.text.batches import limited_batches

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient

#: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
MAX_RECORDS_PER_PUT = 500
MAX_BYTES_PER_PUT = 4 * 1024 * 1024
MAX_BYTES_PER_RECORD = 1000 * 1024

#: The first wait before refused records are put again, in seconds: three seconds in all at the most.
_PUT_BACKOFF = 0.1


class LakeError(Exception):
    """Firehose keeps refusing some records; the others arrived, and arrive again with the next try."""


class AlertsLake:
    """The delivery stream: JSON lines, as many per record as fit, because each is billed as a multiple of 5 KB.

    https://aws.amazon.com/firehose/pricing/
    """

    def __init__(self, client: FirehoseClient, delivery_stream: str, backoff: Backoff = BACKOFF) -> None:
        self._client = client
        self._delivery_stream = delivery_stream
        self._backoff = backoff

    def put(self, transitions: Sequence[Transition]) -> None:
        """Put all transitions; raises :class:`LakeError` if Firehose keeps refusing some."""
        lines = (json_text(transition).encode() + b"\n" for transition in transitions)
        records = map(b"".join, limited_batches(lines, len, most_bytes=MAX_BYTES_PER_RECORD))
        for request in limited_batches(records, len, most_bytes=MAX_BYTES_PER_PUT, most=MAX_RECORDS_PER_PUT):
            self._put(request)

    def _put(self, records: Sequence[bytes]) -> None:
        left = records
        codes: set[str] = set()
        for _ in self._backoff.tries(_PUT_BACKOFF):
            response = self._client.put_record_batch(
                DeliveryStreamName=self._delivery_stream, Records=[{"Data": record} for record in left]
            )
            answers = zip(left, response["RequestResponses"], strict=True)
            refused = [(record, answer["ErrorCode"]) for record, answer in answers if "ErrorCode" in answer]
            if not refused:
                return
            left, codes = [record for record, _ in refused], {code for _, code in refused}
        raise LakeError(
            f"Firehose refused {len(left)} of {len(records)} records, {TRIES} times: {', '.join(sorted(codes))}"
        )
