"""Load of each service for a fleet, and AWS's price for it in a month of 30 days."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from pipeline import event_source
from planning import parameters, prices
from planning.prices import DAYS_A_MONTH, GIB, HOURS_A_MONTH, SECONDS_A_MONTH, Price
from planning.traffic import PART_FILLED, Fleet, Flow

Engine = Literal["pythonshell", "spark"]


class Item(msgspec.Struct, frozen=True):
    """One line of the bill: so much of something a month, and its US dollars."""

    service: str
    what: str
    quantity: float
    unit: str
    usd_per_month: float


def item(service: str, what: str, charged: Price, quantity: float) -> Item:
    """Return a line at a price."""
    return Item(service, what, quantity, charged.unit, charged.of(quantity))


def provisioned(flow: Flow) -> list[Item]:
    """Return a Kinesis stream with as many shards as are needed."""
    units = flow.blocks(prices.KINESIS_PUT_UNIT_BYTES) * SECONDS_A_MONTH
    return [
        item("Kinesis", f"{flow.shards:,} shards", prices.KINESIS_SHARD_HOUR, flow.shards * HOURS_A_MONTH),
        item("Kinesis", "writes, by 25 KB", prices.KINESIS_PUT_UNIT, units),
    ]


def on_demand(flow: Flow) -> list[Item]:
    """Return a Kinesis stream that scales by itself. What is read is taken to be rounded as what is written."""
    gigabytes = _a_month(flow.blocks(prices.KINESIS_ON_DEMAND_BYTES) * prices.KINESIS_ON_DEMAND_BYTES)
    return [
        item("Kinesis", "one stream", prices.KINESIS_STREAM_HOUR, HOURS_A_MONTH),
        item("Kinesis", "written, by 1 KB", prices.KINESIS_GB_IN, gigabytes),
        item("Kinesis", f"read by {parameters.CONSUMERS}", prices.KINESIS_GB_OUT, parameters.CONSUMERS * gigabytes),
    ]


class Parts(NamedTuple):
    """Parts of a stream, each read by one invocation at a time: their number, and records a second of a full one."""

    number: int
    records: float


def of_shards(flow: Flow) -> Parts:
    """Return the parts of a Kinesis stream: each shard is several."""
    records = prices.SHARD_RECORDS * PART_FILLED / parameters.PARALLELIZATION
    return Parts(flow.shards * parameters.PARALLELIZATION, records)


class Detector(NamedTuple):
    """The detector's invocations and how long they take together, both a second; and how many there can be at once."""

    invocations: float
    seconds: float
    most: int


def detector(fleet: Fleet, flow: Flow, parts: int) -> Detector:
    """Cut a stream into batches as the event source mapping does: by records, bytes or time, whichever is first."""
    invocations = max(
        min(flow.records, parts / event_source.BATCH_WINDOW_SECONDS),
        flow.records / event_source.BATCH_RECORDS,
        flow.payload * parameters.BASE64 / event_source.EVENT_BYTES,
    )
    seconds = (
        invocations * parameters.SECONDS_AN_INVOCATION
        + flow.records * parameters.SECONDS_A_RECORD
        + fleet.readings * parameters.SECONDS_A_READING
        + sum(rate for rate, _ in _soft_writes(fleet)) * parameters.SECONDS_A_SOFT_WRITE
    )
    return Detector(invocations, seconds, parts)


def functions(fleet: Fleet, found: Detector) -> list[Item]:
    """Return the three functions, their rules and their logs."""
    watchdog = HOURS_A_MONTH * 60
    notifier = _alerts(fleet) * parameters.RUNS_AN_ALERT
    runs = {"detector": (found.invocations * SECONDS_A_MONTH, found.seconds * SECONDS_A_MONTH)}
    runs |= {
        name: (n, n * parameters.SECONDS_A_RUN) for name, n in (("watchdog", float(watchdog)), ("notifier", notifier))
    }
    items = []
    for name, (invocations, seconds) in runs.items():
        items.append(item("Lambda", f"{name} called", prices.LAMBDA_REQUEST, invocations))
        items.append(item("Lambda", f"{name} running", prices.LAMBDA_ARM_GB_SECOND, seconds * parameters.MEMORY_GB))
    # Each environment asks for the rules and the registry.
    asked = 2 * (
        min(found.invocations, found.most / parameters.RULES_EVERY_SECONDS) * SECONDS_A_MONTH + watchdog + notifier
    )
    items.append(item("S3", "rules asked for", prices.S3_GET, asked))
    logged = sum(invocations for invocations, _ in runs.values()) * parameters.LOG_BYTES / GIB
    return [*items, item("CloudWatch", "logs", prices.CLOUDWATCH_LOGS_GB, logged)]


def delivery(flow: Flow) -> Item:
    """Return Firehose from the Kinesis stream to S3."""
    billed = _a_month(flow.blocks(prices.FIREHOSE_BYTES) * prices.FIREHOSE_BYTES)
    return item("Firehose", "readings, by 5 KB", prices.FIREHOSE_GB, billed)


def changes(fleet: Fleet) -> Item:
    """Return Firehose for changes of alerts, which the notifier puts into it."""
    gigabytes = _alerts(fleet) * parameters.CHANGES_AN_ALERT * prices.FIREHOSE_BYTES / GIB
    return item("Firehose", "changes of alerts", prices.FIREHOSE_GB, gigabytes)


def storage(fleet: Fleet, flow: Flow) -> list[Item]:
    """S3 once the oldest objects are as old as they get: what is kept then, and the requests that keep it going.

    How many objects MSK's delivery makes is not known; they are taken to be as many as Firehose's.
    """
    objects = max(1 / parameters.BUFFER_SECONDS, flow.payload / parameters.BUFFER_BYTES) * SECONDS_A_MONTH
    raw_a_day = _a_month(flow.payload / parameters.COMPRESSION) / DAYS_A_MONTH
    archived = fleet.retention >= parameters.ARCHIVED_AFTER + parameters.ARCHIVED_FOR
    fresh = (parameters.ARCHIVED_AFTER if archived else fleet.retention).days
    items = [item("S3", f"raw, {fresh} days", prices.S3_STANDARD_GB, raw_a_day * fresh)]
    if archived:
        old = fleet.retention.days - fresh
        items += [
            item("S3", f"raw, {old} more days", prices.S3_GLACIER_INSTANT_GB, raw_a_day * old),
            item("S3", "raw objects archived", prices.S3_GLACIER_INSTANT_TRANSITION, objects),
        ]
    kept = _curated_a_day(fleet) * fleet.retention.days / GIB
    return [
        *items,
        item("S3", f"curated, {fleet.retention.days} days", prices.S3_STANDARD_GB, kept),
        item("S3", "writes and lists", prices.S3_PUT, objects + HOURS_A_MONTH * parameters.WRITES_A_RUN),
        item("S3", "reads", prices.S3_GET, objects * parameters.CURATED_AGAIN),
    ]


class Run(NamedTuple):
    """A run of the curation, each hour: with what, and how many seconds it takes."""

    engine: Engine
    dpu: int
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether it ends before the next one begins."""
        return self.seconds <= parameters.RUN_AT_MOST_SECONDS


def run(fleet: Fleet) -> Run:
    """Return the engine that curates an hour's readings in time: Python shell for as long as it does."""
    readings = fleet.readings * 3600 * parameters.CURATED_AGAIN
    shell = parameters.STARTUP_SECONDS + readings / parameters.SHELL_READINGS
    if shell <= parameters.SHELL_AT_MOST_SECONDS:
        return Run("pythonshell", parameters.SHELL_DPU, shell)
    return Run("spark", parameters.SPARK_DPU, parameters.STARTUP_SECONDS + readings / parameters.SPARK_READINGS)


def lake(fleet: Fleet) -> list[Item]:
    """Glue's runs and Athena's queries."""
    found = run(fleet)
    billed = max(found.seconds, prices.GLUE_SECONDS_AT_LEAST) / 3600 * found.dpu * HOURS_A_MONTH
    scanned = math.ceil(_curated_a_day(fleet) * parameters.QUERY_SHARE)
    queries = fleet.queries_per_day * DAYS_A_MONTH
    engine = "Python shell" if found.engine == "pythonshell" else "Spark"
    return [
        item("Glue", f"{engine}, hourly", prices.GLUE_DPU_HOUR, billed),
        Item("Athena", "queries", queries, "queries", queries * prices.athena_query(scanned)),
    ]


def alerting(fleet: Fleet, flow: Flow, parts: Parts) -> list[Item]:
    """Return states in DynamoDB, the queue and the topics."""
    soft = _soft_writes(fleet)
    # A gateway is read once a batch. At most so often a second are there batches that it can be in:
    batches = max(1 / event_source.BATCH_WINDOW_SECONDS, parts.records / event_source.BATCH_RECORDS)
    states = min(flow.records, sum(count for count, _ in fleet.gateways) * batches)
    reads = states + sum(rate * prices.blocks(size, prices.DYNAMODB_READ_BYTES) for rate, size in soft)
    # And two units of the index of what is due.
    writes = sum(rate * (prices.blocks(size, prices.DYNAMODB_WRITE_BYTES) + 2) for rate, size in soft)
    alerts = _alerts(fleet)
    notified = alerts * parameters.NOTIFICATIONS_AN_ALERT
    return [
        item("DynamoDB", "states read", prices.DYNAMODB_READ_UNIT, reads * SECONDS_A_MONTH),
        item("DynamoDB", "last heard of, written", prices.DYNAMODB_WRITE_UNIT, writes * SECONDS_A_MONTH),
        item("DynamoDB", "alerts written", prices.DYNAMODB_WRITE_UNIT, alerts * parameters.WRITE_UNITS_AN_ALERT),
        item("SQS", "changes, and polls", prices.SQS_REQUEST, parameters.POLLS + alerts * parameters.REQUESTS_AN_ALERT),
        item("SNS", "notifications", prices.SNS_PUBLISH, notified * parameters.TOPICS),
        item("SNS", "to one reader", prices.SNS_EMAIL, notified),
    ]


def monitoring() -> list[Item]:
    """Return alarms, metrics, dashboard and keys; the same for every fleet."""
    return [
        item("CloudWatch", "alarms", prices.CLOUDWATCH_ALARM, parameters.ALARM_METRICS),
        item("CloudWatch", "custom metrics", prices.CLOUDWATCH_METRIC, parameters.CUSTOM_METRICS),
        item("CloudWatch", "dashboard", prices.CLOUDWATCH_DASHBOARD, parameters.DASHBOARDS),
        item("KMS", "keys", prices.KMS_KEY, parameters.KEYS),
    ]


def windows(fleet: Fleet) -> float:
    """US dollars a month that a rule with a window adds for all devices: more soft state to write and to read."""
    usd = 0.0
    for rate, size in _soft_writes(fleet):
        devices = (size - parameters.SOFT_BYTES[0]) / parameters.SOFT_BYTES[1]
        more = size + devices * parameters.WINDOW_BYTES
        for charged, block in (
            (prices.DYNAMODB_WRITE_UNIT, prices.DYNAMODB_WRITE_BYTES),
            (prices.DYNAMODB_READ_UNIT, prices.DYNAMODB_READ_BYTES),
        ):
            usd += charged.of((prices.blocks(more, block) - prices.blocks(size, block)) * rate * SECONDS_A_MONTH)
    return usd


def _soft_writes(fleet: Fleet) -> list[tuple[float, float]]:
    """Return writes of soft state per second by size (bytes): once a minute per gateway with news."""
    return [
        (
            count * min(1 / 60, devices / fleet.interval.total_seconds()),
            parameters.SOFT_BYTES[0] + parameters.SOFT_BYTES[1] * devices,
        )
        for count, devices in fleet.gateways
    ]


def _alerts(fleet: Fleet) -> float:
    return fleet.alerts * DAYS_A_MONTH


def _curated_a_day(fleet: Fleet) -> float:
    return fleet.readings * 86_400 * parameters.CURATED_BYTES_A_READING


def _a_month(bytes_a_second: float) -> float:
    """Return gigabytes a month."""
    return bytes_a_second * SECONDS_A_MONTH / GIB
