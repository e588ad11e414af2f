"""Lambda's entry point: a batch of Kinesis records in, the records to deliver again out."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from lambdas.detector.detect import Detection, Tally
from lambdas.detector.rules_object import RulesObject
from lambdas.detector.settings import load
from lambdas.detector.states import StateTable
from lambdas.detector.topic import AlertsTopic
from telemetry.alerting import Position
from telemetry.rules import parse_rules

#: Short waits and few tries: the stream delivers a failed record again, and others wait behind it.
_CLIENTS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})

settings = load(os.environ)
logger = Logger()
metrics = Metrics()
metrics.set_default_dimensions(stage=settings.stage)
processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
rules = RulesObject(
    boto3.client("s3", config=_CLIENTS),
    settings.config_bucket,
    settings.rules_key,
    packaged=parse_rules(Path("rules.yaml").read_bytes()),
    clock=time.monotonic,
)
states = StateTable(boto3.client("dynamodb", config=_CLIENTS), settings.state_table)
alerts = AlertsTopic(boto3.client("sns", config=_CLIENTS), settings.alerts_topic_arn)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Evaluate the batch; what failed is named by sequence number, and Lambda delivers it again."""
    detection = Detection(
        rules=rules.current(),
        states=states,
        alerts=alerts,
        gateways=[record["kinesis"]["partitionKey"] for record in event["Records"]],
        clock=_now,
    )

    def process(record: KinesisStreamRecord) -> None:
        kinesis = record.kinesis
        arrived = dt.datetime.fromtimestamp(kinesis.approximate_arrival_timestamp, dt.UTC)
        position = Position(kinesis.sequence_number, arrived)
        detection.record(kinesis.partition_key, kinesis.data_as_bytes(), position)

    try:
        return process_partial_response(event=event, record_handler=process, processor=processor, context=context)
    finally:
        _emit(detection.tally)


def _emit(tally: Tally) -> None:
    metrics.add_metric(name="Records", unit=MetricUnit.Count, value=tally.records)
    metrics.add_metric(name="Readings", unit=MetricUnit.Count, value=tally.readings)
    metrics.add_metric(name="RejectedReadings", unit=MetricUnit.Count, value=tally.rejected.total())
    metrics.add_metric(name="RulesRejected", unit=MetricUnit.Count, value=1 if rules.broken else 0)
    metrics.add_metric(name="AlertsFiring", unit=MetricUnit.Count, value=tally.firing.total())
    metrics.add_metric(name="AlertsResolved", unit=MetricUnit.Count, value=tally.resolved.total())
    if tally.newest:
        delay = max(0.0, (_now() - tally.newest).total_seconds() * 1000)
        metrics.add_metric(name="DetectionDelay", unit=MetricUnit.Milliseconds, value=delay)
    for name, dimension, counts in (
        ("RejectedReadings", "reason", tally.rejected),
        ("AlertsFiring", "severity", tally.firing),
        ("AlertsResolved", "severity", tally.resolved),
    ):
        for value, count in counts.items():
            with single_metric(name=name, unit=MetricUnit.Count, value=count) as metric:
                metric.add_dimension(name="stage", value=settings.stage)
                metric.add_dimension(name=dimension, value=value)
