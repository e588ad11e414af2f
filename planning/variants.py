"""The ways to do it that a plan compares, each with its bill: on Kinesis, with one record per reading, through MSK."""

from __future__ import annotations

from typing import Literal

import msgspec

from pipeline.names import Ingest
from planning import msk
from planning.services import (
    Item,
    Parts,
    alerting,
    changes,
    delivery,
    detector,
    functions,
    lake,
    monitoring,
    of_shards,
    on_demand,
    provisioned,
    storage,
)
from planning.traffic import Fleet, Flow, batched, one_by_one

OURS, SINGLE, MSK = "ours", "one reading a record", "MSK"

Mode = Literal["provisioned", "on_demand"]


class Variant(msgspec.Struct, frozen=True):
    """One way to do it: its records, its bill. ``shards`` are those of a Kinesis stream for these records."""

    name: str
    records_per_second: float
    bytes_per_record: float
    shards: int
    items: list[Item]
    usd_per_month: float

    def by_service(self) -> dict[str, float]:
        """US dollars a month by service, in the order of the items."""
        found: dict[str, float] = {}
        for line in self.items:
            found[line.service] = found.get(line.service, 0.0) + line.usd_per_month
        return found


class StreamChoice(msgspec.Struct, frozen=True):
    """A mode of the Kinesis stream, and its part of the bill."""

    mode: Mode
    items: list[Item]
    usd_per_month: float


def variants(fleet: Fleet) -> list[Variant]:
    """Return every variant for a fleet, the one on Kinesis first."""
    flow = batched(fleet)
    return [_on_kinesis(OURS, fleet, flow), _on_kinesis(SINGLE, fleet, one_by_one(fleet)), _on_msk(fleet, flow)]


def deployed(fleet: Fleet, ingest: Ingest) -> Variant:
    """Return what the stacks deploy with this setting."""
    flow = batched(fleet)
    return _on_msk(fleet, flow) if ingest == "msk" else _on_kinesis(OURS, fleet, flow)


def streams(flow: Flow) -> list[StreamChoice]:
    """Return both modes of the Kinesis stream."""
    modes: tuple[tuple[Mode, list[Item]], ...] = (("provisioned", provisioned(flow)), ("on_demand", on_demand(flow)))
    return [StreamChoice(mode, items, sum(line.usd_per_month for line in items)) for mode, items in modes]


def cheaper(choices: list[StreamChoice]) -> StreamChoice:
    """Return the mode to recommend."""
    return min(choices, key=lambda choice: choice.usd_per_month)


def _on_kinesis(name: str, fleet: Fleet, flow: Flow) -> Variant:
    streamed = [*cheaper(streams(flow)).items, delivery(flow)]
    return _variant(name, fleet, flow, streamed, of_shards(flow))


def _on_msk(fleet: Fleet, flow: Flow) -> Variant:
    needed = msk.kafka(fleet, flow)
    # At most, each record is a batch in which its gateway is read.
    streamed = msk.bill(msk.month(needed, flow), f"{needed.brokers:,} {needed.broker_type}")
    return _variant(MSK, fleet, flow, streamed, Parts(needed.partitions, flow.records))


def _variant(name: str, fleet: Fleet, flow: Flow, streamed: list[Item], parts: Parts) -> Variant:
    found = detector(fleet, flow, parts.number)
    items = [
        *streamed,
        changes(fleet),
        *functions(fleet, found),
        *alerting(fleet, flow, parts),
        *storage(fleet, flow),
        *lake(fleet),
        *monitoring(),
    ]
    total = sum(line.usd_per_month for line in items)
    return Variant(name, flow.records, flow.payload / flow.records, flow.shards, items, total)
