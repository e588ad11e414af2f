"""Finding a deployment by its stacks' outputs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.deployment import Deployment, find
from pipeline.errors import PipelineError

_NAMED = ["".join(word.capitalize() for word in name.split("_")) for name in Deployment.__struct_fields__]
ON_KINESIS = ["StreamName", "DeliveryStreamName"]
ON_MSK = ["TopicName", "KafkaPartitions", "StreamRetentionHours", "ConsumerGroup", "ChannelName"]
BROKERS = ["KafkaClusterArn", "KafkaBootstrap"]
#: The outputs that do not depend on the kind of stream.
ALWAYS = [key for key in _NAMED if key not in {"Ingest", *ON_KINESIS, *ON_MSK, *BROKERS}]
KEYS = [*ON_KINESIS, *ALWAYS]
VALUES = {"Ingest": "msk", "KafkaPartitions": "6", "StreamRetentionHours": "24"}


def _output(key: str) -> dict[str, str]:
    return {"OutputKey": key, "OutputValue": VALUES.get(key, f"the {key}")}


def session(stacks: dict[str, list[str]]) -> Any:
    """A session whose CloudFormation has these stacks with these outputs, a page each."""
    pages = [
        {
            "Stacks": [
                {
                    "StackName": name,
                    "Outputs": [_output(key) for key in keys],
                }
            ]
        }
        for name, keys in stacks.items()
    ]
    paginator = SimpleNamespace(paginate=lambda: pages)
    return SimpleNamespace(client=lambda _: SimpleNamespace(get_paginator=lambda _: paginator))


def test_should_merge_the_outputs_of_a_stages_stacks() -> None:
    deployed = find(
        session({"iot-dev-ingest": KEYS[:3], "iot-dev-rest": KEYS[3:], "iot-prod-ingest": ["StreamName"]}), "dev"
    )
    assert deployed.stream_name == "the StreamName"
    assert deployed.dashboard_name == "the DashboardName"


def test_should_say_what_to_do_when_nothing_is_deployed() -> None:
    with pytest.raises(PipelineError, match=r"no stack iot-dev-\* is deployed here; run 'iot deploy'"):
        find(session({"CDKToolkit": [], "iot-prod-ingest": KEYS}), "dev")


def test_should_name_what_a_half_deployed_stage_lacks() -> None:
    with pytest.raises(PipelineError, match="missing required field `DashboardName`"):
        find(session({"iot-dev-ingest": KEYS[:-1]}), "dev")


def test_should_take_a_deployment_from_before_there_was_a_choice_for_kinesis() -> None:
    assert find(session({"iot-dev-ingest": KEYS}), "dev").ingest == "kinesis"


@pytest.mark.parametrize("broker", BROKERS)
def test_should_read_a_deployment_with_a_topic(broker: str) -> None:
    deployed = find(session({"iot-dev-ingest": ["Ingest", *ON_MSK, broker, *ALWAYS]}), "dev")
    assert (deployed.ingest, deployed.topic_name, deployed.kafka_partitions) == ("msk", "the TopicName", 6)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (ALWAYS, "with ingest=kinesis there must be StreamName, DeliveryStreamName"),
        (["StreamName", *ALWAYS], "with ingest=kinesis there must be DeliveryStreamName"),
        (["Ingest", *ON_MSK, *ALWAYS], "with ingest=msk there must be KafkaClusterArn or KafkaBootstrap"),
        (["Ingest", *KEYS, "KafkaBootstrap", *ON_MSK[:-1]], "with ingest=msk there must be ChannelName"),
    ],
)
def test_should_name_what_is_missing_for_the_kind_of_stream(outputs: list[str], words: str) -> None:
    with pytest.raises(PipelineError, match=r"iot-dev-\* are incomplete .*; deploy them again") as caught:
        find(session({"iot-dev-ingest": outputs}), "dev")
    assert words in str(caught.value)
