"""Access to a Kafka cluster: brokers, log-in, and the properties of librdkafka that a person adds.

https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md lists the properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Names and values, in the order in which they were given.
Properties = tuple[tuple[str, str], ...]

_OPTION = "--kafka-property"

#: The sink delivers each record once, each gateway's in order, to a partition that Java's producers would choose too,
#: or reports it as refused in time. That rests on these.
_PROMISED = frozenset(
    {
        "acks",
        "allow.auto.create.topics",
        "delivery.timeout.ms",
        "enable.idempotence",
        "message.send.max.retries",
        "message.timeout.ms",
        "partitioner",
        "queuing.strategy",
        "request.required.acks",
        "retries",
        "transactional.id",
    }
)
_BROKERS = frozenset({"bootstrap.servers", "metadata.broker.list"})

#: Settings of the Python client that are not texts; those that end in ``_cb`` are functions.
_NOT_TEXT = frozenset({"default.topic.config", "delivery.report.only.error", "logger", "on_delivery"})

#: The log-in that IAM sets.
_LOGIN = ("sasl.", "security.protocol")

#: Parts of the names of properties whose values are secret.
_SECRET = ("config", "jaas", "key", "passphrase", "password", "pem", "secret", "token")


class Access(NamedTuple):
    """Brokers, ``host:port`` separated by commas, and the log-in: by IAM, by properties, or none.

    ``region`` is the cluster's, for IAM; that of the environment if it is None.
    """

    brokers: str
    msk_iam: bool = False
    region: str | None = None
    properties: Properties = ()


def parse_properties(texts: Sequence[str]) -> Properties:
    """Read ``NAME=VALUE`` texts. Raises ValueError, without their values: these may be secret."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ValueError(f"{_OPTION}: a name or '=' is missing; write NAME=VALUE, as security.protocol=SASL_SSL")
        if name in _PROMISED:
            raise ValueError(
                f"{_OPTION} {name}: the sink sets it, as it loses, repeats and reorders no records; leave it out"
            )
        if name in _BROKERS:
            raise ValueError(f"{_OPTION} {name}: brokers are in --sink kafka://HOST:PORT/TOPIC; leave it out")
        if name in _NOT_TEXT or name.endswith("_cb"):
            raise ValueError(f"{_OPTION} {name}: its value cannot be given as text; leave it out")
        if name in found:
            raise ValueError(f"{_OPTION} {name}=… is there twice; leave one out")
        found[name] = value.strip()
    return tuple(found.items())


def check_login(properties: Properties) -> None:
    """Raise ValueError for properties of the log-in, which IAM sets."""
    for name, _ in properties:
        if name.startswith(_LOGIN):
            raise ValueError(f"{_OPTION} {name}: the log-in with IAM sets it; leave it or --msk-iam out")


def hide_secrets(text: str, properties: Properties) -> str:
    """Return the text without the values of secret properties."""
    for name, value in properties:
        if value and not name.endswith(".location") and any(part in name for part in _SECRET):
            text = text.replace(value, "***")
    return text
