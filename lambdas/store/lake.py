"""Transitions to the lake, through a delivery stream of their own."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from telemetry.alerting.transitions import Transition
from telemetry.notifying.queue import json_text

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient

#: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
MAX_RECORDS_PER_PUT = 500
MAX_BYTES_PER_PUT = 4 * 1024 * 1024
MAX_BYTES_PER_RECORD = 1000 * 1024

#: How often refused records are tried, and what full jitter waits between: three seconds in all at the most.
_MAX_PUTS = 6
_BACKOFF_SECONDS = 0.05


class LakeError(Exception):
    """Firehose keeps refusing some records; the others arrived, and arrive again with the next try."""


class AlertsLake:
    """The delivery stream: JSON lines, as many a record as fit, because each is billed as a multiple of 5 KB.

    https://aws.amazon.com/firehose/pricing/
    """

    def __init__(
        self,
        client: FirehoseClient,
        delivery_stream: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._delivery_stream = delivery_stream
        self._sleep = sleep
        self._chance = chance

    def put(self, transitions: Sequence[Transition]) -> None:
        """Hand all transitions over; raises :class:`LakeError` if Firehose keeps refusing some."""
        for request in _requests(_records(transitions)):
            self._put(request)

    def _put(self, records: Sequence[bytes]) -> None:
        left = records
        codes: set[str] = set()
        for attempt in range(_MAX_PUTS):
            self._sleep(self._chance() * _BACKOFF_SECONDS * (2**attempt - 1))
            response = self._client.put_record_batch(
                DeliveryStreamName=self._delivery_stream, Records=[{"Data": record} for record in left]
            )
            answers = zip(left, response["RequestResponses"], strict=True)
            refused = [(record, answer["ErrorCode"]) for record, answer in answers if "ErrorCode" in answer]
            if not refused:
                return
            left, codes = [record for record, _ in refused], {code for _, code in refused}
        raise LakeError(
            f"Firehose refused {len(left)} of {len(records)} records, {_MAX_PUTS} times: {', '.join(sorted(codes))}"
        )


def _records(transitions: Iterable[Transition]) -> Iterator[bytes]:
    return map(b"".join, _packed((json_text(t).encode() + b"\n" for t in transitions), MAX_BYTES_PER_RECORD))


def _requests(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    return _packed(records, MAX_BYTES_PER_PUT, MAX_RECORDS_PER_PUT)


def _packed(parts: Iterable[bytes], max_bytes: int, max_parts: int | None = None) -> Iterator[list[bytes]]:
    """The parts in their order, as many together as may be."""
    together: list[bytes] = []
    size = 0
    for part in parts:
        if together and (size + len(part) > max_bytes or len(together) == max_parts):
            yield together
            together, size = [], 0
        together.append(part)
        size += len(part)
    if together:
        yield together
