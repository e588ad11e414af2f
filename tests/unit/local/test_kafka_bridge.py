"""The bridge starts workers for what is deployed, and deletes a topic only when its deployment is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from local.endpoint import LocalError
from local.kafka import bridge as bridge_module
from local.kafka.bridge import Bridge, Found
from local.kafka.topic import Topic
from pipeline import deployment
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from pipeline.names import Names
from tests.deployments import named_deployment

STACK = Names("dev").stack("ingest")


class World:
    """The stacks at an emulator, the topics at a broker, and the workers that run."""

    def __init__(self) -> None:
        self.stacks: dict[str, str] = {}
        self.deployed: Deployment | None = None
        self.topics: dict[str, int] = {}
        self.running: list[Found] = []
        self.bridge = Bridge(self)  # type: ignore[arg-type]

    def deploy(self, stack_id: str, *, partitions: int = 3, ingest: Any = "msk") -> None:
        self.stacks = {STACK: stack_id}
        self.deployed = named_deployment(ingest=ingest, kafka_partitions=partitions, stream_retention_hours=24)

    def client(self, *_: object, **_config: object) -> World:
        return self

    def get_paginator(self, _operation: str) -> World:
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"Stacks": [{"StackName": name, "StackId": stack_id} for name, stack_id in self.stacks.items()]}]

    def find(self, _session: object, _stage: str) -> Deployment:
        if self.deployed is None:
            raise PipelineError("the stacks are incomplete")
        return self.deployed

    def ensure(self, topic: Topic) -> None:
        self.topics[topic.name] = topic.partitions

    def delete(self, name: str, _groups: Sequence[str]) -> None:
        del self.topics[name]

    def run(self, _session: object, found: Found, _settings: object) -> SimpleNamespace:
        self.running.append(found)
        return SimpleNamespace(found=found, stop=lambda: self.running.remove(found))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(deployment, "find", world.find)
    monkeypatch.setattr(bridge_module, "Topics", lambda _bootstrap: world)
    monkeypatch.setattr(bridge_module, "require_local_brokers", lambda bootstrap: bootstrap)
    monkeypatch.setattr(bridge_module, "Running", world.run)
    return world


def test_should_keep_a_topic_and_its_workers_while_the_stage_is_deployed_again(world: World) -> None:
    world.deploy("first")
    world.bridge.poll()
    before = list(world.running)
    world.deployed = None
    world.bridge.poll()
    assert world.topics == {"the-topic-name": 3}
    assert world.running == before


def test_should_start_the_workers_again_with_more_partitions(world: World) -> None:
    world.deploy("first")
    world.bridge.poll()
    world.deploy("first", partitions=5)
    world.bridge.poll()
    assert world.topics == {"the-topic-name": 5}
    assert [found.topic.partitions for found in world.running] == [5]


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.stacks.clear(),
        lambda world: world.stacks.update({STACK: "second"}),
        lambda world: world.deploy("first", ingest="kinesis"),
    ],
    ids=["reset", "deployed after a reset", "deployed with a stream"],
)
def test_should_delete_the_topic_of_a_deployment_that_is_gone(world: World, change: Callable[[World], None]) -> None:
    world.deploy("first")
    world.bridge.poll()
    world.deployed = None
    change(world)
    world.bridge.poll()
    assert (world.topics, world.running) == ({}, [])


def test_should_serve_the_other_stages_when_the_broker_of_one_cannot_be_used(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.deploy("first")
    world.stacks[Names("prod").stack("ingest")] = "another"

    def find(_session: object, stage: str) -> Deployment:
        return named_deployment(ingest="msk", topic_name=stage, kafka_bootstrap=stage, kafka_partitions=1)

    def require_local_brokers(bootstrap: str) -> str:
        if bootstrap == "dev":
            raise LocalError("the broker is somewhere else")
        return bootstrap

    monkeypatch.setattr(deployment, "find", find)
    monkeypatch.setattr(bridge_module, "require_local_brokers", require_local_brokers)
    world.bridge.poll()
    world.bridge.poll()
    assert list(world.topics) == ["prod"]
    assert [record.message for record in caplog.records if "somewhere else" in record.message] == [
        "dev: the broker is somewhere else"
    ]
