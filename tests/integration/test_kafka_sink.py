"""Records in a real Kafka broker: bytes, keys, times and order; pauses, crashes and topics that are not there."""

from __future__ import annotations

from collections import defaultdict

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Message

from local.emulator import free_port
from simulator.sinks import kafka_client, kafka_producer
from simulator.sinks.kafka_access import Access
from simulator.sinks.kafka_producer import open_kafka
from simulator.sinks.record import MAX_RECORD_BYTES, Record
from simulator.sinks.sink import SinkError
from tests.integration.kafka_broker import KafkaBroker
from tests.integration.sending import Sending
from tests.waiting import wait_for


@pytest.fixture
def broker(kafka: KafkaBroker) -> KafkaBroker:
    return kafka


def records(gateways: int, each: int, at: float = 0.0) -> list[Record]:
    return [
        Record(f"gw-{gateway}", b'{"gateway":%d,"number":%d}\n' % (gateway, number), 1, at)
        for number in range(each)
        for gateway in range(gateways)
    ]


def by_gateway(messages: list[Message]) -> dict[str, list[bytes]]:
    found = defaultdict(list)
    for message in messages:
        found[(message.key() or b"").decode()].append(message.value() or b"")
    return dict(found)


def sent_by_gateway(sent: list[Record]) -> dict[str, list[bytes]]:
    wanted = defaultdict(list)
    for record in sent:
        wanted[record.gateway].append(record.payload)
    return dict(wanted)


def test_should_produce_every_record_once_in_its_gateways_order(broker: KafkaBroker) -> None:
    broker.create_topic("readings", 3)
    sent = records(gateways=20, each=100)
    with open_kafka(Access(broker.address), "readings") as sink:
        assert sink.send(sent[:1_000]) == (0, (), "")
        assert sink.send(sent[1_000:]) == (0, (), "")

    messages = broker.messages("readings")
    assert by_gateway(messages) == sent_by_gateway(sent)
    partitions = defaultdict(set)
    for message in messages:
        partitions[message.key()].add(message.partition())
    assert all(len(of_one) == 1 for of_one in partitions.values())
    assert len(set.union(*partitions.values())) == 3


def test_should_stamp_a_message_with_its_records_time(broker: KafkaBroker) -> None:
    broker.create_topic("simulated", 1, **{"retention.ms": "-1"})
    with open_kafka(Access(broker.address), "simulated") as sink:
        sink.send([Record("gw-1", b"1\n", 1, at=1_700_000_000.1234)])
    (message,) = broker.messages("simulated")
    assert message.timestamp() == (TIMESTAMP_CREATE_TIME, 1_700_000_000_123)


def test_should_produce_the_largest_record_there_is(broker: KafkaBroker) -> None:
    broker.create_topic("large", 1)
    large = Record("gw-1", bytes(range(256)) * (MAX_RECORD_BYTES // 256), 1)
    with open_kafka(Access(broker.address), "large") as sink:
        assert sink.send([large]) == (0, (), "")
    assert [message.value() for message in broker.messages("large")] == [large.payload]


def test_should_refuse_what_the_broker_refuses_and_say_why(broker: KafkaBroker) -> None:
    broker.create_topic("small", 1, **{"max.message.bytes": "1000", "compression.type": "uncompressed"})
    small = Record("gw-1", b"1\n", 1)
    with open_kafka(Access(broker.address), "small") as sink:
        large = Record("gw-1", bytes((number * number) % 251 for number in range(20_000)), 1)
        delivery = sink.send([large])
        assert delivery.refused == (large,)
        assert delivery.reason.startswith("MSG_SIZE_TOO_LARGE: ")
        assert sink.send([small]) == (0, (), "")
    assert [message.value() for message in broker.messages("small")] == [small.payload]


def test_should_wait_for_a_broker_that_pauses_and_repeat_nothing(broker: KafkaBroker) -> None:
    broker.create_topic("pausing", 2)
    sent = records(gateways=5, each=40)
    with open_kafka(Access(broker.address), "pausing") as sink:
        assert sink.send(sent[:100]).refused == ()
        broker.pause()
        try:
            sending = Sending(sink, sent[100:])
            # All of it is in librdkafka's hands, and the first request under way, before the broker goes on.
            wait_for(lambda: len(sink._producer) >= 100, "a full queue")
        finally:
            broker.go_on()
        assert sending.result().refused == ()
    assert by_gateway(broker.messages("pausing")) == sent_by_gateway(sent)


def test_should_go_on_after_a_crash_of_the_broker_and_repeat_nothing(broker: KafkaBroker) -> None:
    broker.create_topic("crashing", 2)
    sent = records(gateways=5, each=40)
    with open_kafka(Access(broker.address), "crashing") as sink:
        assert sink.send(sent[:100]).refused == ()
        broker.pause()  # the crash comes in the middle: requests lie in its sockets, unanswered
        sending = Sending(sink, sent[100:])
        wait_for(lambda: len(sink._producer) >= 100, "a full queue")
        broker.stop()
        broker.start()
        assert sending.result().refused == ()
    assert by_gateway(broker.messages("crashing")) == sent_by_gateway(sent)


def test_should_repeat_nothing_when_the_brokers_answers_are_lost(broker: KafkaBroker) -> None:
    broker.create_topic("lossy", 1)
    sent = records(gateways=5, each=20)
    with open_kafka(Access(broker.relayed_address), "lossy") as sink:
        assert sink.send(sent[:50]).refused == ()
        broker.relay.lose_answers()
        sending = Sending(sink, sent[50:])
        wait_for(lambda: broker.count("lossy") == len(sent), "all messages in the topic")
        wait_for(lambda: broker.relay.answers_lost > 0, "a lost answer")
        broker.relay.cut()  # librdkafka connects anew and sends again what the broker has already
        assert sending.result().refused == ()
    assert by_gateway(broker.messages("lossy")) == sent_by_gateway(sent)


def test_should_end_with_what_is_unsent_when_the_broker_stays_away(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_producer, "DELIVERY_SECONDS", 2.0)
    broker.create_topic("left", 1)
    sent = records(gateways=2, each=3)
    with open_kafka(Access(broker.address), "left") as sink:
        sink.send(sent[:2])
        broker.pause()
        try:
            with pytest.raises(SinkError, match=r"topic 'left' at .* has accepted nothing for 2 s") as caught:
                sink.send(sent[2:])
        finally:
            broker.go_on()
        assert list(caught.value.unsent) == sent[2:]
    assert "\n" not in str(caught.value)


def test_should_name_a_topic_that_is_not_there(broker: KafkaBroker) -> None:
    with pytest.raises(
        SinkError, match=r"there is no Kafka topic 'nowhere' at 127\.0\.0\.1:\d+; check its name, or create it first"
    ):
        open_kafka(Access(broker.address), "nowhere")


def test_should_say_that_no_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "CONNECT_SECONDS", 2.0)
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(
        SinkError, match=f"no Kafka broker answers at {nobody} .*refused.*; check that they run"
    ) as caught:
        open_kafka(Access(nobody), "readings")
    assert "\n" not in str(caught.value)
