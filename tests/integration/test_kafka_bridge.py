"""The whole way of a reading through a real Kafka broker and the bridge, beside the deployed stacks."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime as dt
import gzip
import json
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from confluent_kafka import Message, Producer

from evaluation import scoring
from evaluation.audit import audit
from lambdas.store.states import ALERTS_PART
from local.kafka.batches import Settings
from local.kafka.bridge import Found, Running
from local.kafka.topic import Topic, Topics
from pipeline import athena, etl, stream
from pipeline.deployment import Deployment
from pipeline.inbox import Inbox, Received, open_inbox
from simulator.faults.truth import InjectedFault
from simulator.models.devices import BUILT_IN
from simulator.models.sites import Site
from simulator.run.manifest import Manifest
from simulator.run.sender import Counts
from simulator.run.simulation import plan, simulate
from simulator.scenario.faults import Step
from simulator.scenario.scenario import Group, Scenario
from simulator.sinks import kafka_producer
from simulator.sinks.kafka import KafkaTopic
from tests.integration.kafka_broker import KafkaBroker
from tests.waiting import wait_for

PARTITIONS = 3
TOLD_SECONDS = 240


class Piped:
    """A deployment whose readings come by a topic of its own."""

    def __init__(self, session: boto3.Session, deployed: Deployment, broker: KafkaBroker, **changes: Any) -> None:
        name = f"readings-{uuid.uuid4().hex[:8]}"
        self.session = session
        self._broker = broker
        self.deployed = msgspec.structs.replace(
            deployed,
            ingest="msk",
            topic_name=name,
            kafka_partitions=PARTITIONS,
            stream_retention_hours=24,
            consumer_group=f"{name}-detector",
            channel_name=f"{name}-raw",
            kafka_bootstrap=broker.address,
            **changes,
        )
        self.topics = Topics(broker.address)
        self.topics.ensure(Topic(name, PARTITIONS, 24))
        self._bridges: list[Running] = []

    def bridge(self, settings: Settings | None = None) -> Running:
        """Start one more bridge."""
        self._bridges.append(Running(self.session, Found("stack", self.deployed), settings or Settings()))
        return self._bridges[-1]

    def produce(self, *records: tuple[bytes, bytes | None]) -> None:
        producer = Producer({"bootstrap.servers": self.deployed.kafka_bootstrap})
        for key, value in records:
            producer.produce(self.deployed.topic_name, value, key)
        assert producer.flush(30) == 0

    def raw_objects(self) -> Iterator[bytes]:
        """What the channel has put."""
        s3, bucket = self.session.client("s3"), self.deployed.raw_bucket_name
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="raw/"):
            for entry in page.get("Contents", []):
                if self.deployed.channel_name in entry["Key"]:
                    yield gzip.decompress(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())

    def different_lines(self) -> int:
        """How many lines are in the raw zone, each counted once: delivery is at least once."""
        return len({line for body in self.raw_objects() for line in body.splitlines()})

    def failures(self) -> list[dict[str, Any]]:
        """What is in the failure queue about this topic; it is taken out."""
        sqs, url = self.session.client("sqs"), self.deployed.failure_queue_url
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found if self.deployed.topic_name in message["Body"]]

    def is_done(self) -> bool:
        """Whether both groups have committed all that is in the topic."""
        groups = (self.deployed.consumer_group, self.deployed.channel_name)
        return all(self._broker.lag(self.deployed.topic_name, group) == 0 for group in groups)

    def members(self, group: str) -> int:
        """How many members of a group have partitions."""
        return self._broker.members(group)

    def messages(self) -> list[Message]:
        """All that is in the topic."""
        return self._broker.messages(self.deployed.topic_name)

    def close(self) -> None:
        for bridge in self._bridges:
            bridge.stop()
        self.topics.delete(self.deployed.topic_name, [self.deployed.consumer_group, self.deployed.channel_name])


@pytest.fixture
def piped(kafka: KafkaBroker, aws: boto3.Session, deployed: Deployment) -> Iterator[Piped]:
    piped = Piped(aws, deployed, kafka)
    yield piped
    piped.close()


def scenario(name: str, *, minutes: int = 10) -> Scenario:
    """A fleet with devices that grow too hot; its devices and groups are no other test's."""
    hot = Step(start="2m", duration=f"{minutes - 5}m", count=4, size=30, expect=("too-hot",))
    return Scenario(
        name=name, seed=7, length=f"{minutes}m", interval="10s", sites=(Site(name=name, gateways=8),),
        models={name: BUILT_IN["indoor"]}, devices=(Group(model=name, count=80),), faults=(hot,),
    )  # fmt: skip


class Run:
    """A simulation into the topic, in a thread, and what was told of it."""

    def __init__(self, piped: Piped, name: str, *, speed: float, **properties: str) -> None:
        planned = scenario(name)
        self._plan = plan(planned, length=planned.duration, speed=speed)
        self._name = name
        destination = stream.destination(piped.deployed)
        assert isinstance(destination, KafkaTopic)
        self._destination = dataclasses.replace(destination, properties=tuple(properties.items()))
        self._injected: list[InjectedFault] = []
        self._received: list[Received] = []
        #: Lines that were sent so far.
        self.sent = 0
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._manifest = self._pool.submit(self._simulate)

    def manifest(self) -> Manifest:
        """The manifest, once the run has ended."""
        return self._manifest.result()

    def score(self, inbox: Inbox) -> scoring.Score:
        """What was told so far, against what was injected."""
        self._received += inbox.receive(wait_seconds=1)
        ours = [each for each in self._received if each.notification.group.get("site") == self._name]
        clock = scoring.wall_clock(self.manifest())
        return scoring.score(self._injected, ours, self.manifest().ended_at, clock=clock)

    def _simulate(self) -> Manifest:
        def count(counts: Counts) -> None:
            self.sent = counts.sent

        with self._destination.open() as sink:
            return simulate(self._plan, sink, on_progress=count, on_injected=self._injected.append)


def test_should_bring_readings_to_a_subscriber_and_a_table_and_quarantine_a_tombstone(piped: Piped) -> None:
    piped.bridge()
    with open_inbox(piped.session, piped.deployed.alerts_topic_arn) as inbox:
        run = Run(piped, "by-kafka", speed=120)
        manifest = run.manifest()
        piped.produce((b"gw-tombstone", None))
        assert (manifest.sent > 4_000, manifest.refused) == (True, 0)
        wait_for(lambda: run.score(inbox).total.recall == 1, "every expected alert", seconds=TOLD_SECONDS)
        assert run.score(inbox).good
    wait_for(piped.is_done, "all records in the raw zone")
    assert b"\n" in list(piped.raw_objects())
    etl.run_job(piped.session, piped.deployed, {})
    found = audit(piped.session, piped.deployed, manifest)
    assert found.adds_up
    assert (found.totals.sent, found.lost) == (manifest.sent, 0)
    empty = athena.query(
        piped.session,
        piped.deployed,
        "SELECT count(*) AS n FROM quarantine "
        f"WHERE reason = 'empty' AND raw_object LIKE '%{piped.deployed.channel_name}%'",
    )
    assert empty["n"].tolist() >= [1]  # delivery is at least once


def test_should_lose_nothing_while_a_second_bridge_joins_and_leaves(piped: Piped) -> None:
    piped.bridge()
    run = Run(piped, "rebalanced", speed=100)
    wait_for(lambda: run.sent > 500, "the first lines")
    second = piped.bridge()
    wait_for(lambda: piped.members(piped.deployed.consumer_group) == 2, "a second member with partitions")
    wait_for(lambda: run.sent > 2_500, "more lines")
    second.stop()
    manifest = run.manifest()
    assert manifest.refused == 0
    wait_for(piped.is_done, "all records delivered")
    assert piped.different_lines() == manifest.sent


def test_should_lose_nothing_that_was_acknowledged_when_the_broker_is_killed(piped: Piped, kafka: KafkaBroker) -> None:
    piped.bridge()
    run = Run(piped, "killed", speed=120)
    wait_for(lambda: run.sent > 1_000, "the first lines")
    kafka.stop()
    kafka.start()
    manifest = run.manifest()
    assert manifest.sent + manifest.refused > 4_000
    wait_for(piped.is_done, "all records delivered")
    assert piped.different_lines() >= manifest.sent
    assert bool(manifest.refusal) == bool(manifest.refused)  # none, unless the broker took half a minute to start


def test_should_report_what_a_broker_that_stays_away_did_not_acknowledge(
    piped: Piped, kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_producer, "DELIVERY_SECONDS", 2.0)
    piped.bridge()
    run = Run(piped, "away", speed=120)
    wait_for(lambda: run.sent > 500, "the first lines")
    kafka.stop()
    try:
        manifest = run.manifest()
    finally:
        kafka.start()
    assert manifest.refused > 0
    assert "has accepted nothing for 2 s" in manifest.refusal
    wait_for(piped.is_done, "all records delivered")
    assert manifest.sent <= piped.different_lines() <= manifest.sent + manifest.refused


@pytest.fixture
def unreadable(piped: Piped) -> Iterator[bytes]:
    """A gateway whose state is damaged: each of its records fails the batch that it is in, whatever the try."""
    gateway = f"gw-{uuid.uuid4().hex[:8]}"
    dynamodb, table = piped.session.client("dynamodb"), piped.deployed.state_table_name
    key: dict[str, Any] = {"gateway": {"S": gateway}, "part": {"S": ALERTS_PART}}
    dynamodb.put_item(TableName=table, Item={**key, "version": {"N": "1"}, "state": {"B": b"damaged"}})
    yield gateway.encode()
    dynamodb.delete_item(TableName=table, Key=key)


def test_should_hand_a_poison_record_to_the_failure_queue_and_deliver_the_others(
    piped: Piped, unreadable: bytes
) -> None:
    devices = [f"beside-{uuid.uuid4().hex[:8]}" for _ in range(4)]
    with open_inbox(piped.session, piped.deployed.alerts_topic_arn) as inbox:
        for device in devices[:2]:
            piped.produce((device.encode(), hot(device)))
        piped.produce((unreadable, hot("poison")))
        for device in devices[2:]:
            piped.produce((device.encode(), hot(device)))
        piped.bridge(Settings(retries=1))
        told: set[str] = set()

        def all_told() -> bool:
            told.update(alert.device for each in inbox.receive() for alert in each.notification.alerts)
            return told >= set(devices)

        wait_for(all_told, "the alerts of the others", seconds=TOLD_SECONDS)
    wait_for(piped.is_done, "all records committed")  # after it the failure queue has the poison
    (failure,) = piped.failures()
    assert failure["requestContext"]["condition"] == "RetryAttemptsExhausted"
    ((place, span),) = failure["KafkaBatchInfo"]["recordsInfo"].items()
    at = (int(place.removeprefix(f"{piped.deployed.topic_name}-")), int(span["firstRecordOffset"]))
    assert [(each.partition(), each.offset()) for each in piped.messages() if each.key() == unreadable] == [at]
    assert span["firstRecordOffset"] == span["lastRecordOffset"]


def test_should_go_on_with_a_partition_that_is_added_while_alerts_fire(piped: Piped) -> None:
    piped.bridge()
    with open_inbox(piped.session, piped.deployed.alerts_topic_arn) as inbox:
        # A producer asks every five minutes by default how many there are.
        run = Run(piped, "more-partitions", speed=120, **{"topic.metadata.refresh.interval.ms": "200"})
        wait_for(lambda: run.sent > 1_500, "the first lines")
        piped.topics.ensure(Topic(piped.deployed.topic_name, PARTITIONS + 2, 24))
        assert run.manifest().refused == 0
        wait_for(lambda: run.score(inbox).total.recall == 1, "every expected alert", seconds=TOLD_SECONDS)
        assert run.score(inbox).total.false == 0
    wait_for(piped.is_done, "all records delivered")
    assert piped.different_lines() == run.manifest().sent
    assert len({each.partition() for each in piped.messages()}) > PARTITIONS


def hot(device: str) -> bytes:
    """Two readings that are too hot for long enough."""
    now = dt.datetime.now(dt.UTC)
    return b"".join(
        json.dumps(
            {
                "device_id": device,
                "site": f"site of {device}",
                "ts": (now - dt.timedelta(seconds=ago)).isoformat(),
                "seq": 200 - ago,
                "status": "ok",
                "temperature": 42.0,
            }
        ).encode()
        + b"\n"
        for ago in (160, 10)
    )
