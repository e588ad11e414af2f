"""Permissions of the curation job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.constructs.roles import ServiceRole, allow
from glue_jobs.curate.metrics import NAMESPACE
from pipeline.names import CURATION_PREFIX, DEVICES_KEY, RAW_PREFIX, REGISTRY_KEY
from telemetry.tables.curated import CURATED

#: Where Glue itself puts a Spark job's metrics, with the job's role.
_SPARK_NAMESPACE = "Glue"


class Lake(NamedTuple):
    """Buckets and tables that the curation reads and writes."""

    raw_bucket: s3.IBucket
    lake_bucket: s3.IBucket
    config_bucket: s3.IBucket
    state_table: dynamodb.ITable
    database_name: str


class CurateRole(ServiceRole):
    """The job's role. ``code`` are its uploaded files' ARNs; ``logs_key`` encrypts its logs, where there is one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        lake: Lake,
        code: Sequence[str],
        spark: bool,
        logs_key: kms.IKey | None,
    ) -> None:
        raw_objects = lake.raw_bucket.arn_for_objects(f"{RAW_PREFIX}*")
        curated = [lake.lake_bucket.arn_for_objects(f"{table.name}/*") for table in CURATED]
        devices = lake.lake_bucket.arn_for_objects(DEVICES_KEY)
        memory = lake.lake_bucket.arn_for_objects(f"{CURATION_PREFIX}*")
        super().__init__(
            scope,
            construct_id,
            service="glue.amazonaws.com",
            description="Curation job: reads the raw zone, writes the curated tables",
            statements={
                "ReadCode": [allow("s3:GetObject", on=code)],
                "ReadRawZone": [
                    allow("s3:ListBucket", on=[lake.raw_bucket.bucket_arn], conditions=_prefix(f"{RAW_PREFIX}*")),
                    allow("s3:GetObject", on=[raw_objects]),
                ],
                "ReadRegistry": [
                    # Without it S3 answers 403 and not 404 where there is no registry: it takes the key for the prefix.
                    allow("s3:ListBucket", on=[lake.config_bucket.bucket_arn], conditions=_prefix(REGISTRY_KEY)),
                    allow("s3:GetObject", on=[lake.config_bucket.arn_for_objects(REGISTRY_KEY)]),
                ],
                "ReplacePartitions": [
                    allow("s3:ListBucket", on=[lake.lake_bucket.bucket_arn]),
                    allow("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject", on=curated),
                    allow("s3:AbortMultipartUpload", "s3:PutObject", on=[devices]),
                    allow(
                        "glue:BatchCreatePartition",
                        "glue:BatchUpdatePartition",
                        "glue:GetPartitions",
                        "glue:GetTable",
                        on=_catalog_arns(Stack.of(scope), lake.database_name),
                    ),
                ],
                "RememberProgress": [
                    allow("s3:DeleteObject", "s3:GetObject", "s3:PutObject", on=[memory]),
                    allow(
                        "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", on=[lake.state_table.table_arn]
                    ),
                ],
                "Report": [
                    *(_putting_metrics(namespace) for namespace in _namespaces(spark)),
                    allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", on=[log_groups(scope)]),
                ],
                **({"EncryptLogs": _encryption_use(scope, logs_key)} if logs_key else {}),
            },
            wildcards={
                raw_objects: "Firehose makes up the names of raw objects",
                **dict.fromkeys(curated, "a run's folder is in the names of what it writes"),
                memory: "what a run remembers has the run's or the raw objects' hour in its names",
                log_groups(scope): "Glue makes up the names of its log groups and streams",
                "*": "metrics (a condition names the namespace) and security configurations have no ARN",
            },
        )


def log_groups(scope: Construct) -> str:
    """Return the ARN of every log group that Glue writes a job's output to, of Python shell and Spark jobs."""
    return Stack.of(scope).format_arn(
        service="logs", resource="log-group", resource_name="/aws-glue/*", arn_format=ArnFormat.COLON_RESOURCE_NAME
    )


def _catalog_arns(stack: Stack, database_name: str) -> list[str]:
    def arn(resource: str, name: str | None) -> str:
        return stack.format_arn(
            service="glue",
            resource=resource,
            resource_name=name,
            arn_format=ArnFormat.SLASH_RESOURCE_NAME if name else ArnFormat.NO_RESOURCE_NAME,
        )

    tables = [arn("table", f"{database_name}/{table.name}") for table in CURATED]
    return [arn("catalog", None), arn("database", database_name), *tables]


def _prefix(pattern: str) -> dict[str, dict[str, str]]:
    return {"StringLike": {"s3:prefix": pattern}}


def _namespaces(spark: bool) -> tuple[str, ...]:
    return (NAMESPACE, _SPARK_NAMESPACE) if spark else (NAMESPACE,)


def _putting_metrics(namespace: str) -> iam.PolicyStatement:
    return allow("cloudwatch:PutMetricData", on=["*"], conditions={"StringEquals": {"cloudwatch:namespace": namespace}})


def _encryption_use(scope: Construct, key: kms.IKey) -> list[iam.PolicyStatement]:
    return [
        allow("glue:GetSecurityConfiguration", on=["*"]),
        allow("logs:AssociateKmsKey", on=[log_groups(scope)]),
        allow("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", on=[key.key_arn]),
    ]
