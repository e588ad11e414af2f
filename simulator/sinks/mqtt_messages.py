"""The messages of one call to an MQTT sink: cut from records, in a queue per topic."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from simulator.sinks.record import Record
from telemetry.text.batches import limited_batches

#: https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits
MAX_MESSAGE_BYTES, MAX_TOPIC_BYTES = 128 * 1024, 256


class Message(NamedTuple):
    """A record, by its number in the call, or some of its lines."""

    record: int
    topic: str
    payload: bytes
    attempt: int = 1


class Work:
    """Messages of one call: those that wait, in a queue per topic, and those in flight."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Message]] = {}
        #: Topics whose next message may go out, in turns.
        self._free: deque[str] = deque()
        self.in_flight: dict[int, Message] = {}
        self.refused: set[int] = set()
        self.reason = ""
        self.retried = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, messages: list[Message]) -> None:
        """Queue messages behind those of the same topic."""
        for message in messages:
            if message.topic not in self._waiting:
                self._waiting[message.topic] = deque()
                self._free.append(message.topic)
            self._waiting[message.topic].append(message)

    def take(self) -> Message | None:
        """Return the next message to publish; it stays at the head of its queue until it is done."""
        return self._waiting[self._free.popleft()][0] if self._free else None

    def done(self, message: Message) -> None:
        """Let the topic's next message go out, but none of a record that is refused."""
        messages = self._waiting[message.topic]
        messages.popleft()
        while messages and messages[0].record in self.refused:
            messages.popleft()
        if messages:
            self._free.append(message.topic)
        else:
            del self._waiting[message.topic]

    def again(self, message: Message) -> None:
        """Let a message go out once more, before the others of its topic."""
        self._waiting[message.topic][0] = message._replace(attempt=message.attempt + 1)
        self._free.append(message.topic)
        self.retried += 1

    def refuse(self, record: int, reason: str) -> None:
        """Give a record up."""
        self.refused.add(record)
        self.reason = reason

    def unfinished(self) -> set[int]:
        """Return the records with messages that are not acknowledged."""
        return {message.record for messages in self._waiting.values() for message in messages}


def is_valid_topic(topic: str) -> bool:
    """Return whether a client can publish to the topic."""
    return bool(topic) and len(topic.encode()) <= MAX_TOPIC_BYTES and not any(each in topic for each in "+#\0")


def problem(topic: str, record: Record) -> str:
    """Return why a record cannot be published, empty if it can."""
    if not is_valid_topic(topic):
        return f"{topic!r} is not a valid MQTT topic of at most {MAX_TOPIC_BYTES} bytes"
    if len(record.payload) > MAX_MESSAGE_BYTES and max(map(len, _lines(record.payload))) > MAX_MESSAGE_BYTES:
        return f"a line is longer than an MQTT message may be, {MAX_MESSAGE_BYTES:,} bytes"
    return ""


def cut(payload: bytes) -> list[bytes]:
    """Return the payload in messages as large as they may be, each of whole lines."""
    if len(payload) <= MAX_MESSAGE_BYTES:
        return [payload]
    return [b"".join(lines) for lines in limited_batches(_lines(payload), len, most_bytes=MAX_MESSAGE_BYTES)]


def _lines(payload: bytes) -> list[bytes]:
    """Return the lines with their ends; bytes.splitlines would split at carriage returns too."""
    *ended, rest = payload.split(b"\n")
    return [line + b"\n" for line in ended] + ([rest] if rest else [])
