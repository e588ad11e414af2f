"""The alerts topic (SNS), which subscribers receive notifications from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from telemetry.notifying.message import Notification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

#: Largest message with its attributes, bytes: a little less than SNS accepts, for what it adds on the way to a queue.
#: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
MAX_BYTES_PER_PUBLISH = 250_000


class AlertsTopic:
    """The topic: JSON for queues and endpoints, text for e-mail."""

    def __init__(self, client: SNSClient, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, notification: Notification) -> None:
        """Publish a notification, with as many of its alerts as SNS accepts."""
        while _size(notification) > MAX_BYTES_PER_PUBLISH and notification.alerts:
            notification = notification.shortened()
        self._client.publish(
            TopicArn=self._topic_arn,
            MessageStructure="json",
            Message=_message(notification),
            Subject=notification.subject(),
            MessageAttributes={name: _attribute(values) for name, values in notification.attributes().items()},
        )


def _message(notification: Notification) -> str:
    return msgspec.json.encode({"default": notification.json(), "email": notification.text()}).decode()


def _attribute(values: Sequence[str]) -> MessageAttributeValueTypeDef:
    """Return one value as a string, several as a list: the same filter policy matches both.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
    """
    if len(values) == 1:
        return {"DataType": "String", "StringValue": values[0]}
    return {"DataType": "String.Array", "StringValue": msgspec.json.encode(values).decode()}


def _size(notification: Notification) -> int:
    attributes = msgspec.json.encode(notification.attributes())
    return len(_message(notification).encode()) + len(attributes)
