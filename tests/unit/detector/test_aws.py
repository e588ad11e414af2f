"""The detector's calls to DynamoDB, SNS and S3, against moto and against clients that fail on demand."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from lambdas.detector.rules_object import CHECK_EVERY, RulesObject
from lambdas.detector.states import StateConflictError, StatesUnavailableError, StateTable
from lambdas.detector.topic import AlertsTopic, PublishError
from telemetry.alerting import AlertState, GatewayState
from telemetry.message import AlertMessage
from telemetry.rules import parse_rules

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
FIRING = AlertState("firing", NOW, NOW, 7)


@pytest.fixture(autouse=True)
def aws():
    with mock_aws():
        yield


class TestStateTable:
    @pytest.fixture
    def client(self):
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="states",
            KeySchema=[{"AttributeName": "gateway", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "gateway", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        return client

    def test_should_give_back_what_was_committed_and_nothing_for_the_others(self, client) -> None:
        table = StateTable(client, "states")
        state = GatewayState("a", {"d": {"too-hot": FIRING}})
        table.commit(state, 0)
        assert table.load(["a", "b"]) == {"a": (state, 1), "b": (GatewayState("b"), 0)}

    def test_should_refuse_a_commit_on_a_stale_version(self, client) -> None:
        table = StateTable(client, "states")
        table.commit(GatewayState("a"), 0)
        table.commit(GatewayState("a"), 1)
        for stale in (0, 1):
            with pytest.raises(StateConflictError, match="no longer version"):
                table.commit(GatewayState("a"), stale)

    def test_should_load_more_gateways_than_one_request_takes(self, client) -> None:
        table = StateTable(client, "states")
        gateways = [f"gw-{i:03}" for i in range(230)]
        for gateway in gateways:
            table.commit(GatewayState(gateway), 0)
        assert {state.version for state in table.load(gateways).values()} == {1}

    def test_should_ask_again_for_what_dynamodb_left_unprocessed(self, client) -> None:
        StateTable(client, "states").commit(GatewayState("a"), 0)

        class Throttling:
            """Answers nothing the first time."""

            calls = 0

            def batch_get_item(self, **request: Any) -> Any:
                self.calls += 1
                if self.calls == 1:
                    return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}
                return client.batch_get_item(**request)

        waits: list[float] = []
        table = StateTable(Throttling(), "states", sleep=waits.append, chance=lambda: 1.0)  # type: ignore[arg-type]
        assert table.load(["a"])["a"].version == 1
        assert waits[0] == 0 < waits[1]

    def test_should_give_up_on_states_that_stay_unread(self) -> None:
        class Throttled:
            """Never answers anything."""

            calls = 0

            def batch_get_item(self, **request: Any) -> Any:
                self.calls += 1
                return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}

        throttled = Throttled()
        with pytest.raises(StatesUnavailableError, match="left 2 states unread"):
            StateTable(throttled, "states", sleep=lambda _: None).load(["a", "b"])  # type: ignore[arg-type]
        assert throttled.calls == 6

    def test_should_fit_thousands_of_alerts_of_one_gateway_into_one_item(self, client) -> None:
        alerts = {f"device-{i:05}": {"too-hot": FIRING, "too-humid": FIRING} for i in range(5000)}
        table = StateTable(client, "states")
        table.commit(GatewayState("a", alerts), 0)
        assert table.load(["a"])["a"].state.alerts == alerts


def message(alert_id: str) -> AlertMessage:
    return AlertMessage(
        alert_id=alert_id,
        state="firing",
        rule="too-hot",
        severity="critical",
        device="d",
        site="s",
        gateway="gw",
        metric="temperature",
        value=41.0,
        condition="temperature > 40",
        threshold=40.0,
        summary="d is hot",
        runbook="",
        started_at=NOW,
        changed_at=NOW,
        published_at=NOW,
    )


class TestAlertsTopic:
    def test_should_reach_a_queue_as_json_with_attributes_in_order(self) -> None:
        sns, sqs = boto3.client("sns"), boto3.client("sqs")
        topic = sns.create_topic(Name="alerts")["TopicArn"]
        queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox",
            Attributes={"RawMessageDelivery": "true"},
        )
        AlertsTopic(sns, topic).publish([message(f"id-{i}") for i in range(12)])
        received = []
        while messages := sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            received += messages
            for entry in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=entry["ReceiptHandle"])
        assert [json.loads(entry["Body"])["alert_id"] for entry in received] == [f"id-{i}" for i in range(12)]
        attributes = {name: value["StringValue"] for name, value in received[0]["MessageAttributes"].items()}
        assert attributes == {"severity": "critical", "site": "s", "rule": "too-hot", "state": "firing"}

    def test_should_raise_when_sns_refuses_one_of_many(self) -> None:
        class Refusing:
            """Refuses the second entry."""

            def publish_batch(self, **_: Any) -> Any:
                return {"Failed": [{"Id": "1", "Code": "ThrottlingException", "SenderFault": False}]}

        with pytest.raises(PublishError, match="refused 1 of 3 alerts: id-1: ThrottlingException"):
            AlertsTopic(Refusing(), "arn").publish([message(f"id-{i}") for i in range(3)])  # type: ignore[arg-type]


class TestRulesObject:
    PACKAGED = parse_rules("rules: []")

    @pytest.fixture
    def client(self):
        client = boto3.client("s3")
        client.create_bucket(Bucket="rules-bucket")
        client.put_bucket_versioning(Bucket="rules-bucket", VersioningConfiguration={"Status": "Enabled"})
        return client

    @pytest.fixture
    def clock(self):
        class Clock:
            now = 0.0

            def __call__(self) -> float:
                return self.now

        return Clock()

    def rules_object(self, client, clock) -> RulesObject:
        return RulesObject(client, "rules-bucket", "rules.yaml", packaged=self.PACKAGED, clock=clock)

    def put(self, client, text: str) -> None:
        client.put_object(Bucket="rules-bucket", Key="rules.yaml", Body=text.encode())

    def names(self, rules: RulesObject) -> list[str]:
        return [rule.name for rule in rules.current().rules]

    ONE = "rules: [{name: one, when: temperature > 1}]"
    TWO = "rules: [{name: two, when: temperature > 2}]"

    def test_should_use_the_packaged_rules_until_there_is_an_object(self, client, clock) -> None:
        rules = self.rules_object(client, clock)
        assert rules.current() is self.PACKAGED
        self.put(client, self.ONE)
        clock.now += CHECK_EVERY
        assert self.names(rules) == ["one"]

    def test_should_pick_up_an_edit_without_being_redeployed(self, client, clock) -> None:
        self.put(client, self.ONE)
        rules = self.rules_object(client, clock)
        assert self.names(rules) == ["one"]
        self.put(client, self.TWO)
        assert self.names(rules) == ["one"], "asks S3 only now and then"
        clock.now += CHECK_EVERY
        assert self.names(rules) == ["two"]

    def test_should_parse_again_only_when_the_object_changed(self, client, clock) -> None:
        self.put(client, self.ONE)
        rules = self.rules_object(client, clock)
        before = rules.current()
        clock.now += CHECK_EVERY
        assert rules.current() is before

    def test_should_keep_the_last_good_rules_when_an_edit_is_broken(self, client, clock) -> None:
        self.put(client, self.ONE)
        rules = self.rules_object(client, clock)
        rules.current()
        self.put(client, "rules: [{name: one}]")
        clock.now += CHECK_EVERY
        assert self.names(rules) == ["one"]
        assert rules.broken is not None
        assert "when" in rules.broken
        clock.now += CHECK_EVERY
        assert self.names(rules) == ["one"]
        assert rules.broken, "stays reported for as long as the object is broken"
        self.put(client, self.TWO)
        clock.now += CHECK_EVERY
        assert self.names(rules) == ["two"]
        assert rules.broken is None

    def test_should_find_the_last_good_rules_after_a_cold_start(self, client, clock) -> None:
        for text in (self.ONE, self.TWO, "rubbish", "rules: 7"):
            self.put(client, text)
        rules = self.rules_object(client, clock)
        assert self.names(rules) == ["two"]
        assert rules.broken

    def test_should_go_on_with_the_rules_in_memory_while_s3_cannot_be_read(self, client, clock) -> None:
        class Flaky:
            """S3, unreadable while ``error`` is set."""

            error: Exception | None = None

            def get_object(self, **request: Any) -> Any:
                if self.error:
                    raise self.error
                return client.get_object(**request)

        self.put(client, self.ONE)
        flaky = Flaky()
        rules = self.rules_object(flaky, clock)
        rules.current()
        for error in (
            ClientError({"Error": {"Code": "SlowDown", "Message": "reduce your rate"}}, "GetObject"),
            ConnectTimeoutError(endpoint_url="https://s3"),
        ):
            flaky.error = error
            clock.now += CHECK_EVERY
            assert self.names(rules) == ["one"]
            assert rules.broken == str(error)
        flaky.error = None
        clock.now += CHECK_EVERY
        assert self.names(rules) == ["one"]
        assert rules.broken is None

    def test_should_not_hide_that_the_bucket_cannot_be_read(self, client, clock) -> None:
        rules = RulesObject(client, "another-bucket", "rules.yaml", packaged=self.PACKAGED, clock=clock)
        with pytest.raises(ClientError, match="NoSuchBucket"):
            rules.current()
