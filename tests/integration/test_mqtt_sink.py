"""Records through a real MQTT broker, with TLS and a client certificate: bytes and order, losses and refusals."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from local.emulator import free_port
from simulator.sinks.mqtt_connection import open_mqtt
from simulator.sinks.mqtt_messages import MAX_MESSAGE_BYTES
from simulator.sinks.mqtt_publisher import MqttSink
from simulator.sinks.record import Record
from simulator.sinks.sink import SinkError
from tests.integration.mqtt_broker import HOST, Certificates, MqttBroker
from tests.integration.relay import Relay
from tests.integration.sending import Sending
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def broker(tmp_path: Path, certificates: Certificates) -> Iterator[MqttBroker]:
    broker = MqttBroker(tmp_path, certificates)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def relay(broker: MqttBroker) -> Iterator[Relay]:
    relay = Relay(broker.port)
    yield relay
    relay.close()


class Subscriber:
    """Collects the messages below a prefix."""

    def __init__(self, port: int, certificates: Certificates | None, prefix: str = "readings") -> None:
        self.messages: dict[str, list[bytes]] = defaultdict(list)
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        if certificates:
            self._client.tls_set(str(certificates.ca), str(certificates.client), str(certificates.client_key))
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._keep
        self._client.connect(HOST, port)
        self._client.subscribe(f"{prefix}/#", qos=1)
        self._client.loop_start()
        assert self._ready.wait(30)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def expect(self, wanted: dict[str, list[bytes]]) -> None:
        """Wait until as many messages are there, and compare them."""
        many = sum(map(len, wanted.values()))
        wait_for(lambda: sum(map(len, self.messages.values())) >= many, f"{many} messages")
        assert dict(self.messages) == wanted

    def _keep(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages[message.topic].append(bytes(message.payload))


def open_to(port: int, certificates: Certificates) -> MqttSink:
    return open_mqtt(
        HOST,
        "readings",
        port=port,
        tls=True,
        certificate=certificates.client,
        key=certificates.client_key,
        ca=certificates.ca,
    )


def records(gateways: int, each: int) -> list[Record]:
    return [
        Record(f"gw-{gateway}", b'{"gateway":%d,"number":%d}\n' % (gateway, number), 1)
        for number in range(each)
        for gateway in range(gateways)
    ]


def by_topic(sent: list[Record]) -> dict[str, list[bytes]]:
    wanted = defaultdict(list)
    for record in sent:
        wanted[f"readings/{record.gateway}"].append(record.payload)
    return dict(wanted)


def test_should_publish_every_record_in_its_gateways_order(broker: MqttBroker, certificates: Certificates) -> None:
    sent = records(gateways=20, each=20)
    with Subscriber(broker.port, certificates) as subscriber, open_to(broker.port, certificates) as sink:
        assert sink.send(sent[:200]) == (0, (), "")
        assert sink.send(sent[200:]) == (0, (), "")
        subscriber.expect(by_topic(sent))


def test_should_publish_a_large_record_as_messages_of_whole_lines(
    broker: MqttBroker, certificates: Certificates
) -> None:
    lines = [b"%06d " % number + b"x" * 40_000 + b"\n" for number in range(10)]
    with Subscriber(broker.port, certificates) as subscriber, open_to(broker.port, certificates) as sink:
        assert sink.send([Record("gw-1", b"".join(lines), 10)]) == (0, (), "")
        threes = [b"".join(lines[first : first + 3]) for first in range(0, 10, 3)]
        assert all(len(three) <= MAX_MESSAGE_BYTES for three in threes)
        subscriber.expect({"readings/gw-1": threes})


def test_should_publish_again_what_is_not_acknowledged_when_the_connection_ends(
    broker: MqttBroker, relay: Relay, certificates: Certificates
) -> None:
    sent = records(gateways=4, each=3)
    with Subscriber(broker.port, certificates) as subscriber, open_to(relay.port, certificates) as sink:
        sink.send(sent[:4])
        relay.lose_answers()
        sending = Sending(sink, sent[4:])
        wait_for(lambda: sum(map(len, subscriber.messages.values())) == 8, "the messages whose answers are lost")
        wait_for(lambda: relay.answers_lost > 0, "a lost answer")
        relay.cut()
        delivery = sending.result()
        assert delivery.refused == ()
        assert delivery.retried == 4
        # At least once: those four are there twice, and nothing has overtaken anything.
        wait_for(lambda: sum(map(len, subscriber.messages.values())) == 16, "all messages")
        for topic, payloads in by_topic(sent).items():
            first, second, third = payloads
            assert subscriber.messages[topic] == [first, second, second, third]


def test_should_go_on_when_the_broker_is_started_again(broker: MqttBroker, certificates: Certificates) -> None:
    sent = records(gateways=3, each=2)
    with open_to(broker.port, certificates) as sink:
        sink.send(sent[:3])
        broker.stop()
        sending = Sending(sink, sent[3:])
        broker.start()
        delivery = sending.result()
    assert delivery.refused == ()


def test_should_reach_a_broker_on_this_machine_without_tls(tmp_path: Path) -> None:
    broker = MqttBroker(tmp_path, None)
    try:
        broker.start()
        with (
            Subscriber(broker.port, None) as subscriber,
            open_mqtt(HOST, "readings", port=broker.port, tls=False) as sink,
        ):
            sent = records(gateways=2, each=2)
            sink.send(sent)
            subscriber.expect(by_topic(sent))
    finally:
        broker.stop()


def test_should_say_that_the_broker_wants_a_certificate(broker: MqttBroker, certificates: Certificates) -> None:
    with pytest.raises(SinkError, match=rf"{broker.port} .*cert(?: and key)? in --sink"):
        open_mqtt("localhost", "readings", port=broker.port, tls=True, ca=certificates.ca)


def test_should_say_that_the_brokers_certificate_is_not_to_be_trusted(
    broker: MqttBroker, certificates: Certificates, tmp_path: Path
) -> None:
    others = Certificates(tmp_path)
    with pytest.raises(SinkError, match=rf"{broker.port} is not to be trusted: .*; check the host and ca in --sink"):
        open_mqtt(
            HOST,
            "readings",
            port=broker.port,
            tls=True,
            certificate=others.client,
            key=others.client_key,
            ca=others.ca,
        )


def test_should_say_that_no_broker_answers(certificates: Certificates) -> None:
    nobody = free_port()
    with pytest.raises(SinkError, match=rf"the MQTT broker at {HOST}:{nobody} cannot be reached: .*refused"):
        open_to(nobody, certificates)
