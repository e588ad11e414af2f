"""Records over MQTT: topics, whole lines, order, retries, reconnections, and when the sink ends."""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from simulator.sinks import mqtt_connection, mqtt_publisher
from simulator.sinks.mqtt_connection import open_mqtt
from simulator.sinks.mqtt_messages import MAX_MESSAGE_BYTES, cut
from simulator.sinks.mqtt_publisher import MAX_IN_FLIGHT, MqttSink
from simulator.sinks.record import Record
from simulator.sinks.retry import MAX_ATTEMPTS
from simulator.sinks.schemes import parse_sink
from simulator.sinks.sink import SinkError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

WHERE = "the MQTT broker at b:8883"

#: What a broker does with a message at an attempt: "" takes it, "silent" keeps quiet, "lose" loses the answer and
#: the connection, anything else is a refusal.
Answers = Callable[[bytes, int], str]

SUCCESS = ReasonCode(PacketTypes.PUBACK, "Success")


class Published(NamedTuple):
    mid: int


class FakeClient:
    """Paho and a broker in one: answers as soon as something is published, and publishes again as Paho does."""

    on_connect: Callable[..., None]
    on_disconnect: Callable[..., None]
    on_publish: Callable[..., None]

    def __init__(self, answers: Answers = lambda _payload, _attempt: "", *, receive_maximum: int | None = None) -> None:
        self._answers, self._receive_maximum = answers, receive_maximum
        self._attempts: Counter[bytes] = Counter()
        self._in_flight: dict[int, tuple[str, bytes]] = {}
        self._mid = 0
        self.taken: defaultdict[str, list[bytes]] = defaultdict(list)
        self.most_in_flight = 0
        self.closed = False
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def connect(self, refusal: str = "Success") -> None:
        properties = Properties(PacketTypes.CONNACK)
        if self._receive_maximum:
            properties.ReceiveMaximum = self._receive_maximum
        self.on_connect(self, None, None, ReasonCode(PacketTypes.CONNACK, refusal), properties)

    def lose(self) -> None:
        """Lose the connection, and connect again with what is in flight."""
        self.on_disconnect(self, None, None, ReasonCode(PacketTypes.DISCONNECT, "Unspecified error"), None)
        self.connect()
        for mid in list(self._in_flight):
            self._receive(mid)

    def publish(self, topic: str, payload: bytes, *, qos: int) -> Published:
        assert qos == 1
        self._mid += 1
        self._in_flight[self._mid] = (topic, payload)
        self.most_in_flight = max(self.most_in_flight, len(self._in_flight))
        self._receive(self._mid)
        return Published(self._mid)

    def acknowledge_all(self) -> None:
        for mid in list(self._in_flight):
            self._acknowledge(mid, SUCCESS)

    def socket(self) -> socket.socket:
        self._ends = socket.socketpair(socket.AF_UNIX)
        return self._ends[0]

    def notice_cut(self) -> None:
        """As Paho's thread does when the connection it reads from has been shut down."""
        if self._ends:
            assert self._ends[1].recv(1) == b""
            for end in self._ends:
                end.close()
            self._ends = None
            self.lose()

    def disconnect(self) -> None:
        self.closed = True

    def loop_stop(self) -> None:
        assert self.closed

    def _receive(self, mid: int) -> None:
        topic, payload = self._in_flight[mid]
        self._attempts[payload] += 1
        answer = self._answers(payload, self._attempts[payload])
        if answer in ("", "lose", "silent"):
            self.taken[topic].append(payload)
        if answer == "lose":
            self.lose()
        elif answer != "silent":
            self._acknowledge(mid, ReasonCode(PacketTypes.PUBACK, answer) if answer else SUCCESS)

    def _acknowledge(self, mid: int, reason: ReasonCode) -> None:
        if self._in_flight.pop(mid, None):
            self.on_publish(self, None, mid, reason, None)


class Clock:
    """A clock that goes on by a second whenever somebody looks at it."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 1.0
        return self._now


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_publisher, "_GLANCE", 0.001)


def sink_to(fake: FakeClient, sleeps: list[float] | None = None, clock: Callable[[], float] = lambda: 0.0) -> MqttSink:
    waits: list[float] = [] if sleeps is None else sleeps
    client = cast("Client", fake)
    sink = MqttSink(client, "readings", where=WHERE, clock=clock, sleep=waits.append, chance=lambda: 1.0)
    fake.connect()
    assert sink.wait_until_connected() == ""
    return sink


def record(gateway: str, payload: bytes) -> Record:
    return Record(gateway, payload, payload.count(b"\n"))


def test_should_publish_each_record_to_its_gateways_topic() -> None:
    fake = FakeClient()
    assert sink_to(fake).send([record("a", b"1\n"), record("b", b"2\n"), record("a", b"3\n")]) == (0, (), "")
    assert fake.taken == {"readings/a": [b"1\n", b"3\n"], "readings/b": [b"2\n"]}


class LateClient(FakeClient):
    """Acknowledges nothing until so many messages are in flight, each of another gateway; then all."""

    def __init__(self, many: int, receive_maximum: int | None = None) -> None:
        super().__init__(lambda _payload, _attempt: "silent", receive_maximum=receive_maximum)
        self._many = many

    def publish(self, topic: str, payload: bytes, *, qos: int) -> Published:
        published = super().publish(topic, payload, qos=qos)
        topics = [topic for topic, _ in self._in_flight.values()]
        assert len(set(topics)) == len(topics)
        if len(topics) == self._many:
            self.acknowledge_all()
        return published


def test_should_have_one_message_of_a_gateway_in_flight() -> None:
    fake = LateClient(3)
    sent = [record(f"gw-{gateway}", b"%d\n" % number) for gateway in range(3) for number in range(4)]
    assert sink_to(fake).send(sent).refused == ()
    assert fake.most_in_flight == 3
    assert all(payloads == [b"0\n", b"1\n", b"2\n", b"3\n"] for payloads in fake.taken.values())


@pytest.mark.parametrize(("receive_maximum", "most"), [(None, MAX_IN_FLIGHT), (500, MAX_IN_FLIGHT), (10, 10)])
def test_should_have_no_more_in_flight_than_the_broker_takes(receive_maximum: int | None, most: int) -> None:
    fake = LateClient(most, receive_maximum)
    assert sink_to(fake).send([record(f"gw-{number}", b"1\n") for number in range(2 * most)]).refused == ()
    assert fake.most_in_flight == most


def test_should_cut_a_large_record_at_line_ends() -> None:
    lines = [b"%02d" % number + b"x" * 50_000 + b"\r\n" for number in range(5)]
    fake = FakeClient()
    assert sink_to(fake).send([record("a", b"".join(lines))]) == (0, (), "")
    assert fake.taken["readings/a"] == [lines[0] + lines[1], lines[2] + lines[3], lines[4]]


@given(st.lists(st.integers(0, MAX_MESSAGE_BYTES - 1), max_size=8), st.booleans())
def test_should_lose_no_byte_in_cutting(lengths: list[int], ended: bool) -> None:
    payload = b"\n".join(b"x" * length for length in lengths) + (b"\n" if ended else b"")
    pieces = list(cut(payload))
    assert b"".join(pieces) == payload
    assert all(len(piece) <= MAX_MESSAGE_BYTES for piece in pieces)
    assert all(piece.endswith(b"\n") for piece in pieces[:-1])


def test_should_refuse_a_record_with_a_line_that_is_too_long_and_publish_none_of_it() -> None:
    fake = FakeClient()
    large, small = record("a", b"1\n" + b"x" * MAX_MESSAGE_BYTES + b"\n"), record("a", b"2\n")
    delivery = sink_to(fake).send([large, small])
    assert delivery == (0, (large,), "a line is longer than an MQTT message may be, 131,072 bytes")
    assert fake.taken == {"readings/a": [b"2\n"]}


@pytest.mark.parametrize("gateway", ["a+", "#", "x" * 300])
def test_should_refuse_a_gateway_that_makes_no_topic(gateway: str) -> None:
    unfit = record(gateway, b"1\n")
    delivery = sink_to(FakeClient()).send([unfit])
    assert delivery.refused == (unfit,)
    assert "is not a valid MQTT topic of at most 256 bytes" in delivery.reason


def test_should_publish_again_what_was_in_flight_when_the_connection_ended() -> None:
    fake = FakeClient(lambda payload, attempt: "lose" if payload == b"1\n" and attempt < 3 else "")
    delivery = sink_to(fake).send([record("a", b"1\n"), record("a", b"2\n")])
    assert delivery.refused == ()
    assert delivery.retried >= 1
    assert fake.taken["readings/a"] == [b"1\n", b"1\n", b"1\n", b"2\n"]


@given(st.data())
def test_should_keep_each_gateways_order_whatever_fails(data: st.DataObject) -> None:
    gateways = data.draw(st.lists(st.sampled_from("abc"), max_size=10))
    records = [record(gateway, b"%d\n" % number) for number, gateway in enumerate(gateways)]
    kinds = st.sampled_from(["", "", "lose", "Quota exceeded", "Not authorized"])
    answers = {(record.payload, attempt): data.draw(kinds) for record in records for attempt in (1, 2)}
    fake = FakeClient(lambda payload, attempt: answers.get((payload, attempt), ""))

    try:
        refused = set(sink_to(fake).send(records).refused)
    except SinkError as error:  # as often in a row as happens here, it looks like a broker that wants none of it
        refused = set(error.unsent)

    for gateway in "abc":
        taken = list(dict.fromkeys(fake.taken[f"readings/{gateway}"]))  # the repetitions dropped
        wanted = [record.payload for record in records if record.gateway == gateway]
        assert taken == [payload for payload in wanted if payload in taken]
        accepted = [record.payload for record in records if record.gateway == gateway and record not in refused]
        assert set(accepted) <= set(taken)


def test_should_publish_again_later_what_the_broker_has_no_room_for() -> None:
    fake = FakeClient(lambda payload, attempt: "Quota exceeded" if payload == b"1\n" and attempt < 3 else "")
    waits: list[float] = []
    assert sink_to(fake, waits).send([record("a", b"1\n"), record("a", b"2\n")]) == (2, (), "")
    assert fake.taken["readings/a"] == [b"1\n", b"2\n"]
    assert waits == [0.1, 0.2]


def test_should_give_up_after_so_many_attempts_and_say_why() -> None:
    fake = FakeClient(lambda payload, _attempt: "Quota exceeded" if payload == b"1\n" else "")
    lost, kept = record("a", b"1\n"), record("a", b"2\n")
    delivery = sink_to(fake).send([lost, kept])
    assert delivery == (MAX_ATTEMPTS - 1, (lost,), f"{WHERE} says 'Quota exceeded', {MAX_ATTEMPTS} times")
    assert fake.taken["readings/a"] == [b"2\n"]


def test_should_publish_no_more_of_a_record_that_is_refused() -> None:
    large = record("a", b"".join(b"%d" % number + b"x" * 100_000 + b"\n" for number in range(3)))
    small = record("a", b"small\n")
    fake = FakeClient(lambda payload, _attempt: "Not authorized" if payload.startswith(b"1") else "")
    delivery = sink_to(fake).send([large, small])
    assert delivery == (0, (large,), f"{WHERE} says 'Not authorized'")
    assert [payload[:1] for payload in fake.taken["readings/a"]] == [b"0", b"s"]


def test_should_end_when_the_connection_does_at_every_message() -> None:
    fake = FakeClient(lambda payload, attempt: "lose" if payload == b"2\n" and attempt < 9 else "")
    sent = [record("a", b"1\n"), record("a", b"2\n"), record("a", b"3\n")]
    words = r"b:8883 ends the connection whenever it is sent a message.*lets this client publish to readings/… \(iot:"
    with pytest.raises(SinkError, match=words) as caught:
        sink_to(fake).send(sent)
    assert list(caught.value.unsent) == sent[1:]
    assert "\n" not in str(caught.value)


def test_should_end_when_nothing_is_acknowledged_for_long() -> None:
    fake = FakeClient(lambda payload, _attempt: "silent" if payload == b"2\n" else "")
    sent = [record("a", b"1\n"), record("b", b"2\n"), record("b", b"3\n")]
    with pytest.raises(SinkError, match="has acknowledged nothing for 30 s; check that it runs") as caught:
        sink_to(fake, clock=Clock()).send(sent)
    assert list(caught.value.unsent) == sent[1:]


def test_should_connect_anew_when_a_message_is_not_acknowledged() -> None:
    fake = FakeClient(lambda _payload, attempt: "silent" if attempt == 1 else "")
    clock = Clock()

    def watching() -> float:
        fake.notice_cut()
        return clock()

    assert sink_to(fake, clock=watching).send([record("a", b"1\n")]) == (1, (), "")


def test_should_forget_what_the_connection_did_between_two_calls() -> None:
    fake = FakeClient()
    sink = sink_to(fake)
    sink.send([record("a", b"1\n")])
    for _ in range(5):
        fake.lose()
    assert sink.send([record("a", b"2\n")]) == (0, (), "")


def test_should_say_that_the_broker_does_not_answer() -> None:
    sink = MqttSink(cast("Client", FakeClient()), "readings", where=WHERE, clock=Clock())
    with pytest.raises(SinkError, match="b:8883 does not answer in 15 s; check the host and port in --sink"):
        sink.wait_until_connected()


def test_should_tell_why_the_broker_refuses() -> None:
    fake = FakeClient()
    sink = MqttSink(cast("Client", fake), "readings", where=WHERE)
    fake.connect("Not authorized")
    assert sink.wait_until_connected() == "Not authorized"


def test_should_close_what_it_holds() -> None:
    fake = FakeClient()
    with sink_to(fake):
        pass
    assert fake.closed


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ca": Path("nowhere.pem")}, "nowhere.pem holds no certificates"),
        (
            {"certificate": Path("nowhere.pem"), "key": Path("nowhere.key")},
            "are not a certificate and its private key",
        ),
    ],
)
def test_should_say_which_files_are_not_what_they_should_be(files: dict[str, Path], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        open_mqtt("broker.example.com", "readings", port=8883, tls=True, **files)


class Opened(NamedTuple):
    host: str
    port: int
    encrypted: bool
    protocols: list[str]


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("mqtts://broker.example.com/readings", Opened("broker.example.com", 8883, True, [])),
        ("mqtts://broker.example.com:443/readings", Opened("broker.example.com", 443, True, ["x-amzn-mqtt-ca"])),
        ("mqtt://127.0.0.1/readings", Opened("127.0.0.1", 1883, False, [])),
        ("mqtt://[::1]:2883/readings", Opened("::1", 2883, False, [])),
        ("mqtts://localhost/readings?ca=ca.pem", Opened("localhost", 8883, True, [])),
    ],
)
def test_should_connect_as_the_url_says(url: str, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    class Context:
        """Stands for TLS settings."""

        protocols: list[str]

        def set_alpn_protocols(self, protocols: list[str]) -> None:
            self.protocols = protocols

    def connect(broker: mqtt_connection._Broker, _prefix: str, _version: object) -> Opened:
        protocols = cast("Context", broker.context).protocols if broker.context else []
        return Opened(broker.host, broker.port, broker.context is not None, protocols)

    def tls(*_files: Path | None) -> Context:
        context = Context()
        context.protocols = []
        return context

    monkeypatch.setattr(mqtt_connection, "_connect", connect)
    monkeypatch.setattr(mqtt_connection, "_tls", tls)
    assert cast("Opened", parse_sink(url).open()) == opened


def test_should_take_certificates_from_their_files(tmp_path: Path) -> None:
    authority = trustme.CA()
    client = authority.issue_cert("simulator@example.com")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    context = mqtt_connection._tls(tmp_path / "client.pem", tmp_path / "client.key", tmp_path / "ca.pem")
    assert len(context.get_ca_certs()) == 1
    assert context.check_hostname
