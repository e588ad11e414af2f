"""Each role may do what its program does, on the ARNs that AWS asks about, and nothing beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk.assertions import Template

from telemetry.tables.curated import CURATED
from tests.infra.conftest import app_for, resources, templates_for
from tests.infra.permissions import ACCOUNT, REGION, Permissions

_HERE = f"{REGION}:{ACCOUNT}"
STREAM = f"arn:aws:kinesis:{_HERE}:stream/iot-dev-readings"
STATES = f"arn:aws:dynamodb:{_HERE}:table/State"
GROUPS = f"arn:aws:dynamodb:{_HERE}:table/Groups"
TRANSITIONS = f"arn:aws:sqs:{_HERE}:iot-dev-transitions"
HISTORY = f"arn:aws:firehose:{_HERE}:deliverystream/iot-dev-alerts"
RULES, REGISTRY = "arn:aws:s3:::Config/rules.yaml", "arn:aws:s3:::Config/registry/devices.csv"
TOPIC = f"arn:aws:sns:{_HERE}:iot-dev-alerts"
TEXT_TOPIC = f"{TOPIC}-text"
TOPIC_KEY = f"arn:aws:kms:{_HERE}:key/Key"
FAILURES = f"arn:aws:sqs:{_HERE}:iot-dev-detector-failures"
TRANSITIONS_FAILURES = f"{TRANSITIONS}-failures"
DETECTOR_LOG = f"arn:aws:logs:{_HERE}:log-group:/aws/lambda/iot-dev-detector:log-stream:2026/11/23/[$LATEST]5ad1"
WATCHDOG_LOG, NOTIFIER_LOG = (DETECTOR_LOG.replace("detector", name) for name in ("watchdog", "notifier"))
DELIVERY_LOG = f"arn:aws:logs:{_HERE}:log-group:/aws/kinesisfirehose/iot-dev-raw:log-stream:S3Delivery"
JOB_LOG = f"arn:aws:logs:{_HERE}:log-group:/aws-glue/python-jobs-iot-dev-curate-encryption/output:log-stream:jr_1"
RAW, RAW_OBJECT = "arn:aws:s3:::Raw", "arn:aws:s3:::Raw/raw/dt=2026-11-23/hour=13/iot-dev-raw-1-2026-11-23-13-07-50-a"
ALERTS_OBJECT = "arn:aws:s3:::Lake/alerts/dt=2026-11-23/hour=13/iot-dev-alerts-1-2026-11-23-13-07-50-a"
ALERTS_DELIVERY_LOG = DELIVERY_LOG.replace("iot-dev-raw", "iot-dev-alerts")
LAKE, LAKE_FILE = "arn:aws:s3:::Lake", "arn:aws:s3:::Lake/readings/dt=2026-11-23/run/00-23.parquet"
DEVICES, INDEX = "arn:aws:s3:::Lake/devices/devices.parquet", "arn:aws:s3:::Lake/curate/index/dt=2026-11-23/a"
PROGRESS = f"arn:aws:dynamodb:{_HERE}:table/CurateState"
CURATED_FILES = [LAKE_FILE.replace("readings", table.name) for table in CURATED]
READINGS_TABLE = f"arn:aws:glue:{_HERE}:table/iot_dev/readings"
CURATED_TABLES = [READINGS_TABLE.replace("readings", table.name) for table in CURATED]
OTHER_TABLES = [READINGS_TABLE.replace("readings", name) for name in ("raw", "alerts", "devices")]
WRITING = ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload")
SWITCHING = ("GetTable", "GetPartitions", "BatchCreatePartition", "BatchUpdatePartition")

#: What reads the rules and tells the notifier.
FUNCTIONS = ("alerts.Detector", "alerts.Watchdog", "alerts.Notifier")


def _group(log_stream: str) -> str:
    """The ARN that CreateLogStream is asked about: the stream's group."""
    return f"{log_stream.partition(':log-stream:')[0]}:*"


@pytest.fixture(scope="module")
def permissions(templates: dict[str, Template]) -> Permissions:
    return Permissions(templates)


@pytest.mark.parametrize(
    ("user", "action", "arn", "condition"),
    [
        ("alerts.Detector", "kinesis:GetRecords", STREAM, {}),
        ("alerts.Detector", "kinesis:GetShardIterator", STREAM, {}),
        ("alerts.Detector", "kinesis:DescribeStreamSummary", STREAM, {}),
        ("alerts.Detector", "kinesis:ListShards", STREAM, {}),
        *(("alerts.Detector", f"dynamodb:{name}", STATES, {}) for name in ("BatchGetItem", "PutItem", "UpdateItem")),
        ("alerts.Detector", "sqs:SendMessage", FAILURES, {}),
        ("alerts.Detector", "logs:CreateLogStream", _group(DETECTOR_LOG), {}),
        ("alerts.Detector", "logs:PutLogEvents", DETECTOR_LOG, {}),
        *(
            ("alerts.Watchdog", f"dynamodb:{name}", STATES, {})
            for name in ("BatchGetItem", "PutItem", "UpdateItem", "Scan")
        ),
        ("alerts.Watchdog", "dynamodb:Query", f"{STATES}/index/due", {}),
        ("alerts.Watchdog", "dynamodb:Query", f"{GROUPS}/index/due", {}),
        ("alerts.Watchdog", "logs:PutLogEvents", WATCHDOG_LOG, {}),
        *(("alerts.Notifier", f"dynamodb:{name}", GROUPS, {}) for name in ("BatchGetItem", "PutItem", "DeleteItem")),
        ("alerts.Notifier", "sqs:ReceiveMessage", TRANSITIONS, {}),
        ("alerts.Notifier", "sqs:DeleteMessage", TRANSITIONS, {}),
        ("alerts.Notifier", "sqs:ChangeMessageVisibility", TRANSITIONS, {}),
        ("alerts.Notifier", "sqs:GetQueueAttributes", TRANSITIONS, {}),
        ("alerts.Notifier", "firehose:PutRecordBatch", HISTORY, {}),
        *(("alerts.Notifier", "sns:Publish", topic, {}) for topic in (TOPIC, TEXT_TOPIC)),
        ("alerts.Notifier", "kms:GenerateDataKey", TOPIC_KEY, {}),
        ("alerts.Notifier", "kms:Decrypt", TOPIC_KEY, {}),
        ("alerts.Notifier", "logs:PutLogEvents", NOTIFIER_LOG, {}),
        *((user, "sqs:SendMessage", TRANSITIONS, {}) for user in FUNCTIONS),
        *((user, "s3:GetObject", key, {}) for user in FUNCTIONS for key in (RULES, REGISTRY)),
        *((user, "s3:GetObjectVersion", key, {}) for user in FUNCTIONS for key in (RULES, REGISTRY)),
        *((user, "s3:ListBucket", "arn:aws:s3:::Config", {}) for user in FUNCTIONS),
        ("alerts.Delivery", "s3:ListBucket", "arn:aws:s3:::Lake", {}),
        ("alerts.Delivery", "s3:PutObject", ALERTS_OBJECT, {}),
        ("alerts.Delivery", "s3:PutObject", "arn:aws:s3:::Lake/alerts-errors/processing-failed/dt=2026-11-23/a", {}),
        ("alerts.Delivery", "logs:PutLogEvents", ALERTS_DELIVERY_LOG, {}),
        ("ingest.Delivery", "kinesis:DescribeStream", STREAM, {}),
        ("ingest.Delivery", "kinesis:GetRecords", STREAM, {}),
        ("ingest.Delivery", "s3:ListBucket", RAW, {}),
        ("ingest.Delivery", "s3:PutObject", RAW_OBJECT, {}),
        (
            "ingest.Delivery",
            "s3:PutObject",
            "arn:aws:s3:::Raw/raw-errors/processing-failed/dt=2026-11-23/hour=13/a",
            {},
        ),
        ("ingest.Delivery", "logs:PutLogEvents", DELIVERY_LOG, {}),
        ("batch.Curate", "s3:ListBucket", RAW, {"s3:prefix": "raw/dt=2026-11-23/hour=13/"}),
        ("batch.Curate", "s3:GetObject", RAW_OBJECT, {}),
        ("batch.Curate", "s3:ListBucket", LAKE, {}),
        *(("batch.Curate", f"s3:{name}", key, {}) for name in WRITING for key in CURATED_FILES),
        *(("batch.Curate", f"s3:{name}", DEVICES, {}) for name in ("PutObject", "AbortMultipartUpload")),
        *(("batch.Curate", f"s3:{name}", INDEX, {}) for name in ("GetObject", "PutObject", "DeleteObject")),
        ("batch.Curate", "s3:GetObject", REGISTRY, {}),
        # How S3 asks whether a key that is not there may be called missing.
        ("batch.Curate", "s3:ListBucket", "arn:aws:s3:::Config", {"s3:prefix": "registry/devices.csv"}),
        *(("batch.Curate", f"dynamodb:{name}", PROGRESS, {}) for name in ("GetItem", "PutItem", "UpdateItem")),
        *(("batch.Curate", f"glue:{name}", table, {}) for name in SWITCHING for table in CURATED_TABLES),
        ("batch.Curate", "glue:BatchUpdatePartition", f"arn:aws:glue:{_HERE}:catalog", {}),
        ("batch.Curate", "glue:BatchUpdatePartition", f"arn:aws:glue:{_HERE}:database/iot_dev", {}),
        ("batch.Curate", "glue:GetSecurityConfiguration", "*", {}),
        ("batch.Curate", "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "IoTPipeline"}),
        ("batch.Curate", "logs:CreateLogGroup", _group(JOB_LOG), {}),
        ("batch.Curate", "logs:AssociateKmsKey", _group(JOB_LOG), {}),
        ("batch.Curate", "logs:CreateLogStream", _group(JOB_LOG), {}),
        ("batch.Curate", "logs:PutLogEvents", JOB_LOG, {}),
        ("batch.Curate", "kms:GenerateDataKey", f"arn:aws:kms:{_HERE}:key/CurateKey", {}),
    ],
)
def test_should_allow(user: str, action: str, arn: str, condition: dict[str, str], permissions: Permissions) -> None:
    assert permissions.allows(user, action, arn, condition)


@pytest.mark.parametrize(
    ("user", "action", "arn", "condition"),
    [
        ("alerts.Detector", "kinesis:PutRecord", STREAM, {}),
        *((f"alerts.{function}", "dynamodb:DeleteItem", STATES, {}) for function in ("Detector", "Watchdog")),
        ("alerts.Detector", "dynamodb:Scan", STATES, {}),
        ("alerts.Detector", "dynamodb:Query", f"{STATES}/index/due", {}),
        ("alerts.Detector", "dynamodb:PutItem", GROUPS, {}),
        *(("alerts.Detector", "sns:Publish", topic, {}) for topic in (TOPIC, TEXT_TOPIC)),
        ("alerts.Detector", "kms:GenerateDataKey", TOPIC_KEY, {}),
        ("alerts.Detector", "sqs:ReceiveMessage", TRANSITIONS, {}),
        ("alerts.Watchdog", "kinesis:GetRecords", STREAM, {}),
        ("alerts.Watchdog", "dynamodb:Query", STATES, {}),
        ("alerts.Watchdog", "dynamodb:Query", GROUPS, {}),
        ("alerts.Watchdog", "dynamodb:PutItem", GROUPS, {}),
        ("alerts.Watchdog", "sns:Publish", TOPIC, {}),
        ("alerts.Watchdog", "sqs:ReceiveMessage", TRANSITIONS, {}),
        ("alerts.Watchdog", "sqs:SendMessage", FAILURES, {}),
        ("alerts.Notifier", "dynamodb:PutItem", STATES, {}),
        ("alerts.Notifier", "dynamodb:Query", f"{GROUPS}/index/due", {}),
        ("alerts.Notifier", "sqs:PurgeQueue", TRANSITIONS, {}),
        ("alerts.Notifier", "sqs:ReceiveMessage", TRANSITIONS_FAILURES, {}),
        ("alerts.Notifier", "sns:Publish", TOPIC.replace("alerts", "operations"), {}),
        ("alerts.Notifier", "firehose:PutRecordBatch", HISTORY.replace("alerts", "raw"), {}),
        ("alerts.Notifier", "s3:PutObject", ALERTS_OBJECT, {}),
        *((user, "s3:PutObject", key, {}) for user in FUNCTIONS for key in (RULES, REGISTRY)),
        *((user, "s3:GetObject", "arn:aws:s3:::Config/other.yaml", {}) for user in FUNCTIONS),
        *((user, "logs:PutLogEvents", DELIVERY_LOG, {}) for user in FUNCTIONS),
        ("alerts.Watchdog", "logs:PutLogEvents", DETECTOR_LOG, {}),
        ("alerts.Delivery", "s3:PutObject", LAKE_FILE, {}),
        ("alerts.Delivery", "s3:PutObject", RAW_OBJECT, {}),
        ("alerts.Delivery", "kinesis:GetRecords", STREAM, {}),
        ("ingest.Delivery", "logs:PutLogEvents", DELIVERY_LOG.replace("S3Delivery", "Other"), {}),
        ("ingest.Delivery", "s3:PutObject", "arn:aws:s3:::Raw/elsewhere/a", {}),
        ("ingest.Delivery", "s3:DeleteObject", RAW_OBJECT, {}),
        ("batch.Curate", "s3:ListBucket", RAW, {"s3:prefix": "raw-errors/"}),
        ("batch.Curate", "s3:ListBucket", RAW, {}),
        ("batch.Curate", "s3:DeleteObject", RAW_OBJECT, {}),
        ("batch.Curate", "s3:PutObject", RAW_OBJECT, {}),
        ("batch.Curate", "s3:GetObject", RAW_OBJECT.replace("raw/", "raw-errors/"), {}),
        *(("batch.Curate", f"s3:{name}", "arn:aws:s3:::Lake/elsewhere/a", {}) for name in WRITING),
        *(("batch.Curate", f"s3:{name}", ALERTS_OBJECT, {}) for name in WRITING),
        ("batch.Curate", "s3:PutObject", "arn:aws:s3:::Lake/readings", {}),
        ("batch.Curate", "s3:DeleteObject", DEVICES, {}),
        ("batch.Curate", "s3:GetObject", DEVICES, {}),
        ("batch.Curate", "s3:PutObject", "arn:aws:s3:::Lake/devices/more.parquet", {}),
        ("batch.Curate", "s3:GetObject", RULES, {}),
        ("batch.Curate", "s3:PutObject", REGISTRY, {}),
        ("batch.Curate", "s3:ListBucket", "arn:aws:s3:::Config", {}),
        ("batch.Curate", "s3:ListBucket", "arn:aws:s3:::Config", {"s3:prefix": "rules.yaml"}),
        ("batch.Curate", "s3:ListBucket", "arn:aws:s3:::Config", {"s3:prefix": "registry/"}),
        *(("batch.Curate", f"dynamodb:{name}", PROGRESS, {}) for name in ("DeleteItem", "Scan", "Query")),
        *(("batch.Curate", f"dynamodb:{name}", STATES, {}) for name in ("GetItem", "PutItem", "UpdateItem")),
        *(("batch.Curate", f"glue:{name}", table, {}) for name in SWITCHING for table in OTHER_TABLES),
        ("batch.Curate", "glue:BatchDeletePartition", READINGS_TABLE, {}),
        ("batch.Curate", "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Glue"}),
        *((user, "dynamodb:UpdateItem", PROGRESS, {}) for user in FUNCTIONS),
        ("batch.Curate", "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/Lambda"}),
        ("batch.Curate", "logs:PutLogEvents", DETECTOR_LOG, {}),
    ],
)
def test_should_not_allow(
    user: str, action: str, arn: str, condition: dict[str, str], permissions: Permissions
) -> None:
    assert not permissions.allows(user, action, arn, condition)


def test_should_let_a_spark_job_put_glues_metrics_too_and_nothing_else(templates: dict[str, Template]) -> None:
    spark = templates_for(app_for(etl_engine="spark"))
    glues = {"cloudwatch:namespace": "Glue"}

    assert Permissions(spark).allows("batch.Curate", "cloudwatch:PutMetricData", "*", glues)
    log = JOB_LOG.replace("python-jobs", "jobs")
    assert Permissions(spark).allows("batch.Curate", "logs:PutLogEvents", log)
    assert _statements(spark) - _statements(templates) == {
        json.dumps(
            {
                "Action": "cloudwatch:PutMetricData",
                "Condition": {"StringEquals": {"cloudwatch:namespace": "Glue"}},
                "Effect": "Allow",
                "Resource": "*",
            }
        )
    }


def _statements(templates: dict[str, Template]) -> set[str]:
    """What the curation job's role says, but for where its code is."""
    (role,) = resources(templates["batch"], "AWS::IAM::Role").values()
    return {
        json.dumps(statement, sort_keys=True)
        for policy in role["Properties"]["Policies"]
        if policy["PolicyName"] != "ReadCode"
        for statement in policy["PolicyDocument"]["Statement"]
    }


def test_should_know_everyone_who_has_a_role(permissions: Permissions) -> None:
    assert permissions.users == {*FUNCTIONS, "alerts.Delivery", "ingest.Delivery", "batch.Curate"}


def test_should_append_nothing_to_a_log_groups_arn(templates: dict[str, Template]) -> None:
    # On AWS it ends in ":*" already: what is appended to it matches no log stream.
    def joins(value: Any) -> list[list[Any]]:
        if isinstance(value, list):
            return [found for item in value for found in joins(item)]
        if not isinstance(value, dict):
            return []
        here = [value["Fn::Join"][1]] if "Fn::Join" in value else []
        return here + joins(list(value.values()))

    groups = [name for template in templates.values() for name in resources(template, "AWS::Logs::LogGroup")]
    policies = [
        policy
        for template in templates.values()
        for role in resources(template, "AWS::IAM::Role").values()
        for policy in role["Properties"]["Policies"]
    ]

    assert len(groups) == 5
    assert len(joins(policies)) > 5
    assert not [pieces for pieces in joins(policies) for group in groups if f'["{group}", "Arn"]' in json.dumps(pieces)]
