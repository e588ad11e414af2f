"""A member of a consumer group that reads one topic from its beginning and commits the offsets that it is given."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from local.kafka.records import Record, TimestampType

#: By librdkafka's number.
_TIMESTAMP_TYPES: Mapping[int, TimestampType] = {
    TIMESTAMP_CREATE_TIME: "CREATE_TIME",
    TIMESTAMP_LOG_APPEND_TIME: "LOG_APPEND_TIME",
}

logger = logging.getLogger("kafka bridge")


class Reader:
    """A member of a group that reads a topic. It calls ``forget`` with the partitions that it loses.

    It loses partitions when one more member joins the group, and only during :meth:`take`, :meth:`wait` or
    :meth:`close`.
    """

    def __init__(self, bootstrap: str, group: str, topic: str, forget: Callable[[Collection[int]], None]) -> None:
        self._topic = topic
        self._group = group
        self._forget = forget
        self._read: deque[Record] = deque()
        self._committed: dict[int, int] = {}
        self._trouble = ""
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "client.id": f"bridge-{group}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "allow.auto.create.topics": False,
                "partition.assignment.strategy": "cooperative-sticky",
                # A new partition, and a broker that is there again, are seen within a second.
                "topic.metadata.refresh.interval.ms": 1000,
                "reconnect.backoff.max.ms": 1000,
                # The shortest that a broker allows by default: others soon get the partitions of a killed member.
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500,
                "error_cb": self._note,
                "log_level": 0,
            }
        )
        self._consumer.subscribe([topic], on_revoke=self._on_revoke, on_lost=self._on_revoke)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def take(self, most: int, window_seconds: float, idle_seconds: float) -> list[Record]:
        """Return up to ``most`` records: what came within the window after the first; none after an idle time."""
        if not self._read:
            self._consume(1, idle_seconds)
        if 0 < len(self._read) < most:
            self._consume(most - len(self._read), window_seconds)
        return [self._read.popleft() for _ in range(min(most, len(self._read)))]

    def wait(self, seconds: float) -> None:
        """Read nothing for so long, and stay a member of the group meanwhile."""
        end = time.monotonic() + seconds
        self._consumer.pause(self._consumer.assignment())
        while (left := end - time.monotonic()) > 0:
            self._consume(1, left)
            self._consumer.pause(self._consumer.assignment())  # those that came just now too
        self._consumer.resume(self._consumer.assignment())

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the offsets from which on to read; where that fails, the records are read again."""
        new = [
            TopicPartition(self._topic, partition, offset)
            for partition, offset in offsets.items()
            if self._committed.get(partition) != offset
        ]
        if not new:
            return
        try:
            committed = self._consumer.commit(offsets=new, asynchronous=False) or ()
        except KafkaException as error:
            self._note(error.args[0])
            return
        for each in committed:  # some may have failed, and are committed again by the next call
            if each.error is None:
                self._committed[each.partition] = each.offset
            else:
                self._note(each.error)

    def _consume(self, most: int, seconds: float) -> None:
        for message in self._consumer.consume(most, seconds):
            error = message.error()
            if error is None:
                self._read.append(_record(message))
            else:
                self._note(error)

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = {each.partition for each in partitions}
        self._read = deque(record for record in self._read if record.partition not in numbers)
        for number in numbers:
            self._committed.pop(number, None)
        self._forget(numbers)

    def _note(self, error: KafkaError) -> None:
        trouble = f"{error.name()}: {error.str()}"
        if trouble != self._trouble:  # said once: librdkafka repeats it each second
            self._trouble = trouble
            logger.warning("%s of %s: %s", self._group, self._topic, trouble)


def _record(message: Message) -> Record:
    kind, timestamp = message.timestamp()
    headers: Any = message.headers() or ()
    key, value = message.key(), message.value()
    partition, offset = message.partition(), message.offset()
    assert partition is not None and offset is not None  # noqa: S101, PT018  # it came from a broker
    return Record(
        partition,
        offset,
        timestamp,
        _bytes(key),
        _bytes(value),
        tuple(headers),
        _TIMESTAMP_TYPES.get(kind, "NO_TIMESTAMP_TYPE"),
    )


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data
