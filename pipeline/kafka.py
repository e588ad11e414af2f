"""The Kafka topic of a deployment: the way to its brokers, and how far the detector's consumer group has got."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import BotoCoreError
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.errors import PipelineError
from simulator.sinks.kafka import KafkaTopic
from simulator.sinks.kafka_client import GLANCE_SECONDS, Needs, Trouble, client_settings, explain, find_partitions
from simulator.sinks.sink import SinkError

if TYPE_CHECKING:
    from pipeline.deployment import Deployment
    from simulator.sinks.kafka_access import Access

#: How long a broker has to answer: a person waits for it.
ANSWER_SECONDS = 5.0

#: Errors of a broker that has just started, or has handed a partition or group over to another.
NOT_YET = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    }
)

TO_WATCH = Needs(
    "Describe on the topic and on the consumer group",
    "kafka-cluster:Connect on the cluster, DescribeTopic on the topic, DescribeGroup on the consumer group",
)


class PartitionLag(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """The offset after a partition's newest record, and the group's: None before it has committed one."""

    partition: int
    committed: int | None
    end: int
    behind: int


class ConsumerLag(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """The records of a topic that a consumer group has not committed yet, in all and by partition."""

    group: str
    behind: int
    partitions: list[PartitionLag]


def access(deployed: Deployment) -> Access:
    """Return how to reach the brokers. Raises :class:`PipelineError` if the cluster does not name them."""
    try:
        return KafkaTopic().completed(lambda: deployed).access()
    except (SinkError, BotoCoreError) as error:
        raise PipelineError(str(error)) from error


def consumer_lag(deployed: Deployment) -> ConsumerLag:
    """Return how far the detector's consumer group is behind.

    A group that has committed nothing in a partition begins with the oldest record. Records that were deleted in the
    meantime do not count: nobody can read them. Raises :class:`PipelineError` in one line.
    """
    way, trouble = access(deployed), Trouble()
    group, topic = deployed.consumer_group, deployed.topic_name
    own = {"client.id": "iot-status", "group.id": group, "enable.auto.commit": False}
    try:
        # It looks at the group without becoming a member. Librdkafka 2.16's admin client must not be asked for the
        # offsets of a group: it ends the process (SIGSEGV) if the broker answers NOT_COORDINATOR, as after its start.
        consumer = Consumer({**own, **client_settings(way, trouble)})
        try:
            partitions = find_partitions(consumer, topic, way, trouble, needs=TO_WATCH, seconds=ANSWER_SECONDS)
            return _settled_lag(consumer, group, topic, partitions)
        finally:
            consumer.close()
    except (SinkError, BotoCoreError) as error:
        raise PipelineError(str(error)) from error
    except KafkaException as error:
        raise PipelineError(explain(error.args[0], topic, way, TO_WATCH)) from error


def _settled_lag(consumer: Consumer, group: str, topic: str, partitions: list[int]) -> ConsumerLag:
    """Ask again while a broker needs a moment. Raises KafkaException."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return _lag(consumer, group, topic, partitions)
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                raise
        consumer.poll(GLANCE_SECONDS)


def _lag(consumer: Consumer, group: str, topic: str, partitions: list[int]) -> ConsumerLag:
    """Ask for the group's offsets first, then for the ends: a record that comes in between counts as behind."""
    committed = _offsets(consumer.committed([TopicPartition(topic, at) for at in partitions], timeout=ANSWER_SECONDS))
    begins, ends = (
        _offsets(consumer.offsets_for_times([TopicPartition(topic, at, which) for at in partitions], ANSWER_SECONDS))
        for which in (OFFSET_BEGINNING, OFFSET_END)
    )
    lags = [
        PartitionLag(
            partition=at,
            committed=committed[at] if committed[at] >= 0 else None,
            end=ends[at],
            behind=max(0, ends[at] - max(begins[at], committed[at])),
        )
        for at in partitions
    ]
    return ConsumerLag(group=group, behind=sum(lag.behind for lag in lags), partitions=lags)


def _offsets(found: list[TopicPartition]) -> dict[int, int]:
    """Return the offset of each partition. Raises KafkaException if one has an error."""
    for at in found:
        if at.error is not None:
            raise KafkaException(at.error)
    return {at.partition: at.offset for at in found}
