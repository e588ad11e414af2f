"""Capacity and cost of the pipeline for a fleet: on Kinesis, with one record per reading, and through MSK.

Pure arithmetic over the prices of :mod:`planning.prices`: cheap enough to be called for each point of a curve.
docs/plan.md says how to read it, and which of its numbers are measured and which assumed.
"""

from __future__ import annotations

import msgspec

from pipeline.names import Ingest
from planning import advice, msk, parameters, prices
from planning.msk import Kafka
from planning.services import Detector, Engine, Item, detector, item, of_shards, run
from planning.traffic import Fleet, Flow, batched
from planning.variants import Mode, StreamChoice, Variant, cheaper, streams, variants


class Needs(msgspec.Struct, frozen=True):
    """Capacity on Kinesis. Rates are per second; ``concurrency`` is the mean, and the largest possible."""

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


class KafkaNeeds(msgspec.Struct, frozen=True):
    """Capacity through MSK; the rest is as on Kinesis."""

    cluster: Kafka
    detector_invocations: float
    detector_milliseconds: float
    detector_concurrency: tuple[float, int]


class Plan(msgspec.Struct, frozen=True):
    """Capacity for a fleet, and its variants, the one on Kinesis first.

    ``streams``: both modes of Kinesis, ``recommended``: the cheaper. ``notes`` are about ``ingest``.
    """

    fleet: Fleet
    ingest: Ingest
    needs: Needs
    kafka: KafkaNeeds
    streams: list[StreamChoice]
    recommended: Mode
    variants: list[Variant]
    assumptions: list[str]
    notes: list[str]

    def variant(self, name: str) -> Variant:
        """Return the variant of that name."""
        return next(found for found in self.variants if found.name == name)


def plan(fleet: Fleet, ingest: Ingest = "kinesis") -> Plan:
    """Plan a fleet."""
    flow = batched(fleet)
    choices, compared = streams(flow), variants(fleet)
    cluster = msk.kafka(fleet, flow)
    needs = _needs(fleet, flow)
    return Plan(
        fleet=fleet,
        ingest=ingest,
        needs=needs,
        kafka=KafkaNeeds(cluster, *_detecting(detector(fleet, flow, cluster.partitions))),
        streams=choices,
        recommended=cheaper(choices).mode,
        variants=compared,
        assumptions=advice.assumptions(fleet, needs.readings_per_record, needs.gateways),
        notes=advice.notes(fleet, flow, ingest, variants=compared, streams=choices, needed=cluster),
    )


def _needs(fleet: Fleet, flow: Flow) -> Needs:
    curation = run(fleet)
    invocations, milliseconds, concurrency = _detecting(detector(fleet, flow, of_shards(flow).number))
    return Needs(
        gateways=sum(count for count, _ in fleet.gateways),
        readings=fleet.readings,
        readings_per_record=fleet.readings / flow.records,
        records=flow.records,
        bytes=flow.payload,
        shards=flow.shards,
        detector_invocations=invocations,
        detector_milliseconds=milliseconds,
        detector_concurrency=concurrency,
        engine=curation.engine,
        curation_seconds=curation.seconds,
    )


def _detecting(found: Detector) -> tuple[float, float, tuple[float, int]]:
    """Return invocations, their milliseconds and their concurrency."""
    return found.invocations, found.seconds / found.invocations * 1000, (found.seconds, found.most)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Usage counted in ``hours``.

    With ``broker_hours``, those of express.m7g.large (:func:`planning.msk.times`), the stream is a topic that keeps
    ``stored_bytes`` in the mean. Without them it is a Kinesis stream, and without ``shards`` one on demand.
    """

    hours: float
    shards: int = 0
    broker_hours: float = 0
    stored_bytes: float = 0
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
    scanned = usage.scanned_bytes / (prices.ATHENA_BYTES_A_MEGABYTE * prices.ATHENA_MEGABYTES_A_TB)
    return [
        *(_topic_so_far(usage) if usage.broker_hours else _stream_so_far(usage)),
        item("Lambda", "called", prices.LAMBDA_REQUEST, usage.invocations),
        item("Lambda", "running", prices.LAMBDA_ARM_GB_SECOND, usage.gb_seconds),
        item("DynamoDB", "written", prices.DYNAMODB_WRITE_UNIT, usage.write_units),
        item("DynamoDB", "read", prices.DYNAMODB_READ_UNIT, usage.read_units),
        item("Athena", "queries", prices.ATHENA_TB, scanned),
    ]


def _topic_so_far(usage: Usage) -> list[Item]:
    a_second = usage.bytes / (usage.hours * 3600) if usage.hours else 0.0
    units = msk.poller_units(parameters.POLLERS, a_second)
    return msk.bill(msk.Use(usage.hours, usage.broker_hours, units, usage.bytes, usage.stored_bytes))


def _stream_so_far(usage: Usage) -> list[Item]:
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
    return [*stream, item("Firehose", "readings", prices.FIREHOSE_GB, delivered)]
