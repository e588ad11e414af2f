"""Local commands use a broker on this machine only, and say in one line why they cannot."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from local.endpoint import LocalError
from local.kafka import topic as topic_module
from local.kafka.topic import clean, require_local_brokers


class Cluster:
    """A cluster whose first broker is on this machine."""

    def __init__(self) -> None:
        self.brokers = {1: SimpleNamespace(host="127.0.0.1", port=9092)}
        self.deleted: list[str] = []

    def list_topics(self, timeout: float) -> SimpleNamespace:  # noqa: ARG002
        return SimpleNamespace(brokers=self.brokers, topics={})

    def delete_topics(self, names: list[str], **_: object) -> dict[str, SimpleNamespace]:
        self.deleted += names
        denied = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not yours"))
        return {name: SimpleNamespace(result=_raise(denied)) for name in names}


def _raise(error: Exception) -> object:
    def result(_seconds: float) -> None:
        raise error

    return result


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setattr(topic_module, "AdminClient", lambda _settings: cluster)
    return cluster


def test_should_accept_brokers_on_this_machine(cluster: Cluster) -> None:
    cluster.brokers[2] = SimpleNamespace(host="127.0.0.1", port=9093)
    assert require_local_brokers("127.0.0.1:9092") == "127.0.0.1:9092"


def test_should_delete_nothing_at_a_broker_that_sends_its_clients_to_another_machine(cluster: Cluster) -> None:
    cluster.brokers[2] = SimpleNamespace(host="192.0.2.7", port=9093)
    with pytest.raises(LocalError, match=r"at 127\.0\.0\.1:9092 sends its clients to 192\.0\.2\.7:9093, which is not"):
        clean("127.0.0.1:9092")
    assert cluster.deleted == []


def test_should_say_why_topics_cannot_be_deleted(cluster: Cluster) -> None:
    with pytest.raises(LocalError, match=r"cannot be deleted \(TOPIC_AUTHORIZATION_FAILED: not yours\): delete them"):
        clean("127.0.0.1:9092")
    assert len(cluster.deleted) == 1
