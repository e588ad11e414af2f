"""The metrics that the page shows, from CloudWatch: by name, and for a window of time.

Names and dimensions are those of :mod:`dashboards.metrics`, which makes CDK objects and takes seconds to import; a
contract test holds the two together.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pipeline.plan import Usage
from pipeline.plan_services import MEMORY_GB

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment

NAMESPACE = "IoTPipeline"

#: CloudWatch gives at most this many values of all metrics of one request; a page asks for a few hundred.
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
_MOST_VALUES = 100_800


class Measure(NamedTuple):
    """One metric with a statistic. ``scale`` makes its unit the one it is shown in."""

    key: str
    namespace: str
    name: str
    statistic: str
    dimensions: tuple[tuple[str, str], ...]
    scale: float = 1.0


def ours(key: str, service: str, stage: str, name: str, statistic: str, *, scale: float = 1.0) -> Measure:
    """A metric that a function or job of ours emits."""
    return Measure(key, NAMESPACE, name, statistic, (("service", service), ("stage", stage)), scale)


def flow(stage: str) -> tuple[Measure, ...]:
    """What the detector sees and says: lines by the minute, and seconds from a reading to its evaluation."""
    return (
        ours("readings", "detector", stage, "Readings", "Sum"),
        ours("rejected", "detector", stage, "RejectedReadings", "Sum"),
        ours("p50", "detector", stage, "DetectionDelay", "p50", scale=0.001),
        ours("p95", "detector", stage, "DetectionDelay", "p95", scale=0.001),
    )


def notification(stage: str) -> tuple[Measure, ...]:
    """What the notifier tells, and seconds from a change to its publishing, ``group_wait`` included."""
    return (
        ours("published", "notifier", stage, "NotificationsPublished", "Sum"),
        ours("p50", "notifier", stage, "NotificationDelay", "p50", scale=0.001),
        ours("p95", "notifier", stage, "NotificationDelay", "p95", scale=0.001),
    )


def curation(stage: str) -> tuple[Measure, ...]:
    """What runs of the curation leave: lines, percent of the readings expected, and the newest one's age in minutes."""
    return (
        ours("curated", "curate", stage, "CuratedReadings", "Sum"),
        ours("quarantined", "curate", stage, "QuarantinedLines", "Sum"),
        ours("completeness", "curate", stage, "Completeness", "Average"),
        ours("newest", "curate", stage, "NewestReadingAge", "Minimum", scale=1 / 60),
    )


def service(deployed: Deployment) -> tuple[Measure, ...]:
    """What AWS itself measures, and the local AWS does not: lag in seconds, bytes, records, errors, throttling."""
    stream = (("StreamName", deployed.stream_name),)
    detector = (("FunctionName", deployed.detector_function_name),)
    return (
        Measure("behind", "AWS/Lambda", "IteratorAge", "Maximum", detector, 0.001),
        Measure("errors", "AWS/Lambda", "Errors", "Sum", detector),
        Measure("records", "AWS/Kinesis", "IncomingRecords", "Sum", stream),
        Measure("bytes", "AWS/Kinesis", "IncomingBytes", "Sum", stream),
        Measure("throttled", "AWS/Kinesis", "WriteProvisionedThroughputExceeded", "Sum", stream),
        Measure(
            "undelivered",
            "AWS/Firehose",
            "DeliveryToS3.DataFreshness",
            "Maximum",
            (("DeliveryStreamName", deployed.delivery_stream_name),),
        ),
    )


#: What Athena tells apart: of queries that answer with rows, those that succeeded are billed, and so are a few others.
_BILLED_QUERIES = (("QueryState", "SUCCEEDED"), ("QueryType", "DML"))


def spent(deployed: Deployment) -> tuple[Measure, ...]:
    """What is billed by its amount: the stream's records and bytes, functions, tables, and what queries read."""
    stream = (("StreamName", deployed.stream_name),)
    workgroup = (*_BILLED_QUERIES, ("WorkGroup", deployed.work_group_name))
    functions = (deployed.detector_function_name, deployed.watchdog_function_name, deployed.notifier_function_name)
    tables = (deployed.state_table_name, deployed.group_table_name)
    return (
        Measure("records", "AWS/Kinesis", "IncomingRecords", "Sum", stream),
        Measure("bytes", "AWS/Kinesis", "IncomingBytes", "Sum", stream),
        Measure("scanned_bytes", "AWS/Athena", "ProcessedBytes", "Sum", workgroup),
        *(
            Measure(f"{key} {name}", "AWS/Lambda", metric, "Sum", (("FunctionName", name),), scale)
            for name in functions
            for key, metric, scale in (
                ("invocations", "Invocations", 1.0),
                ("gb_seconds", "Duration", MEMORY_GB / 1000),
            )
        ),
        *(
            Measure(f"{key} {name}", "AWS/DynamoDB", metric, "Sum", (("TableName", name),))
            for name in tables
            for key, metric in (
                ("write_units", "ConsumedWriteCapacityUnits"),
                ("read_units", "ConsumedReadCapacityUnits"),
            )
        ),
    )


def usage(counted: pd.DataFrame, hours: float, shards: int) -> Usage:
    """The sums of what :func:`spent` asked for; ``shards`` is 0 for a stream on demand."""
    sums = counted.drop(columns="at").sum()
    kinds = ("records", "bytes", "scanned_bytes", "invocations", "gb_seconds", "write_units", "read_units")
    return Usage(
        hours=hours,
        shards=shards,
        **{kind: float(sums[[name for name in sums.index if name.split(" ")[0] == kind]].sum()) for kind in kinds},
    )


def shards(session: boto3.Session, deployed: Deployment) -> int:
    """How many shards are billed: 0 for a stream on demand."""
    found = session.client("kinesis").describe_stream_summary(StreamName=deployed.stream_name)
    summary = found["StreamDescriptionSummary"]
    on_demand = summary.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND"
    return 0 if on_demand else int(summary["OpenShardCount"])


def fetch(
    session: boto3.Session, measures: tuple[Measure, ...], start: dt.datetime, end: dt.datetime, period: int
) -> pd.DataFrame:
    """A column ``at`` (UTC) and one a measure, by its key: a row for each period (seconds) with a value of any."""
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
    return frame.sort_index().reset_index()


class Alarm(NamedTuple):
    """A CloudWatch alarm of the pipeline; ``state`` is OK, ALARM or INSUFFICIENT_DATA, ``since`` UTC."""

    name: str
    state: str
    since: dt.datetime
    meaning: str


def alarms(session: boto3.Session, stage: str) -> list[Alarm]:
    """All alarms of a stage, those that are off last."""
    prefix = f"iot-{stage}-"
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
