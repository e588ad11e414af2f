"""Metrics on the pages, fetched from CloudWatch for a window of time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from dashboards.catalogue import METRICS, Unit
from glue_jobs.curate.metrics import NAMESPACE
from lambdas.store.items import DUE_INDEX
from pipeline.names import Names
from planning.parameters import MEMORY_GB
from planning.plan import Usage
from planning.prices import ATHENA_BYTES_A_MEGABYTE, ATHENA_MEGABYTES_AT_LEAST

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment

#: Factors to the units of the pages: seconds for milliseconds, minutes for seconds.
_SCALES: dict[Unit, float] = {"Count": 1.0, "Milliseconds": 0.001, "Seconds": 1 / 60, "Percent": 1.0}

#: CloudWatch gives at most this many values of all metrics of one request; a page asks for a few hundred.
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
_MOST_VALUES = 100_800


class Measure(NamedTuple):
    """One metric with a statistic. ``scale`` converts its unit to that of the pages."""

    key: str
    namespace: str
    name: str
    statistic: str
    dimensions: tuple[tuple[str, str], ...]
    scale: float = 1.0


def ours(key: str, name: str, stage: str, *, statistic: str | None = None) -> Measure:
    """Return a metric of the catalogue."""
    metric = METRICS[name]
    dimensions = tuple(metric.dimensions(stage).items())
    return Measure(key, NAMESPACE, name, statistic or metric.statistic, dimensions, _SCALES[metric.unit])


def flow(stage: str) -> tuple[Measure, ...]:
    """Return readings, invalid lines, and seconds from a reading to its evaluation."""
    return (
        ours("readings", "Readings", stage),
        ours("rejected", "RejectedReadings", stage),
        ours("p95", "DetectionDelay", stage, statistic="p95"),
    )


def detection(stage: str) -> tuple[Measure, ...]:
    """Return seconds from a reading to its evaluation."""
    return tuple(ours(p, "DetectionDelay", stage, statistic=p) for p in ("p50", "p95"))


def notification(stage: str) -> tuple[Measure, ...]:
    """Return seconds from a change of an alert to its notification, ``group_wait`` included."""
    return tuple(ours(p, "NotificationDelay", stage, statistic=p) for p in ("p50", "p95"))


def curation(stage: str) -> tuple[Measure, ...]:
    """Return percent of the expected readings that were curated, and the age of the newest in minutes."""
    return (
        ours("completeness", "Completeness", stage, statistic="Average"),
        ours("newest", "NewestReadingAge", stage),
    )


def service(deployed: Deployment) -> tuple[Measure, ...]:
    """Return metrics of AWS itself, which the local AWS does not have: lags in seconds, errors, throttled writes."""
    stream = (("StreamName", deployed.stream_name),)
    detector = (("FunctionName", deployed.detector_function_name),)
    delivery = (("DeliveryStreamName", deployed.delivery_stream_name),)
    return (
        Measure("behind", "AWS/Lambda", "IteratorAge", "Maximum", detector, 0.001),
        Measure("errors", "AWS/Lambda", "Errors", "Sum", detector),
        Measure("throttled", "AWS/Kinesis", "WriteProvisionedThroughputExceeded", "Sum", stream),
        Measure("undelivered", "AWS/Firehose", "DeliveryToS3.DataFreshness", "Maximum", delivery),
    )


#: States in which Athena bills a query that returns rows: https://aws.amazon.com/athena/pricing/
_BILLED = ("SUCCEEDED", "CANCELLED")


def spent(deployed: Deployment) -> tuple[Measure, ...]:
    """Return billed use: records and bytes of the stream, functions, tables, and bytes read by queries.

    The first word of a key is a field of :class:`~planning.plan.Usage`, except ``queries``.
    """
    stream = (("StreamName", deployed.stream_name),)
    functions = (deployed.detector_function_name, deployed.watchdog_function_name, deployed.notifier_function_name)
    tables = [(("TableName", name),) for name in (deployed.state_table_name, deployed.group_table_name)]
    # An index has metrics of its own, of what is written to it.
    indexes = [(("GlobalSecondaryIndexName", DUE_INDEX), *table) for table in tables]
    return (
        Measure("records", "AWS/Kinesis", "IncomingRecords", "Sum", stream),
        Measure("bytes", "AWS/Kinesis", "IncomingBytes", "Sum", stream),
        *(
            Measure(f"{key} {state}", "AWS/Athena", "ProcessedBytes", statistic, _queries(deployed, state))
            for state in _BILLED
            for key, statistic in (("scanned_bytes", "Sum"), ("queries", "SampleCount"))
        ),
        *(
            Measure(f"{key} {name}", "AWS/Lambda", metric, "Sum", (("FunctionName", name),), scale)
            for name in functions
            for key, metric, scale in (
                ("invocations", "Invocations", 1.0),
                ("gb_seconds", "Duration", MEMORY_GB / 1000),
            )
        ),
        *(
            Measure(f"{key} {number}", "AWS/DynamoDB", metric, "Sum", dimensions)
            for number, dimensions in enumerate((*tables, *indexes))
            for key, metric in (
                ("write_units", "ConsumedWriteCapacityUnits"),
                ("read_units", "ConsumedReadCapacityUnits"),
            )
        ),
    )


def _queries(deployed: Deployment, state: str) -> tuple[tuple[str, str], ...]:
    return (("QueryState", state), ("QueryType", "DML"), ("WorkGroup", deployed.work_group_name))


def usage(counted: pd.DataFrame, hours: float, shards: int) -> Usage:
    """Return the sums of :func:`spent`; ``shards`` is 0 for a stream on demand.

    Athena bills at least ten megabytes per query: the sum is that many per query, or the bytes read if more.
    """
    sums = counted.drop(columns="at").sum()
    by_kind = sums.groupby([str(name).split(" ")[0] for name in sums.index]).sum()
    at_least = by_kind.pop("queries") * ATHENA_MEGABYTES_AT_LEAST * ATHENA_BYTES_A_MEGABYTE
    by_kind["scanned_bytes"] = max(by_kind["scanned_bytes"], at_least)
    return Usage(hours=hours, shards=shards, **{str(kind): float(value) for kind, value in by_kind.items()})


def stream(session: boto3.Session, deployed: Deployment) -> tuple[int, dt.datetime]:
    """Return the number of billed shards, 0 for a stream on demand, and the stream's creation time (UTC)."""
    found = session.client("kinesis").describe_stream_summary(StreamName=deployed.stream_name)
    summary = found["StreamDescriptionSummary"]
    on_demand = summary.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND"
    return 0 if on_demand else int(summary["OpenShardCount"]), summary["StreamCreationTimestamp"].astimezone(dt.UTC)


def fetch(
    session: boto3.Session, measures: tuple[Measure, ...], start: dt.datetime, end: dt.datetime, period: int
) -> pd.DataFrame:
    """Return a column ``at`` (UTC) and one per measure, by its key, with a row per complete period (seconds).

    It is empty if no measure has a value. A sum that has values in some periods is 0 in the others.
    """
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": measure.namespace,
                    "MetricName": measure.name,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in measure.dimensions],
                },
                "Period": period,
                "Stat": measure.statistic,
            },
        }
        for number, measure in enumerate(measures)
    ]
    columns: dict[str, dict[dt.datetime, float]] = {measure.key: {} for measure in measures}
    pages = (
        session.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=queries,  # type: ignore[arg-type]  # a dict of that shape
            StartTime=start,
            EndTime=end,
            ScanBy="TimestampAscending",
            PaginationConfig={"MaxItems": _MOST_VALUES},
        )
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            measure = measures[int(result["Id"][1:])]
            columns[measure.key] |= {
                moment.astimezone(dt.UTC): value * measure.scale
                for moment, value in zip(result["Timestamps"], result["Values"], strict=True)
            }
    frame = pd.DataFrame({key: pd.Series(values, dtype=float) for key, values in columns.items()})
    frame.index = pd.DatetimeIndex(pd.to_datetime(frame.index, utc=True), name="at")
    if len(frame):
        length = pd.Timedelta(seconds=period)
        last = pd.Timestamp(end).floor(f"{period}s") - length
        # The current period is not complete, but it is better shown than nothing where it is the only one.
        last = max(last, frame.index.min())
        frame = frame.reindex(
            pd.date_range(min(pd.Timestamp(start).ceil(f"{period}s"), last), last, freq=length, name="at")
        )
        summed = [one.key for one in measures if one.statistic == "Sum" and frame[one.key].notna().any()]
        frame[summed] = frame[summed].fillna(0.0)
    return frame.reset_index()


class Alarm(NamedTuple):
    """A CloudWatch alarm of the pipeline; ``state`` is OK, ALARM or INSUFFICIENT_DATA, ``since`` UTC."""

    name: str
    state: str
    since: dt.datetime
    meaning: str


def alarms(session: boto3.Session, stage: str) -> list[Alarm]:
    """Return all alarms of a stage, those that are on first."""
    prefix = Names(stage).alarm("")
    pages = (
        session.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    )
    found = [
        Alarm(
            alarm["AlarmName"].removeprefix(prefix),
            alarm["StateValue"],
            alarm["StateUpdatedTimestamp"].astimezone(dt.UTC),
            alarm.get("AlarmDescription", ""),
        )
        for page in pages
        for alarm in (*page["MetricAlarms"], *page.get("CompositeAlarms", []))
    ]
    order = {"ALARM": 0, "OK": 1, "INSUFFICIENT_DATA": 2}
    return sorted(found, key=lambda alarm: (order.get(alarm.state, 3), alarm.name))
