"""Notifications on their way to subscribers, against moto."""

from __future__ import annotations

import json
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws

from lambdas.store.topic import AlertsTopic
from telemetry.notifying.message import Notification
from tests.unit.notifier.desk import Desk
from tests.unit.notifier.samples import MINUTE, firing

QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:inbox"


@pytest.fixture
def aws():
    with mock_aws():
        yield


def notification(*devices: str, **fields: Any) -> Notification:
    desk = Desk()
    desk.take(*(firing(device, **fields) for device in devices or ["d1"]))
    (told,) = desk.wait(MINUTE)
    return told


class Recorder:
    """SNS, as far as it takes what it is given."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def publish(self, **request: Any) -> None:
        attributes = request["MessageAttributes"]
        size = len(request["Message"].encode()) + sum(
            len(name) + len(attribute["DataType"]) + len(attribute["StringValue"].encode())
            for name, attribute in attributes.items()
        )
        assert size <= 256 * 1024
        assert all(attribute["StringValue"] for attribute in attributes.values())
        self.requests.append(request)


def test_should_reach_a_queue_as_json_and_a_person_as_text(aws) -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE_ARN, Attributes={"RawMessageDelivery": "true"})
    told = notification()
    AlertsTopic(sns, topic).publish(told)
    (received,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    assert msgspec.json.decode(received["Body"], type=Notification) == told
    attributes = {name: value["StringValue"] for name, value in received["MessageAttributes"].items()}
    assert attributes == {"severity": "warning", "site": "s1", "rule": "too-hot", "state": "firing"}
    recorder = Recorder()
    AlertsTopic(recorder, topic).publish(told)  # type: ignore[arg-type]
    (request,) = recorder.requests
    assert json.loads(request["Message"])["email"] == told.text()
    assert request["Subject"] == told.subject()


@pytest.mark.parametrize(("site", "matches"), [("s1", True), ("s2", True), ("s3", False)])
def test_should_be_filtered_by_any_of_several_sites(aws, site: str, matches: bool) -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=QUEUE_ARN,
        Attributes={"FilterPolicy": json.dumps({"site": [site], "severity": ["warning"]})},
    )
    AlertsTopic(sns, topic).publish(msgspec.structs.replace(notification(), sites=["s1", "s2"]))
    assert bool(sqs.receive_message(QueueUrl=queue).get("Messages")) is matches


def test_should_cut_what_is_longer_than_sns_takes() -> None:
    told = notification(*(f"d{number}" for number in range(100)), summary="µ" * 1500, condition='"' * 500)
    recorder = Recorder()
    AlertsTopic(recorder, "arn").publish(told)  # type: ignore[arg-type]
    ((request),) = recorder.requests
    sent = json.loads(json.loads(request["Message"])["default"])
    assert 10 < len(sent["alerts"]) < 100
    assert len(sent["alerts"]) + sent["omitted"] == 100
    assert sent["notification_id"] == told.notification_id
