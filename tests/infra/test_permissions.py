"""Each role may do what its program does, on the ARNs that AWS asks about, and nothing beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk.assertions import Template

from tests.infra.conftest import resources
from tests.infra.permissions import ACCOUNT, REGION, Permissions

_HERE = f"{REGION}:{ACCOUNT}"
STREAM = f"arn:aws:kinesis:{_HERE}:stream/iot-dev-readings"
STATES = f"arn:aws:dynamodb:{_HERE}:table/State"
TOPIC = f"arn:aws:sns:{_HERE}:iot-dev-alerts"
TOPIC_KEY = f"arn:aws:kms:{_HERE}:key/Key"
FAILURES = f"arn:aws:sqs:{_HERE}:iot-dev-detector-failures"
DETECTOR_LOG = f"arn:aws:logs:{_HERE}:log-group:/aws/lambda/iot-dev-detector:log-stream:2026/11/23/[$LATEST]5ad1"
DELIVERY_LOG = f"arn:aws:logs:{_HERE}:log-group:/aws/kinesisfirehose/iot-dev-raw:log-stream:S3Delivery"
JOB_LOG = f"arn:aws:logs:{_HERE}:log-group:/aws-glue/python-jobs-iot-dev-curate-encryption/output:log-stream:jr_1"
RAW, RAW_OBJECT = "arn:aws:s3:::Raw", "arn:aws:s3:::Raw/raw/dt=2026-11-23/hour=13/iot-dev-raw-1-2026-11-23-13-07-50-a"
LAKE, LAKE_FILE = "arn:aws:s3:::Lake", "arn:aws:s3:::Lake/readings/dt=2026-11-23/hour=13/run/0.parquet"
READINGS_TABLE = f"arn:aws:glue:{_HERE}:table/iot_dev/readings"


def _group(log_stream: str) -> str:
    """The ARN that CreateLogStream is asked about: the stream's group."""
    return f"{log_stream.partition(':log-stream:')[0]}:*"


@pytest.fixture(scope="module")
def permissions(templates: dict[str, Template]) -> Permissions:
    return Permissions(templates)


@pytest.mark.parametrize(
    ("service", "action", "arn", "condition"),
    [
        ("lambda", "kinesis:GetRecords", STREAM, {}),
        ("lambda", "kinesis:GetShardIterator", STREAM, {}),
        ("lambda", "kinesis:DescribeStreamSummary", STREAM, {}),
        ("lambda", "kinesis:ListShards", STREAM, {}),
        ("lambda", "dynamodb:BatchGetItem", STATES, {}),
        ("lambda", "dynamodb:PutItem", STATES, {}),
        ("lambda", "sns:Publish", TOPIC, {}),
        ("lambda", "kms:GenerateDataKey", TOPIC_KEY, {}),
        ("lambda", "kms:Decrypt", TOPIC_KEY, {}),
        ("lambda", "s3:GetObject", "arn:aws:s3:::Config/rules.yaml", {}),
        ("lambda", "s3:ListBucket", "arn:aws:s3:::Config", {}),
        ("lambda", "sqs:SendMessage", FAILURES, {}),
        ("lambda", "logs:CreateLogStream", _group(DETECTOR_LOG), {}),
        ("lambda", "logs:PutLogEvents", DETECTOR_LOG, {}),
        ("firehose", "kinesis:DescribeStream", STREAM, {}),
        ("firehose", "kinesis:GetRecords", STREAM, {}),
        ("firehose", "s3:ListBucket", RAW, {}),
        ("firehose", "s3:PutObject", RAW_OBJECT, {}),
        ("firehose", "s3:PutObject", "arn:aws:s3:::Raw/raw-errors/processing-failed/dt=2026-11-23/hour=13/a", {}),
        ("firehose", "logs:PutLogEvents", DELIVERY_LOG, {}),
        ("glue", "s3:ListBucket", RAW, {"s3:prefix": "raw/dt=2026-11-23/hour=13/"}),
        ("glue", "s3:GetObject", RAW_OBJECT, {}),
        ("glue", "s3:ListBucket", LAKE, {}),
        ("glue", "s3:PutObject", LAKE_FILE, {}),
        ("glue", "s3:DeleteObject", LAKE_FILE, {}),
        ("glue", "glue:GetTable", READINGS_TABLE, {}),
        ("glue", "glue:GetPartitions", READINGS_TABLE, {}),
        ("glue", "glue:BatchCreatePartition", READINGS_TABLE, {}),
        ("glue", "glue:BatchUpdatePartition", READINGS_TABLE, {}),
        ("glue", "glue:BatchUpdatePartition", f"arn:aws:glue:{_HERE}:catalog", {}),
        ("glue", "glue:BatchUpdatePartition", f"arn:aws:glue:{_HERE}:database/iot_dev", {}),
        ("glue", "glue:GetSecurityConfiguration", "*", {}),
        ("glue", "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "IoTPipeline"}),
        ("glue", "logs:CreateLogGroup", _group(JOB_LOG), {}),
        ("glue", "logs:AssociateKmsKey", _group(JOB_LOG), {}),
        ("glue", "logs:CreateLogStream", _group(JOB_LOG), {}),
        ("glue", "logs:PutLogEvents", JOB_LOG, {}),
        ("glue", "kms:GenerateDataKey", f"arn:aws:kms:{_HERE}:key/CurateKey", {}),
    ],
)
def test_should_allow(service: str, action: str, arn: str, condition: dict[str, str], permissions: Permissions) -> None:
    assert permissions.allows(service, action, arn, condition)


@pytest.mark.parametrize(
    ("service", "action", "arn", "condition"),
    [
        ("lambda", "kinesis:PutRecord", STREAM, {}),
        ("lambda", "dynamodb:DeleteItem", STATES, {}),
        ("lambda", "s3:PutObject", "arn:aws:s3:::Config/rules.yaml", {}),
        ("lambda", "s3:GetObject", "arn:aws:s3:::Config/other.yaml", {}),
        ("lambda", "logs:PutLogEvents", DELIVERY_LOG, {}),
        ("firehose", "logs:PutLogEvents", DELIVERY_LOG.replace("S3Delivery", "Other"), {}),
        ("firehose", "s3:PutObject", "arn:aws:s3:::Raw/elsewhere/a", {}),
        ("firehose", "s3:DeleteObject", RAW_OBJECT, {}),
        ("glue", "s3:ListBucket", RAW, {"s3:prefix": "raw-errors/"}),
        ("glue", "s3:ListBucket", RAW, {}),
        ("glue", "s3:DeleteObject", RAW_OBJECT, {}),
        ("glue", "s3:PutObject", "arn:aws:s3:::Lake/elsewhere/a", {}),
        ("glue", "glue:BatchUpdatePartition", READINGS_TABLE.replace("readings", "raw"), {}),
        ("glue", "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/Lambda"}),
        ("glue", "logs:PutLogEvents", DETECTOR_LOG, {}),
    ],
)
def test_should_not_allow(
    service: str, action: str, arn: str, condition: dict[str, str], permissions: Permissions
) -> None:
    assert not permissions.allows(service, action, arn, condition)


def test_should_append_nothing_to_a_log_groups_arn(templates: dict[str, Template]) -> None:
    # On AWS it ends in ":*" already: what is appended to it matches no log stream.
    def joins(value: Any) -> list[list[Any]]:
        if isinstance(value, list):
            return [found for item in value for found in joins(item)]
        if not isinstance(value, dict):
            return []
        here = [value["Fn::Join"][1]] if "Fn::Join" in value else []
        return here + joins(list(value.values()))

    groups = {name for template in templates.values() for name in resources(template, "AWS::Logs::LogGroup")}
    policies = [
        policy
        for template in templates.values()
        for role in resources(template, "AWS::IAM::Role").values()
        for policy in role["Properties"]["Policies"]
    ]

    assert len(groups) == 2
    assert len(joins(policies)) > 5
    assert not [pieces for pieces in joins(policies) for group in groups if f'["{group}", "Arn"]' in json.dumps(pieces)]
