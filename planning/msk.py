"""The same records through Amazon MSK: the cluster, topic and pollers that the stacks deploy, and their bill."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from planning import parameters, prices
from planning.prices import GIB, HOURS_A_MONTH, SECONDS_A_MONTH
from planning.services import Item, detector, item
from planning.traffic import PART_FILLED, Fleet, Flow

#: Express brokers are in three zones, the same number in each; a record has three copies.
#: https://docs.aws.amazon.com/msk/latest/developerguide/msk-broker-types-express.html
ZONES = 3
_COPIES = 3

#: How full a broker is planned: if one of three zones fails, the brokers of the others take its load.
BROKER_FILLED = 2 / 3


class BrokerType(NamedTuple):
    """A size of Express broker: as ``times`` as many express.m7g.large, and the partitions recommended on one.

    Partitions count with their copies. https://docs.aws.amazon.com/msk/latest/developerguide/limits.html
    """

    name: str
    times: int
    partitions: int


BROKER_TYPES = (
    BrokerType("express.m7g.large", 1, 1_000),
    BrokerType("express.m7g.xlarge", 2, 1_000),
    BrokerType("express.m7g.2xlarge", 4, 2_500),
    BrokerType("express.m7g.4xlarge", 8, 6_000),
    BrokerType("express.m7g.8xlarge", 16, 12_000),
    BrokerType("express.m7g.12xlarge", 24, 16_000),
    BrokerType("express.m7g.16xlarge", 32, 20_000),
)


class Kafka(msgspec.Struct, frozen=True):
    """Capacity of a cluster and its topic; ``poller_units`` are billed for Lambda's ``pollers``."""

    brokers: int
    broker_type: str
    partitions: int
    pollers: int
    poller_units: int


def kafka(fleet: Fleet, flow: Flow) -> Kafka:
    """Return the capacity that a fleet needs, at least what is deployed by default.

    More brokers than three are planned only where three of the largest size are too small: a size is a setting, and
    brokers that join have no partitions until somebody moves them there.
    """
    # With full batches, as the detector has them where it has no time to spare.
    busy = detector(fleet, flow, parts=0).seconds
    read = flow.payload / prices.POLLER_BYTES
    partitions = _in_threes(max(parameters.KAFKA_PARTITIONS, max(busy, read) / PART_FILLED))
    kind, brokers = _brokers(flow, partitions)
    pollers = math.ceil(max(parameters.POLLERS, read, busy / prices.POLLER_INVOCATIONS))
    return Kafka(brokers, kind.name, partitions, pollers, poller_units(pollers, flow.payload))


def poller_units(pollers: int, read: float) -> int:
    """Return the number of units that are billed for pollers that read ``read`` bytes per second."""
    return math.ceil(max(pollers / prices.POLLER_UNIT_POLLERS, read / prices.POLLER_UNIT_BYTES))


class Use(NamedTuple):
    """Use of a cluster in ``hours``: what it is billed for.

    ``broker_hours`` are those of express.m7g.large (:func:`times`), ``written`` are bytes, and ``kept`` the bytes that
    the topic has in the mean.
    """

    hours: float
    broker_hours: float
    poller_units: int
    written: float
    kept: float


def month(found: Kafka, flow: Flow) -> Use:
    """Return the use of a cluster in a month."""
    return Use(
        hours=HOURS_A_MONTH,
        broker_hours=found.brokers * times(found.broker_type) * HOURS_A_MONTH,
        poller_units=found.poller_units,
        written=flow.payload * SECONDS_A_MONTH,
        kept=flow.payload * parameters.STREAM_RETENTION.total_seconds(),
    )


def bill(use: Use, brokers: str = "brokers") -> list[Item]:
    """Return the bill of the cluster, its delivery to S3, the pollers and the endpoint."""
    return [
        item("MSK", brokers, prices.MSK_EXPRESS_HOUR, use.broker_hours),
        item("MSK", "written", prices.MSK_EXPRESS_GB_IN, use.written / GIB),
        item("MSK", "kept", prices.MSK_STORAGE_GB, use.kept / GIB * use.hours / HOURS_A_MONTH),
        item("MSK", "delivered to S3", prices.MSK_DELIVERED_GB, use.written / GIB),
        item("Lambda", "pollers", prices.LAMBDA_POLLER_UNIT_HOUR, use.poller_units * use.hours),
        item("VPC", "endpoint of SQS", prices.VPC_ENDPOINT_HOUR, parameters.ENDPOINTS * ZONES * use.hours),
    ]


def times(broker_type: str) -> int:
    """Return how many express.m7g.large a broker is worth, in throughput and in price."""
    return next(kind.times for kind in BROKER_TYPES if kind.name == broker_type)


def sustained_bytes(broker_type: str) -> float:
    """Return the bytes a second that AWS recommends at most on a broker."""
    return prices.EXPRESS_BYTES * times(broker_type)


def _brokers(flow: Flow, partitions: int) -> tuple[BrokerType, int]:
    for kind in BROKER_TYPES:
        by_bytes = flow.payload / (sustained_bytes(kind.name) * BROKER_FILLED)
        brokers = _in_threes(max(by_bytes, partitions * _COPIES / kind.partitions))
        if brokers == ZONES:
            break
    return kind, brokers


def _in_threes(needed: float) -> int:
    """Round up to the same number in each zone, one at least. Rounding errors must not add one."""
    return ZONES * max(1, math.ceil(needed / ZONES - 1e-9))
