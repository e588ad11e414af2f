"""The deployed function and its failure queue, as the event source mapping calls them."""

from __future__ import annotations

import datetime as dt
import json
import logging
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from local.kafka.batches import Discarded, Item, Outcome
from local.kafka.records import Source

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

#: An answer of a function with ``ReportBatchItemFailures``: an object, or nothing.
_Answer = dict[str, Any] | None

logger = logging.getLogger("kafka bridge")


class LambdaFunction:
    """A function by Lambda's API."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def __call__(self, event: bytes) -> Outcome:
        """Invoke the function and wait for its answer."""
        try:
            answer = self._client.invoke(FunctionName=self._name, Payload=event)
            payload = answer["Payload"].read()
        except (BotoCoreError, ClientError) as error:
            # Throttled, missing or not answering: no fault of the records.
            return Outcome(reason=str(error))
        request_id = answer["ResponseMetadata"].get("RequestId", "")
        if kind := answer.get("FunctionError"):
            logger.warning("%s failed: %s: %.500s", self._name, kind, payload.decode(errors="replace"))
            return Outcome(error=kind, request_id=request_id)
        try:
            return Outcome(answer=msgspec.json.decode(payload or b"null", type=_Answer), request_id=request_id)
        except msgspec.MsgspecError as error:
            # "Lambda treats all other results as a complete failure", says the page about Kinesis.
            logger.warning("%s gave an invalid answer: %s: %.500s", self._name, error, payload.decode(errors="replace"))
            return Outcome(error="InvalidAnswer", request_id=request_id)


class FailureQueue:
    """The SQS queue of batches that are given up.

    https://docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html
    """

    def __init__(self, client: SQSClient, url: str, function_arn: str, source: Source) -> None:
        self._client = client
        self._url = url
        self._function_arn = function_arn
        self._source = source

    def __call__(self, discarded: Discarded) -> bool:
        """Report a batch; return whether the queue has accepted it."""
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=json.dumps(self._message(discarded)))
        except (BotoCoreError, ClientError) as error:
            logger.warning("a batch that was given up cannot be sent to %s: %s", self._url, error)
            return False
        return True

    def _message(self, discarded: Discarded) -> dict[str, Any]:
        condition, batch, outcome = discarded
        by_partition: dict[str, list[Item]] = {}
        for item in batch.items:
            by_partition.setdefault(self._source.name(item.record.partition), []).append(item)
        answered = {"statusCode": 200, "executedVersion": "$LATEST"} | (
            {"functionError": outcome.error} if outcome and outcome.error else {}
        )
        return {
            "requestContext": {
                "requestId": outcome.request_id if outcome else "",
                "functionArn": self._function_arn,
                "condition": condition,
                "approximateInvokeCount": batch.invocations,
            },
            "responseContext": answered if outcome else None,
            "version": "1.0",
            "timestamp": _iso(dt.datetime.now(dt.UTC).timestamp()),
            "KafkaBatchInfo": {
                "batchSize": len(batch.items),
                "eventSourceArn": self._source.arn,
                "bootstrapServers": self._source.bootstrap,
                "payloadSize": len(batch.event(self._source)),
                "recordsInfo": {name: _span(items) for name, items in by_partition.items()},
            },
        }


def _span(items: list[Item]) -> dict[str, str]:
    first, last = items[0].record, items[-1].record
    return {
        "firstRecordOffset": str(first.offset),
        "lastRecordOffset": str(last.offset),
        "firstRecordTimestamp": _iso(first.timestamp / 1000),
        "lastRecordTimestamp": _iso(last.timestamp / 1000),
    }


def _iso(unix: float) -> str:
    return dt.datetime.fromtimestamp(unix, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
