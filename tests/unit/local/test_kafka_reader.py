"""The bridge's reader commits what it is given, and hands over no record of a partition that it has lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, TopicPartition

from local.kafka import reader as reader_module
from local.kafka.reader import Reader


class Consumer:
    """A consumer of what a test puts into it."""

    def __init__(self) -> None:
        self.coming: list[SimpleNamespace] = []
        self.calls = 0
        #: The call of ``consume`` in which partition 1 is taken away.
        self.loses_at_call = 0
        self.commits: list[dict[int, int]] = []
        #: The outcomes of commits by partition, one after the other; then all succeed.
        self.errors: list[dict[int, KafkaError] | KafkaException] = []
        self.lose: Callable[[Sequence[int]], None] = lambda _: None

    def __call__(self, _settings: object) -> Consumer:
        return self

    def subscribe(self, topics: list[str], on_revoke: Callable[..., None], **_: Any) -> None:
        self.lose = lambda partitions: on_revoke(self, [TopicPartition(topics[0], number) for number in partitions])

    def consume(self, most: int, _seconds: float) -> list[SimpleNamespace]:
        self.calls += 1
        if self.calls == self.loses_at_call:
            self.lose([1])
        taken, self.coming = self.coming[:most], self.coming[most:]
        return taken

    def commit(self, offsets: list[TopicPartition], **_: Any) -> list[SimpleNamespace]:
        self.commits.append({each.partition: each.offset for each in offsets})
        errors = self.errors.pop(0) if self.errors else {}
        if isinstance(errors, KafkaException):
            raise errors
        return [
            SimpleNamespace(partition=at.partition, offset=at.offset, error=errors.get(at.partition)) for at in offsets
        ]


def message(partition: int, offset: int) -> SimpleNamespace:
    values: dict[str, Any] = {
        "error": None, "timestamp": (TIMESTAMP_LOG_APPEND_TIME, 0), "headers": None, "key": b"gw-1", "value": b"1\n",
        "partition": partition, "offset": offset,
    }  # fmt: skip
    return SimpleNamespace(**{name: lambda value=value: value for name, value in values.items()})


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    consumer = Consumer()
    monkeypatch.setattr(reader_module, "Consumer", consumer)
    return consumer


def read(forget: Callable[[Collection[int]], None] = lambda _: None) -> Reader:
    return Reader("127.0.0.1:9092", "group", "readings", forget)


def test_should_commit_an_offset_once(consumer: Consumer) -> None:
    reader = read()
    reader.commit({0: 5, 1: 7})
    reader.commit({0: 5, 1: 7})
    reader.commit({0: 6, 1: 7})
    assert consumer.commits == [{0: 5, 1: 7}, {0: 6}]


def test_should_commit_again_what_the_broker_did_not_commit(consumer: Consumer) -> None:
    reader = read()
    consumer.errors = [
        KafkaException(KafkaError(KafkaError.NOT_COORDINATOR)),
        {1: KafkaError(KafkaError.REQUEST_TIMED_OUT)},
    ]
    for _ in range(4):
        reader.commit({0: 5, 1: 7})
    assert consumer.commits == [{0: 5, 1: 7}, {0: 5, 1: 7}, {1: 7}]


def test_should_commit_again_in_a_partition_that_comes_back(consumer: Consumer) -> None:
    reader = read()
    reader.commit({0: 5, 1: 7})
    consumer.lose([1])
    reader.commit({0: 5, 1: 7})
    assert consumer.commits == [{0: 5, 1: 7}, {1: 7}]


def test_should_hand_over_no_record_of_a_partition_that_is_lost_meanwhile(consumer: Consumer) -> None:
    lost: list[Collection[int]] = []
    reader = read(lost.append)
    consumer.coming = [message(1, 4), message(0, 2)]
    consumer.loses_at_call = 2  # the first record has been read, the window is open
    assert [(each.partition, each.offset) for each in reader.take(5, 1, 1)] == [(0, 2)]
    assert lost == [{1}]
