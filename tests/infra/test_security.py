"""What holds for every stack: encrypted, private, TLS only, least privilege, kept, tagged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from aws_cdk.assertions import Template

from tests.infra.conftest import app_for, resources, templates_for

PARTS = ("ingest", "lake", "alerts", "batch", "monitoring")


def _all(templates: dict[str, Template], kind: str) -> dict[str, dict[str, Any]]:
    return {f"{part}.{key}": value for part in PARTS for key, value in resources(templates[part], kind).items()}


def _role_statements(templates: dict[str, Template]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in _all(templates, "AWS::IAM::Role").items():
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _denies_plain_http(statement: dict[str, Any]) -> bool:
    return statement["Effect"] == "Deny" and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}


def test_should_encrypt_and_close_every_bucket(templates: dict[str, Template]) -> None:
    buckets = _all(templates, "AWS::S3::Bucket")

    assert len(buckets) == 5
    for bucket in buckets.values():
        properties = bucket["Properties"]
        assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_should_encrypt_every_queue_and_every_delivery(templates: dict[str, Template]) -> None:
    queues = _all(templates, "AWS::SQS::Queue")
    deliveries = _all(templates, "AWS::KinesisFirehose::DeliveryStream").values()

    assert len(queues) == 3
    assert all(queue["Properties"]["SqsManagedSseEnabled"] is True for queue in queues.values())
    # What comes from the stream is encrypted there, and Firehose refuses the setting.
    assert [
        delivery["Properties"]["DeliveryStreamEncryptionConfigurationInput"]
        for delivery in deliveries
        if delivery["Properties"]["DeliveryStreamType"] == "DirectPut"
    ] == [{"KeyType": "AWS_OWNED_CMK"}]


def test_should_log_access_to_every_bucket_but_the_log_itself(templates: dict[str, Template]) -> None:
    unlogged = [
        name
        for name, bucket in _all(templates, "AWS::S3::Bucket").items()
        if "LoggingConfiguration" not in bucket["Properties"]
    ]

    assert [name.split(".")[1][:10] for name in unlogged] == ["AccessLogs"]


@pytest.mark.parametrize(
    ("kind", "policy", "reference"),
    [
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket"),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics"),
    ],
)
def test_should_refuse_plain_http_everywhere(
    kind: str, policy: str, reference: str, templates: dict[str, Template]
) -> None:
    guarded = {
        f"{name.split('.')[0]}.{target['Ref']}"
        for name, found in _all(templates, policy).items()
        if any(map(_denies_plain_http, found["Properties"]["PolicyDocument"]["Statement"]))
        for target in _listed(found["Properties"][reference])
    }

    assert guarded == set(_all(templates, kind))


def test_should_give_every_function_job_and_service_a_role_of_its_own(templates: dict[str, Template]) -> None:
    services = [
        role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        for role in _all(templates, "AWS::IAM::Role").values()
    ]

    assert Counter(services) == {
        "firehose.amazonaws.com": 2,
        "glue.amazonaws.com": 1,
        "lambda.amazonaws.com": len(_all(templates, "AWS::Lambda::Function")),
    }
    assert not _all(templates, "AWS::IAM::Policy")


def test_should_name_every_action_and_use_no_managed_policy(templates: dict[str, Template]) -> None:
    actions = [action for _, statement in _role_statements(templates) for action in _listed(statement["Action"])]

    assert actions
    assert [action for action in actions if "*" in action] == []
    assert not any("ManagedPolicyArns" in role["Properties"] for role in _all(templates, "AWS::IAM::Role").values())


def test_should_allow_any_resource_only_where_an_action_has_none(templates: dict[str, Template]) -> None:
    anywhere = [statement for _, statement in _role_statements(templates) if "*" in _listed(statement["Resource"])]

    assert anywhere == [
        {
            "Action": "cloudwatch:PutMetricData",
            "Condition": {"StringEquals": {"cloudwatch:namespace": "IoTPipeline"}},
            "Effect": "Allow",
            "Resource": "*",
        },
        {"Action": "glue:GetSecurityConfiguration", "Effect": "Allow", "Resource": "*"},
    ]


def test_should_keep_buckets_and_tables_when_a_stack_goes(templates: dict[str, Template]) -> None:
    data = {**_all(templates, "AWS::S3::Bucket"), **_all(templates, "AWS::DynamoDB::Table")}

    assert {resource["DeletionPolicy"] for resource in data.values()} == {"RetainExceptOnCreate"}
    assert {resource["UpdateReplacePolicy"] for resource in data.values()} == {"Retain"}
    # A name of our own would stand in the way of creating the stack again beside what it left.
    assert not any({"BucketName", "TableName"} & set(resource["Properties"]) for resource in data.values())


def test_should_encrypt_every_table_and_let_it_be_restored(templates: dict[str, Template]) -> None:
    tables = _all(templates, "AWS::DynamoDB::Table")

    assert len(tables) == 3
    for table in tables.values():
        properties = table["Properties"]
        assert properties["SSESpecification"] == {"SSEEnabled": True}
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["DeletionProtectionEnabled"] is True


def test_should_empty_and_delete_buckets_and_tables_on_the_second_word() -> None:
    templates = templates_for(app_for(delete_data_on_destroy="true"))

    buckets, tables = _all(templates, "AWS::S3::Bucket"), _all(templates, "AWS::DynamoDB::Table")

    assert {resource["DeletionPolicy"] for resource in [*buckets.values(), *tables.values()]} == {"Delete"}
    assert not any(table["Properties"]["DeletionProtectionEnabled"] for table in tables.values())
    assert len(_all(templates, "Custom::S3AutoDeleteObjects")) == len(buckets)


def test_should_tag_everything_with_project_and_stage() -> None:
    bucket = next(iter(_all(templates_for(app_for(stage="prod")), "AWS::S3::Bucket").values()))

    assert {"Key": "project", "Value": "iot-pipeline"} in bucket["Properties"]["Tags"]
    assert {"Key": "stage", "Value": "prod"} in bucket["Properties"]["Tags"]
