"""A Kafka topic on Amazon MSK as the source of an event source mapping, and the ARNs that its reader needs."""

from __future__ import annotations

from typing import NamedTuple

from aws_cdk import Fn


class KafkaSource(NamedTuple):
    """The topic and the consumer group in a cluster."""

    cluster_arn: str
    topic: str
    partitions: int
    consumer_group: str

    @property
    def topic_arn(self) -> str:
        """The topic's ARN."""
        return self._in_cluster("topic", self.topic)

    @property
    def group_arn(self) -> str:
        """The consumer group's ARN."""
        return self._in_cluster("group", self.consumer_group)

    def _in_cluster(self, kind: str, name: str) -> str:
        # arn:aws:kafka:region:account:cluster/name/uuid becomes arn:aws:kafka:region:account:topic/name/uuid/topic:
        # https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html#msk-iam-resources
        account, cluster = (Fn.select(index, Fn.split(":cluster/", self.cluster_arn)) for index in range(2))
        return f"{account}:{kind}/{cluster}/{name}"
