"""Metrics on the pages, fetched from CloudWatch for a window of time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from dashboards.catalogue import METRICS, Unit
from glue_jobs.curate.metrics import NAMESPACE
from pipeline.names import Names

if TYPE_CHECKING:
    import boto3

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
