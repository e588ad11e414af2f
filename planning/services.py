"""What each service of the pipeline has to do for a fleet, and what AWS charges for that in a month of 30 days."""

from __future__ import annotations

import datetime as dt
import math
from typing import Literal, NamedTuple

import msgspec

from planning import prices
from planning.prices import DAYS_A_MONTH, GIB, HOURS_A_MONTH, SECONDS_A_MONTH, Price
from planning.traffic import SHARD_FILLED, Fleet, Flow

# What the stacks deploy, in their numbers; tests/infra/test_plan.py holds them to the templates.

MEMORY_GB = 0.5
BATCH_RECORDS = 100
BATCH_WINDOW_SECONDS = 1
PARALLELIZATION = 2
RULES_EVERY_SECONDS = 15
#: The detector, and Firehose.
CONSUMERS = 2
#: Of ``prod``, as everything here that depends on the stage.
BUFFER_SECONDS = 300
BUFFER_BYTES = 128 * prices.MIB
ARCHIVED_AFTER = dt.timedelta(days=35)
#: What Glacier Instant Retrieval bills at least; raw objects kept less than this longer are not archived.
ARCHIVED_FOR = dt.timedelta(days=90)
KEYS = 2
DASHBOARDS = 1
#: Some: alarms on expressions count once for each metric in them, a severity and a reason are metrics of their own.
ALARM_METRICS = 25
CUSTOM_METRICS = 50

# Limits of Lambda. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html

#: A batch's, in which records are base64.
_EVENT_BYTES = 6 * prices.MIB
_BASE64 = 4 / 3

# Measured here, with the simulator's scenario "calm" (5,000 devices, every 10 s, 1.5 million readings): docs/plan.md.

#: What gzip at its default level makes of JSON lines.
COMPRESSION = 8.6
#: All curated tables together: the columns of a reading are the same however long its JSON is.
CURATED_BYTES_A_READING = 8.6
#: Soft state of a gateway under the shipped rules, which look for silence only, and of a device with one window more.
SOFT_BYTES = (58, 2.6)
WINDOW_BYTES = 230

# Assumed, from benchmarks on other machines; nothing of it has been measured on AWS.

#: The detector's seconds at 512 MB, 0.29 of a processor: for an invocation, with its read of states; for a record; for
#: a reading; for a gateway's soft state, read and written once a minute.
_SECONDS_AN_INVOCATION, _SECONDS_A_RECORD, _SECONDS_A_READING, _SECONDS_A_SOFT_WRITE = 0.012, 1e-4, 8e-6, 0.01
#: A run of the watchdog and of the notifier.
_SECONDS_A_RUN = 0.3
#: Python shell, of one DPU; Spark, of ten with the driver's. Seconds to install the modules; readings a second.
_STARTUP_SECONDS = 30
_SHELL_DPU, _SHELL_READINGS = 1, 380_000
_SPARK_DPU, _SPARK_READINGS = 10, 1_800_000
#: A run that takes longer than half its limit of an hour is to be Spark's.
_SHELL_AT_MOST_SECONDS = 1_800
_RUN_AT_MOST_SECONDS = 3_600
#: A run at ten past curates the last hour, and the ten minutes before it anew.
_CURATED_AGAIN = 70 / 60
_WRITES_A_RUN = 200

# Of an alert that fires and resolves (docs/alerting.md): units for its state and as many for its group; requests to
# the queue: three changes and two wakes, each sent, received and deleted; runs of the notifier; notifications.
_WRITE_UNITS_AN_ALERT = 24
_REQUESTS_AN_ALERT = 15
_RUNS_AN_ALERT = 5
_CHANGES_AN_ALERT = 3
NOTIFICATIONS_AN_ALERT = 2
#: Five long polls of 20 s on an idle queue.
_POLLS = 5 * SECONDS_A_MONTH / 20

#: Events of an invocation in CloudWatch Logs: its metrics (EMF, 542 bytes), its start and its report.
_LOG_BYTES = 1_200

#: The part of a day's curated readings that a query reads.
QUERY_SHARE = 0.25

Engine = Literal["pythonshell", "spark"]


class Item(msgspec.Struct, frozen=True):
    """One line of the bill: so much of something a month, and its US dollars."""

    service: str
    what: str
    quantity: float
    unit: str
    usd_per_month: float


def item(service: str, what: str, charged: Price, quantity: float) -> Item:
    """A line at a price."""
    return Item(service, what, quantity, charged.unit, charged.of(quantity))


def provisioned(flow: Flow) -> list[Item]:
    """A Kinesis stream with as many shards as are needed."""
    units = flow.blocks(prices.KINESIS_PUT_UNIT_BYTES) * SECONDS_A_MONTH
    return [
        item("Kinesis", f"{flow.shards:,} shards", prices.KINESIS_SHARD_HOUR, flow.shards * HOURS_A_MONTH),
        item("Kinesis", "writes, by 25 KB", prices.KINESIS_PUT_UNIT, units),
    ]


def on_demand(flow: Flow) -> list[Item]:
    """A Kinesis stream that scales by itself. What is read is taken to be rounded as what is written."""
    gigabytes = _a_month(flow.blocks(prices.KINESIS_ON_DEMAND_BYTES) * prices.KINESIS_ON_DEMAND_BYTES)
    return [
        item("Kinesis", "one stream", prices.KINESIS_STREAM_HOUR, HOURS_A_MONTH),
        item("Kinesis", "written, by 1 KB", prices.KINESIS_GB_IN, gigabytes),
        item("Kinesis", f"read by {CONSUMERS}", prices.KINESIS_GB_OUT, CONSUMERS * gigabytes),
    ]


class Detector(NamedTuple):
    """The detector's invocations and how long they take together, both a second; and how many there can be at once."""

    invocations: float
    seconds: float
    most: int


def detector(fleet: Fleet, flow: Flow) -> Detector:
    """How the event source mapping cuts a stream into batches: by records, bytes or time, whichever is first."""
    most = flow.shards * PARALLELIZATION
    invocations = max(
        min(flow.records, most / BATCH_WINDOW_SECONDS),
        flow.records / BATCH_RECORDS,
        flow.payload * _BASE64 / _EVENT_BYTES,
    )
    seconds = (
        invocations * _SECONDS_AN_INVOCATION
        + flow.records * _SECONDS_A_RECORD
        + fleet.readings * _SECONDS_A_READING
        + sum(rate for rate, _ in _soft_writes(fleet)) * _SECONDS_A_SOFT_WRITE
    )
    return Detector(invocations, seconds, most)


def functions(fleet: Fleet, flow: Flow) -> list[Item]:
    """The three functions, their rules and their logs."""
    found = detector(fleet, flow)
    watchdog = HOURS_A_MONTH * 60
    notifier = _alerts(fleet) * _RUNS_AN_ALERT
    runs = {"detector": (found.invocations * SECONDS_A_MONTH, found.seconds * SECONDS_A_MONTH)}
    runs |= {name: (n, n * _SECONDS_A_RUN) for name, n in (("watchdog", float(watchdog)), ("notifier", notifier))}
    items = []
    for name, (invocations, seconds) in runs.items():
        items.append(item("Lambda", f"{name} called", prices.LAMBDA_REQUEST, invocations))
        items.append(item("Lambda", f"{name} running", prices.LAMBDA_ARM_GB_SECOND, seconds * MEMORY_GB))
    # Each environment asks for the rules and the registry.
    asked = 2 * (min(found.invocations, found.most / RULES_EVERY_SECONDS) * SECONDS_A_MONTH + watchdog + notifier)
    items.append(item("S3", "rules asked for", prices.S3_GET, asked))
    logged = sum(invocations for invocations, _ in runs.values()) * _LOG_BYTES / GIB
    return [*items, item("CloudWatch", "logs", prices.CLOUDWATCH_LOGS_GB, logged)]


def delivery(fleet: Fleet, flow: Flow) -> list[Item]:
    """Firehose from the Kinesis stream, and for what happened to alerts."""
    billed = _a_month(flow.blocks(prices.FIREHOSE_BYTES) * prices.FIREHOSE_BYTES)
    changes = _alerts(fleet) * _CHANGES_AN_ALERT * prices.FIREHOSE_BYTES / GIB
    return [
        item("Firehose", "readings, by 5 KB", prices.FIREHOSE_GB, billed),
        item("Firehose", "changes of alerts", prices.FIREHOSE_GB, changes),
    ]


def storage(fleet: Fleet, flow: Flow) -> list[Item]:
    """S3 once the oldest objects are as old as they get: what is kept then, and the requests that keep it going."""
    objects = max(1 / BUFFER_SECONDS, flow.payload / BUFFER_BYTES) * SECONDS_A_MONTH
    raw_a_day = _a_month(flow.payload / COMPRESSION) / DAYS_A_MONTH
    archived = fleet.retention >= ARCHIVED_AFTER + ARCHIVED_FOR
    fresh = (ARCHIVED_AFTER if archived else fleet.retention).days
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
        item("S3", "writes and lists", prices.S3_PUT, objects + HOURS_A_MONTH * _WRITES_A_RUN),
        item("S3", "reads", prices.S3_GET, objects * _CURATED_AGAIN),
    ]


class Run(NamedTuple):
    """A run of the curation, each hour: with what, and how many seconds it takes."""

    engine: Engine
    dpu: int
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether it ends before the next one begins."""
        return self.seconds <= _RUN_AT_MOST_SECONDS


def run(fleet: Fleet) -> Run:
    """The engine that curates an hour's readings in time: Python shell for as long as it does."""
    readings = fleet.readings * 3600 * _CURATED_AGAIN
    shell = _STARTUP_SECONDS + readings / _SHELL_READINGS
    if shell <= _SHELL_AT_MOST_SECONDS:
        return Run("pythonshell", _SHELL_DPU, shell)
    return Run("spark", _SPARK_DPU, _STARTUP_SECONDS + readings / _SPARK_READINGS)


def lake(fleet: Fleet) -> list[Item]:
    """Glue's runs and Athena's queries."""
    found = run(fleet)
    billed = max(found.seconds, prices.GLUE_SECONDS_AT_LEAST) / 3600 * found.dpu * HOURS_A_MONTH
    scanned = math.ceil(_curated_a_day(fleet) * QUERY_SHARE)
    queries = fleet.queries_per_day * DAYS_A_MONTH
    engine = "Python shell" if found.engine == "pythonshell" else "Spark"
    return [
        item("Glue", f"{engine}, hourly", prices.GLUE_DPU_HOUR, billed),
        Item("Athena", "queries", queries, "queries", queries * prices.athena_query(scanned)),
    ]


def alerting(fleet: Fleet, flow: Flow) -> list[Item]:
    """States in DynamoDB, the queue and the topic."""
    soft = _soft_writes(fleet)
    # A gateway is read once a batch. At most so often a second are there batches that it can be in:
    a_part = prices.SHARD_RECORDS * SHARD_FILLED / PARALLELIZATION
    batches = max(1 / BATCH_WINDOW_SECONDS, a_part / BATCH_RECORDS)
    states = min(flow.records, sum(count for count, _ in fleet.gateways) * batches)
    reads = states + sum(rate * prices.blocks(size, prices.DYNAMODB_READ_BYTES) for rate, size in soft)
    # And two units of the index of what is due.
    writes = sum(rate * (prices.blocks(size, prices.DYNAMODB_WRITE_BYTES) + 2) for rate, size in soft)
    alerts = _alerts(fleet)
    told = alerts * NOTIFICATIONS_AN_ALERT
    return [
        item("DynamoDB", "states read", prices.DYNAMODB_READ_UNIT, reads * SECONDS_A_MONTH),
        item("DynamoDB", "last heard of, written", prices.DYNAMODB_WRITE_UNIT, writes * SECONDS_A_MONTH),
        item("DynamoDB", "alerts written", prices.DYNAMODB_WRITE_UNIT, alerts * _WRITE_UNITS_AN_ALERT),
        item("SQS", "changes, and polls", prices.SQS_REQUEST, _POLLS + alerts * _REQUESTS_AN_ALERT),
        item("SNS", "notifications", prices.SNS_PUBLISH, told),
        item("SNS", "to one reader", prices.SNS_EMAIL, told),
    ]


def monitoring() -> list[Item]:
    """What watches it and encrypts it; the same for every fleet."""
    return [
        item("CloudWatch", "alarms", prices.CLOUDWATCH_ALARM, ALARM_METRICS),
        item("CloudWatch", "custom metrics", prices.CLOUDWATCH_METRIC, CUSTOM_METRICS),
        item("CloudWatch", "dashboard", prices.CLOUDWATCH_DASHBOARD, DASHBOARDS),
        item("KMS", "keys", prices.KMS_KEY, KEYS),
    ]


def windows(fleet: Fleet) -> float:
    """US dollars a month that a rule with a window adds for all devices: more soft state to write and to read."""
    usd = 0.0
    for rate, size in _soft_writes(fleet):
        devices = (size - SOFT_BYTES[0]) / SOFT_BYTES[1]
        more = size + devices * WINDOW_BYTES
        for charged, block in (
            (prices.DYNAMODB_WRITE_UNIT, prices.DYNAMODB_WRITE_BYTES),
            (prices.DYNAMODB_READ_UNIT, prices.DYNAMODB_READ_BYTES),
        ):
            usd += charged.of((prices.blocks(more, block) - prices.blocks(size, block)) * rate * SECONDS_A_MONTH)
    return usd


def _soft_writes(fleet: Fleet) -> list[tuple[float, float]]:
    """How many gateways' soft state is written a second, of each size (bytes): once a minute, where there is news."""
    return [
        (count * min(1 / 60, devices / fleet.interval.total_seconds()), SOFT_BYTES[0] + SOFT_BYTES[1] * devices)
        for count, devices in fleet.gateways
    ]


def _alerts(fleet: Fleet) -> float:
    return fleet.alerts * DAYS_A_MONTH


def _curated_a_day(fleet: Fleet) -> float:
    return fleet.readings * 86_400 * CURATED_BYTES_A_READING


def _a_month(bytes_a_second: float) -> float:
    """Gigabytes a month."""
    return bytes_a_second * SECONDS_A_MONTH / GIB
