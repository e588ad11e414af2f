"""Producing records to a Kafka topic with librdkafka."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from simulator.sinks.msk import iam_settings
from simulator.sinks.record import Record
from simulator.sinks.sink import Delivery, SinkError

#: How long the cluster has to say that the topic is there, and to take a record with all retries: seconds.
CONNECT_SECONDS = 15.0
DELIVERY_SECONDS = 30.0
_SETTLE_SECONDS = 1.0  # a topic that has just been created is not known to every broker at once

#: The most bytes of a message. Librdkafka's default is less than our largest record; this is the brokers'.
MAX_MESSAGE_BYTES = 1_048_588

#: Seconds that a call into librdkafka lasts at most: Python cannot handle a Ctrl-C meanwhile.
_GLANCE = 0.2

#: Errors that affect every further record, not only the one that met them.
_HOPELESS = frozenset(
    {
        KafkaError._FATAL,  # noqa: SLF001  # the library's public names begin with an underscore
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
_TIMED_OUT = KafkaError._MSG_TIMED_OUT  # noqa: SLF001


class Trouble:
    """The last error that librdkafka reported about its connections."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, error: KafkaError) -> None:
        """Keep an error; as ``error_cb``. That all brokers are down says less than why the last one is."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._last:  # noqa: SLF001
            self._last = _one_line(error)

    def __str__(self) -> str:
        return f" ({self._last})" if self._last else ""


class KafkaSink:
    """Produces each record with its gateway as the key and, if it has a time, with that as the timestamp.

    The producer is idempotent: what librdkafka sends again is in the topic once, and each gateway's records
    are in their order. It does not say how often it sent again, so no record counts as retried. A record that
    is refused because time was up may have arrived all the same.

    The timestamp of a message is by definition when its producer made it, so a simulated time belongs there:
    what reads the topic by time finds it. Mind that brokers keep and delete by it too, and that since 4.0 they
    refuse what is more than an hour ahead (``message.timestamp.after.max.ms``).
    """

    def __init__(self, producer: Producer, topic: str, *, brokers: str, trouble: object = "") -> None:
        self._producer, self._topic, self._brokers, self._trouble = producer, topic, brokers, trouble

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
        while not reports.hopeless and self._producer.flush(_GLANCE) and time.monotonic() < deadline:
            pass
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
                self._producer.poll(_GLANCE)  # until the queue has room: reports are served meanwhile
            else:
                return

    def _delivery(self, reports: _Reports) -> Delivery:
        unsent = reports.undelivered()
        where = f"topic {self._topic!r} at {self._brokers}"
        if reports.hopeless:
            error = SinkError(f"the Kafka {where} accepts no more records: {_one_line(reports.hopeless)}")
            error.unsent = unsent
            self._producer.purge()
            raise error
        if unsent and len(unsent) == len(reports.records) and reports.codes() <= {None, _TIMED_OUT}:
            error = SinkError(
                f"the Kafka {where} has accepted nothing for {DELIVERY_SECONDS:.0f} s{self._trouble}; "
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
        return _one_line(self._failed[max(self._failed)]) if self._failed else ""


def open_kafka(brokers: str, topic: str, *, msk_iam: bool, region: str | None = None) -> KafkaSink:
    """Return a sink to an existing topic, as :class:`~simulator.sinks.kafka.KafkaTopic` describes it.

    Args:
        brokers: where to find the cluster.
        topic: the topic; it is never created.
        msk_iam: whether to log in to Amazon MSK with IAM.
        region: the cluster's, for ``msk_iam``; that of the environment if it is None.

    Raises:
        ValueError: the settings do not fit together.
        SinkError: the cluster cannot be reached or has no such topic.
    """
    trouble = Trouble()
    settings: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "client.id": "iot-simulate",
        "enable.idempotence": True,
        "acks": "all",
        "delivery.timeout.ms": int(DELIVERY_SECONDS * 1000),
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "compression.type": "zstd",
        "linger.ms": 5,
        "partitioner": "murmur2_random",  # a gateway's partition is the one that Java's producers choose
        "allow.auto.create.topics": False,  # a misspelt topic is an error, not a new topic
        "error_cb": trouble,
        "log_level": 0,  # it would write to standard error what the sink says in its errors
    }
    if msk_iam:
        settings |= iam_settings(region)
    try:
        producer = Producer(settings)
    except KafkaException as error:
        raise ValueError(f"the Kafka client does not accept these settings: {_one_line(error.args[0])}") from error
    _require_topic(producer, brokers, topic, trouble, msk_iam=msk_iam)
    return KafkaSink(producer, topic, brokers=brokers, trouble=trouble)


def _require_topic(producer: Producer, brokers: str, topic: str, trouble: Trouble, *, msk_iam: bool) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (problem := _topic_problem(producer, brokers, topic, trouble, msk_iam=msk_iam)) is not None:
        if problem.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise SinkError(f"the Kafka topic {topic!r} at {brokers} cannot be used: {_one_line(problem)}")
        if time.monotonic() > deadline:
            raise SinkError(
                f"there is no Kafka topic {topic!r} at {brokers}; check the topic in --sink, or create it first"
            )
        producer.poll(_GLANCE)


def _topic_problem(
    producer: Producer, brokers: str, topic: str, trouble: Trouble, *, msk_iam: bool
) -> KafkaError | None:
    """Return what the cluster says is wrong with the topic, if anything."""
    try:
        problem: KafkaError | None = producer.list_topics(topic, timeout=CONNECT_SECONDS).topics[topic].error
    except KafkaException as error:
        producer.poll(0)  # serves error_cb
        hint = ", the port (9098 for IAM), the policy (kafka-cluster:Connect)" if msk_iam else ""
        raise SinkError(
            f"no Kafka broker answers at {brokers}{str(trouble) or f' ({_one_line(error.args[0])})'}; "
            f"check the brokers in --sink{hint} and that they can be reached from here"
        ) from error
    return problem


def _one_line(error: KafkaError) -> str:
    return " ".join(f"{error.name()}: {error.str()}".split())
