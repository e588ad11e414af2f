"""Lambda's entry point: a batch of Kinesis records in, the records to deliver again out."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from lambdas.detector.detect import Detection, EarlierRecordFailedError, Tally
from lambdas.detector.settings import Settings
from lambdas.store.environment import load
from lambdas.store.queue import TransitionsQueue
from lambdas.store.recents import Recents, RecentTable
from lambdas.store.rules_object import RulesObject
from lambdas.store.states import StateTable
from telemetry.alerting.state import Position
from telemetry.rules.parse import parse_rules

#: Short waits and few tries: the stream delivers a failed record again, and others wait behind it.
_CLIENTS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


settings = load(Settings, os.environ)
logger = Logger()
metrics = Metrics()
metrics.set_default_dimensions(stage=settings.stage)
rules = RulesObject(
    boto3.client("s3", config=_CLIENTS),
    settings.config_bucket,
    settings.rules_key,
    settings.registry_key,
    packaged=parse_rules(Path("rules.yaml").read_bytes()),
    clock=time.monotonic,
)
dynamodb = boto3.client("dynamodb", config=_CLIENTS)
states = StateTable(dynamodb, settings.state_table)
recents = Recents(RecentTable(dynamodb, settings.state_table), clock=_now)
queue = TransitionsQueue(boto3.client("sqs", config=_CLIENTS), settings.transitions_queue_url)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001
    """Evaluate the batch; what failed is named by sequence number, and Lambda delivers it again.

    https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
    """
    records = [record["kinesis"] for record in event["Records"]]
    detection = Detection(
        rules=rules.current(),
        states=states,
        recents=recents,
        queue=queue,
        gateways=[record["partitionKey"] for record in records],
        clock=_now,
    )
    try:
        failed = [record["sequenceNumber"] for record in records if not _is_processed(detection, record)]
        detection.finish()
    finally:
        _emit(detection.tally)
    return {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in failed]}


def _is_processed(detection: Detection, record: Mapping[str, Any]) -> bool:
    """Whether the record is done with; if not, why is in the log."""
    gateway, sequence = record["partitionKey"], record["sequenceNumber"]
    try:
        arrived = dt.datetime.fromtimestamp(record["approximateArrivalTimestamp"], dt.UTC)
        # msgspec's base64 takes a quarter of the standard library's time.
        data = msgspec.convert(record["data"], bytes)
        detection.record(gateway, data, Position(sequence, arrived))
    except EarlierRecordFailedError:
        return False
    except Exception:  # whatever it is, the other gateways' records go on
        logger.exception("a record has to be delivered again", gateway=gateway, sequence=sequence)
        return False
    return True


def _emit(tally: Tally) -> None:
    metrics.add_metric(name="Records", unit=MetricUnit.Count, value=tally.records)
    metrics.add_metric(name="Readings", unit=MetricUnit.Count, value=tally.readings)
    metrics.add_metric(name="RejectedReadings", unit=MetricUnit.Count, value=tally.rejected.total())
    metrics.add_metric(name="RulesRejected", unit=MetricUnit.Count, value=1 if rules.broken else 0)
    metrics.add_metric(name="Transitions", unit=MetricUnit.Count, value=tally.transitions)
    if tally.newest:
        delay = max(0.0, (_now() - tally.newest).total_seconds() * 1000)
        metrics.add_metric(name="DetectionDelay", unit=MetricUnit.Milliseconds, value=delay)
    for reason, count in tally.rejected.items():
        with single_metric(name="RejectedReadings", unit=MetricUnit.Count, value=count) as metric:
            metric.add_dimension(name="stage", value=settings.stage)
            metric.add_dimension(name="reason", value=reason)
