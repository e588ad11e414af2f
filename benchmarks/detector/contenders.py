"""Who is measured, by name, and what a contender is: a handler of events as Lambda's runtime hands them over."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from benchmarks import measuring

Event = dict[str, Any]


class Contender(NamedTuple):
    """A handler, and what it has done so far that is told beside its rate."""

    handle: Callable[[Event], object]
    tell: Callable[[], dict[str, float]] = dict


OURS, OURS_WITH_WINDOWS, FLOOR = "ours", "ours_with_windows", "floor"
OURS_BY_KAFKA, KINESIS_DECODER, KAFKA_DECODER = "ours_by_kafka", "decoder of Kinesis", "decoder of Kafka"
DECODERS = (KINESIS_DECODER, KAFKA_DECODER)

#: Those that get the same records in events of Kafka.
BY_KAFKA = (OURS_BY_KAFKA, KAFKA_DECODER)

#: The environment of the detector on Lambda.
LAMBDA_ENVIRONMENT = {
    "STAGE": "dev",
    "STATE_TABLE": "states",
    "TRANSITIONS_QUEUE_URL": "https://sqs.us-east-2.amazonaws.com/123456789012/transitions",
    "CONFIG_BUCKET": "config",
    "RULES_KEY": "rules.yaml",
    "REGISTRY_KEY": "registry/devices.csv",
    "POWERTOOLS_SERVICE_NAME": "detector",
    "POWERTOOLS_METRICS_NAMESPACE": "IoTPipeline",
    "AWS_REGION": "us-east-2",
    "AWS_DEFAULT_REGION": "us-east-2",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}

#: What people use today: the ways that a search for "Lambda Kinesis Python" leads to.
PEERS = ("json.loads", "json.loads, ten rules", "powertools + pydantic")

#: Where each is made. Only the one that runs is imported: its memory is measured.
_MAKERS = {
    OURS: "ours:ten_rules",
    OURS_BY_KAFKA: "ours:ten_rules",
    OURS_WITH_WINDOWS: "ours:with_windows",
    KINESIS_DECODER: "streams:decoder",
    KAFKA_DECODER: "streams:decoder",
    PEERS[0]: "json_loads:one_threshold",
    PEERS[1]: "json_loads:ten_rules",
    PEERS[2]: "powertools_pydantic:one_threshold",
    FLOOR: "floor:decoded",
}

NAMES = tuple(_MAKERS)


def contender(name: str) -> Contender:
    """Make the contender of this name, in the environment of the detector."""
    os.environ |= LAMBDA_ENVIRONMENT
    return cast("Contender", measuring.contender("detector", _MAKERS, name))


class Topic:
    """SNS as the peers use it: takes everything, keeps the number."""

    def __init__(self) -> None:
        self._alerts = 0

    def publish(self, **_: object) -> None:
        """Take one message. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
        self._alerts += 1

    def tell(self) -> dict[str, float]:
        """Return the number of messages received."""
        return {"alerts": self._alerts}
