"""The connection to a Kafka cluster: settings of the client, and what to do when it fails."""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from simulator.sinks.kafka_access import Access, Properties, hide_secrets
from simulator.sinks.msk import iam_settings
from simulator.sinks.sink import SinkError

_SILENT = logging.Logger("librdkafka")
_SILENT.addHandler(logging.NullHandler())
_ASKS_FOR_LOGS = frozenset({"debug", "log_level"})

#: How long the cluster has to say that the topic is there, seconds.
CONNECT_SECONDS = 15.0
_SETTLE_SECONDS = 1.0  # a topic that has just been created is not known to every broker at once

#: Seconds that a call into librdkafka lasts at most: Python cannot handle a Ctrl-C meanwhile.
GLANCE_SECONDS = 0.2

#: Errors of a log-in: trying again does not help.
LOGIN_ERRORS = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001  # the library's public names begin with an underscore
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
_NOT_ALLOWED = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)
_NOT_THERE = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART})  # noqa: SLF001


class Needs(NamedTuple):
    """The permissions that a client needs: as ACLs of Kafka, and as actions of IAM.

    https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html
    """

    acls: str
    actions: str


TO_WRITE = Needs(
    "Describe and Write on the topic",
    "kafka-cluster:Connect and WriteDataIdempotently on the cluster, DescribeTopic and WriteData on the topic",
)


class Trouble:
    """The last error that librdkafka reported about its connections."""

    def __init__(self, properties: Properties = ()) -> None:
        self._properties = properties
        self._last = ""
        self.denied = False

    def __call__(self, error: KafkaError) -> None:
        """Keep an error; as ``error_cb``. That all brokers are down says less than why the last one is."""
        self.denied = self.denied or error.code() in LOGIN_ERRORS
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._last:  # noqa: SLF001
            self._last = hide_secrets(one_line(error), self._properties)

    def __str__(self) -> str:
        return f" ({self._last})" if self._last else ""


def client_settings(access: Access, trouble: Trouble) -> dict[str, Any]:
    """Return the settings of a client; raises ValueError or SinkError where the log-in is not complete."""
    settings: dict[str, Any] = {
        "bootstrap.servers": access.brokers,
        "allow.auto.create.topics": False,  # a misspelt topic is an error, not a new topic
        "error_cb": trouble,
    }
    if not _ASKS_FOR_LOGS & {name for name, _ in access.properties}:
        # It would write to standard error what our errors say; what is fatal even at level 0.
        settings |= {"log_level": 0, "logger": _SILENT}
    if access.msk_iam:
        settings |= iam_settings(access.region)
    return settings | dict(access.properties)


def explain_settings(error: KafkaException, access: Access) -> str:
    """Return why librdkafka makes no client with these settings."""
    return (
        f"the Kafka client does not accept these settings: {hide_secrets(one_line(error.args[0]), access.properties)}"
    )


def find_partitions(
    client: Producer | Consumer,
    topic: str,
    access: Access,
    trouble: Trouble,
    *,
    needs: Needs = TO_WRITE,
    seconds: float | None = None,
) -> list[int]:
    """Return the partitions of an existing topic, which the cluster has ``seconds`` to name.

    Raises SinkError that says why there are none, and what to do.
    """
    began = time.monotonic()
    deadline = began + (CONNECT_SECONDS if seconds is None else seconds)
    while True:
        found = _describe(client, topic, access, trouble, deadline)
        if found.error is None:
            return sorted(found.partitions)
        if found.error.code() not in _NOT_THERE or time.monotonic() > began + _SETTLE_SECONDS:
            raise SinkError(explain(found.error, topic, access, needs))
        _serve(client, topic, access, GLANCE_SECONDS)


def _describe(client: Producer | Consumer, topic: str, access: Access, trouble: Trouble, deadline: float) -> Any:
    """Return the topic's metadata. Raises SinkError if no broker gives it in time, or the log-in fails."""
    while True:
        try:
            return client.list_topics(topic, timeout=GLANCE_SECONDS).topics[topic]
        except KafkaException as error:
            _serve(client, topic, access, 0)
            if trouble.denied:
                raise SinkError(_login(access, str(trouble))) from error
            if time.monotonic() > deadline:
                raise SinkError(_silence(access, str(trouble) or f" ({one_line(error.args[0])})")) from error


def _serve(client: Producer | Consumer, topic: str, access: Access, seconds: float) -> None:
    """Let error_cb be called. Raises SinkError if the client cannot go on, such as one that may not write at all."""
    try:
        client.poll(seconds)
    except KafkaException as error:
        raise SinkError(explain(error.args[0], topic, access)) from error


def explain(error: KafkaError, topic: str, access: Access, needs: Needs = TO_WRITE) -> str:
    """Return why the cluster does not let a client use the topic, and what to do."""
    where = f"Kafka topic {topic!r} at {access.brokers}"
    if error.code() in _NOT_THERE:
        return f"there is no {where}; check its name, or create it first"
    if error.code() in _NOT_ALLOWED:
        needed = f"by a policy {needs.actions}" if access.msk_iam else f"by ACLs {needs.acls}"
        return f"this client is not allowed to use the {where} ({one_line(error)}); allow it {needed}"
    if error.code() in LOGIN_ERRORS:
        return _login(access, f" ({one_line(error)})")
    return f"the {where} cannot be used: {one_line(error)}"


def _login(access: Access, why: str) -> str:
    advice = (
        "check the AWS credentials and that their policy allows kafka-cluster:Connect on the cluster"
        if access.msk_iam
        else "check sasl.mechanisms, sasl.username and sasl.password in --kafka-property, or --msk-iam"
    )
    return f"the Kafka brokers at {access.brokers} refuse the log-in{why}; {advice}"


def _silence(access: Access, why: str) -> str:
    advice = (
        "check that the port is the one for IAM (9098; 9198 with public access); "
        "without public access the brokers of MSK answer only in their VPC"
        if access.msk_iam
        else "check that they run, that the port is right, and that they can be reached from here"
    )
    return f"no Kafka broker answers at {access.brokers}{why}; {advice}"


def one_line(error: KafkaError) -> str:
    """Return an error's name and words in one line."""
    return " ".join(f"{error.name()}: {error.str()}".split())
