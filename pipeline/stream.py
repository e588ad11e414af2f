"""The stream of readings of a deployment: the Kinesis stream, or the Kafka topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.sinks.kafka import KafkaTopic
from simulator.sinks.kinesis import KinesisStream

if TYPE_CHECKING:
    from pipeline.deployment import Deployment
    from simulator.sinks.destination import Destination


def destination(deployed: Deployment) -> Destination:
    """Return where readings are sent to, to be opened: in this process or in another."""
    kind = KafkaTopic() if deployed.ingest == "msk" else KinesisStream()
    return kind.completed(lambda: deployed)


def describe(deployed: Deployment) -> str:
    """Return the stream's kind and name, for a person."""
    if deployed.ingest == "msk":
        return f"the Kafka topic {deployed.topic_name}"
    return f"the Kinesis stream {deployed.stream_name}"
