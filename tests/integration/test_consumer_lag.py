"""How far a consumer group is behind, asked of a real Kafka broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from local.emulator import free_port
from pipeline import kafka
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from pipeline.kafka import ConsumerLag, PartitionLag, consumer_lag
from simulator.sinks.kafka_access import Access
from simulator.sinks.kafka_producer import open_kafka
from simulator.sinks.record import Record
from tests.deployments import named_deployment
from tests.integration.kafka_broker import KafkaBroker
from tests.waiting import wait_for


@pytest.fixture
def broker(kafka: KafkaBroker) -> KafkaBroker:
    return kafka


def on(address: str, topic: str) -> Deployment:
    return named_deployment(
        ingest="msk", topic_name=topic, kafka_bootstrap=address, kafka_cluster_arn="", consumer_group=f"of-{topic}"
    )


def fill(broker: KafkaBroker, topic: str, records: int) -> None:
    with open_kafka(Access(broker.address), topic) as sink:
        assert sink.send([Record("gw-1", b"1\n", 1)] * records) == (0, (), "")


def commit(broker: KafkaBroker, deployed: Deployment, *offsets: int) -> None:
    """Commit an offset in each partition, as a consumer of the group does."""
    settings: dict[str, Any] = {"bootstrap.servers": broker.address, "group.id": deployed.consumer_group}
    consumer = Consumer(settings)
    wanted = [TopicPartition(deployed.topic_name, partition, offset) for partition, offset in enumerate(offsets)]

    def committed() -> bool:
        """Also right after the broker's start: it makes the topic of offsets when it is first asked for one."""
        try:
            consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() in kafka.NOT_YET:
                return False
            raise
        return True

    try:
        wait_for(committed, "a commit")
    finally:
        consumer.close()


def test_should_count_what_the_group_has_not_committed(broker: KafkaBroker) -> None:
    broker.create_topic("busy", 1)
    fill(broker, "busy", 10)
    deployed = on(broker.address, "busy")
    commit(broker, deployed, 7)
    lag = PartitionLag(partition=0, committed=7, end=10, behind=3)
    assert consumer_lag(deployed) == ConsumerLag(group="of-busy", behind=3, partitions=[lag])


def test_should_count_everything_for_a_group_that_has_committed_nothing(broker: KafkaBroker) -> None:
    broker.create_topic("unread", 2)
    fill(broker, "unread", 4)
    found = consumer_lag(on(broker.address, "unread"))
    assert found.behind == 4
    assert [lag.committed for lag in found.partitions] == [None, None]
    assert sorted(lag.behind for lag in found.partitions) == [0, 4]


def test_should_ask_a_broker_that_has_just_started_and_knows_no_group(kafka: KafkaBroker, tmp_path: Path) -> None:
    fresh = KafkaBroker(tmp_path)
    try:
        fresh.start()
        fresh.create_topic("first", 1)
        fill(fresh, "first", 2)
        assert consumer_lag(on(fresh.address, "first")).behind == 2
    finally:
        fresh.close()


def test_should_not_count_records_that_are_deleted(broker: KafkaBroker) -> None:
    broker.create_topic("expired", 1)
    fill(broker, "expired", 10)
    deployed = on(broker.address, "expired")
    commit(broker, deployed, 2)
    admin = AdminClient({"bootstrap.servers": broker.address})
    for future in admin.delete_records([TopicPartition("expired", 0, 6)]).values():
        future.result(timeout=30)
    assert consumer_lag(deployed).partitions == [PartitionLag(partition=0, committed=2, end=10, behind=4)]


def test_should_say_that_there_is_no_topic(broker: KafkaBroker) -> None:
    with pytest.raises(PipelineError, match=r"there is no Kafka topic 'nowhere' at 127\.0\.0\.1:\d+; check its name"):
        consumer_lag(on(broker.address, "nowhere"))


def test_should_say_that_no_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "ANSWER_SECONDS", 1.0)
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(PipelineError, match=f"no Kafka broker answers at {nobody} .*refused") as caught:
        consumer_lag(on(nobody, "readings"))
    assert "\n" not in str(caught.value)
