"""The handler as Lambda calls it, on moto's DynamoDB, SQS, SNS, Firehose and S3."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import msgspec
import pytest
from moto import mock_aws

from lambdas.bootstrap import LAMBDA, Handler, bootstrap
from lambdas.notifier.function import NotifierFunction, Settings
from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import Notification
from telemetry.notifying.queue import Batch, Wake, decode_message, encode_message
from tests.unit.notifier.samples import firing, then
from tests.unit.store.tables import create_group_table

CONTEXT: Any = SimpleNamespace(
    function_name="notifier",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:::notifier",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 30_000,
)
RULES = b"""
rules:
  - {name: too-hot, when: temperature > 40, severity: critical, group_wait: 0s}
  - {name: too-cold, when: temperature < 0}
"""


class Deployed(NamedTuple):
    """The handler and the queues that it talks to."""

    handler: Handler
    environ: dict[str, str]
    inbox: str
    transitions: str

    def __call__(self, *bodies: str) -> Any:
        records = [
            {"messageId": f"m{number}", "receiptHandle": f"handle {number}", "body": body}
            for number, body in enumerate(bodies)
        ]
        return self.handler({"Records": records}, CONTEXT)

    def received(self) -> list[Notification]:
        messages = boto3.client("sqs").receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get("Messages", [])
        return [msgspec.json.decode(message["Body"], type=Notification) for message in messages]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The handler, in the environment that the CDK app deploys."""
    with mock_aws():
        sqs, sns, s3 = boto3.client("sqs"), boto3.client("sns"), boto3.client("s3")
        create_group_table()
        for bucket in ("rules-bucket", "lake"):
            s3.create_bucket(Bucket=bucket)
        boto3.client("firehose").create_delivery_stream(
            DeliveryStreamName="alerts",
            ExtendedS3DestinationConfiguration={
                "BucketARN": "arn:aws:s3:::lake",
                "RoleARN": "arn:aws:iam::123456789012:role/delivery",
            },
        )
        topic, texts = (sns.create_topic(Name=name)["TopicArn"] for name in ("alerts", "alerts-text"))
        inbox, transitions = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("inbox", "transitions"))
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox",
            Attributes={"RawMessageDelivery": "true"},
        )
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "notifier")
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "IoTPipeline")
        (tmp_path / "rules.yaml").write_bytes(RULES)
        monkeypatch.chdir(tmp_path)
        environ = {
            "STAGE": "dev",
            "GROUP_TABLE": "groups",
            "TRANSITIONS_QUEUE_URL": transitions,
            "ALERTS_TOPIC_ARN": topic,
            "ALERTS_TEXT_TOPIC_ARN": texts,
            "ALERTS_DELIVERY_STREAM": "alerts",
            "CONFIG_BUCKET": "rules-bucket",
            "RULES_KEY": "rules.yaml",
            "REGISTRY_KEY": "registry/devices.csv",
        }
        yield Deployed(bootstrap(NotifierFunction, Settings, environ=environ), environ, inbox, transitions)


def batch(*transitions: Transition) -> str:
    return encode_message(Batch(list(transitions)))


def delivered() -> list[Transition]:
    """What the delivery stream wrote to the lake."""
    s3 = boto3.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="lake").get("Contents", [])]
    lines = [line for key in keys for line in s3.get_object(Bucket="lake", Key=key)["Body"].read().splitlines()]
    return [msgspec.json.decode(line, type=Transition) for line in lines]


def metrics(output: str) -> dict[str, list[float]]:
    """The metrics in the EMF lines of a function's output, by name and, where there is one, severity or site."""
    found: dict[str, list[float]] = {}
    for blob in (json.loads(text) for text in output.splitlines() if '"_aws"' in text):
        assert (blob["stage"], blob["service"]) == ("dev", "notifier")
        for definition in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            name = " ".join(filter(None, [definition["Name"], blob.get("severity"), blob.get("site")]))
            found[name] = blob[definition["Name"]]
    return found


def test_should_notify_write_to_the_lake_and_report_nothing_to_retry(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    alert = firing(severity="critical")
    assert deployed(batch(alert), batch(firing("d2", severity="critical"))) == {"batchItemFailures": []}
    (told,) = deployed.received()
    assert [alert.device for alert in told.alerts] == ["d1", "d2"]
    assert delivered() == [alert, firing("d2", severity="critical")]
    seen = metrics(capsys.readouterr().out)
    assert seen["AlertsFiring"] == seen["AlertsFiring critical"] == seen["AlertsFiring s1"] == [2]
    assert seen["NotificationsPublished"] == [1]
    assert seen["AlertsResolved"] == seen["RulesRejected"] == [0]
    assert len(seen["NotificationDelay"]) == 1


@pytest.mark.parametrize(
    ("site", "dimension"),
    [
        ("Zürich\n", "Z\\xfcrich\\n"),
        (" ", "(blank)"),
        ("north 1", "north 1"),
        ("\N{FACTORY}" * 128, ("\\U0001f3ed" * 128)[:1024]),
    ],
)
def test_should_count_alerts_at_sites_whatever_their_names(
    site: str, dimension: str, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(batch(firing(site=site)), batch(firing("d2", site="other")))
    seen = metrics(capsys.readouterr().out)
    assert seen["AlertsFiring"] == [2]
    assert {name: value for name, value in seen.items() if name.startswith("AlertsFiring ")} == {
        "AlertsFiring warning": [2],
        f"AlertsFiring {dimension}": [1],
        "AlertsFiring other": [1],
    }


def test_should_have_itself_woken_when_the_group_has_waited(deployed: Deployed) -> None:
    deployed(batch(firing(rule="too-cold")))
    assert deployed.received() == []
    sqs = boto3.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=deployed.transitions, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


def test_should_report_what_failed_and_only_that(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    boto3.client("dynamodb").put_item(
        TableName="groups",
        Item={"group": {"S": '{"rule":"too-hot","site":"broken"}'}, "version": {"N": "1"}, "state": {"B": b"x\x9c"}},
    )
    answer = deployed(batch(firing(site="broken")), batch(firing()), "nonsense", encode_message(Wake("gone")))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}
    assert len(deployed.received()) == 1
    assert metrics(capsys.readouterr().out)["AlertsFiring"] == [1]


def test_should_raise_when_nothing_can_be_read(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    boto3.client("dynamodb").delete_table(TableName="groups")
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        deployed(batch(firing()))
    assert metrics(capsys.readouterr().out)["NotificationsPublished"] == [0]


def test_should_say_that_the_rules_are_broken(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    boto3.client("s3").put_object(Bucket="rules-bucket", Key="rules.yaml", Body=b"rules: 7")
    assert deployed(batch(firing(), then(firing(), "resolved"))) == {"batchItemFailures": []}
    seen = metrics(capsys.readouterr().out)
    assert (seen["RulesRejected"], seen["AlertsResolved"]) == ([1], [1])
    assert len(deployed.received()) == 1, "by the rules that came with the function"


def test_should_understand_its_own_wake_up(deployed: Deployed) -> None:
    deployed(batch(firing(rule="too-cold")))
    wake = decode_message(encode_message(Wake('{"rule":"too-cold","site":"s1"}')))
    assert deployed(encode_message(wake)) == {"batchItemFailures": []}
    assert deployed.received() == [], "it is too early"


def test_should_give_back_at_once_what_it_has_no_time_for(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=deployed.transitions, MessageBody=batch(firing()))
    (message,) = sqs.receive_message(QueueUrl=deployed.transitions)["Messages"]
    record = {"messageId": "m", "receiptHandle": message["ReceiptHandle"], "body": message["Body"]}
    monkeypatch.setattr(CONTEXT, "get_remaining_time_in_millis", lambda: 9_000)
    assert deployed.handler({"Records": [record]}, CONTEXT) == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert deployed.received() == []
    assert sqs.receive_message(QueueUrl=deployed.transitions)["Messages"][0]["Body"] == message["Body"]


@pytest.mark.parametrize("hours", [2, -2])
def test_should_take_the_time_from_sqs_while_its_clock_is_wrong(deployed: Deployed, hours: int) -> None:
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=deployed.transitions, MessageBody=batch(firing()))
    (message,) = sqs.receive_message(QueueUrl=deployed.transitions, AttributeNames=["All"])["Messages"]
    record = {"messageId": "m", "body": message["Body"], "attributes": message["Attributes"]}

    def wrong() -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)

    handler = bootstrap(NotifierFunction, Settings, environ=deployed.environ, runtime=LAMBDA._replace(clock=wrong))
    handler({"Records": [record]}, CONTEXT)
    (told,) = deployed.received()
    assert abs(told.published_at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
