"""The properties on which a reading's way depends, stack by stack."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aws_cdk.assertions import Template

from pipeline.names import DEVICES_KEY
from telemetry.tables.curated import CURATED
from tests.infra.conftest import ROOT, app_for, only, resources, templates_for


def test_should_encrypt_the_stream_and_let_it_scale_by_itself(templates: dict[str, Template]) -> None:
    stream = only(templates["ingest"], "AWS::Kinesis::Stream")

    assert stream["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    assert stream["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert (stream["Name"], stream["RetentionPeriodHours"]) == ("iot-dev-readings", 24)


def test_should_provision_the_shards_that_were_asked_for() -> None:
    templates = templates_for(app_for(stream_mode="provisioned", shards="3", stream_retention_hours="48"))

    stream = only(templates["ingest"], "AWS::Kinesis::Stream")

    assert (stream["ShardCount"], stream["RetentionPeriodHours"]) == (3, 48)


def test_should_deliver_raw_lines_compressed_into_folders_by_arrival(templates: dict[str, Template]) -> None:
    delivery = only(templates["ingest"], "AWS::KinesisFirehose::DeliveryStream")
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


def _lifecycle(template: Template, bucket: str) -> dict[str, dict[str, Any]]:
    """A bucket's rules by prefix; those about the whole bucket under the empty one."""
    (found,) = (r for name, r in resources(template, "AWS::S3::Bucket").items() if name[:-8] == bucket)
    rules = found["Properties"]["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    return {rule.get("Prefix", ""): rule for rule in rules}


@pytest.mark.parametrize(
    ("stage", "expires", "archived"),
    [("dev", 35, None), ("staging", 90, None), ("prod", 365, {"StorageClass": "GLACIER_IR", "TransitionInDays": 35})],
)
def test_should_expire_and_archive_raw_objects_by_stage(
    stage: str, expires: int, archived: dict[str, Any] | None
) -> None:
    rules = _lifecycle(templates_for(app_for(stage=stage))["ingest"], "Raw")

    assert rules[""]["ExpirationInDays"] == expires
    assert rules.get("raw/", {}).get("Transitions") == (archived and [archived])


@pytest.mark.parametrize(
    ("stage", "archived"),
    [("dev", None), ("staging", None), ("prod", {"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": 35})],
)
def test_should_keep_curated_partitions_for_ever_and_archive_them_by_stage(
    stage: str, archived: dict[str, Any] | None
) -> None:
    rules = _lifecycle(templates_for(app_for(stage=stage))["lake"], "Lake")

    moved = {prefix: rule["Transitions"] for prefix, rule in rules.items() if "Transitions" in rule}
    assert moved == ({f"{table.name}/": [archived] for table in CURATED} if archived else {})
    assert [prefix for prefix, rule in rules.items() if "ExpirationInDays" in rule] == ["curate/index/"]


def test_should_expire_what_the_lake_collects_and_never_what_the_curation_goes_on_from() -> None:
    templates = templates_for(app_for(curated_retention_days="40", raw_retention_days="400"))
    rules = _lifecycle(templates["lake"], "Lake")

    expired = {prefix: rule["ExpirationInDays"] for prefix, rule in rules.items() if "ExpirationInDays" in rule}
    # The index outlives the last raw object it is about, however soon the tables go.
    assert expired.pop("curate/index/") == 401
    assert expired == dict.fromkeys(
        [*(f"{table.name}/" for table in CURATED), "alerts/", "alerts-errors/", "ground_truth/"], 40
    )


def test_should_end_uploads_that_were_given_up_and_results_nobody_fetches(templates: dict[str, Template]) -> None:
    results = _lifecycle(templates["lake"], "QueryResults")[""]

    for part, bucket in (("ingest", "Raw"), ("lake", "Lake"), ("lake", "QueryResults"), ("alerts", "Config")):
        rule = _lifecycle(templates[part], bucket)[""]
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert results["ExpirationInDays"] == 7


def test_should_tell_everyone_who_is_named() -> None:
    templates = templates_for(app_for(alert_emails="a@example.com,b@example.com", operations_emails="ops@example.com"))

    def told(part: str) -> list[str]:
        subscriptions = resources(templates[part], "AWS::SNS::Subscription").values()
        return sorted(subscription["Properties"]["Endpoint"] for subscription in subscriptions)

    assert told("alerts") == ["a@example.com", "b@example.com"]
    assert told("monitoring") == ["ops@example.com"]
    subscriptions = resources(templates["alerts"], "AWS::SNS::Subscription").values()
    (texts,) = {subscription["Properties"]["TopicArn"]["Ref"] for subscription in subscriptions}
    assert resources(templates["alerts"], "AWS::SNS::Topic")[texts]["Properties"]["TopicName"] == "iot-dev-alerts-text"


def test_should_cut_queries_off_and_encrypt_their_results(templates: dict[str, Template]) -> None:
    configuration = only(templates["lake"], "AWS::Athena::WorkGroup")["WorkGroupConfiguration"]

    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["BytesScannedCutoffPerQuery"] == 10_000_000_000
    assert configuration["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    assert configuration["PublishCloudWatchMetricsEnabled"] is True


def _table(template: Template, name: str) -> dict[str, Any]:
    (found,) = (
        table["Properties"]["TableInput"]
        for table in resources(template, "AWS::Glue::Table").values()
        if table["Properties"]["TableInput"]["Name"] == name
    )
    input_: dict[str, Any] = found
    return input_


@pytest.mark.parametrize(("name", "first_day"), [("raw", "NOW-35DAYS"), ("alerts", "2026-11-01")])
def test_should_project_the_partitions_of_what_firehose_delivers(
    name: str, first_day: str, templates: dict[str, Template]
) -> None:
    table = _table(templates["lake"], name)

    assert (
        table["Parameters"].items()
        >= {
            "projection.enabled": "true",
            "projection.dt.type": "date",
            "projection.dt.format": "yyyy-MM-dd",
            "projection.dt.range": f"{first_day},NOW",
            "projection.hour.type": "integer",
            "projection.hour.range": "0,23",
            "projection.hour.digits": "2",
        }.items()
    )
    assert table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"] == "org.openx.data.jsonserde.JsonSerDe"
    assert table["StorageDescriptor"]["SerdeInfo"]["Parameters"]["ignore.malformed.json"] == "true"
    template = table["Parameters"]["storage.location.template"]["Fn::Join"][1]
    assert template[-1] == f"/{name}/dt=${{dt}}/hour=${{hour}}"


def test_should_look_for_alerts_no_further_back_than_the_lake_keeps_them() -> None:
    lake = templates_for(app_for(curated_retention_days="400"))["lake"]

    assert _table(lake, "alerts")["Parameters"]["projection.dt.range"] == "NOW-400DAYS,NOW"


def test_should_lay_the_table_of_alerts_over_what_is_delivered_there(templates: dict[str, Template]) -> None:
    delivery = only(templates["alerts"], "AWS::KinesisFirehose::DeliveryStream")
    location = _table(templates["lake"], "alerts")["StorageDescriptor"]["Location"]["Fn::Join"][1]

    (bucket,) = (part["Ref"] for part in location if isinstance(part, dict))
    exported = delivery["ExtendedS3DestinationConfiguration"]["BucketARN"]["Fn::ImportValue"]
    assert bucket in exported
    assert delivery["ExtendedS3DestinationConfiguration"]["Prefix"].startswith(location[-1].removeprefix("/"))


def test_should_lay_the_table_of_devices_over_its_one_object(templates: dict[str, Template]) -> None:
    table = _table(templates["lake"], "devices")

    assert table["PartitionKeys"] == []
    assert table["StorageDescriptor"]["Location"]["Fn::Join"][1][-1] == "/devices/"
    assert DEVICES_KEY.startswith("devices/")
    assert table["StorageDescriptor"]["InputFormat"].endswith("MapredParquetInputFormat")


def test_should_save_every_named_query_for_our_workgroup_on_aws_only(
    templates: dict[str, Template], ministack_templates: dict[str, Template]
) -> None:
    (database,) = resources(templates["lake"], "AWS::Glue::Database")
    (workgroup,) = resources(templates["lake"], "AWS::Athena::WorkGroup")
    files = {path.stem: path.read_text() for path in (ROOT / "pipeline" / "queries").glob("*.sql")}

    saved = [query["Properties"] for query in resources(templates["lake"], "AWS::Athena::NamedQuery").values()]

    assert {query["Name"]: query["QueryString"] for query in saved} == files
    assert files
    for query in saved:
        assert (query["Database"], query["WorkGroup"]) == ({"Ref": database}, {"Ref": workgroup})
        assert files[query["Name"]].startswith(f"-- title: {query['Description'].partition(': ')[0]}\n")
    assert not resources(ministack_templates["lake"], "AWS::Athena::NamedQuery")


def test_should_run_one_curation_at_a_time_each_hour(templates: dict[str, Template]) -> None:
    job = only(templates["batch"], "AWS::Glue::Job")
    trigger = only(templates["batch"], "AWS::Glue::Trigger")

    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert (job["Command"]["Name"], job["Command"]["PythonVersion"]) == ("pythonshell", "3.9")
    assert (trigger["Type"], trigger["Schedule"], trigger["StartOnCreation"]) == (
        "SCHEDULED",
        "cron(10 * * * ? *)",
        True,
    )
    assert trigger["Actions"] == [{"JobName": job["Name"]}]


def test_should_run_the_curation_on_spark_where_that_is_set(templates: dict[str, Template]) -> None:
    shell = only(templates["batch"], "AWS::Glue::Job")
    batch = templates_for(app_for(etl_engine="spark"))["batch"]
    spark = only(batch, "AWS::Glue::Job")

    assert (spark["Command"]["Name"], spark["Command"]["PythonVersion"]) == ("glueetl", "3")
    assert (spark["GlueVersion"], spark["WorkerType"], spark["NumberOfWorkers"]) == ("5.0", "G.1X", 10)
    assert "MaxCapacity" not in spark
    assert spark["Command"]["ScriptLocation"] != shell["Command"]["ScriptLocation"]
    same = ("Name", "Role", "Timeout", "MaxRetries", "ExecutionProperty", "SecurityConfiguration")
    assert {name: spark[name] for name in same} == {name: shell[name] for name in same}
    assert resources(batch, "AWS::Glue::Trigger") == resources(templates["batch"], "AWS::Glue::Trigger")


def test_should_install_our_wheel_on_sparks_executors_too(templates: dict[str, Template]) -> None:
    shell = only(templates["batch"], "AWS::Glue::Job")["DefaultArguments"]
    spark = only(templates_for(app_for(etl_engine="spark"))["batch"], "AWS::Glue::Job")["DefaultArguments"]

    # As the template has it: texts around the region and the account of the bucket that the wheel is in.
    modules, wheel = json.dumps(spark["--additional-python-modules"]), json.dumps(shell["--extra-py-files"])
    assert "s3://" in modules
    ours = re.search(r"/(iot_pipeline_curate-[^\"/]+\.whl),", modules)
    assert ours is not None
    assert ours[1] in wheel
    assert ",sqlglot==" in modules
    assert "--extra-py-files" not in spark
    assert "library-set" not in spark
    assert (spark["--enable-auto-scaling"], spark["--enable-metrics"]) == ("true", "true")


def test_should_remember_how_far_the_curation_is(templates: dict[str, Template]) -> None:
    (name,) = resources(templates["batch"], "AWS::DynamoDB::Table")
    table = only(templates["batch"], "AWS::DynamoDB::Table")

    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "id", "AttributeType": "S"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert only(templates["batch"], "AWS::Glue::Job")["DefaultArguments"]["--state_table"] == {"Ref": name}


def test_should_tell_the_job_how_long_raw_objects_are_kept() -> None:
    job = only(templates_for(app_for(raw_retention_days="77"))["batch"], "AWS::Glue::Job")

    assert job["DefaultArguments"]["--raw_retention_days"] == "77"


def test_should_give_the_job_more_than_a_minute_on_an_emulator_that_counts_seconds(
    ministack_templates: dict[str, Template],
) -> None:
    assert only(ministack_templates["batch"], "AWS::Glue::Job")["Timeout"] >= 60


def test_should_encrypt_the_jobs_logs_with_a_key_that_rotates(templates: dict[str, Template]) -> None:
    encryption = only(templates["batch"], "AWS::Glue::SecurityConfiguration")["EncryptionConfiguration"]

    assert encryption["CloudWatchEncryption"]["CloudWatchEncryptionMode"] == "SSE-KMS"
    assert encryption["JobBookmarksEncryption"]["JobBookmarksEncryptionMode"] == "CSE-KMS"
    assert only(templates["batch"], "AWS::KMS::Key")["EnableKeyRotation"] is True


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
        ("lake", "AWS::Athena::NamedQuery"),
        ("batch", "AWS::Glue::SecurityConfiguration"),
        ("batch", "AWS::KMS::Key"),
        ("monitoring", "AWS::CloudWatch::CompositeAlarm"),
    }
    assert not [
        alarm
        for alarm in resources(ministack_templates["monitoring"], "AWS::CloudWatch::Alarm").values()
        if "Metrics" in alarm["Properties"]
    ]


def test_should_note_at_synth_what_is_left_out() -> None:
    assembly = app_for("ministack").synth()

    notes = [str(message.entry.data) for stack in assembly.stacks for message in stack.messages]

    assert len(notes) == 4
    assert any("no alarm pipeline-unhealthy" in note for note in notes)
    assert any("MiniStack refuses AWS::Athena::NamedQuery" in note for note in notes)
    assert any("MiniStack refuses AWS::Glue::SecurityConfiguration" in note for note in notes)
    assert any("no alarms alerts-undelivered, rejected-readings and watchdog-stopped" in note for note in notes)


def test_should_hand_out_what_programs_look_for(templates: dict[str, Template]) -> None:
    outputs = {
        part: {name for name in json.loads(json.dumps(template.find_outputs("*"))) if not name.startswith("Exports")}
        for part, template in templates.items()
    }

    assert outputs == {
        "ingest": {"Ingest", "StreamName", "RawBucketName", "DeliveryStreamName"},
        "alerts": {
            "AlertsTextTopicArn",
            "AlertsTopicArn",
            "StateTableName",
            "ConfigBucketName",
            "RulesKey",
            "RegistryKey",
            "DetectorFunctionName",
            "WatchdogFunctionName",
            "NotifierFunctionName",
            "FailureQueueUrl",
            "GroupTableName",
            "TransitionsQueueUrl",
            "AlertsDeliveryStreamName",
        },
        "lake": {"LakeBucketName", "DatabaseName", "WorkGroupName", "QueryResultsBucketName"},
        "batch": {"CurateJobName", "CurateStateTableName"},
        "monitoring": {"DashboardName"},
    }
