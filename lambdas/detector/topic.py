"""Alert messages to SNS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from telemetry.message import AlertMessage

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import PublishBatchRequestEntryTypeDef

#: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
MAX_ENTRIES_PER_PUBLISH = 10


class PublishError(Exception):
    """SNS refused some messages of a request; the others went out, and go out again with the next try."""


class AlertsTopic:
    """The topic that subscribers listen to: JSON for queues and endpoints, text for e-mail."""

    def __init__(self, client: SNSClient, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, messages: Sequence[AlertMessage]) -> None:
        """Publish in order; raises :class:`PublishError` if SNS refused any, and sends no later request then."""
        for batch in _requests(messages):
            entries = [_entry(str(index), message) for index, message in enumerate(batch)]
            response = self._client.publish_batch(TopicArn=self._topic_arn, PublishBatchRequestEntries=entries)
            refused = [f"{batch[int(f['Id'])].alert_id}: {f['Code']}" for f in response.get("Failed", [])]
            if refused:
                raise PublishError(f"SNS refused {len(refused)} of {len(messages)} alerts: {', '.join(refused[:3])}")


def _requests(messages: Iterable[AlertMessage]) -> Iterator[list[AlertMessage]]:
    """Messages by request; one alert's never share one, where SNS may refuse the firing and take the resolved."""
    batch: list[AlertMessage] = []
    for message in messages:
        if len(batch) == MAX_ENTRIES_PER_PUBLISH or any(message.alert_id == other.alert_id for other in batch):
            yield batch
            batch = []
        batch.append(message)
    if batch:
        yield batch


def _entry(entry_id: str, message: AlertMessage) -> PublishBatchRequestEntryTypeDef:
    body = msgspec.json.encode(message).decode()
    return {
        "Id": entry_id,
        "MessageStructure": "json",
        "Message": msgspec.json.encode({"default": body, "email": message.text()}).decode(),
        "Subject": message.subject(),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in message.attributes().items()
        },
    }
