"""Kafka beside the emulator: started, found, ended as a whole; the bridge follows what is deployed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from local import emulator
from local.emulator import free_port
from local.endpoint import LocalError
from local.kafka import instance
from local.kafka.broker import missing
from local.kafka.topic import Topic, Topics, answers
from pipeline.names import Names
from tests.deployments import named_deployment
from tests.integration.kafka_broker import KafkaBroker
from tests.waiting import wait_for

NOWHERE = "http://127.0.0.1:9"
NAMES = Names("staging")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    instance.stop(tmp_path)
    emulator.stop(tmp_path)


@contextlib.contextmanager
def closing_consumer(bootstrap: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test"})
    try:
        yield consumer
    finally:
        consumer.close()


def controller_port(home: Path) -> int:
    found = re.search(r"CONTROLLER://127\.0\.0\.1:(\d+)", (home / "kafka" / "server.properties").read_text())
    assert found
    return int(found[1])


def processes_of(home: Path) -> list[int]:
    """The living processes that work in this folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(home) in (folder / "cmdline").read_text() or str(home) in str((folder / "cwd").readlink()):
                found.append(int(folder.name))
    return found


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.usefixtures("kafka")  # for its group of tests: not one broker more at a time
def test_should_run_a_broker_of_its_own_and_end_as_a_whole(home: Path) -> None:
    assert instance.running(home) is None
    endpoint = emulator.start(home=home).endpoint
    first = instance.start(endpoint, home=home)
    assert answers(first.bootstrap)
    assert first == instance.running(home) == instance.start(endpoint, home=home)
    Topics(first.bootstrap).ensure(Topic("left", 1, 24))
    producer = Producer({"bootstrap.servers": first.bootstrap})
    producer.produce("left", b"1\n", b"gw-1")
    assert producer.flush(30) == 0
    (java,) = [pid for pid in processes_of(home / "kafka") if pid != first.pid]
    os.kill(java, signal.SIGKILL)
    wait_for(lambda: instance.running(home) is None, "the end of all processes")
    assert instance.died(home) == first
    with socket.create_server(("127.0.0.1", controller_port(home))), pytest.raises(LocalError, match="ended while"):
        instance.start(endpoint, home=home)
    assert instance.died(home) == first, "a start that failed forgets nothing"
    second = instance.start(endpoint, home=home)
    assert second.bootstrap == first.bootstrap
    assert instance.died(home) is None
    with closing_consumer(second.bootstrap) as consumer:
        assert consumer.get_watermark_offsets(TopicPartition("left", 0), timeout=30) == (0, 1), "what was acknowledged"
    assert instance.stop(home)
    assert not instance.stop(home)
    assert instance.died(home) is None, "it was stopped"
    emulator.stop(home)
    assert not processes_of(home)


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.usefixtures("kafka")
def test_should_begin_without_the_records_of_an_earlier_emulator(home: Path) -> None:
    first = instance.start(NOWHERE, home=home)
    Topics(first.bootstrap).ensure(Topic("left", 1, 24))
    os.killpg(first.pid, signal.SIGKILL)
    wait_for(lambda: instance.running(home) is None, "the end of all processes")
    second = instance.start(NOWHERE, home=home)
    assert second.bootstrap == first.bootstrap
    assert Topics(second.bootstrap).partitions("left") == 0


def test_should_refuse_a_broker_that_is_not_on_this_machine_or_not_there(home: Path) -> None:
    with pytest.raises(LocalError, match=r"on this machine only, not to 'b-1\.example\.invalid:9092'"):
        instance.start(NOWHERE, "b-1.example.invalid:9092", home)
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(LocalError, match=f"no Kafka broker answers at {nobody}: start it"):
        instance.start(NOWHERE, nobody, home)
    assert instance.running(home) is None


@pytest.mark.parametrize(
    ("reason", "remedy"), [("no Java", "install Java 17 or newer and Maven"), ("no Kafka in", "run 'make kafka'")]
)
def test_should_say_what_to_install_for_a_broker(
    home: Path, monkeypatch: pytest.MonkeyPatch, reason: str, remedy: str
) -> None:
    monkeypatch.setattr(instance, "missing", lambda: reason)
    with pytest.raises(LocalError, match=f"{remedy}.*docker compose --profile kafka up") as error:
        instance.start(NOWHERE, home=home)
    assert "\n" not in str(error.value)


def test_should_show_why_the_broker_does_not_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = home / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho this Java is too old\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(java.parent), prepend=os.pathsep)
    monkeypatch.setattr(instance, "missing", lambda: "")
    with pytest.raises(LocalError, match=r"(?s)Kafka ended while starting:.*StorageTool.*this Java is too old"):
        instance.start(NOWHERE, home=home)
    assert instance.running(home) is None


def test_should_empty_the_pipelines_topics_of_a_broker_that_goes_on_running(home: Path, kafka: KafkaBroker) -> None:
    topics = Topics(kafka.address)
    topics.ensure(Topic(NAMES.topic, 1, 24))
    topics.ensure(Topic("of-somebody-else", 1, 24))
    instance.start(NOWHERE, kafka.address, home)
    assert topics.partitions(NAMES.topic) == 0
    assert topics.partitions("of-somebody-else") == 1
    with pytest.raises(LocalError, match=f"already runs, to {kafka.address}"):
        instance.start(NOWHERE, "127.0.0.1:1", home)
    instance.stop(home)
    assert answers(kafka.address)


def template(kafka: KafkaBroker, partitions: int) -> str:
    """A stack with the outputs of a deployment, and nothing in it."""
    deployed = named_deployment(
        ingest="msk", topic_name=NAMES.topic, kafka_partitions=partitions, stream_retention_hours=48,
        consumer_group=NAMES.consumer_group, channel_name=NAMES.channel, kafka_bootstrap=kafka.address,
        kafka_cluster_arn="", raw_bucket_name="the-raw-bucket",
    )  # fmt: skip
    fields = {name: str(getattr(deployed, name)) for name in deployed.__struct_fields__}
    outputs = {name.title().replace("_", ""): {"Value": value} for name, value in fields.items() if value}
    return json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs})


def test_should_follow_what_is_deployed(
    home: Path, kafka: KafkaBroker, turn_to: Callable[[str], boto3.Session]
) -> None:
    running = emulator.start(home=home)
    session = turn_to(running.endpoint)
    cloudformation, s3 = session.client("cloudformation"), session.client("s3")
    instance.start(running.endpoint, kafka.address, home)
    topics = Topics(kafka.address)

    def deploy(partitions: int) -> None:
        if not s3.list_buckets()["Buckets"]:
            s3.create_bucket(Bucket="the-raw-bucket")
        stack: Any = {"StackName": NAMES.stack("ingest"), "TemplateBody": template(kafka, partitions)}
        try:
            cloudformation.describe_stacks(StackName=NAMES.stack("ingest"))
            cloudformation.update_stack(**stack)
        except cloudformation.exceptions.ClientError:
            cloudformation.create_stack(**stack)

    def delivered() -> int:
        return s3.list_objects_v2(Bucket="the-raw-bucket", Prefix="raw/")["KeyCount"]

    deploy(2)
    wait_for(lambda: topics.partitions(NAMES.topic) == 2, "the topic")
    assert settings_of(kafka.address) == {"message.timestamp.type": "LogAppendTime", "retention.ms": "172800000"}
    producer = Producer({"bootstrap.servers": kafka.address})
    producer.produce(NAMES.topic, b"1\n", b"gw-1")
    producer.flush()
    wait_for(delivered, "the record in the raw zone, although there is no function")
    deploy(4)
    wait_for(lambda: topics.partitions(NAMES.topic) == 4, "more partitions")
    emulator.reset(home)
    wait_for(lambda: topics.partitions(NAMES.topic) == 0, "the end of the topic")
    deploy(1)
    wait_for(lambda: topics.partitions(NAMES.topic) == 1, "a new topic")
    assert kafka.count(NAMES.topic) == 0


def settings_of(bootstrap: str) -> dict[str, str]:
    """What the pipeline's topic has been given of settings."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, NAMES.topic)
    found = admin.describe_configs([resource])[resource].result(timeout=30)
    return {name: entry.value for name, entry in found.items() if name in ("message.timestamp.type", "retention.ms")}
