"""The same records through Amazon MSK in place of Kinesis: what that costs."""

from __future__ import annotations

import math
from typing import NamedTuple

from planning import prices
from planning.parameters import CONSUMERS, PARALLELIZATION
from planning.prices import GIB, HOURS_A_MONTH, MIB, SECONDS_A_MONTH
from planning.services import Item, item
from planning.traffic import Flow

#: Three availability zones, and three copies of each record: what AWS advises.
#: https://docs.aws.amazon.com/msk/latest/developerguide/bestpractices.html
_ZONES = 3
_COPIES = 3
#: What a kafka.m7g.large writes a second, copies included: 60 % of the 630 Mbit/s that an m7g.large has to its disk.
#: https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html
_BROKER_BYTES = 0.6 * 78.75 * MIB
#: A day, as the Kinesis stream keeps; and a fifth of the disk stays free.
_KEPT_SECONDS = 86_400
_HEADROOM = 1.2
_SMALLEST_DISK_GB = 10


class Cluster(NamedTuple):
    """A cluster that takes the records: what it is, and its bill."""

    name: str
    items: list[Item]

    @property
    def usd(self) -> float:
        """US dollars a month."""
        return sum(line.usd_per_month for line in self.items)


def cluster(flow: Flow) -> Cluster:
    """Return the cheaper one of the smallest sensible provisioned cluster and a serverless one."""
    return min(_provisioned(flow), _serverless(flow), key=lambda found: found.usd)


def delivery(flow: Flow) -> Item:
    """Firehose from the topic: dearer a GB, and without its rounding."""
    return item("Firehose", "readings, from MSK", prices.FIREHOSE_MSK_GB, flow.payload * SECONDS_A_MONTH / GIB)


def _provisioned(flow: Flow) -> Cluster:
    brokers = _ZONES * max(1, math.ceil(flow.payload * _COPIES / (_ZONES * _BROKER_BYTES)))
    disks = max(brokers * _SMALLEST_DISK_GB, flow.payload * _KEPT_SECONDS * _COPIES * _HEADROOM / GIB)
    items = [
        item("MSK", f"{brokers:,} kafka.m7g.large", prices.MSK_BROKER_HOUR, brokers * HOURS_A_MONTH),
        item("MSK", "disks: 3 copies of a day", prices.MSK_STORAGE_GB, disks),
    ]
    return Cluster(f"{brokers:,} brokers kafka.m7g.large in three zones", items)


def _serverless(flow: Flow) -> Cluster:
    gigabytes = flow.payload * SECONDS_A_MONTH / GIB
    partitions = flow.shards * PARALLELIZATION
    items = [
        item("MSK", "serverless cluster", prices.MSK_SERVERLESS_HOUR, HOURS_A_MONTH),
        item("MSK", f"{partitions:,} partitions", prices.MSK_SERVERLESS_PARTITION_HOUR, partitions * HOURS_A_MONTH),
        item("MSK", "written", prices.MSK_SERVERLESS_GB_IN, gigabytes),
        item("MSK", f"read by {CONSUMERS}", prices.MSK_SERVERLESS_GB_OUT, CONSUMERS * gigabytes),
        item("MSK", "kept for a day", prices.MSK_STORAGE_GB, flow.payload * _KEPT_SECONDS / GIB),
    ]
    return Cluster("serverless", items)
