"""The run's metrics in CloudWatch."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from glue_jobs.curate.errors import doing
from glue_jobs.curate.summary import Summary

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

#: The namespace of all metrics of the pipeline; the functions get it as an environment variable.
NAMESPACE = "IoTPipeline"


def publish(cloudwatch: CloudWatchClient, stage: str, summary: Summary, now: dt.datetime) -> None:
    """Put the run's metrics; the age of the newest reading and the completeness only where there is a reading."""
    values: dict[str, float] = {
        "CuratedReadings": summary.readings,
        "DuplicateReadings": summary.duplicates,
        "QuarantinedLines": summary.quarantined,
        "CurateRuns": 1,
    }
    data: list[MetricDatumTypeDef] = [
        {"MetricName": name, "Value": value, "Unit": "Count"} for name, value in values.items()
    ]
    if summary.newest_reading:
        age = (now - summary.newest_reading).total_seconds()
        data.append({"MetricName": "NewestReadingAge", "Value": age, "Unit": "Seconds"})
    if summary.completeness is not None:
        data.append({"MetricName": "Completeness", "Value": summary.completeness, "Unit": "Percent"})
    for datum in data:
        datum["Dimensions"] = [{"Name": "stage", "Value": stage}, {"Name": "service", "Value": "curate"}]
        datum["Timestamp"] = now
    with doing(f"put metrics into the namespace {NAMESPACE}"):
        cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
