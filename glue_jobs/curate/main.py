"""The edge of the job: arguments, clients, metrics, and the one line a failure ends with."""

from __future__ import annotations

import datetime as dt
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import boto3
import msgspec
from botocore.exceptions import BotoCoreError

from glue_jobs.curate.arguments import parse_arguments
from glue_jobs.curate.curate import Clients, MakeEngine, curate
from glue_jobs.curate.errors import CurateError, doing
from glue_jobs.curate.raw import AWS_CONFIG
from glue_jobs.curate.summary import Summary

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

logger = logging.getLogger(__name__)

_NAMESPACE = "IoTPipeline"


def main(argv: Sequence[str], environ: Mapping[str, str], make_engine: MakeEngine) -> None:
    """Run the job with that engine; the summary is the last line of standard output, as JSON.

    A failure ends the process with one line that says why: that is what Glue shows of it. A success just
    returns, because Glue may take any SystemExit for a failure.
    """
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        arguments = parse_arguments(argv, environ)
        session = boto3.Session(region_name=arguments.region)
        clients = Clients(
            session.client("s3", config=AWS_CONFIG),
            session.client("glue", config=AWS_CONFIG),
            session.client("dynamodb", config=AWS_CONFIG),
        )
        summary = curate(clients, arguments, dt.datetime.now(dt.timezone.utc), make_engine)
        if not summary.dry_run:
            cloudwatch = session.client("cloudwatch", config=AWS_CONFIG)
            publish(cloudwatch, arguments.stage, summary, dt.datetime.now(dt.timezone.utc))
    except (CurateError, BotoCoreError) as error:
        sys.exit(f"curate: {error}")
    except Exception as error:  # a full disk, or a defect: the log has the details, and Glue shows the line
        logger.exception("the run cannot go on")
        sys.exit(f"curate: {type(error).__name__}: {error}")
    sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")


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
    with doing(f"put metrics into the namespace {_NAMESPACE}"):
        cloudwatch.put_metric_data(Namespace=_NAMESPACE, MetricData=data)
