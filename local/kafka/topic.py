"""The topic of a deployment and its consumer groups, as CloudFormation makes and deletes them on AWS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, get_args

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from local.endpoint import LocalError, require_broker
from pipeline.names import Names, Stage

_REQUEST_SECONDS = 10.0
_RESULT_SECONDS = 30.0  # longer than the request, which says why it failed

#: A broker answers before it has deleted a topic, and the topic can be created again only afterwards.
_DELETE_SECONDS = 30.0

#: How long the bridge has to create a topic. It looks for deployments once a second.
_CREATE_SECONDS = 60.0

_HOUR_MS = 3_600_000


class Topic(NamedTuple):
    """Name, partitions and retention of a deployment's topic."""

    name: str
    partitions: int
    retention_hours: int

    @property
    def settings(self) -> dict[str, str]:
        """The topic's settings at the broker. The time of a record is that of its arrival, as on AWS."""
        return {
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(self.retention_hours * _HOUR_MS),
        }


class Topics:
    """The topics and groups at a broker. Raises KafkaException where that does not answer."""

    def __init__(self, bootstrap: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def partitions(self, name: str) -> int:
        """Return the number of partitions of a topic; 0 if it does not exist."""
        topics = self._admin.list_topics(timeout=_REQUEST_SECONDS).topics
        return len(topics[name].partitions) if name in topics else 0

    def ensure(self, topic: Topic) -> None:
        """Create a topic, or give it what it lacks: partitions cannot become fewer."""
        existing = self.partitions(topic.name)
        if not existing:
            new = NewTopic(topic.name, topic.partitions, replication_factor=1, config=topic.settings)
            with _ignoring(KafkaError.TOPIC_ALREADY_EXISTS):  # by another bridge
                self._admin.create_topics([new], request_timeout=_REQUEST_SECONDS)[topic.name].result(_RESULT_SECONDS)
            return
        if existing < topic.partitions:
            with _ignoring(KafkaError.INVALID_PARTITIONS):
                more = NewPartitions(topic.name, topic.partitions)
                self._admin.create_partitions([more], request_timeout=_REQUEST_SECONDS)[topic.name].result(
                    _RESULT_SECONDS
                )
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in topic.settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
        self._admin.incremental_alter_configs([resource], request_timeout=_REQUEST_SECONDS)[resource].result(
            _RESULT_SECONDS
        )

    def delete(self, name: str, groups: Sequence[str]) -> None:
        """Delete a topic with all its records, and the groups that have no member any more."""
        with _ignoring(KafkaError.UNKNOWN_TOPIC_OR_PART):
            self._admin.delete_topics([name], request_timeout=_REQUEST_SECONDS)[name].result(_RESULT_SECONDS)
        deadline = time.monotonic() + _DELETE_SECONDS
        while self.partitions(name) and time.monotonic() < deadline:
            time.sleep(0.05)
        for group in groups:
            # Only to be tidy: a group's offsets go with the topic, and one with members belongs to another bridge.
            with contextlib.suppress(KafkaException):
                self._admin.delete_consumer_groups([group], request_timeout=_REQUEST_SECONDS)[group].result(
                    _RESULT_SECONDS
                )


def answers(bootstrap: str) -> bool:
    """Return whether a broker answers there within a second."""
    try:
        return bool(AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def require_local_brokers(bootstrap: str) -> str:
    """Return ``HOST:PORT`` of a broker if it and all brokers that it names are on this machine, else raise LocalError.

    Clients connect to the brokers that the first one names: a port on this machine may be a tunnel to a cluster
    elsewhere. Raises KafkaException if no broker answers.
    """
    admin = AdminClient({"bootstrap.servers": require_broker(bootstrap), "log_level": 0})
    for broker in admin.list_topics(timeout=_REQUEST_SECONDS).brokers.values():
        named = f"{broker.host}:{broker.port}"
        try:
            require_broker(named)
        except LocalError as error:
            raise LocalError(
                f"the Kafka broker at {bootstrap} sends its clients to {named}, which is not on this machine; "
                "local commands need a broker whose advertised.listeners are, such as localhost:9092"
            ) from error
    return bootstrap


def clean(bootstrap: str) -> None:
    """Delete what deployments had at a broker that goes on running: their data lives as long as the bridge.

    Raises :class:`LocalError` if that is not possible.
    """
    if not answers(bootstrap):
        raise LocalError(f"no Kafka broker answers at {bootstrap}: start it, or leave --kafka out for one of our own")
    try:
        require_local_brokers(bootstrap)
        for stage in get_args(Stage):
            names = Names(stage)
            Topics(bootstrap).delete(names.topic, [names.consumer_group, names.channel])
    except KafkaException as error:
        why = error.args[0]
        raise LocalError(
            f"the pipeline's topics at the Kafka broker {bootstrap} cannot be deleted ({why.name()}: {why.str()}): "
            "delete them yourself, or leave --kafka out for a broker of our own"
        ) from error


def wait_for_topic(bootstrap: str, topic: Topic) -> None:
    """Wait until the bridge has created a deployment's topic. Raises :class:`LocalError` if it does not."""
    deadline = time.monotonic() + _CREATE_SECONDS
    topics = Topics(bootstrap)
    while time.monotonic() < deadline:
        with contextlib.suppress(KafkaException):
            if topics.partitions(topic.name) >= topic.partitions:
                return
        time.sleep(0.1)
    raise LocalError(f"the topic {topic.name} was not created at {bootstrap}: see bridge.log in build/local")


@contextlib.contextmanager
def _ignoring(*codes: int) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        if error.args[0].code() not in codes:
            raise
