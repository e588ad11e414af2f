"""The curation job: a Glue job, of Python shell or of Spark, and its schedule."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, cast

from aws_cdk import FileAssetPackaging, RemovalPolicy, Stack, Stage
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from cdk.bundling import CURATE_SCRIPTS, curate_modules, curate_wheel
from cdk.constructs.curate_role import CurateRole, Lake, log_groups
from cdk.limits import supports
from cdk.settings import Settings
from cdk.target import Target
from pipeline.names import REGISTRY_KEY, Names

#: One DPU is 4 vCPU and 16 GB, which DuckDB uses; the other size a Python shell job comes in has 1 GB.
_DPU = 1.0

#: The most that a Spark job gets, of one DPU each, one of them for the driver; Glue adds and removes them as the run
#: goes: https://docs.aws.amazon.com/glue/latest/dg/auto-scaling.html
_MOST_WORKERS = 10

#: In minutes. MiniStack reads it as seconds.
_TIMEOUT_MINUTES = 60

#: How long the files of a replaced partition stay for the queries that are reading them; zero on an emulator.
_GRACE_SECONDS = 3600


class _Engine(TypedDict, total=False):
    """Engine-specific properties of the Glue job."""

    command: glue.CfnJob.JobCommandProperty
    glue_version: str
    max_capacity: float
    worker_type: str
    number_of_workers: int


class CurateJob(Construct):
    """The job, its role, its schedule and, on AWS, the encryption of its logs."""

    def __init__(
        self, scope: Construct, construct_id: str, *, names: Names, settings: Settings, target: Target, lake: Lake
    ) -> None:
        super().__init__(scope, construct_id)
        spark = settings.etl_engine == "spark"
        script = assets.Asset(self, "Script", path=str(CURATE_SCRIPTS[settings.etl_engine]))
        wheel = _wheel_object(Stack.of(self))
        key, security = None, None
        if supports(self, target, "AWS::Glue::SecurityConfiguration"):
            key, security = self._encryption(names)
        role = CurateRole(
            self,
            "Role",
            lake=lake,
            code=[script.bucket.arn_for_objects(name) for name in (script.s3_object_key, wheel)],
            spark=spark,
            logs_key=key,
        )
        modules, wheel_url = curate_modules(settings.etl_engine), script.bucket.s3_url_for_object(wheel)
        self.job = glue.CfnJob(
            self,
            "Job",
            name=names.curate_job,
            description="Raw JSON lines to curated Parquet tables, a whole partition at a time",
            role=role.role_arn,
            timeout=_TIMEOUT_MINUTES,
            max_retries=0,
            # A second run would take over the position of the first, which then fails.
            execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=1),
            security_configuration=security.name if security else None,
            default_arguments={
                "--raw_bucket": lake.raw_bucket.bucket_name,
                "--lake_bucket": lake.lake_bucket.bucket_name,
                "--database": lake.database_name,
                "--stage": settings.stage,
                "--raw_retention_days": str(settings.raw_retention_days),
                "--grace_seconds": str(_GRACE_SECONDS if target == "aws" else 0),
                "--state_table": lake.state_table.table_name,
                "--config_bucket": lake.config_bucket.bucket_name,
                "--registry_key": REGISTRY_KEY,
                "--region": Stack.of(self).region,
                **(_spark_modules(wheel_url, modules) if spark else _shell_modules(wheel_url, modules)),
            },
            **(_spark(script) if spark else _shell(script)),
        )
        if security:
            self.job.add_resource_dependency(security)
        glue.CfnTrigger(
            self,
            "Schedule",
            name=names.curate_trigger,
            type="SCHEDULED",
            schedule=settings.curate_schedule,
            start_on_creation=True,
            actions=[glue.CfnTrigger.ActionProperty(job_name=names.curate_job)],
        ).add_resource_dependency(self.job)

    def _encryption(self, names: Names) -> tuple[kms.Key, glue.CfnSecurityConfiguration]:
        key = kms.Key(
            self,
            "Key",
            description="Encrypts the curation job's logs",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"logs.{Stack.of(self).region}.amazonaws.com")],
                actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups(self)}},
            )
        )
        security = glue.CfnSecurityConfiguration(
            self,
            "Encryption",
            name=names.curate_security,
            encryption_configuration=glue.CfnSecurityConfiguration.EncryptionConfigurationProperty(
                s3_encryptions=[glue.CfnSecurityConfiguration.S3EncryptionProperty(s3_encryption_mode="SSE-S3")],
                cloud_watch_encryption=glue.CfnSecurityConfiguration.CloudWatchEncryptionProperty(
                    cloud_watch_encryption_mode="SSE-KMS", kms_key_arn=key.key_arn
                ),
                job_bookmarks_encryption=glue.CfnSecurityConfiguration.JobBookmarksEncryptionProperty(
                    job_bookmarks_encryption_mode="CSE-KMS", kms_key_arn=key.key_arn
                ),
            ),
        )
        return key, security


def _shell(script: assets.Asset) -> _Engine:
    return {
        "command": glue.CfnJob.JobCommandProperty(
            name="pythonshell", python_version="3.9", script_location=script.s3_object_url
        ),
        "glue_version": "3.0",
        "max_capacity": _DPU,
    }


def _shell_modules(wheel_url: str, modules: str) -> dict[str, str]:
    return {"--extra-py-files": wheel_url, "--additional-python-modules": modules, "library-set": "none"}


def _spark(script: assets.Asset) -> _Engine:
    return {
        "command": glue.CfnJob.JobCommandProperty(
            name="glueetl", python_version="3", script_location=script.s3_object_url
        ),
        "glue_version": "5.0",
        "worker_type": "G.1X",
        "number_of_workers": _MOST_WORKERS,
    }


def _spark_modules(wheel_url: str, modules: str) -> dict[str, str]:
    """Return the modules with the wheel: Spark puts no wheel of ``--extra-py-files`` on its executors' paths.

    https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-python-libraries.html
    """
    return {
        "--additional-python-modules": f"{wheel_url},{modules}",
        "--enable-auto-scaling": "true",
        "--enable-metrics": "true",
    }


def _wheel_object(stack: Stack) -> str:
    """Have the wheel uploaded and return its key.

    An Asset's key is a bare hash, which pip refuses as a wheel's name; asked directly, the synthesizer
    uses the given name.
    """
    wheel = curate_wheel(Path(cast("Stage", Stage.of(stack)).asset_outdir))
    location = stack.synthesizer.add_file_asset(
        source_hash=wheel.stem, file_name=wheel.name, packaging=FileAssetPackaging.FILE
    )
    return location.object_key
