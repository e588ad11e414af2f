"""Lambda's entry point for the watchdog: EventBridge calls it every minute."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from lambdas.store.environment import load
from lambdas.store.items import due_keys
from lambdas.store.queue import TransitionsQueue
from lambdas.store.recent import RecentTable
from lambdas.store.rules_object import RulesObject
from lambdas.store.states import StateTable
from lambdas.watchdog.settings import Settings
from lambdas.watchdog.watch import Watchdog
from telemetry.rules.parse import parse_rules

#: What fails is due again in a minute.
_CLIENTS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})

#: What one batch of gateways may still take.
_RESERVE_MS = 20_000


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
recents = RecentTable(dynamodb, settings.state_table)
queue = TransitionsQueue(boto3.client("sqs", config=_CLIENTS), settings.transitions_queue_url)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001
    """Bring forward the gateways that are due, and wake the groups of alerts that are."""
    now = _now()
    watchdog = Watchdog(
        rules=rules.current(),
        states=states,
        recents=recents,
        queue=queue,
        now=now,
        has_time=lambda: context.get_remaining_time_in_millis() > _RESERVE_MS,
    )
    watched = watchdog.watch(key["gateway"] for key in due_keys(dynamodb, settings.state_table, now))
    groups = 0
    for key in due_keys(dynamodb, settings.group_table, now):
        queue.wake(key["group"], delay=0)
        groups += 1
    metrics.add_metric(name="GatewaysDue", unit=MetricUnit.Count, value=watched.gateways)
    metrics.add_metric(name="GatewaysFailed", unit=MetricUnit.Count, value=watched.failed)
    metrics.add_metric(name="GroupsDue", unit=MetricUnit.Count, value=groups)
    metrics.add_metric(name="Transitions", unit=MetricUnit.Count, value=watched.transitions)
    metrics.add_metric(name="RulesRejected", unit=MetricUnit.Count, value=1 if rules.broken else 0)
