"""The local Kafka broker behind a relay, stopped and paused at will."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from local.emulator import free_port
from local.kafka.broker import Broker, Listener
from local.kafka.topic import answers
from tests.integration.relay import Relay
from tests.waiting import wait_for


class KafkaBroker:
    """The broker of a folder, reached directly or by way of a relay."""

    def __init__(self, home: Path) -> None:
        behind, direct = free_port(), free_port()
        #: Between the broker and whoever connects to :attr:`relayed_address`.
        self.relay = Relay(behind)
        listeners = {"DIRECT": Listener(direct, direct), "RELAYED": Listener(behind, self.relay.port)}
        self._broker = Broker(home, free_port(), listeners)
        self._broker.format()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return self._broker.address

    @property
    def relayed_address(self) -> str:
        return f"127.0.0.1:{self.relay.port}"

    @property
    def log(self) -> Path:
        return self._broker.log

    def start(self) -> None:
        self._process = self._broker.start()
        wait_for(self._answers, f"Kafka's start (see {self.log})")

    def stop(self) -> None:
        """End it at once, as a crash does; what it has acknowledged is on its disk or in the page cache."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.stop()
        self.relay.close()

    def pause(self) -> None:
        """Stop it from answering, with all connections open."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def create_topic(self, name: str, partitions: int, **settings: str) -> None:
        """Also right after a pause or a start: until its first heartbeats are through, the broker is fenced."""
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings)
        admin = AdminClient({"bootstrap.servers": self.address})

        def created() -> bool:
            try:
                admin.create_topics([topic], operation_timeout=5, request_timeout=10)[name].result(timeout=30)
            except KafkaException as exc:
                code = exc.args[0].code()
                if code == KafkaError.TOPIC_ALREADY_EXISTS:  # by a request whose answer was lost
                    return True
                if code in (KafkaError.INVALID_REPLICATION_FACTOR, KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT):
                    return False
                raise
            return True

        wait_for(created, f"the topic {name} (see {self.log})")

    def count(self, topic: str) -> int:
        """How many messages are in a topic of one partition."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "test"})
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1]
        finally:
            consumer.close()

    def messages(self, topic: str) -> list[Message]:
        """All that is in a topic, partition by partition in the order of their offsets."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "test", "enable.auto.commit": False})
        try:
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            found: list[Message] = []
            for partition in sorted(partitions):
                first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
                consumer.assign([TopicPartition(topic, partition, first)])
                read: list[Message] = []
                while len(read) < end - first:
                    message = consumer.poll(30)
                    assert message is not None, f"only {len(read)} of {end - first} messages within 30 s"
                    assert message.error() is None, message.error()
                    read.append(message)
                found += read
            return found
        finally:
            consumer.close()

    def lag(self, topic: str, group: str) -> int:
        """How many messages of a topic a group has not committed yet."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group, "enable.auto.commit": False})
        try:
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            committed = consumer.committed([TopicPartition(topic, number) for number in partitions], timeout=30)
            ends = [consumer.get_watermark_offsets(each, timeout=30)[1] for each in committed]
            return sum(end - max(each.offset, 0) for each, end in zip(committed, ends, strict=True))
        finally:
            consumer.close()

    def members(self, group: str) -> int:
        """How many members of a group have partitions."""
        admin = AdminClient({"bootstrap.servers": self.address})
        described = admin.describe_consumer_groups([group])[group].result(timeout=30)
        return sum(1 for member in described.members if member.assignment.topic_partitions)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Kafka ended while starting: see {self.log}"
        return answers(self.address)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)
