"""Producing records to a Kafka topic with librdkafka."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from simulator.sinks.kafka_access import Access
from simulator.sinks.kafka_client import (
    GLANCE_SECONDS,
    LOGIN_ERRORS,
    Trouble,
    client_settings,
    explain,
    explain_settings,
    find_partitions,
    one_line,
)
from simulator.sinks.record import Record
from simulator.sinks.sink import Delivery, SinkError

#: How long the cluster has to take a record, with all retries: seconds.
DELIVERY_SECONDS = 30.0

#: The most bytes of a message. Librdkafka's default is less than our largest record; this is the brokers'.
MAX_MESSAGE_BYTES = 1_048_588

#: Errors that affect every further record, not only the one that met them.
_HOPELESS = LOGIN_ERRORS | {
    KafkaError._FATAL,  # noqa: SLF001  # the library's public names begin with an underscore
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
_TIMED_OUT = KafkaError._MSG_TIMED_OUT  # noqa: SLF001


class KafkaSink:
    """Produces each record with its gateway as the key and, if it has a time, with that as the timestamp.

    The producer is idempotent: what librdkafka sends again is in the topic once, and each gateway's records
    are in their order. It does not say how often it sent again, so no record counts as retried. A record that
    is refused because time was up may have arrived all the same.

    The timestamp of a message is by definition when its producer made it, so a simulated time belongs there:
    what reads the topic by time finds it. Mind that brokers keep and delete by it too, and that since 4.0 they
    refuse what is more than an hour ahead (``message.timestamp.after.max.ms``).
    """

    def __init__(self, producer: Producer, topic: str, access: Access, trouble: object = "") -> None:
        self._producer, self._topic, self._access, self._trouble = producer, topic, access, trouble

    def __enter__(self) -> KafkaSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections. Every ``send`` waits for its records or gives them up, so that nothing is under way."""
        self._producer.purge()
        self._producer.close()

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Produce the records and wait for their delivery reports."""
        reports = _Reports(records)
        for number, record in enumerate(records):
            try:
                self._produce(record, functools.partial(reports.take, number))
            except KafkaException as error:
                reports.fail(number, error.args[0])
            if reports.hopeless:
                break
        deadline = time.monotonic() + 2 * DELIVERY_SECONDS  # librdkafka reports all of them long before
        try:
            while not reports.hopeless and self._producer.flush(GLANCE_SECONDS) and time.monotonic() < deadline:
                pass
        except KafkaException as error:  # a fatal one, which ends the producer
            reports.hopeless = error.args[0]
        return self._delivery(reports)

    def _produce(self, record: Record, report: Callable[[KafkaError | None, Message], None]) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    record.payload,
                    record.gateway.encode(),
                    on_delivery=report,
                    timestamp=round(record.at * 1000) if record.at > 0 else 0,
                )
            except BufferError:
                self._producer.poll(GLANCE_SECONDS)  # until the queue has room: reports are served meanwhile
            else:
                return

    def _delivery(self, reports: _Reports) -> Delivery:
        unsent = reports.undelivered()
        if reports.hopeless:
            error = SinkError(explain(reports.hopeless, self._topic, self._access))
            error.unsent = unsent
            self._producer.purge()
            raise error
        if unsent and len(unsent) == len(reports.records) and reports.codes() <= {None, _TIMED_OUT}:
            error = SinkError(
                f"the Kafka topic {self._topic!r} at {self._access.brokers} has accepted nothing for "
                f"{DELIVERY_SECONDS:.0f} s{self._trouble}; "
                "check that the brokers run and that the topic has enough replicas in sync"
            )
            error.unsent = unsent
            self._producer.purge()
            raise error
        return Delivery(refused=tuple(unsent), reason=reports.reason())


class _Reports:
    """The delivery reports of one call's records."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.hopeless: KafkaError | None = None
        self._waiting = dict.fromkeys(range(len(records)))
        self._failed: dict[int, KafkaError] = {}

    def take(self, number: int, error: KafkaError | None, _message: Message) -> None:
        self._waiting.pop(number, None)
        if error is not None:
            self.fail(number, error)

    def fail(self, number: int, error: KafkaError) -> None:
        self._waiting.pop(number, None)
        self._failed[number] = error
        if error.fatal() or error.code() in _HOPELESS:
            self.hopeless = self.hopeless or error

    def undelivered(self) -> list[Record]:
        """Return the records that were refused or never reported, in their order."""
        return [self.records[number] for number in sorted({*self._waiting, *self._failed})]

    def codes(self) -> set[int | None]:
        """Return the kinds of failure; None stands for no report at all."""
        return {error.code() for error in self._failed.values()} | ({None} if self._waiting else set())

    def reason(self) -> str:
        """Return why the last one was refused."""
        if self._waiting:
            return "no delivery report"
        return one_line(self._failed[max(self._failed)]) if self._failed else ""


def open_kafka(access: Access, topic: str) -> KafkaSink:
    """Return a sink to an existing topic; it is never created.

    Raises ValueError for settings that do not fit together, and SinkError if the cluster cannot be reached, does not
    let this client in, or has no such topic.
    """
    trouble = Trouble(access.properties)
    settings: dict[str, Any] = {
        "client.id": "iot-simulate",
        "enable.idempotence": True,
        "acks": "all",
        "delivery.timeout.ms": int(DELIVERY_SECONDS * 1000),
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "compression.type": "zstd",
        "linger.ms": 5,
        "partitioner": "murmur2_random",  # a gateway's partition is the one that Java's producers choose
    }
    try:
        producer = Producer(settings | client_settings(access, trouble))
    except KafkaException as error:
        raise ValueError(explain_settings(error, access)) from error
    find_partitions(producer, topic, access, trouble)
    return KafkaSink(producer, topic, access, trouble)
