"""Records to Kafka: what is produced, what a delivery report makes of it, and when the sink ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from simulator.sinks import kafka_producer
from simulator.sinks.kafka_access import Access, hide_secrets
from simulator.sinks.kafka_client import Trouble, client_settings, explain
from simulator.sinks.kafka_producer import KafkaSink
from simulator.sinks.record import Record
from simulator.sinks.sink import SinkError

if TYPE_CHECKING:
    from confluent_kafka import Producer

Report = Callable[[KafkaError | None, object], None]


class FakeProducer:
    """A producer that delivers at the next flush, except what it is told to fail or to say nothing of."""

    def __init__(self) -> None:
        self.fails: dict[bytes, KafkaError] = {}
        self.refuses: dict[bytes, Exception] = {}
        self.silent: set[bytes] = set()
        self.room = 1_000
        self.produced: list[tuple[str, bytes, bytes, int]] = []
        self.delivered: list[bytes] = []
        self.purged = self.closed = False
        self._queue: list[tuple[bytes, Report]] = []

    def produce(self, topic: str, value: bytes, key: bytes, *, on_delivery: Report, timestamp: int) -> None:
        if value in self.refuses:
            raise self.refuses[value]
        if len(self._queue) == self.room:
            raise BufferError("Local: Queue full")
        self.produced.append((topic, value, key, timestamp))
        self._queue.append((value, on_delivery))

    def poll(self, _seconds: float) -> int:
        return self._serve()

    def flush(self, _seconds: float) -> int:
        self._serve()
        return len(self._queue)

    def purge(self) -> None:
        self.purged = True

    def close(self) -> bool:
        self.closed = True
        return True

    def _serve(self) -> int:
        queue, self._queue = self._queue, []
        for value, report in queue:
            if value in self.silent:
                self._queue.append((value, report))
                continue
            error = self.fails.get(value)
            if error is None:
                self.delivered.append(value)
            report(error, None)
        return len(queue)


def sink_to(fake: FakeProducer) -> KafkaSink:
    return KafkaSink(cast("Producer", fake), "readings", Access("b-1:9092"))


def records(*payloads: bytes) -> list[Record]:
    return [Record("gw-1", payload, 1) for payload in payloads]


def test_should_produce_with_the_gateway_as_key_and_the_time_in_milliseconds() -> None:
    fake = FakeProducer()
    sent = [Record("gw-ä", b"1\n", 1, at=1_700_000_000.0017), Record("gw-2", b"2\n", 1)]
    assert sink_to(fake).send(sent) == (0, (), "")
    assert fake.produced == [
        ("readings", b"1\n", "gw-ä".encode(), 1_700_000_000_002),
        ("readings", b"2\n", b"gw-2", 0),  # 0: librdkafka takes the time of day
    ]


def test_should_refuse_what_is_not_delivered_and_say_why() -> None:
    fake = FakeProducer()
    fake.fails = {b"2": KafkaError(KafkaError.INVALID_TIMESTAMP, "too far ahead")}
    sent = records(b"1", b"2", b"3")
    assert sink_to(fake).send(sent) == (0, (sent[1],), "INVALID_TIMESTAMP: too far ahead")
    assert fake.delivered == [b"1", b"3"]


def test_should_refuse_what_the_client_does_not_take() -> None:
    fake = FakeProducer()
    fake.refuses = {b"large": KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large"))}
    large, small = records(b"large", b"small")
    assert sink_to(fake).send([large, small]) == (0, (large,), "MSG_SIZE_TOO_LARGE: too large")
    assert fake.delivered == [b"small"]


def test_should_wait_for_room_in_the_queue() -> None:
    fake = FakeProducer()
    fake.room = 2
    sent = records(*(b"%d" % number for number in range(7)))
    assert sink_to(fake).send(sent) == (0, (), "")
    assert fake.delivered == [record.payload for record in sent]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", fatal=True),
            "the Kafka topic 'readings' at b-1:9092 cannot be used: OUT_OF_ORDER_SEQUENCE_NUMBER: gap",
        ),
        (
            KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not yours"),
            "not allowed to use the Kafka topic 'readings' at b-1:9092 (TOPIC_AUTHORIZATION_FAILED: not yours); allow",
        ),
        (
            KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "deleted"),
            "there is no Kafka topic 'readings' at b-1:9092; check its name, or create it first",
        ),
        (
            KafkaError(KafkaError.SASL_AUTHENTICATION_FAILED, "Access denied"),
            "the Kafka brokers at b-1:9092 refuse the log-in (SASL_AUTHENTICATION_FAILED: Access denied); check",
        ),
    ],
)
def test_should_end_with_what_is_unsent_when_nothing_more_can_be_delivered(error: KafkaError, words: str) -> None:
    fake = FakeProducer()
    fake.room, fake.fails = 2, {b"2": error}
    sent = records(b"1", b"2", b"3", b"4")
    with pytest.raises(SinkError) as caught:
        sink_to(fake).send(sent)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(caught.value.unsent) == sent[1:]
    assert fake.purged


def test_should_end_when_all_of_it_timed_out() -> None:
    fake = FakeProducer()
    sent = records(b"1", b"2")
    fake.fails = {record.payload: KafkaError(KafkaError._MSG_TIMED_OUT) for record in sent}
    with pytest.raises(SinkError, match=r"has accepted nothing for 30 s; check that the brokers run") as caught:
        sink_to(fake).send(sent)
    assert list(caught.value.unsent) == sent


def test_should_refuse_some_that_timed_out_when_others_arrived() -> None:
    fake = FakeProducer()
    fake.fails = {b"2": KafkaError(KafkaError._MSG_TIMED_OUT, "late")}
    sent = records(b"1", b"2")
    assert sink_to(fake).send(sent) == (0, (sent[1],), "_MSG_TIMED_OUT: late")


def test_should_end_when_the_client_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_producer, "DELIVERY_SECONDS", 0.0)
    fake = FakeProducer()
    fake.silent = {b"1"}
    sent = records(b"1")
    with pytest.raises(SinkError, match="has accepted nothing") as caught:
        sink_to(fake).send(sent)
    assert list(caught.value.unsent) == sent


def test_should_close_what_it_holds() -> None:
    fake = FakeProducer()
    with sink_to(fake):
        pass
    assert fake.closed


def test_should_remember_why_the_last_broker_is_down() -> None:
    trouble = Trouble()
    assert str(trouble) == ""
    trouble(KafkaError(KafkaError._TRANSPORT, "Connection\nrefused"))
    trouble(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert str(trouble) == " (_TRANSPORT: Connection refused)"


def test_should_notice_that_a_log_in_failed_and_hide_what_it_was_done_with() -> None:
    trouble = Trouble((("sasl.username", "me"), ("sasl.password", "hunter2")))
    trouble(KafkaError(KafkaError._AUTHENTICATION, "hunter2 is not the password of me"))
    assert trouble.denied
    assert str(trouble) == " (_AUTHENTICATION: *** is not the password of me)"


def test_should_say_which_permissions_are_missing_with_iam() -> None:
    error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "denied")
    assert "DescribeTopic and WriteData on the topic" in explain(error, "readings", Access("b-1:9098", msk_iam=True))
    assert "by ACLs Describe and Write on the topic" in explain(error, "readings", Access("b-1:9096"))


def test_should_be_silent_unless_a_person_asks_for_librdkafkas_log() -> None:
    assert client_settings(Access("b-1:9092"), Trouble())["log_level"] == 0
    asked = client_settings(Access("b-1:9092", properties=(("debug", "broker"),)), Trouble())
    assert asked["debug"] == "broker"
    assert not {"log_level", "logger"} & set(asked)


def test_should_show_where_a_key_is_and_not_what_it_is() -> None:
    properties = (("ssl.key.location", "/nowhere/key.pem"), ("ssl.key.password", "hunter2"))
    assert hide_secrets("/nowhere/key.pem with hunter2", properties) == "/nowhere/key.pem with ***"


def test_should_end_when_the_client_says_that_it_cannot_go_on() -> None:
    class Fatal(FakeProducer):
        def flush(self, _seconds: float) -> int:
            raise KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "no", fatal=True))

    sent = records(b"1")
    with pytest.raises(SinkError, match="not allowed to use the Kafka topic 'readings'") as caught:
        sink_to(Fatal()).send(sent)
    assert list(caught.value.unsent) == sent
