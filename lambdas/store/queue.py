"""The transitions queue (SQS): changes of alerts, and wake-ups of groups, on their way to the notifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from telemetry.alerting.transitions import Transition
from telemetry.notifying.queue import Wake, batches, encode_message
from telemetry.text.batches import limited_batches

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
MAX_ENTRIES_PER_SEND = 10
MAX_BYTES_PER_SEND = 256 * 1024

#: Longest delay of a message.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
MAX_DELAY_SECONDS = 900


class SendError(Exception):
    """SQS refused some messages of a request; the others went out, and go out again with the next try."""


class TransitionsQueue:
    """The queue, by its URL."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def send(self, transitions: Sequence[Transition]) -> None:
        """Send all transitions, in order; raises :class:`SendError` if SQS refused any, and then sends no more."""
        messages = (encode_message(batch) for batch in batches(transitions))
        for bodies in limited_batches(messages, _length, most_bytes=MAX_BYTES_PER_SEND, most=MAX_ENTRIES_PER_SEND):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)
            ]
            response = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
            refused = response.get("Failed", [])
            if refused:
                codes = ", ".join(sorted({failure["Code"] for failure in refused}))
                raise SendError(f"SQS refused {len(refused)} of {len(bodies)} messages with transitions: {codes}")

    def wake(self, delays: Mapping[str, int]) -> None:
        """Have the notifier look at groups, each in so many seconds, at most ``MAX_DELAY_SECONDS``.

        Raises :class:`SendError` if SQS refused any; the others are sent all the same.
        """
        bodies = [(encode_message(Wake(group)), delay) for group, delay in delays.items()]
        refused: list[str] = []
        for wakes in limited_batches(
            bodies, lambda wake: _length(wake[0]), most_bytes=MAX_BYTES_PER_SEND, most=MAX_ENTRIES_PER_SEND
        ):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": str(index), "MessageBody": body, "DelaySeconds": delay}
                for index, (body, delay) in enumerate(wakes)
            ]
            response = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
            refused += [failure["Code"] for failure in response.get("Failed", [])]
        if refused:
            raise SendError(f"SQS refused {len(refused)} of {len(bodies)} wake-ups: {', '.join(sorted(set(refused)))}")

    def release(self, receipt_handles: Sequence[str]) -> None:
        """Make messages that were received visible at once; else they are when their visibility timeout ends."""
        for start in range(0, len(receipt_handles), MAX_ENTRIES_PER_SEND):
            entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
                {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for index, handle in enumerate(receipt_handles[start : start + MAX_ENTRIES_PER_SEND])
            ]
            self._client.change_message_visibility_batch(QueueUrl=self._queue_url, Entries=entries)


def _length(body: str) -> int:
    return len(body.encode())
