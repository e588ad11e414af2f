"""The sink that produces records to a Kafka topic, of Amazon MSK or any other cluster: its URL."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from simulator.sinks.destination import Deployed, Destination, Part, SinkUrl
from simulator.sinks.kafka_access import Access, Properties, check_login
from simulator.sinks.msk import find_brokers, region_of
from simulator.sinks.sink import Sink

#: The value of ``auth`` in a URL.
_MSK_IAM = "msk-iam"


@dataclass(frozen=True)
class KafkaTopic(Destination):
    """A topic, which has to exist, and the brokers: ``host:port``, several separated by commas.

    Without a topic it is the deployment's, which is completed with either its ``brokers`` or the ARN of its cluster in
    Amazon MSK: whoever opens the sink asks that one for its brokers. With ``msk_iam`` the client logs in to Amazon MSK
    with the AWS credentials of the environment, over TLS. Without, it does neither, unless the ``properties`` of
    librdkafka say so; these may be secret.
    """

    brokers: str = ""
    topic: str = ""
    msk_iam: bool = False
    cluster_arn: str = ""
    properties: Properties = dataclasses.field(default=(), repr=False)

    schemes: ClassVar = ("kafka",)
    package: ClassVar = "confluent_kafka"
    usage: ClassVar = "kafka or kafka://HOST:PORT/TOPIC"
    help: ClassVar = (
        "A Kafka topic, without a name the deployment's; several HOST:PORT with commas. "
        "'?auth=msk-iam' is --msk-iam; --kafka-property has other ways to log in."
    )

    def __post_init__(self) -> None:
        if self.msk_iam:
            check_login(self.properties)

    @property
    def in_aws(self) -> bool:
        """Whether it is in the AWS account that the command line chose: the deployment's topic is found there."""
        return not self.topic

    @classmethod
    def from_url(cls, url: SinkUrl) -> KafkaTopic:
        """Read the URL."""
        auth = url.parameters("auth").get("auth")
        if auth not in (None, _MSK_IAM):
            raise ValueError(f"the parameter 'auth' can only be {_MSK_IAM}")
        if not url.authority and not url.path:
            return cls(msk_iam=auth == _MSK_IAM)
        for broker in url.authority.split(","):
            _check_broker(broker.strip())
        if not url.path:
            raise ValueError("the topic is missing")
        return cls(url.authority, url.path, auth == _MSK_IAM)

    def completed(self, find: Callable[[], Deployed]) -> KafkaTopic:
        """Return the same with the deployment's topic and brokers where the URL has none."""
        if self.topic:
            return self
        deployed = find()
        if deployed.ingest != "msk":
            raise ValueError(
                "--sink kafka: readings come into this deployment by Kinesis; "
                f"write --sink kinesis, which is its stream {deployed.stream_name}, or kafka://HOST:PORT/TOPIC"
            )
        return dataclasses.replace(
            self,
            brokers=deployed.kafka_bootstrap,
            topic=deployed.topic_name,
            msk_iam=self.msk_iam or bool(deployed.kafka_cluster_arn),
            cluster_arn=deployed.kafka_cluster_arn,
        )

    def open(self, _part: Part = (0, 1)) -> AbstractContextManager[Sink]:
        """Connect to the cluster."""
        from simulator.sinks.kafka_producer import open_kafka  # noqa: PLC0415 - loads librdkafka

        return open_kafka(self.access(), self.topic)

    def access(self) -> Access:
        """Return how to reach the cluster, which is asked for its brokers if it is the deployment's in Amazon MSK.

        Raises :class:`~simulator.sinks.sink.SinkError` if it names none.
        """
        if self.cluster_arn:
            brokers, region = find_brokers(self.cluster_arn), region_of(self.cluster_arn)
            return Access(brokers, self.msk_iam, region, self.properties)
        return Access(self.brokers, self.msk_iam, None, self.properties)


def _check_broker(broker: str) -> None:
    """Raise ValueError unless ``broker`` is ``HOST:PORT`` or ``HOST``; librdkafka takes any number for a port."""
    if not broker:
        raise ValueError("a broker is missing")
    host, colon, port = broker.rpartition(":")
    if colon and not broker.endswith("]") and (not host or not port.isdecimal() or not 0 < int(port) < 2**16):
        raise ValueError(f"invalid port {port!r} of a broker")
