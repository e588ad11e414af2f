"""The notifier: a batch of the queue's messages in, the messages to deliver again out."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from lambdas import bootstrap
from lambdas.bootstrap import Wiring
from lambdas.notifier.clock import corrected
from lambdas.notifier.dispatcher import Dispatcher, Tally
from lambdas.notifier.notify import Notifier
from lambdas.store.groups import GroupTable
from lambdas.store.lake import AlertsLake
from lambdas.store.topic import AlertsTopics
from telemetry.notifying.queue import Batch, Wake, decode_message

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

#: Groups at a time: the work is waiting for DynamoDB and SNS. boto3 keeps ten connections for each service.
THREADS = 10

#: The time that a hundred groups may need, in milliseconds.
_RESERVE_MS = 10_000

logger = Logger(child=True)


class Settings(bootstrap.Settings, frozen=True):
    """The notifier's environment."""

    group_table: str
    alerts_topic_arn: str
    alerts_text_topic_arn: str
    alerts_delivery_stream: str


class NotifierFunction:
    """The notifier as Lambda calls it."""

    def __init__(self, wiring: Wiring[Settings]) -> None:
        settings, client = wiring.settings, wiring.runtime.client
        self._wiring = wiring
        self._groups = GroupTable(wiring.dynamodb, settings.group_table, wiring.backoff)
        self._topics = AlertsTopics(
            client("sns"), {"programs": settings.alerts_topic_arn, "people": settings.alerts_text_topic_arn}
        )
        self._lake = AlertsLake(client("firehose"), settings.alerts_delivery_stream, wiring.backoff)

    def handle(self, event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        """Notify of what the messages report; SQS delivers the messages again that the answer names.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
        """
        wiring, rules = self._wiring, self._wiring.rules.current()
        messages, unreadable = _decoded(event["Records"])
        failed = {record["messageId"] for record in event["Records"]}
        unreached: set[str] = set()
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            dispatcher = Dispatcher(
                rules=rules,
                groups=self._groups,
                queue=wiring.queue,
                topics=self._topics,
                clock=corrected(wiring.clock, event["Records"]),
                backoff=wiring.backoff,
                in_parallel=pool.map,
            )
            notifier = Notifier(
                rules=rules,
                groups=self._groups,
                lake=self._lake,
                dispatcher=dispatcher,
                has_time=lambda: context.get_remaining_time_in_millis() > _RESERVE_MS,
            )
            try:
                again = notifier.process(messages)
                failed, unreached = unreadable | again.failed, again.unreached
            finally:
                self.emit(dispatcher.tally, len(failed))
        self._release([record["receiptHandle"] for record in event["Records"] if record["messageId"] in unreached])
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in sorted(failed | unreached)]}

    def _release(self, receipt_handles: Sequence[str]) -> None:
        """Have messages that there was no time for delivered at once, not when their visibility timeout ends."""
        try:
            self._wiring.queue.release(receipt_handles)
        except (ClientError, BotoCoreError):
            logger.warning("messages come again only when their visibility timeout ends", exc_info=True)

    def emit(self, tally: Tally, failed: int) -> None:
        """Add the metrics of one invocation."""
        metrics = self._wiring.metrics
        metrics.add_metric(name="MessagesFailed", unit=MetricUnit.Count, value=failed)
        metrics.add_metric(name="NotificationsPublished", unit=MetricUnit.Count, value=tally.published)
        metrics.add_metric(name="RulesRejected", unit=MetricUnit.Count, value=1 if self._wiring.rules.broken else 0)
        metrics.add_metric(name="AlertsFiring", unit=MetricUnit.Count, value=tally.firing.total())
        metrics.add_metric(name="AlertsResolved", unit=MetricUnit.Count, value=tally.resolved.total())
        for seconds in tally.delays:
            metrics.add_metric(name="NotificationDelay", unit=MetricUnit.Milliseconds, value=max(0.0, seconds * 1000))
        for name, counts in (("AlertsFiring", tally.firing), ("AlertsResolved", tally.resolved)):
            for severity, count in counts.items():
                with single_metric(name=name, unit=MetricUnit.Count, value=count) as metric:
                    metric.add_dimension(name="stage", value=self._wiring.settings.stage)
                    metric.add_dimension(name="severity", value=severity)
        # A site costs as much as any metric, 0.30 USD a month, but only for the hours in which alerts fire there:
        # https://aws.amazon.com/cloudwatch/pricing/
        for site, count in tally.firing_at.items():
            with single_metric(name="AlertsFiring", unit=MetricUnit.Count, value=count) as metric:
                metric.add_dimension(name="stage", value=self._wiring.settings.stage)
                metric.add_dimension(name="site", value=_dimension_value(site))


def _decoded(records: list[dict[str, Any]]) -> tuple[dict[str, Batch | Wake], set[str]]:
    """Return the messages by their ids, and the ids of invalid ones: they end in the failure queue."""
    messages: dict[str, Batch | Wake] = {}
    unreadable: set[str] = set()
    for record in records:
        try:
            messages[record["messageId"]] = decode_message(record["body"])
        except msgspec.DecodeError as error:
            logger.error("a message cannot be read", message_id=record["messageId"], reason=str(error))
            unreadable.add(record["messageId"])
    return messages, unreadable


def _dimension_value(site: str) -> str:
    """Return a site's name as CloudWatch accepts it: printable ASCII that is not blank, 1,024 characters at most.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html
    """
    printable = ascii(site)[1:-1]
    return printable[:1024] if printable.strip() else "(blank)"
