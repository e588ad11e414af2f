"""Finding a deployment by its stacks' outputs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.deployment import Deployment, find
from pipeline.errors import PipelineError

KEYS = [
    "".join(word.capitalize() for word in name.split("_")) for name in Deployment.__struct_fields__
]  # StreamName, ...
VALUES = {"Ingest": "kinesis", "KafkaPartitions": "6", "StreamRetentionHours": "24"}


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
