"""Notifications on their way to subscribers, against moto."""

from __future__ import annotations

import json
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws

from lambdas.store.topic import AlertsTopics, Request
from local.memory_aws.faults import Fault, Faults
from local.memory_aws.messages import SNS
from telemetry.notifying.dispatch import Publication
from telemetry.notifying.message import AUDIENCES, Notification
from tests.unit.notifier.desk import Desk
from tests.unit.notifier.samples import MINUTE, firing


@pytest.fixture
def aws():
    with mock_aws():
        yield


def notification(*devices: str, **fields: Any) -> Notification:
    desk = Desk()
    desk.take(*(firing(device, **fields) for device in devices or ["d1"]))
    (told,) = desk.wait(MINUTE)
    return told


def subscribed(audience: str, **attributes: str) -> tuple[str, str]:
    """Return a new topic and the queue that subscribes to it."""
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name=audience)["TopicArn"]
    queue = sqs.create_queue(QueueName=audience)["QueueUrl"]
    endpoint = f"arn:aws:sqs:us-east-1:123456789012:{audience}"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint, Attributes=attributes)
    return topic, queue


def received(queue: str) -> list[Any]:
    answer = boto3.client("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
    return list(answer.get("Messages", []))


def publish(topics: AlertsTopics, *notifications: Notification) -> list[Publication]:
    every = [Publication(each, audience) for each in notifications for audience in AUDIENCES]
    return [each for request in topics.requests(every) for each in topics.publish(request)]


def test_should_reach_programs_as_json_and_people_as_text_each_with_the_attributes(aws) -> None:
    programs, queue = subscribed("programs", RawMessageDelivery="true")
    people, letters = subscribed("people", RawMessageDelivery="true")
    told = notification()
    accepted = publish(AlertsTopics(boto3.client("sns"), {"programs": programs, "people": people}), told)
    assert accepted == [Publication(told, "programs"), Publication(told, "people")]
    (message,), (letter,) = received(queue), received(letters)
    assert msgspec.json.decode(message["Body"], type=Notification) == told
    assert letter["Body"] == told.text()
    for each in (message, letter):
        attributes = {name: value["StringValue"] for name, value in each["MessageAttributes"].items()}
        assert attributes == {"severity": "warning", "site": "s1", "rule": "too-hot", "state": "firing"}


@pytest.mark.parametrize(("site", "matches"), [("s1", True), ("s2", True), ("s3", False)])
def test_should_be_filtered_by_any_of_several_sites(aws, site: str, matches: bool) -> None:
    policy = json.dumps({"site": [site], "severity": ["warning"]})
    topic, queue = subscribed("programs", FilterPolicy=policy)
    topics = AlertsTopics(boto3.client("sns"), {"programs": topic})
    publish(topics, msgspec.structs.replace(notification(), sites=["s1", "s2"]))
    assert bool(received(queue)) is matches


def test_should_cut_what_is_longer_than_sns_takes() -> None:
    told = notification(*(f"d{number}" for number in range(100)), summary="µ" * 1500, condition='"' * 500)
    sns = SNS(Faults())
    assert len(publish(AlertsTopics(sns, {"programs": "json"}), told)) == 1  # type: ignore[arg-type]
    (sent,) = sns.inbox
    assert 10 < len(sent["alerts"]) < 100
    assert len(sent["alerts"]) + sent["omitted"] == 100
    assert sent["notification_id"] == told.notification_id


def test_should_publish_in_as_few_requests_as_sns_takes() -> None:
    sns, told = SNS(Faults()), [notification(f"d{number}") for number in range(25)]
    large = [notification(f"d{number}", summary="x" * 50_000) for number in range(3)]
    topics = AlertsTopics(sns, {"programs": "json", "people": "text"})  # type: ignore[arg-type]

    def sizes(*notifications: Notification) -> list[int]:
        every = [Publication(each, "programs") for each in notifications]
        return [len(request.publications) for request in topics.requests(every)]

    assert sizes(*told) == [10, 10, 5]
    assert sizes(*large) == [2, 1], "one request holds no more bytes than one message may"
    assert len(publish(topics, *told)) == 50
    assert (len(sns.inbox), len(sns.texts)) == (25, 25)


@pytest.mark.parametrize(("fault", "accepted"), [(Fault.PARTLY_DONE, 2), (Fault.THROTTLED, 0), (Fault.TIMED_OUT, 0)])
def test_should_say_what_was_accepted(fault: Fault, accepted: int) -> None:
    topics = AlertsTopics(SNS(Faults({0: fault})), {"programs": "json"})  # type: ignore[arg-type]
    assert len(publish(topics, *(notification(name) for name in "abc"))) == accepted


def test_should_notice_attributes_that_sns_would_not_send() -> None:
    """SNS sends attributes only with messages of the structure String; emulators send them with any."""
    sns, told = SNS(Faults()), notification()
    topics = AlertsTopics(sns, {"programs": "json"})  # type: ignore[arg-type]
    (request,) = topics.requests([Publication(told, "programs")])
    as_json = Request(request.publications, [{**entry, "MessageStructure": "json"} for entry in request.entries])
    assert topics.publish(as_json) == [], "the in-memory SNS refuses it"
