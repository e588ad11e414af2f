"""Bounds of the settings of a Kafka topic, and their checks."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

import msgspec

BrokerType = Literal[
    "express.m7g.large",
    "express.m7g.xlarge",
    "express.m7g.2xlarge",
    "express.m7g.4xlarge",
    "express.m7g.8xlarge",
    "express.m7g.12xlarge",
    "express.m7g.16xlarge",
]

#: The most partitions, counting replicas, that a broker of each type has:
#: https://docs.aws.amazon.com/msk/latest/developerguide/limits.html#msk-express-quota
_BROKER_PARTITIONS: dict[BrokerType, int] = {
    "express.m7g.large": 1_500,
    "express.m7g.xlarge": 2_000,
    "express.m7g.2xlarge": 4_000,
    "express.m7g.4xlarge": 8_000,
    "express.m7g.8xlarge": 16_000,
    "express.m7g.12xlarge": 24_000,
    "express.m7g.16xlarge": 32_000,
}

#: As many in each of three zones, and 30 in a cluster whose metadata is in ZooKeeper; the same page.
Brokers = Annotated[int, msgspec.Meta(ge=3, le=30, multiple_of=3)]

#: Express brokers replicate every topic three times, whatever a topic asks for:
#: https://docs.aws.amazon.com/msk/latest/developerguide/msk-configuration-express-read-write.html
REPLICATION_FACTOR = 3

#: A mapping has 2,000 pollers at most, and no more than the topic has partitions:
#: https://docs.aws.amazon.com/lambda/latest/dg/kafka-scaling-modes.html#kafka-provisioned-mode
Partitions = Annotated[int, msgspec.Meta(ge=1, le=2_000)]

#: MSK delivers a topic to S3 every five minutes at the soonest:
#: https://docs.aws.amazon.com/msk/latest/developerguide/msk-data-delivery-s3-concepts.html
CHANNEL_MINIMUM_SECONDS = 300

#: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonmanagedstreamingforapachekafka.html
_CLUSTER_ARN = re.compile(r"arn:aws[\w-]*:kafka:[a-z0-9-]+:\d{12}:cluster/[\w-]{1,64}/[0-9a-f-]{36}-(?P<suffix>s?\d+)")

#: Kafka's own rule: https://github.com/apache/kafka/blob/3.8/clients/src/main/java/org/apache/kafka/common/internals/Topic.java
_TOPIC = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")


def check_existing(cluster_arn: str | None, topic: str | None) -> None:
    """Raise ``ValueError`` for a cluster without a topic or the reverse, and for one that cannot be read."""
    if cluster_arn is None and topic is None:
        return
    if cluster_arn is None or topic is None:
        raise ValueError(
            "kafka_cluster_arn and kafka_topic go together, for a topic that exists; without both, a cluster and a "
            "topic are created"
        )
    arn = _CLUSTER_ARN.fullmatch(cluster_arn)
    if arn is None:
        raise ValueError(
            f"invalid kafka_cluster_arn={cluster_arn}: write the ARN of an MSK cluster, such as "
            "arn:aws:kafka:eu-west-1:111122223333:cluster/name/abcd1234-abcd-cafe-abab-9876543210ab-4"
        )
    if arn["suffix"].startswith("s"):
        raise ValueError(
            f"kafka_cluster_arn={cluster_arn} is a cluster of MSK Serverless, which delivers no topic to S3; name a "
            "provisioned cluster with Express brokers"
        )
    if not _TOPIC.fullmatch(topic):
        raise ValueError(f"invalid kafka_topic={topic}: write 1 to 249 letters, digits, dots, underscores and hyphens")


def check_bootstrap(address: str) -> None:
    """Raise ``ValueError`` unless ``address`` is ``HOST:PORT`` on this machine."""
    host, _, port = address.rpartition(":")
    try:
        here = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        here = False
    if not here or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(
            f"invalid kafka_bootstrap={address}: write HOST:PORT of a broker on this machine, such as 127.0.0.1:9092"
        )


def check_partitions(partitions: int, *, brokers: int, broker_type: BrokerType) -> None:
    """Raise ``ValueError`` for more partitions than the brokers have."""
    most = _BROKER_PARTITIONS[broker_type] * brokers // REPLICATION_FACTOR
    if partitions > most:
        raise ValueError(
            f"kafka_partitions={partitions} is more than {brokers} brokers of {broker_type} have, which is {most}: set "
            "fewer partitions, more kafka_brokers or a larger kafka_broker_type"
        )
