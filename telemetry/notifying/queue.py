"""Messages of the transitions queue: transitions of alerts, and wake-ups of groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Union

import msgspec

from telemetry.alerting.transitions import Transition
from telemetry.text.batches import limited_batches

#: Largest message, bytes: well under the 256 KiB that SQS accepts.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_BYTES_PER_MESSAGE = 200_000


class Batch(msgspec.Struct, frozen=True, tag_field="type", tag="transitions"):
    """Transitions in the order in which they happened."""

    transitions: list[Transition]


class Wake(msgspec.Struct, frozen=True, tag_field="type", tag="wake"):
    """Wake-up of the group with this key: a notification may be due."""

    group: str


_decoder: msgspec.json.Decoder[Union[Batch, Wake]] = msgspec.json.Decoder(Union[Batch, Wake])


def decode_message(body: str) -> Union[Batch, Wake]:
    """Decode a message of the queue; raise :class:`msgspec.DecodeError` for anything else."""
    return _decoder.decode(body)


def encode_message(message: Union[Batch, Wake]) -> str:
    """Return the message as text for the queue."""
    return json_text(message)


def batches(transitions: Iterable[Transition]) -> Iterator[Batch]:
    """Split transitions into messages, in order, as many per message as fit."""
    return map(Batch, limited_batches(transitions, _length, most_bytes=MAX_BYTES_PER_MESSAGE))


def _length(transition: Transition) -> int:
    return len(json_text(transition).encode()) + 1  # the comma


def json_text(value: Any) -> str:
    """Return ``value`` as JSON that SQS accepts: SQS refuses two characters that JSON, and a device's name, may hold.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    text = msgspec.json.encode(value).decode()
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
