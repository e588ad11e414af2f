"""The sentences of a plan: what it assumes, and what is worth knowing before a deployment."""

from __future__ import annotations

import datetime as dt

import msgspec

from pipeline.names import Ingest
from planning import msk, parameters, prices
from planning.msk import Kafka
from planning.services import of_shards, run, windows
from planning.traffic import PART_FILLED, Fleet, Flow
from planning.variants import MSK, OURS, StreamChoice, Variant, deployed
from telemetry.text.durations import format_duration

#: Executions that a new account may have at once.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_NEW_ACCOUNT = 10

#: A hint is given only if it saves so much of the bill.
_WORTH_A_HINT = 0.05

_LONGER = dt.timedelta(seconds=5)


def assumptions(fleet: Fleet, readings_per_record: float, gateways: int) -> list[str]:
    """Return what no option says."""
    sent = f"send what they collect in {format_duration(fleet.collect)}: {readings_per_record:,.1f} readings a record"
    return [
        f"list prices of us-east-1, looked up {prices.READ}, first tier, no free tier, {prices.DAYS_A_MONTH} days",
        f"{gateways:,} gateways of up to {fleet.devices_per_gateway:,} devices {sent}",
        f"load is steady, and shards and partitions are planned {PART_FILLED:.0%} full",
        f"{fleet.alerts:,.0f} alerts a day, each notified when it fires and when it resolves, to one reader by e-mail",
        f"{fleet.queries_per_day:,} queries a day, each over {parameters.QUERY_SHARE:.0%} of a day's curated readings",
        f"raw and curated are kept for {format_duration(fleet.retention)}, and as full as they get",
        (
            f"raw is compressed {parameters.COMPRESSION:g} times, "
            f"curated takes {parameters.CURATED_BYTES_A_READING:g} bytes a reading: measured"
        ),
        "functions and runs take as long as benchmarks elsewhere suggest; none was timed on AWS",
        (
            f"MSK: brokers are planned {msk.BROKER_FILLED:.0%} full; producers do not compress; its delivery to S3 "
            f"costs {prices.MSK_DELIVERED_GB.usd:g} USD a GB, as Kinesis' own does: AWS' price was not found"
        ),
        "data transfer, access logs and support are left out",
    ]


def notes(
    fleet: Fleet, flow: Flow, ingest: Ingest, *, variants: list[Variant], streams: list[StreamChoice], needed: Kafka
) -> list[str]:
    """Return what to set, and what would change the bill most."""
    usd = {variant.name: variant.usd_per_month for variant in variants}
    if ingest == "msk":
        ours, most = usd[MSK], needed.partitions
    else:
        ours, most = usd[OURS], of_shards(flow).number
    devices = min(fleet.devices, fleet.devices_per_gateway)
    a_gateway = devices * fleet.reading_bytes / fleet.interval.total_seconds()
    found = _on_msk(fleet, needed, a_gateway) if ingest == "msk" else _on_kinesis(flow, streams, a_gateway)
    found.append(_compare(ingest, usd[OURS] - usd[MSK]))
    if most > _NEW_ACCOUNT:
        found.append(
            f"a new account may run {_NEW_ACCOUNT} functions at once, and up to {most:,} detectors want to: "
            "have the quota raised"
        )
    if fleet.collect < _LONGER:
        longer = msgspec.structs.replace(fleet, collect=_LONGER)
        saved = ours - deployed(longer, ingest).usd_per_month
        if saved > _WORTH_A_HINT * ours:
            found.append(f"gateways that collect for {format_duration(_LONGER)} save {saved:,.0f} USD a month")
    more = windows(fleet)
    found.append(f"the shipped rules look at no windows; the first that looks back adds {more:,.0f} USD a month")
    curation = run(fleet)
    if curation.engine == "spark":
        found.append("curate with -c etl_engine=spark: one machine would take most of the hour or more")
    if not curation.fits:
        found.append("an hour's readings take even ten workers more than an hour: split the fleet")
    return found


def _compare(ingest: Ingest, saved: float) -> str:
    other, saved = ("on Kinesis", -saved) if ingest == "msk" else ("through MSK (--ingest msk)", saved)
    return f"{other} the same costs {abs(saved):,.0f} USD a month {'less' if saved > 0 else 'more'}"


def _on_kinesis(flow: Flow, streams: list[StreamChoice], a_gateway: float) -> list[str]:
    shards, fixed = streams[0].items[0], streams[0].usd_per_month
    factor = 1 + (streams[1].usd_per_month - fixed) / shards.usd_per_month
    peaks = f"the cheaper one only if peaks make you keep more than {factor:,.1f} times as many shards"
    found = [f"deploy with -c stream_mode=provisioned -c shards={flow.shards}; the default, on_demand, is {peaks}"]
    if a_gateway > prices.SHARD_BYTES:
        found.append("a gateway sends more than the shard takes that it is tied to: use more and smaller ones")
    return found


def _on_msk(fleet: Fleet, needed: Kafka, a_gateway: float) -> list[str]:
    settings = {
        "kafka_partitions": (needed.partitions, parameters.KAFKA_PARTITIONS),
        "kafka_brokers": (needed.brokers, parameters.KAFKA_BROKERS),
        "kafka_broker_type": (needed.broker_type, parameters.KAFKA_BROKER_TYPE),
    }
    changed = [f" -c {name}={value}" for name, (value, default) in settings.items() if value != default]
    found = [f"deploy with -c ingest=msk{''.join(changed)}; the other settings of Kafka have their defaults"]
    if a_gateway > prices.POLLER_BYTES:
        found.append("a gateway sends more than the poller of its partition reads: use more and smaller ones")
    gateways = sum(count for count, _ in fleet.gateways)
    if gateways > prices.BROKER_CONNECTIONS:
        found.append(
            f"a broker takes {prices.BROKER_CONNECTIONS:,} clients by IAM: let gateways share producers, or have more "
            "allowed (listener.name.client_iam.max.connections)"
        )
    if needed.brokers > prices.CLUSTER_BROKERS:
        found.append(f"a cluster has at most {prices.CLUSTER_BROKERS} brokers: split the fleet")
    if needed.partitions > prices.MAPPING_POLLERS:
        found.append(f"the detector has at most {prices.MAPPING_POLLERS:,} pollers, one per partition: split the fleet")
    return found
