"""The Kafka topic of a deployment: the way to its brokers, and how far the detector's consumer group has got."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import BotoCoreError
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from pipeline.errors import PipelineError
from simulator.sinks.kafka import KafkaTopic
from simulator.sinks.kafka_client import Needs, Trouble, client_settings, explain, find_partitions
from simulator.sinks.sink import SinkError

if TYPE_CHECKING:
    from pipeline.deployment import Deployment
    from simulator.sinks.kafka_access import Access

#: How long a broker has to answer: a person waits for it.
ANSWER_SECONDS = 5.0

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
    try:
        admin = AdminClient({"client.id": "iot-status", **client_settings(way, trouble)})
        partitions = find_partitions(admin, deployed.topic_name, way, trouble, needs=TO_WATCH, seconds=ANSWER_SECONDS)
        return _lag(admin, deployed.consumer_group, [TopicPartition(deployed.topic_name, p) for p in partitions])
    except (SinkError, BotoCoreError) as error:
        raise PipelineError(str(error)) from error
    except KafkaException as error:
        raise PipelineError(explain(error.args[0], deployed.topic_name, way, TO_WATCH)) from error


def _lag(admin: AdminClient, group: str, partitions: list[TopicPartition]) -> ConsumerLag:
    """Ask for the group's offsets first, then for the ends: a record that comes in between counts as behind."""
    asked = ConsumerGroupTopicPartitions(group, partitions)
    of_group = admin.list_consumer_group_offsets([asked], request_timeout=ANSWER_SECONDS)[group].result()
    committed = {}
    for at in of_group.topic_partitions:
        if at.error is not None:
            raise KafkaException(at.error)
        committed[at.partition] = at.offset if at.offset >= 0 else None
    begins = _offsets(admin, partitions, OffsetSpec.earliest())
    ends = _offsets(admin, partitions, OffsetSpec.latest())
    lags = [
        PartitionLag(
            partition=partition,
            committed=offset,
            end=ends[partition],
            behind=max(0, ends[partition] - max(begins[partition], offset or 0)),
        )
        for partition, offset in sorted(committed.items())
    ]
    return ConsumerLag(group=group, behind=sum(lag.behind for lag in lags), partitions=lags)


def _offsets(admin: AdminClient, partitions: list[TopicPartition], spec: OffsetSpec) -> dict[int, int]:
    found = admin.list_offsets(dict.fromkeys(partitions, spec), request_timeout=ANSWER_SECONDS)
    return {at.partition: future.result().offset for at, future in found.items()}
