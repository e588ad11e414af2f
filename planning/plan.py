"""Capacity and cost of the pipeline for a fleet: as it is, with one record per reading, and through MSK.

Pure arithmetic over the prices of :mod:`planning.prices`: cheap enough to be called for each point of a curve.
docs/plan.md says how to read it, and which of its numbers are measured and which assumed.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from planning import msk, parameters, prices
from planning.services import (
    Detector,
    Engine,
    Item,
    alerting,
    delivery,
    detector,
    functions,
    item,
    lake,
    monitoring,
    on_demand,
    provisioned,
    run,
    storage,
    windows,
)
from planning.traffic import SHARD_FILLED, Fleet, Flow, batched, one_by_one
from telemetry.text.durations import format_duration

OURS, SINGLE, MSK = "ours", "one reading a record", "MSK"

#: Executions that a new account may have at once.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_NEW_ACCOUNT = 10

#: A hint is given only if it saves so much of the bill.
_WORTH_A_HINT = 0.05

_LONGER = dt.timedelta(seconds=5)

Mode = Literal["provisioned", "on_demand"]


class Variant(msgspec.Struct, frozen=True):
    """One way to do it: its records, its bill."""

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


class Needs(msgspec.Struct, frozen=True):
    """Capacity that ours needs. Rates are per second; ``concurrency`` is the mean, and the largest possible."""

    gateways: int
    readings: float
    readings_per_record: float
    records: float
    bytes: float
    shards: int
    detector_invocations: float
    detector_milliseconds: float
    detector_concurrency: tuple[float, int]
    engine: Engine
    curation_seconds: float


class Plan(msgspec.Struct, frozen=True):
    """Capacity for a fleet, and its variants, ours first. ``streams``: both modes, ``recommended``: the cheaper."""

    fleet: Fleet
    needs: Needs
    streams: list[StreamChoice]
    recommended: Mode
    variants: list[Variant]
    assumptions: list[str]
    notes: list[str]

    def variant(self, name: str) -> Variant:
        """Return the variant of that name."""
        return next(found for found in self.variants if found.name == name)


def plan(fleet: Fleet) -> Plan:
    """Plan a fleet."""
    flow = batched(fleet)
    streams = _streams(flow)
    found, curation = detector(fleet, flow), run(fleet)
    needs = Needs(
        gateways=sum(count for count, _ in fleet.gateways),
        readings=fleet.readings,
        readings_per_record=fleet.readings / flow.records,
        records=flow.records,
        bytes=flow.payload,
        shards=flow.shards,
        detector_invocations=found.invocations,
        detector_milliseconds=found.seconds / found.invocations * 1000,
        detector_concurrency=(found.seconds, found.most),
        engine=curation.engine,
        curation_seconds=curation.seconds,
    )
    ours = _on_kinesis(OURS, fleet, flow)
    variants = [ours, _on_kinesis(SINGLE, fleet, one_by_one(fleet)), _on_msk(fleet, flow)]
    return Plan(
        fleet=fleet,
        needs=needs,
        streams=streams,
        recommended=_cheaper(streams).mode,
        variants=variants,
        assumptions=_assumptions(fleet, needs, msk.cluster(flow).name),
        notes=_notes(fleet, flow, ours, streams, found),
    )


def _on_kinesis(name: str, fleet: Fleet, flow: Flow) -> Variant:
    return _variant(
        name, flow, [*_cheaper(_streams(flow)).items, *delivery(fleet, flow), *_whatever_streams(fleet, flow)]
    )


def _on_msk(fleet: Fleet, flow: Flow) -> Variant:
    changes = [line for line in delivery(fleet, flow) if line.what == "changes of alerts"]
    streamed = [*msk.cluster(flow).items, msk.delivery(flow), *changes]
    return _variant(MSK, flow, [*streamed, *_whatever_streams(fleet, flow)])


def _whatever_streams(fleet: Fleet, flow: Flow) -> list[Item]:
    rest = (functions(fleet, flow), alerting(fleet, flow), storage(fleet, flow), lake(fleet), monitoring())
    return [line for lines in rest for line in lines]


def _variant(name: str, flow: Flow, items: list[Item]) -> Variant:
    total = sum(line.usd_per_month for line in items)
    return Variant(name, flow.records, flow.payload / flow.records, flow.shards, items, total)


def _streams(flow: Flow) -> list[StreamChoice]:
    modes: tuple[tuple[Mode, list[Item]], ...] = (("provisioned", provisioned(flow)), ("on_demand", on_demand(flow)))
    return [StreamChoice(mode, items, sum(line.usd_per_month for line in items)) for mode, items in modes]


def _cheaper(streams: list[StreamChoice]) -> StreamChoice:
    return min(streams, key=lambda choice: choice.usd_per_month)


def _assumptions(fleet: Fleet, needs: Needs, cluster: str) -> list[str]:
    gateways = f"{needs.gateways:,} gateways of up to {fleet.devices_per_gateway:,} devices"
    sent = f"send what they collect in {format_duration(fleet.collect)}"
    return [
        f"list prices of us-east-1, looked up {prices.READ}, first tier, no free tier, {prices.DAYS_A_MONTH} days",
        f"{gateways} {sent}: {needs.readings_per_record:,.1f} readings a record",
        f"load is steady, and shards are planned {SHARD_FILLED:.0%} full",
        f"{fleet.alerts:,.0f} alerts a day, told when they fire and when they resolve, to one reader by e-mail",
        f"{fleet.queries_per_day:,} queries a day, each over {parameters.QUERY_SHARE:.0%} of a day's curated readings",
        f"raw and curated are kept for {format_duration(fleet.retention)}, and as full as they get",
        (
            f"raw is compressed {parameters.COMPRESSION:g} times, "
            f"curated takes {parameters.CURATED_BYTES_A_READING:g} bytes a reading: measured"
        ),
        "functions and runs take as long as benchmarks elsewhere suggest; none was timed on AWS",
        f"MSK: {cluster}; its topic keeps a day, and its network is left out",
        "data transfer, access logs and support are left out",
    ]


def _notes(fleet: Fleet, flow: Flow, ours: Variant, streams: list[StreamChoice], found: Detector) -> list[str]:
    shards, fixed = streams[0].items[0], streams[0].usd_per_month
    factor = 1 + (streams[1].usd_per_month - fixed) / shards.usd_per_month
    peaks = f"the cheaper one only if peaks make you keep more than {factor:,.1f} times as many shards"
    notes = [f"deploy with -c stream_mode=provisioned -c shards={flow.shards}; the default, on_demand, is {peaks}"]
    if found.most > _NEW_ACCOUNT:
        notes.append(
            f"a new account may run {_NEW_ACCOUNT} functions at once, and up to {found.most:,} detectors want to: "
            "have the quota raised"
        )
    if fleet.collect < _LONGER:
        longer = msgspec.structs.replace(fleet, collect=_LONGER)
        saved = ours.usd_per_month - _on_kinesis(OURS, longer, batched(longer)).usd_per_month
        if saved > _WORTH_A_HINT * ours.usd_per_month:
            notes.append(f"gateways that collect for {format_duration(_LONGER)} save {saved:,.0f} USD a month")
    more = windows(fleet)
    notes.append(f"the shipped rules look at no windows; the first that looks back adds {more:,.0f} USD a month")
    devices = min(fleet.devices, fleet.devices_per_gateway)
    if devices * fleet.reading_bytes / fleet.interval.total_seconds() > prices.SHARD_BYTES:
        notes.append("a gateway sends more than the shard takes that it is tied to: use more and smaller ones")
    curation = run(fleet)
    if curation.engine == "spark":
        notes.append("curate with -c etl_engine=spark: one machine would take most of the hour or more")
    if not curation.fits:
        notes.append("an hour's readings take even ten workers more than an hour: split the fleet")
    return notes


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Usage counted in ``hours``. Without ``shards`` the stream is on demand."""

    hours: float
    shards: int = 0
    records: float = 0
    bytes: float = 0
    invocations: float = 0
    gb_seconds: float = 0
    write_units: float = 0
    read_units: float = 0
    scanned_bytes: float = 0


def cost_so_far(usage: Usage) -> list[Item]:
    """Return what it has cost, by service; ``usd_per_month`` of an item is for ``hours`` here.

    Records are taken to be of one size, and queries to be larger than Athena's ten megabytes: where they are not, the
    bill is a little higher.
    """
    flow = Flow(((usage.records, -(-int(usage.bytes) // max(1, int(usage.records)))),) if usage.records else ())
    gigabytes = flow.blocks(prices.KINESIS_ON_DEMAND_BYTES) * prices.KINESIS_ON_DEMAND_BYTES / prices.GIB
    if usage.shards:
        stream = [
            item("Kinesis", "shards", prices.KINESIS_SHARD_HOUR, usage.shards * usage.hours),
            item("Kinesis", "writes", prices.KINESIS_PUT_UNIT, flow.blocks(prices.KINESIS_PUT_UNIT_BYTES)),
        ]
    else:
        stream = [
            item("Kinesis", "one stream", prices.KINESIS_STREAM_HOUR, usage.hours),
            item("Kinesis", "written", prices.KINESIS_GB_IN, gigabytes),
            item("Kinesis", "read", prices.KINESIS_GB_OUT, parameters.CONSUMERS * gigabytes),
        ]
    delivered = flow.blocks(prices.FIREHOSE_BYTES) * prices.FIREHOSE_BYTES / prices.GIB
    scanned = usage.scanned_bytes / (prices.ATHENA_BYTES_A_MEGABYTE * prices.ATHENA_MEGABYTES_A_TB)
    return [
        *stream,
        item("Firehose", "readings", prices.FIREHOSE_GB, delivered),
        item("Lambda", "called", prices.LAMBDA_REQUEST, usage.invocations),
        item("Lambda", "running", prices.LAMBDA_ARM_GB_SECOND, usage.gb_seconds),
        item("DynamoDB", "written", prices.DYNAMODB_WRITE_UNIT, usage.write_units),
        item("DynamoDB", "read", prices.DYNAMODB_READ_UNIT, usage.read_units),
        item("Athena", "queries", prices.ATHENA_TB, scanned),
    ]
