"""Listening to alerts."""

from __future__ import annotations

import datetime as dt

import boto3
import msgspec
import pytest
from moto import mock_aws

from pipeline.inbox import Received, open_inbox
from telemetry.notifying.message import Notification, notified
from tests.unit.notifier.samples import firing

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def aws():
    with mock_aws():
        yield


def test_should_receive_what_is_published_and_leave_nothing_behind() -> None:
    session = boto3.Session()
    sns, sqs = session.client("sns"), session.client("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    alert = notified(firing("d1", at=NOW))
    notification = Notification(
        notification_id="n", reason="new", state="firing", severity="warning", group={}, firing=1, resolved=0,
        at_least=False, summary="", rules=[], sites=[], alerts=[alert], omitted=0, published_at=NOW,
    )  # fmt: skip
    with open_inbox(session, topic) as inbox:
        sns.publish(TopicArn=topic, Message=notification.json())
        (received,) = inbox.receive(wait_seconds=0)
        assert received.notification == notification
        assert inbox.receive(wait_seconds=0) == []
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert sqs.list_queues().get("QueueUrls", []) == []


def test_should_measure_from_an_alerts_change_to_its_arrival() -> None:
    alert = notified(firing("d1", at=NOW))
    received = Received(msgspec.UNSET, alert.changed_at + dt.timedelta(seconds=5))  # type: ignore[arg-type]
    assert received.latency_ms(alert) == 5_000


def test_should_pass_over_what_is_no_notification() -> None:
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
