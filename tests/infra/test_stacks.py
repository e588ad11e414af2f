"""The properties on which a reading's way depends, stack by stack."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from tests.infra.conftest import app_for, resources, templates_for


def _only(template: Template, kind: str) -> dict[str, Any]:
    (resource,) = resources(template, kind).values()
    properties: dict[str, Any] = resource["Properties"]
    return properties


def test_should_encrypt_the_stream_and_let_it_scale_by_itself(templates: dict[str, Template]) -> None:
    stream = _only(templates["ingest"], "AWS::Kinesis::Stream")

    assert stream["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    assert stream["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert (stream["Name"], stream["RetentionPeriodHours"]) == ("iot-dev-readings", 24)


def test_should_provision_the_shards_that_were_asked_for() -> None:
    templates = templates_for(app_for(stream_mode="provisioned", shards="3", stream_retention_hours="48"))

    stream = _only(templates["ingest"], "AWS::Kinesis::Stream")

    assert (stream["ShardCount"], stream["RetentionPeriodHours"]) == (3, 48)


def test_should_deliver_raw_lines_compressed_into_folders_by_arrival(templates: dict[str, Template]) -> None:
    delivery = _only(templates["ingest"], "AWS::KinesisFirehose::DeliveryStream")
    destination = delivery["ExtendedS3DestinationConfiguration"]

    assert delivery["DeliveryStreamName"] == "iot-dev-raw"
    assert delivery["DeliveryStreamType"] == "KinesisStreamAsSource"
    assert destination["Prefix"] == "raw/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"
    assert destination["ErrorOutputPrefix"].startswith("raw-errors/!{firehose:error-output-type}/dt=")
    assert destination["CompressionFormat"] == "GZIP"
    assert destination["ProcessingConfiguration"] == {
        "Enabled": True,
        "Processors": [{"Type": "AppendDelimiterToRecord"}],
    }
    assert destination["BufferingHints"] == {"IntervalInSeconds": 60, "SizeInMBs": 128}
    assert destination["CloudWatchLoggingOptions"]["Enabled"] is True


def test_should_expire_raw_objects_by_stage_and_keep_curated_ones() -> None:
    templates = templates_for(app_for(stage="prod"))

    templates["ingest"].has_resource_properties(
        "AWS::S3::Bucket",
        {"LifecycleConfiguration": {"Rules": Match.array_with([Match.object_like({"ExpirationInDays": 365})])}},
    )
    lake = next(
        bucket for name, bucket in resources(templates["lake"], "AWS::S3::Bucket").items() if name.startswith("Lake")
    )
    assert all("ExpirationInDays" not in rule for rule in lake["Properties"]["LifecycleConfiguration"]["Rules"])


def test_should_give_up_on_a_batch_in_bounds_and_say_which(templates: dict[str, Template]) -> None:
    alerts = templates["alerts"]
    mapping = _only(alerts, "AWS::Lambda::EventSourceMapping")
    (queue,) = resources(alerts, "AWS::SQS::Queue")

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == 100
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": [queue, "Arn"]}}}
    assert _only(alerts, "AWS::SQS::Queue")["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(("retention_hours", "days"), [("24", 1), ("72", 3), ("8760", 7)])
def test_should_wait_for_a_batch_as_long_as_the_stream_keeps_it(retention_hours: str, days: int) -> None:
    alerts = templates_for(app_for(stream_retention_hours=retention_hours))["alerts"]

    assert _only(alerts, "AWS::Lambda::EventSourceMapping")["MaximumRecordAgeInSeconds"] == days * 24 * 3600


def test_should_read_the_stream_from_its_beginning_and_within_a_second(templates: dict[str, Template]) -> None:
    mapping = _only(templates["alerts"], "AWS::Lambda::EventSourceMapping")

    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["MaximumBatchingWindowInSeconds"] <= 1


def test_should_run_the_detector_on_graviton_with_json_logs_of_its_own(templates: dict[str, Template]) -> None:
    function = _only(templates["alerts"], "AWS::Lambda::Function")

    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert function["Handler"] == "lambdas.detector.handler.handler"
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    templates["alerts"].has_resource_properties(
        "AWS::Logs::LogGroup", {"LogGroupName": "/aws/lambda/iot-dev-detector", "RetentionInDays": 14}
    )


def test_should_keep_states_on_demand_and_restorable(templates: dict[str, Template]) -> None:
    table = _only(templates["alerts"], "AWS::DynamoDB::Table")

    assert table["KeySchema"] == [{"AttributeName": "gateway", "KeyType": "HASH"}]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["DeletionProtectionEnabled"] is True


def test_should_keep_earlier_versions_of_the_rules(templates: dict[str, Template]) -> None:
    assert _only(templates["alerts"], "AWS::S3::Bucket")["VersioningConfiguration"] == {"Status": "Enabled"}


def test_should_tell_everyone_who_is_named() -> None:
    templates = templates_for(app_for(alert_emails="a@example.com,b@example.com", operations_emails="ops@example.com"))

    def told(part: str) -> list[str]:
        subscriptions = resources(templates[part], "AWS::SNS::Subscription").values()
        return sorted(subscription["Properties"]["Endpoint"] for subscription in subscriptions)

    assert told("alerts") == ["a@example.com", "b@example.com"]
    assert told("monitoring") == ["ops@example.com"]


def test_should_cut_queries_off_and_encrypt_their_results(templates: dict[str, Template]) -> None:
    configuration = _only(templates["lake"], "AWS::Athena::WorkGroup")["WorkGroupConfiguration"]

    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["BytesScannedCutoffPerQuery"] == 10_000_000_000
    assert configuration["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    assert configuration["PublishCloudWatchMetricsEnabled"] is True


def test_should_project_the_raw_tables_partitions(templates: dict[str, Template]) -> None:
    templates["lake"].has_resource_properties(
        "AWS::Glue::Table",
        {
            "TableInput": {
                "Name": "raw",
                "Parameters": Match.object_like(
                    {
                        "projection.enabled": "true",
                        "projection.dt.type": "date",
                        "projection.dt.format": "yyyy-MM-dd",
                        "projection.dt.range": "NOW-35DAYS,NOW",
                        "projection.hour.type": "integer",
                        "projection.hour.range": "0,23",
                        "projection.hour.digits": "2",
                    }
                ),
                "StorageDescriptor": Match.object_like(
                    {
                        "SerdeInfo": Match.object_like(
                            {"Parameters": Match.object_like({"ignore.malformed.json": "true"})}
                        )
                    }
                ),
            }
        },
    )
    raw = next(
        table["Properties"]["TableInput"]
        for table in resources(templates["lake"], "AWS::Glue::Table").values()
        if table["Properties"]["TableInput"]["Name"] == "raw"
    )
    template = raw["Parameters"]["storage.location.template"]["Fn::Join"][1]
    assert template[-1] == "/raw/dt=${dt}/hour=${hour}"


def test_should_run_one_curation_at_a_time_each_hour(templates: dict[str, Template]) -> None:
    job = _only(templates["batch"], "AWS::Glue::Job")
    trigger = _only(templates["batch"], "AWS::Glue::Trigger")

    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert (job["Command"]["Name"], job["Command"]["PythonVersion"]) == ("pythonshell", "3.9")
    assert (trigger["Type"], trigger["Schedule"], trigger["StartOnCreation"]) == (
        "SCHEDULED",
        "cron(10 * * * ? *)",
        True,
    )
    assert trigger["Actions"] == [{"JobName": job["Name"]}]


def test_should_tell_the_job_how_long_raw_objects_are_kept() -> None:
    job = _only(templates_for(app_for(raw_retention_days="77"))["batch"], "AWS::Glue::Job")

    assert job["DefaultArguments"]["--raw_retention_days"] == "77"


def test_should_give_the_job_more_than_a_minute_on_an_emulator_that_counts_seconds(
    ministack_templates: dict[str, Template],
) -> None:
    assert _only(ministack_templates["batch"], "AWS::Glue::Job")["Timeout"] >= 60


def test_should_encrypt_the_jobs_logs_with_a_key_that_rotates(templates: dict[str, Template]) -> None:
    encryption = _only(templates["batch"], "AWS::Glue::SecurityConfiguration")["EncryptionConfiguration"]

    assert encryption["CloudWatchEncryption"]["CloudWatchEncryptionMode"] == "SSE-KMS"
    assert encryption["JobBookmarksEncryption"]["JobBookmarksEncryptionMode"] == "CSE-KMS"
    assert _only(templates["batch"], "AWS::KMS::Key")["EnableKeyRotation"] is True


def test_should_leave_out_on_ministack_what_it_refuses_and_nothing_else(
    templates: dict[str, Template], ministack_templates: dict[str, Template]
) -> None:
    def kinds(of: dict[str, Template]) -> set[tuple[str, str]]:
        return {
            (part, resource["Type"])
            for part, template in of.items()
            for resource in template.to_json()["Resources"].values()
        }

    assert kinds(templates) - kinds(ministack_templates) == {
        ("batch", "AWS::Glue::SecurityConfiguration"),
        ("batch", "AWS::KMS::Key"),
    }
    assert not [
        alarm
        for alarm in resources(ministack_templates["monitoring"], "AWS::CloudWatch::Alarm").values()
        if "Metrics" in alarm["Properties"]
    ]


def test_should_note_at_synth_what_is_left_out() -> None:
    assembly = app_for("ministack").synth()

    notes = [str(message.entry.data) for stack in assembly.stacks for message in stack.messages]

    assert len(notes) == 2
    assert any("MiniStack refuses AWS::Glue::SecurityConfiguration" in note for note in notes)
    assert any("no alarm rejected-readings" in note for note in notes)


def test_should_hand_out_what_programs_look_for(templates: dict[str, Template]) -> None:
    outputs = {
        part: {name for name in json.loads(json.dumps(template.find_outputs("*"))) if not name.startswith("Exports")}
        for part, template in templates.items()
    }

    assert outputs == {
        "ingest": {"StreamName", "RawBucketName", "DeliveryStreamName"},
        "alerts": {
            "AlertsTopicArn",
            "StateTableName",
            "ConfigBucketName",
            "RulesKey",
            "DetectorFunctionName",
            "FailureQueueUrl",
        },
        "lake": {"LakeBucketName", "DatabaseName", "WorkGroupName", "QueryResultsBucketName"},
        "batch": {"CurateJobName"},
        "monitoring": {"DashboardName"},
    }
