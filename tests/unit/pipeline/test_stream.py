"""The stream of a deployment, whichever kind it is."""

from __future__ import annotations

from pipeline.stream import describe, destination
from simulator.sinks.kafka import KafkaTopic
from simulator.sinks.kinesis import KinesisStream
from tests.deployments import named_deployment

ON_KINESIS = named_deployment(stream_name="iot-dev-readings")
ON_KAFKA = named_deployment(ingest="msk", topic_name="iot-dev-readings", kafka_cluster_arn="", kafka_bootstrap="b:9092")


def test_should_send_to_the_stream_that_there_is() -> None:
    assert destination(ON_KINESIS) == KinesisStream("iot-dev-readings")
    assert destination(ON_KAFKA) == KafkaTopic("b:9092", "iot-dev-readings")


def test_should_name_the_stream_that_there_is() -> None:
    assert describe(ON_KINESIS) == "the Kinesis stream iot-dev-readings"
    assert describe(ON_KAFKA) == "the Kafka topic iot-dev-readings"
