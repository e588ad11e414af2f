"""Publishing records over MQTT: order, acknowledgements, retries, and when to give up."""

from __future__ import annotations

import contextlib
import queue
import random
import socket
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from simulator.sinks.mqtt_messages import Message, Work, cut, problem
from simulator.sinks.record import Record
from simulator.sinks.retry import MAX_ATTEMPTS, backoff
from simulator.sinks.sink import Delivery, SinkError

#: Messages published and not yet acknowledged, at most:
#: https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits
MAX_IN_FLIGHT = 100

#: How long a broker has to accept a connection: seconds.
CONNECT_SECONDS = 15.0
#: After so many seconds without an acknowledgement the sink connects again, the only way MQTT has to send again:
#: IoT Core drops what exceeds its rates without a word.
IMPATIENT_SECONDS = 10.0
#: After so many seconds the broker is given up.
SILENT_SECONDS = 30.0
#: After so many connections that end before an acknowledgement, the broker is taken to refuse what it is sent.
MAX_REJECTIONS = 3

_GLANCE = 0.2  # seconds a wait lasts before the clock is looked at

#: MQTT 5's reasons to refuse a message that pass by themselves.
_PASSING = frozenset({"Unspecified error", "Implementation specific error", "Quota exceeded"})


class Connected(NamedTuple):
    """The broker accepted the connection, or refused it: then there is a reason."""

    refusal: str
    in_flight: int


class Lost(NamedTuple):
    """The connection ended."""

    reason: str


class Acknowledged(NamedTuple):
    """The broker has a message, or refuses it: then there is a reason."""

    message: int
    refusal: str


class RefusedError(SinkError):
    """The broker is there but does not accept the connection."""


class MqttSink:
    """Publishes a gateway's records at QoS 1 to its topic, ``<prefix>/<gateway>``.

    A message is a record, or, if that is larger than a message may be, some of its lines. A gateway's next
    message goes out when the one before is acknowledged: those published again cannot overtake one another.
    As QoS 1 says, what is published again may arrive twice, and what is refused because time was up may have
    arrived.
    """

    def __init__(
        self,
        client: Client,
        prefix: str,
        *,
        where: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take over a client that is about to connect; ``where`` names its broker to people."""
        self._client, self._prefix, self._where = client, prefix, where
        self._clock, self._sleep, self._chance = clock, sleep, chance
        # Paho's thread calls back; the thread that sends processes its events.
        self._events: queue.SimpleQueue[Connected | Lost | Acknowledged] = queue.SimpleQueue()
        self._connected = False
        self._most_in_flight = MAX_IN_FLIGHT
        self._trouble = ""
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish

    def __enter__(self) -> MqttSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection. Every ``send`` has waited for its messages or given them up."""
        self._client.disconnect()
        self._client.loop_stop()

    def wait_until_connected(self) -> str:
        """Wait for the broker's answer; returns why it refused, empty if it did not. Raises :class:`SinkError`."""
        deadline = self._clock() + CONNECT_SECONDS
        while self._clock() < deadline:
            event = self._next_event()
            if isinstance(event, Connected):
                self._take_connected(event)
                return event.refusal
            if isinstance(event, Lost):
                raise RefusedError(
                    f"{self._where} ended the connection before accepting it ({event.reason}); check that it knows "
                    "the certificate (cert and key in --sink) and lets it connect (iot:Connect)"
                )
        raise SinkError(f"{self._where} does not answer in {CONNECT_SECONDS:.0f} s; check the host and port in --sink")

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Publish the records and wait until every message is acknowledged."""
        work = Work()
        for number, record in enumerate(records):
            topic = f"{self._prefix}/{record.gateway}"
            if reason := problem(topic, record):
                work.refuse(number, reason)
            else:
                work.add([Message(number, topic, payload) for payload in cut(record.payload)])
        self._catch_up()
        patience = _Patience(self._clock)
        while work:
            if self._connected:
                self._publish(work)
            self._take(self._next_event(), work, patience)
            if patience.ended:
                error = SinkError(f"{self._where} {patience.ended}{self._hint()}")
                error.unsent = [records[number] for number in sorted(work.refused | work.unfinished())]
                raise error
            if self._connected and patience.should_cut_off():
                self._cut_off()
        return Delivery(work.retried, tuple(records[number] for number in sorted(work.refused)), work.reason)

    def _take(self, event: Connected | Lost | Acknowledged | None, work: Work, patience: _Patience) -> None:
        if isinstance(event, Acknowledged):
            patience.acknowledged()
            self._take_acknowledged(event, work)
        elif isinstance(event, Lost):
            if work.in_flight:
                patience.rejected()
            self._take_lost(event)
        elif isinstance(event, Connected):
            patience.connected()
            self._take_connected(event)
            if not event.refusal:
                work.retried += len(work.in_flight)  # Paho publishes them again by itself

    def _publish(self, work: Work) -> None:
        while len(work.in_flight) < self._most_in_flight and (message := work.take()):
            info = self._client.publish(message.topic, message.payload, qos=1)
            work.in_flight[info.mid] = message

    def _take_acknowledged(self, event: Acknowledged, work: Work) -> None:
        message = work.in_flight.pop(event.message, None)
        if message is None:
            return  # of a call before, which gave it up
        if not event.refusal:
            work.done(message)
        elif event.refusal in _PASSING and message.attempt < MAX_ATTEMPTS:
            self._sleep(backoff(message.attempt, self._chance))
            work.again(message)
        else:
            times = f", {message.attempt} times" if message.attempt > 1 else ""
            work.refuse(message.record, f"{self._where} says {event.refusal!r}{times}")
            work.done(message)

    def _take_lost(self, event: Lost) -> None:
        if self._connected:  # else there is a better reason already: why the broker refused the connection
            self._connected, self._trouble = False, event.reason

    def _take_connected(self, event: Connected) -> None:
        self._connected, self._trouble = not event.refusal, event.refusal
        self._most_in_flight = min(MAX_IN_FLIGHT, event.in_flight)

    def _catch_up(self) -> None:
        """Process what happened to the connection since the last call."""
        while not self._events.empty():
            event = self._events.get()
            if isinstance(event, Lost):
                self._take_lost(event)
            elif isinstance(event, Connected):
                self._take_connected(event)

    def _next_event(self) -> Connected | Lost | Acknowledged | None:
        try:
            return self._events.get(timeout=_GLANCE)
        except queue.Empty:
            return None

    def _cut_off(self) -> None:
        """Make Paho notice that the connection is of no use, and connect again."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):  # it has just ended by itself
                # The plain socket's method: that of a TLS socket would first turn it into one that is not encrypted.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _hint(self) -> str:
        reason = f" ({self._trouble})" if self._trouble else ""
        return f"{reason}; check that it runs and lets this client publish to {self._prefix}/… (iot:Publish)"

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        in_flight = getattr(properties, "ReceiveMaximum", MAX_IN_FLIGHT)  # MQTT 5 only
        self._events.put(Connected(str(reason) if reason.is_failure else "", in_flight))

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        self._events.put(Lost(str(reason)))

    def _on_publish(
        self, _client: Client, _data: object, message: int, reason: ReasonCode, _properties: object
    ) -> None:
        self._events.put(Acknowledged(message, str(reason) if reason.is_failure else ""))


class _Patience:
    """Time to wait for a broker that does not acknowledge."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = self._since = clock()
        self._rejections = 0

    def acknowledged(self) -> None:
        self._last = self._since = self._clock()
        self._rejections = 0

    def connected(self) -> None:
        self._since = self._clock()

    def rejected(self) -> None:
        """The connection ended with messages in flight."""
        self._rejections += 1

    @property
    def ended(self) -> str:
        """Return why to give up; empty if it is not time yet."""
        if self._rejections >= MAX_REJECTIONS:
            return "ends the connection whenever it is sent a message"
        if self._clock() - self._last > SILENT_SECONDS:
            return f"has acknowledged nothing for {SILENT_SECONDS:.0f} s"
        return ""

    def should_cut_off(self) -> bool:
        """Return whether to connect again; true once in a while."""
        if self._clock() - self._since <= IMPATIENT_SECONDS:
            return False
        self._since = self._clock()
        return True
