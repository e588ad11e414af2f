"""The sink that produces records to a Kafka topic, of Amazon MSK or any other cluster: its URL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from simulator.sinks.destination import Destination, Part, SinkUrl
from simulator.sinks.sink import Sink

#: The value of ``auth`` in a URL.
_MSK_IAM = "msk-iam"


@dataclass(frozen=True)
class KafkaTopic(Destination):
    """A topic, which has to exist, and the brokers: ``host:port``, several separated by commas.

    With ``msk_iam`` the client logs in to Amazon MSK with the AWS credentials of the environment, over TLS; without, it
    does neither.
    """

    brokers: str
    topic: str
    msk_iam: bool = False

    schemes: ClassVar = ("kafka",)
    package: ClassVar = "confluent_kafka"
    usage: ClassVar = "kafka://HOST:PORT/TOPIC"
    help: ClassVar = "A Kafka topic; several HOST:PORT with commas; '?auth=msk-iam' logs in to Amazon MSK with IAM."

    @classmethod
    def from_url(cls, url: SinkUrl) -> KafkaTopic:
        """Read the URL."""
        auth = url.parameters("auth").get("auth")
        if not all(broker.strip() for broker in url.authority.split(",")):
            raise ValueError("a broker is missing")
        if not url.path:
            raise ValueError("the topic is missing")
        if auth not in (None, _MSK_IAM):
            raise ValueError(f"the parameter 'auth' can only be {_MSK_IAM}")
        return cls(url.authority, url.path, auth == _MSK_IAM)

    def open(self, _part: Part = (0, 1)) -> AbstractContextManager[Sink]:
        """Connect to the cluster."""
        from simulator.sinks.kafka_producer import open_kafka  # noqa: PLC0415 - loads librdkafka

        return open_kafka(self.brokers, self.topic, msk_iam=self.msk_iam)
