"""The transitions queue (SQS): changes of alerts, and wake-ups of groups, on their way to the notifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from telemetry.alerting.transitions import Transition
from telemetry.notifying.queue import Wake, batches, encode_message
from telemetry.text.batches import limited_batches

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

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

    def wake(self, group: str, delay: int) -> None:
        """Have the notifier look at a group in ``delay`` seconds, at most ``MAX_DELAY_SECONDS``."""
        self._client.send_message(QueueUrl=self._queue_url, MessageBody=encode_message(Wake(group)), DelaySeconds=delay)


def _length(body: str) -> int:
    return len(body.encode())
