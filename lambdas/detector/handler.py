"""Lambda's entry point of the detector: a batch of stream records in, the records to deliver again out."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from lambdas.detector.detect import Detection, Tally
from lambdas.detector.recent_cache import RecentCache
from lambdas.detector.records import Event, decode_event
from lambdas.detector.settings import Settings
from lambdas.store.environment import load
from lambdas.store.queue import TransitionsQueue
from lambdas.store.recent import RecentTable
from lambdas.store.rules_object import RulesObject
from lambdas.store.states import StateTable
from telemetry.rules.parse import parse_rules

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

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
recents = RecentCache(RecentTable(dynamodb, settings.state_table), clock=_now)
queue = TransitionsQueue(boto3.client("sqs", config=_CLIENTS), settings.transitions_queue_url)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: Event, context: LambdaContext) -> PartialItemFailureResponse:  # noqa: ARG001
    """Detect alerts in a batch; Lambda delivers the records again that the answer names.

    https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
    """
    records = decode_event(event)
    detection = Detection(
        rules=rules.current(),
        states=states,
        recents=recents,
        queue=queue,
        gateways=[record.gateway for record in records],
        clock=_now,
    )
    try:
        failed = detection.process(records)
    finally:
        _emit(detection.tally)
    return {"batchItemFailures": [{"itemIdentifier": record.identifier} for record in failed]}


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
