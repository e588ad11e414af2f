"""The properties on which an alert's way depends: functions, queues, tables, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Template

from tests.infra.conftest import app_for, only, resources, templates_for


def _one(template: Template, kind: str, start: str) -> dict[str, Any]:
    """The properties of the one resource of a type whose logical id starts like that."""
    (resource,) = (found for name, found in resources(template, kind).items() if name.startswith(start))
    properties: dict[str, Any] = resource["Properties"]
    return properties


def _queue(template: Template, name: str) -> dict[str, Any]:
    found = [queue["Properties"] for queue in resources(template, "AWS::SQS::Queue").values()]
    queue: dict[str, Any]
    (queue,) = (of for of in found if of["QueueName"] == name)
    return queue


def _function(template: Template, service: str) -> dict[str, Any]:
    return _one(template, "AWS::Lambda::Function", service.capitalize())


def _mapping(template: Template, service: str) -> dict[str, Any]:
    return _one(template, "AWS::Lambda::EventSourceMapping", service.capitalize())


def test_should_keep_every_change_of_an_alert_in_the_lake(templates: dict[str, Template]) -> None:
    delivery = only(templates["alerts"], "AWS::KinesisFirehose::DeliveryStream")
    destination = delivery["ExtendedS3DestinationConfiguration"]

    assert (delivery["DeliveryStreamName"], delivery["DeliveryStreamType"]) == ("iot-dev-alerts", "DirectPut")
    assert destination["Prefix"] == "alerts/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
    assert destination["ErrorOutputPrefix"].startswith("alerts-errors/!{firehose:error-output-type}/dt=")
    assert destination["CompressionFormat"] == "GZIP"
    assert destination["BufferingHints"]["IntervalInSeconds"] == 60
    assert destination["CloudWatchLoggingOptions"]["Enabled"] is True


def test_should_give_up_on_a_batch_in_bounds_and_say_which(templates: dict[str, Template]) -> None:
    alerts = templates["alerts"]
    mapping = _mapping(alerts, "detector")
    (queue,) = (name for name in resources(alerts, "AWS::SQS::Queue") if name.startswith("Failures"))

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == 100
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": [queue, "Arn"]}}}
    assert _queue(alerts, "iot-dev-detector-failures")["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(("retention_hours", "days"), [("24", 1), ("72", 3), ("8760", 7)])
def test_should_wait_for_a_batch_as_long_as_the_stream_keeps_it(retention_hours: str, days: int) -> None:
    alerts = templates_for(app_for(stream_retention_hours=retention_hours))["alerts"]

    assert _mapping(alerts, "detector")["MaximumRecordAgeInSeconds"] == days * 24 * 3600


def test_should_read_the_stream_from_its_beginning_and_within_a_second(templates: dict[str, Template]) -> None:
    mapping = _mapping(templates["alerts"], "detector")

    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["MaximumBatchingWindowInSeconds"] <= 1


def test_should_hand_transitions_to_the_notifier_within_a_second_and_in_batches(templates: dict[str, Template]) -> None:
    mapping = _mapping(templates["alerts"], "notifier")

    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (100, 1)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_should_see_a_transition_again_that_the_notifier_had_no_time_for(templates: dict[str, Template]) -> None:
    alerts = templates["alerts"]
    queue = _queue(alerts, "iot-dev-transitions")
    (failures,) = (name for name in resources(alerts, "AWS::SQS::Queue") if name.startswith("TransitionsFailures"))
    window = _mapping(alerts, "notifier")["MaximumBatchingWindowInSeconds"]

    assert queue["VisibilityTimeout"] == 6 * _function(alerts, "notifier")["Timeout"] + window
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [failures, "Arn"]},
        "maxReceiveCount": 10,
    }


def test_should_keep_what_the_notifier_failed_on_longer_than_what_it_has_yet_to_see(
    templates: dict[str, Template],
) -> None:
    alerts = templates["alerts"]
    queue = _queue(alerts, "iot-dev-transitions")
    failures = _queue(alerts, "iot-dev-transitions-failures")

    assert failures["MessageRetentionPeriod"] == 14 * 24 * 3600 > queue["MessageRetentionPeriod"]


def test_should_run_the_watchdog_each_minute_and_never_again_for_the_same_one(templates: dict[str, Template]) -> None:
    alerts = templates["alerts"]
    rule = only(alerts, "AWS::Events::Rule")
    asynchronous = only(alerts, "AWS::Lambda::EventInvokeConfig")
    (watchdog,) = (name for name in resources(alerts, "AWS::Lambda::Function") if name.startswith("Watchdog"))
    (target,) = rule["Targets"]

    assert (rule["Name"], rule["ScheduleExpression"], rule["State"]) == (
        "iot-dev-watchdog-schedule",
        "rate(1 minute)",
        "ENABLED",
    )
    assert target["Arn"] == {"Fn::GetAtt": [watchdog, "Arn"]}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}
    assert asynchronous["FunctionName"] == {"Ref": watchdog}
    assert (asynchronous["MaximumRetryAttempts"], asynchronous["MaximumEventAgeInSeconds"]) == (0, 60)
    assert only(alerts, "AWS::Lambda::Permission")["Principal"] == "events.amazonaws.com"


@pytest.mark.parametrize("service", ["detector", "watchdog", "notifier"])
def test_should_run_functions_on_graviton_with_json_logs_of_their_own(
    service: str, templates: dict[str, Template]
) -> None:
    function = _function(templates["alerts"], service)

    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert function["Handler"] == f"lambdas.{service}.handler.handler"
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    templates["alerts"].has_resource_properties(
        "AWS::Logs::LogGroup", {"LogGroupName": f"/aws/lambda/iot-dev-{service}", "RetentionInDays": 14}
    )


def test_should_upload_one_bundle_for_all_functions(templates: dict[str, Template]) -> None:
    functions = resources(templates["alerts"], "AWS::Lambda::Function").values()

    assert len(functions) == 3
    assert len({function["Properties"]["Code"]["S3Key"] for function in functions}) == 1


@pytest.mark.parametrize(
    ("table", "keys"), [("State", {"gateway": "HASH", "part": "RANGE"}), ("Groups", {"group": "HASH"})]
)
def test_should_keep_alerts_on_demand_and_restorable(
    table: str, keys: dict[str, str], templates: dict[str, Template]
) -> None:
    found = _one(templates["alerts"], "AWS::DynamoDB::Table", table)

    assert {key["AttributeName"]: key["KeyType"] for key in found["KeySchema"]} == keys
    assert found["BillingMode"] == "PAY_PER_REQUEST"
    assert found["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert found["SSESpecification"] == {"SSEEnabled": True}
    assert found["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("table", ["State", "Groups"])
def test_should_find_what_is_due_by_its_keys_alone(table: str, templates: dict[str, Template]) -> None:
    found = _one(templates["alerts"], "AWS::DynamoDB::Table", table)

    assert found["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "due",
            "KeySchema": [
                {"AttributeName": "timer", "KeyType": "HASH"},
                {"AttributeName": "due", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ]
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in found["AttributeDefinitions"]}
    assert (types.pop("timer"), types.pop("due")) == ("N", "N")
    assert set(types.values()) == {"S"}


def test_should_keep_earlier_versions_of_the_rules(templates: dict[str, Template]) -> None:
    assert only(templates["alerts"], "AWS::S3::Bucket")["VersioningConfiguration"] == {"Status": "Enabled"}
