"""Lambda's entry point for the notifier: a batch of the queue's messages in, those to deliver again out."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from lambdas.notifier.dispatcher import Dispatcher, Tally
from lambdas.notifier.notify import Notifier
from lambdas.notifier.settings import Settings
from lambdas.store.environment import load
from lambdas.store.groups import GroupTable
from lambdas.store.lake import AlertsLake
from lambdas.store.queue import TransitionsQueue
from lambdas.store.rules_object import RulesObject
from lambdas.store.topic import AlertsTopic
from telemetry.notifying.queue import Batch, Wake, decode_message
from telemetry.rules.parse import parse_rules

#: Short waits and few tries: the queue delivers a failed message again.
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
groups = GroupTable(boto3.client("dynamodb", config=_CLIENTS), settings.group_table)
queue = TransitionsQueue(boto3.client("sqs", config=_CLIENTS), settings.transitions_queue_url)
topic = AlertsTopic(boto3.client("sns", config=_CLIENTS), settings.alerts_topic_arn)
lake = AlertsLake(boto3.client("firehose", config=_CLIENTS), settings.alerts_delivery_stream)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:  # noqa: ARG001
    """Notify of what the messages say; SQS delivers those again whose ids are answered.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    current = rules.current()
    dispatcher = Dispatcher(rules=current, groups=groups, queue=queue, topic=topic, clock=_now)
    notifier = Notifier(rules=current, groups=groups, lake=lake, dispatcher=dispatcher)
    messages, unreadable = _decoded(event["Records"])
    failed = {record["messageId"] for record in event["Records"]}
    try:
        failed = unreadable | notifier.process(messages)
    finally:
        _emit(dispatcher.tally, len(failed))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in sorted(failed)]}


def _decoded(records: list[dict[str, Any]]) -> tuple[dict[str, Batch | Wake], set[str]]:
    """The messages by their ids, and the ids of those that cannot be understood: they end in the failure queue."""
    messages: dict[str, Batch | Wake] = {}
    unreadable: set[str] = set()
    for record in records:
        try:
            messages[record["messageId"]] = decode_message(record["body"])
        except msgspec.DecodeError as error:
            logger.error("a message cannot be read", message_id=record["messageId"], reason=str(error))
            unreadable.add(record["messageId"])
    return messages, unreadable


def _emit(tally: Tally, failed: int) -> None:
    metrics.add_metric(name="MessagesFailed", unit=MetricUnit.Count, value=failed)
    metrics.add_metric(name="NotificationsPublished", unit=MetricUnit.Count, value=tally.published)
    metrics.add_metric(name="RulesRejected", unit=MetricUnit.Count, value=1 if rules.broken else 0)
    metrics.add_metric(name="AlertsFiring", unit=MetricUnit.Count, value=tally.firing.total())
    metrics.add_metric(name="AlertsResolved", unit=MetricUnit.Count, value=tally.resolved.total())
    for seconds in tally.delays:
        metrics.add_metric(name="NotificationDelay", unit=MetricUnit.Milliseconds, value=max(0.0, seconds * 1000))
    for name, counts in (("AlertsFiring", tally.firing), ("AlertsResolved", tally.resolved)):
        for severity, count in counts.items():
            with single_metric(name=name, unit=MetricUnit.Count, value=count) as metric:
                metric.add_dimension(name="stage", value=settings.stage)
                metric.add_dimension(name="severity", value=severity)
    # A site costs as much as any metric, 0.30 USD a month, by the hour and only in hours in which alerts fire there:
    # https://aws.amazon.com/cloudwatch/pricing/
    for site, count in tally.firing_at.items():
        with single_metric(name="AlertsFiring", unit=MetricUnit.Count, value=count) as metric:
            metric.add_dimension(name="stage", value=settings.stage)
            metric.add_dimension(name="site", value=_dimension_value(site))


def _dimension_value(site: str) -> str:
    """The site's name as CloudWatch takes it: printable ASCII that is not blank, 1,024 characters at most.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html
    """
    printable = ascii(site)[1:-1]
    return printable[:1024] if printable.strip() else "(blank)"
