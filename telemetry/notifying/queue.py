"""The messages of the transitions queue: what happened to alerts, and groups whose time has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Union

import msgspec

from telemetry.alerting.transitions import Transition

#: What a message holds at most, in bytes: well under the 256 KiB that SQS has taken ever since.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_BYTES_PER_MESSAGE = 200_000


class Batch(msgspec.Struct, frozen=True, tag_field="type", tag="transitions"):
    """Transitions, in the order in which they happened."""

    transitions: list[Transition]


class Wake(msgspec.Struct, frozen=True, tag_field="type", tag="wake"):
    """It is time to look at a group (its key): something in it has waited long enough."""

    group: str


_decoder: msgspec.json.Decoder[Union[Batch, Wake]] = msgspec.json.Decoder(Union[Batch, Wake])


def decode_message(body: str) -> Union[Batch, Wake]:
    """A message of the queue; raises :class:`msgspec.DecodeError` for anything else."""
    return _decoder.decode(body)


def encode_message(message: Union[Batch, Wake]) -> str:
    """The message as the queue takes it."""
    return json_text(message)


def batches(transitions: Iterable[Transition]) -> Iterator[Batch]:
    """The transitions in their order, as many a message as fit."""
    chunk: list[Transition] = []
    size = 0
    for transition in transitions:
        length = len(json_text(transition).encode()) + 1
        if chunk and size + length > MAX_BYTES_PER_MESSAGE:
            yield Batch(chunk)
            chunk, size = [], 0
        chunk.append(transition)
        size += length
    if chunk:
        yield Batch(chunk)


def json_text(value: Any) -> str:
    """``value`` as JSON that SQS takes: it refuses two characters that JSON may hold, and a device's name may have.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    text = msgspec.json.encode(value).decode()
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
