"""Log-ins and permissions at a real Kafka broker: who is let in, and what is said to who is not."""

from __future__ import annotations

import re

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from simulator.sinks import kafka_client
from simulator.sinks.kafka_access import Access
from simulator.sinks.kafka_producer import open_kafka
from simulator.sinks.record import Record
from simulator.sinks.sink import SinkError
from tests.integration.secured_broker import SecuredBroker


@pytest.fixture(scope="module")
def broker(secured: SecuredBroker) -> SecuredBroker:
    secured.create_topic("guarded", 2)
    secured.allow("writer", ResourceType.TOPIC, "guarded", AclOperation.DESCRIBE, AclOperation.WRITE)
    secured.allow("reader", ResourceType.TOPIC, "guarded", AclOperation.DESCRIBE)
    return secured


def refusal(access: Access, topic: str = "guarded") -> str:
    """What the sink says that cannot be opened, in one line and without a password."""
    with pytest.raises(SinkError) as caught, open_kafka(access, topic) as sink:
        sink.send([Record("gw-1", b"1\n", 1)])
    said = str(caught.value)
    assert "\n" not in said
    assert "secret" not in said
    return said


def test_should_produce_with_a_log_in_by_properties(broker: SecuredBroker) -> None:
    with open_kafka(broker.access("writer"), "guarded") as sink:
        assert sink.send([Record("gw-1", b"1\n", 1)]) == (0, (), "")
    assert b"1\n" in [message.value() for message in broker.messages("guarded")]


def test_should_say_at_once_that_the_log_in_fails(broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "CONNECT_SECONDS", 600.0)  # nobody waits for it
    said = refusal(broker.access("writer", "another-secret"))
    assert said.startswith(f"the Kafka brokers at {broker.relayed_address} refuse the log-in (")
    assert said.endswith("; check sasl.mechanisms, sasl.username and sasl.password in --kafka-property, or --msk-iam")


def test_should_say_that_the_broker_does_not_accept_credentials_of_aws(broker: SecuredBroker) -> None:
    trusted = (("ssl.ca.location", str(broker.authority)),)
    said = refusal(Access(broker.relayed_address, msk_iam=True, properties=trusted))
    assert said.startswith(f"the Kafka brokers at {broker.relayed_address} refuse the log-in (")
    assert said.endswith(
        "; check the AWS credentials and that their policy allows kafka-cluster:Connect on the cluster"
    )


def test_should_say_that_the_brokers_certificate_is_not_trusted(
    broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_client, "CONNECT_SECONDS", 5.0)
    said = refusal(Access(broker.relayed_address, msk_iam=True))
    assert said.startswith(f"no Kafka broker answers at {broker.relayed_address} (_SSL: ")
    assert "certificate verify failed" in said


def test_should_say_that_the_topic_may_not_be_seen(broker: SecuredBroker) -> None:
    said = refusal(broker.access("stranger"))
    assert said.startswith(f"this client is not allowed to use the Kafka topic 'guarded' at {broker.relayed_address} (")
    assert "TOPIC_AUTHORIZATION_FAILED" in said
    assert said.endswith("; allow it by ACLs Describe and Write on the topic")


def test_should_say_that_the_topic_may_not_be_written(broker: SecuredBroker) -> None:
    said = refusal(broker.access("reader"))
    assert re.search(r"not allowed to use the Kafka topic 'guarded' at .* \(\w+_AUTHORIZATION_FAILED", said)
    assert said.endswith("; allow it by ACLs Describe and Write on the topic")


def test_should_say_that_a_broker_wants_a_log_in(broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "CONNECT_SECONDS", 2.0)
    said = refusal(Access(broker.relayed_address))
    assert said.startswith(f"no Kafka broker answers at {broker.relayed_address} (")


def test_should_say_that_no_such_host_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "CONNECT_SECONDS", 5.0)
    said = refusal(Access("b-1.nowhere.invalid:9098"))
    assert re.match(r"no Kafka broker answers at b-1\.nowhere\.invalid:9098 \(_RESOLVE: .*; check that they run", said)


def test_should_say_that_time_is_up(broker: SecuredBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "CONNECT_SECONDS", 2.0)
    broker.pause()
    try:
        said = refusal(Access(broker.address))
    finally:
        broker.go_on()
    assert said.startswith(f"no Kafka broker answers at {broker.address} (")
