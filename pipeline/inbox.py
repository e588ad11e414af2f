"""Listening to alerts: a queue of one's own, subscribed to the topic for as long as somebody listens."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from telemetry.notifying.message import Notification, NotifiedAlert

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)


class Received(NamedTuple):
    """A notification and when it reached us (UTC)."""

    notification: Notification
    received_at: dt.datetime

    def latency_ms(self, alert: NotifiedAlert) -> float:
        """From the change of one of its alerts, by event time, to here, in milliseconds."""
        return (self.received_at - alert.changed_at).total_seconds() * 1000


class Inbox:
    """An SQS queue that every notification comes to."""

    def __init__(self, sqs: SQSClient, queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def receive(self, wait_seconds: int = 1) -> list[Received]:
        """Return the notifications that arrive within ``wait_seconds`` (0 to 20); returns as soon as there is one."""
        response = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds
        )
        now = dt.datetime.now(dt.UTC)
        messages = response.get("Messages", [])
        if messages:
            self._sqs.delete_message_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                    for index, message in enumerate(messages)
                ],
            )
        return [Received(found, now) for message in messages if (found := _notification(message["Body"]))]


def _notification(body: str) -> Notification | None:
    """Return the notification, or None for what somebody else published to the topic."""
    try:
        return msgspec.json.decode(body, type=Notification)
    except msgspec.DecodeError:
        logger.warning("a message on the topic is not a valid notification: %.200s", body)
        return None


@contextlib.contextmanager
def open_inbox(session: boto3.Session, topic_arn: str) -> Iterator[Inbox]:
    """Open an inbox subscribed to the topic; queue and subscription are removed when the ``with`` block ends."""
    sqs, sns = session.client("sqs"), session.client("sns")
    with contextlib.ExitStack() as cleanup:
        queue_url = sqs.create_queue(
            QueueName=f"iot-inbox-{uuid.uuid4().hex[:12]}", Attributes={"SqsManagedSseEnabled": "true"}
        )["QueueUrl"]
        cleanup.callback(sqs.delete_queue, QueueUrl=queue_url)
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
        policy = _only_from(topic_arn, attributes["QueueArn"])
        sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
        subscription = sns.subscribe(
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=attributes["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )
        cleanup.callback(sns.unsubscribe, SubscriptionArn=subscription["SubscriptionArn"])
        yield Inbox(sqs, queue_url)


def _only_from(topic_arn: str, queue_arn: str) -> str:
    """Return a queue policy that lets the topic send, and nobody else."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
