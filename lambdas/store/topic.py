"""The topics (SNS) of notifications: JSON for programs, text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aws_lambda_powertools import Logger

from telemetry.notifying.dispatch import Publication
from telemetry.text.batches import limited_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef, PublishBatchRequestEntryTypeDef

    from telemetry.notifying.message import Audience, Notification

#: Largest message with its attributes, and largest request, bytes: a little less than SNS accepts, for what it adds on
#: the way to a queue. https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
MAX_BYTES_PER_PUBLISH = 250_000
MAX_MESSAGES_PER_PUBLISH = 10

logger = Logger(child=True)


class Request(NamedTuple):
    """One request: publications for the same topic."""

    publications: Sequence[Publication]
    entries: Sequence[PublishBatchRequestEntryTypeDef]


class AlertsTopics:
    """The topics, by their audiences.

    Each message has the attributes that filter policies match. SNS sends attributes only with messages of the structure
    String, so one topic cannot have JSON for queues and text for e-mail:
    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
    """

    def __init__(self, client: SNSClient, arns: Mapping[Audience, str]) -> None:
        self._client = client
        self._arns = arns

    def requests(self, publications: Sequence[Publication]) -> Iterator[Request]:
        """Yield the requests for publications, as many in each as SNS accepts."""
        for audience in self._arns:
            entries = ((each, _entry(each)) for each in publications if each.audience == audience)
            for batch in limited_batches(
                entries, lambda pair: _size(pair[1]), most_bytes=MAX_BYTES_PER_PUBLISH, most=MAX_MESSAGES_PER_PUBLISH
            ):
                numbered: list[PublishBatchRequestEntryTypeDef] = [
                    {**entry, "Id": str(number)} for number, (_, entry) in enumerate(batch)
                ]
                yield Request([each for each, _ in batch], numbered)

    def publish(self, request: Request) -> list[Publication]:
        """Send a request; return what SNS accepted. What it refused is in the log."""
        arn = self._arns[request.publications[0].audience]
        try:
            response = self._client.publish_batch(TopicArn=arn, PublishBatchRequestEntries=request.entries)
        except Exception:  # whatever it is, the other requests go on
            logger.exception("notifications were not published; they are published again in a minute", topic=arn)
            return []
        failed = {failure["Id"]: failure["Code"] for failure in response.get("Failed", [])}
        if failed:
            logger.error(
                "notifications were not published; SNS refused them, and they are published again in a minute",
                topic=arn,
                refused=len(failed),
                codes=sorted(set(failed.values())),
            )
        return [each for number, each in enumerate(request.publications) if str(number) not in failed]


def _entry(publication: Publication) -> PublishBatchRequestEntryTypeDef:
    """Return the message, with as many of its alerts as SNS accepts."""
    notification = publication.notification
    while True:
        entry: PublishBatchRequestEntryTypeDef = {
            "Id": "",
            "Message": notification.text() if publication.audience == "people" else notification.json(),
            "Subject": notification.subject(),
            "MessageAttributes": message_attributes(notification),
        }
        if _size(entry) <= MAX_BYTES_PER_PUBLISH or not notification.alerts:
            return entry
        notification = notification.shortened()


def message_attributes(notification: Notification) -> dict[str, MessageAttributeValueTypeDef]:
    """Return a notification's attributes as SNS accepts them."""
    return {name: _attribute(values) for name, values in notification.attributes().items()}


def _attribute(values: Sequence[str]) -> MessageAttributeValueTypeDef:
    """Return one value as a string, several as a list: the same filter policy matches both.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
    """
    if len(values) == 1:
        return {"DataType": "String", "StringValue": values[0]}
    return {"DataType": "String.Array", "StringValue": msgspec.json.encode(values).decode()}


def _size(entry: PublishBatchRequestEntryTypeDef) -> int:
    attributes = entry.get("MessageAttributes", {}).items()
    named = sum(len(f"{name}{value['DataType']}{value.get('StringValue', '')}".encode()) for name, value in attributes)
    return len(entry["Message"].encode()) + len(entry.get("Subject", "")) + named
