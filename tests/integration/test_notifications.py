"""Both topics of the deployed pipeline, with subscriptions that filter."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import msgspec
import pytest

from lambdas.store.queue import TransitionsQueue
from pipeline.deployment import Deployment
from pipeline.names import Names
from telemetry.notifying.message import Notification
from tests.integration.conftest import STAGE
from tests.unit.notifier.samples import firing, then
from tests.waiting import wait_for


class Subscriber:
    """A queue of its own that a topic sends to, as far as a filter policy lets it."""

    def __init__(self, session: boto3.Session, topic: str, policy: dict[str, list[str]]) -> None:
        self._sns, self._sqs = session.client("sns"), session.client("sqs")
        name = f"subscriber-{uuid.uuid4().hex[:8]}"
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self._subscription = self._sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:000000000000:{name}",
            Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps(policy)},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        self.bodies: list[str] = []
        self.attributes: list[dict[str, Any]] = []

    def count(self) -> int:
        """Receive, and return how many messages have come."""
        answer = self._sqs.receive_message(QueueUrl=self._url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            self.bodies.append(message["Body"])
            self.attributes.append({k: v["StringValue"] for k, v in message["MessageAttributes"].items()})
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return len(self.bodies)

    def leave(self) -> None:
        """End the subscription and delete the queue."""
        self._sns.unsubscribe(SubscriptionArn=self._subscription)
        self._sqs.delete_queue(QueueUrl=self._url)


@pytest.fixture
def subscribe(aws: boto3.Session) -> Iterator[Callable[[str, dict[str, list[str]]], Subscriber]]:
    """Subscriptions to topics, by a policy each, that end with the test."""
    subscribers: list[Subscriber] = []

    def subscribed(topic: str, policy: dict[str, list[str]]) -> Subscriber:
        subscribers.append(Subscriber(aws, topic, policy))
        return subscribers[-1]

    yield subscribed
    for subscriber in subscribers:
        subscriber.leave()


def test_should_reach_programs_and_people_by_the_alerts_that_their_filters_mean(
    aws: boto3.Session, deployed: Deployment, subscribe: Callable[[str, dict[str, list[str]]], Subscriber]
) -> None:
    outputs = aws.client("cloudformation").describe_stacks(StackName=Names(STAGE).stack("alerts"))["Stacks"][0][
        "Outputs"
    ]
    (texts,) = (output["OutputValue"] for output in outputs if output["OutputKey"] == "AlertsTextTopicArn")
    site = f"site-{uuid.uuid4().hex[:8]}"
    pages = {"site": [site], "severity": ["page"]}
    program, person = subscribe(deployed.alerts_topic_arn, pages), subscribe(texts, pages)
    everybody = subscribe(texts, {"site": [site]})
    queue = TransitionsQueue(aws.client("sqs"), deployed.transitions_queue_url)

    paging = firing("d1", site=site, severity="page")
    queue.send([paging, firing("d2", site=site)])
    wait_for(lambda: everybody.count() == 2, "the page and the warning")
    queue.send([then(paging, "resolved", summary="too-hot is over at d1")])
    wait_for(lambda: everybody.count() == 3, "the end")
    wait_for(lambda: program.count() == person.count() == 2, "both for the pager")

    told = [msgspec.json.decode(body, type=Notification) for body in program.bodies]
    assert {(alert.device, alert.status) for each in told for alert in each.alerts} == {
        ("d1", "firing"),
        ("d1", "resolved"),
    }
    assert sorted(body.splitlines()[0] for body in person.bodies) == [
        "[FIRING] page: d1 at 41.5 °C",
        "[RESOLVED] page: too-hot is over at d1",
    ]
    for subscriber in (program, person):
        assert [each["severity"] for each in subscriber.attributes] == ["page", "page"]
        assert {each["state"] for each in subscriber.attributes} == {"firing", "resolved"}
