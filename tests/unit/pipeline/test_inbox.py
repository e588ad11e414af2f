"""Listening to alerts."""

from __future__ import annotations

import datetime as dt

import boto3
import pytest
from moto import mock_aws

from lambdas.detector.topic import AlertsTopic
from pipeline.inbox import open_inbox
from telemetry.alerting import GatewayState, evaluate
from telemetry.message import alert_message
from telemetry.reading import Reading
from telemetry.rules import parse_rules

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def aws():
    with mock_aws():
        yield


def test_should_receive_what_the_detector_publishes_and_leave_nothing_behind() -> None:
    session = boto3.Session()
    sns, sqs = session.client("sns"), session.client("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    reading = Reading(device_id="d", site="s", ts=NOW, seq=1, temperature=41, status="ok")
    rules = parse_rules("rules: [{name: too-hot, when: temperature > 40}]")
    _, (transition,) = evaluate(rules, GatewayState("gw"), [reading], NOW)
    message = alert_message(transition, NOW)
    with open_inbox(session, topic) as inbox:
        AlertsTopic(sns, topic).publish([message])
        (received,) = inbox.receive(wait_seconds=0)
        assert received.message == message
        assert received.latency_ms > 0
        assert inbox.receive(wait_seconds=0) == []
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert sqs.list_queues().get("QueueUrls", []) == []


def test_should_pass_over_what_is_no_alert() -> None:
    session = boto3.Session()
    sns = session.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    with open_inbox(session, topic) as inbox:
        sns.publish(TopicArn=topic, Message="is anybody there?")
        assert inbox.receive(wait_seconds=0) == []


def test_should_leave_no_queue_behind_when_it_cannot_subscribe() -> None:
    session = boto3.Session()
    with pytest.raises(Exception, match="NotFound"), open_inbox(session, "arn:aws:sns:us-east-1:123456789012:none"):
        pass
    assert session.client("sqs").list_queues().get("QueueUrls", []) == []
