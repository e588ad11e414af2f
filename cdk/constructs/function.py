"""A function of the alerts stack, with its role, its log and access to rules and queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.bundling import lambda_architecture
from cdk.constructs.findings import acknowledge
from cdk.constructs.roles import ServiceRole, allow
from cdk.constructs.service_log import ServiceLog
from cdk.settings import Settings
from cdk.target import Target
from glue_jobs.curate.metrics import NAMESPACE
from pipeline.names import REGISTRY_KEY, RULES_KEY, Names, Service

_ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}

MEMORY_MB = 512


class Shared(NamedTuple):
    """Settings and resources that all functions of the stack share."""

    names: Names
    settings: Settings
    target: Target
    code: lambda_.Code
    config_bucket: s3.IBucket
    transitions: sqs.IQueue


class Function(Construct):
    """A function of ``lambdas/<service>``.

    ``statements`` is what its role may do in addition to reading the rules and the registry, sending to the transitions
    queue and writing its own log, ``wildcards`` why its resources with an asterisk cannot be narrower; ``environment``
    are variables in addition to those. Tracing is off: each function emits the delay that a trace would show, for every
    batch.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: Service,
        shared: Shared,
        does: str,
        timeout: Duration,
        statements: Mapping[str, Sequence[iam.PolicyStatement]],
        environment: Mapping[str, str],
        wildcards: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        name = shared.names.function(service)
        # Where Lambda's console looks for it.
        log = ServiceLog(self, "Log", name=f"/aws/lambda/{name}", retention_days=shared.settings.log_retention_days)
        config = shared.config_bucket
        role = ServiceRole(
            self,
            "Role",
            service="lambda.amazonaws.com",
            description=f"{service.capitalize()}: {does}",
            statements={
                **statements,
                "SendTransitions": [allow("sqs:SendMessage", on=[shared.transitions.queue_arn])],
                "ReadRules": [
                    allow(
                        "s3:GetObject",
                        "s3:GetObjectVersion",
                        on=[config.arn_for_objects(key) for key in (RULES_KEY, REGISTRY_KEY)],
                    ),
                    # Without it S3 answers 403 and not 404 where there are no rules yet.
                    allow("s3:ListBucket", "s3:ListBucketVersions", on=[config.bucket_arn]),
                ],
                # On AWS a log group's ARN ends in ":*" by itself: the group and all its streams.
                "WriteLog": [allow("logs:CreateLogStream", "logs:PutLogEvents", on=[log.log_group_arn])],
            },
            wildcards=wildcards or {},
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=f"{service.capitalize()}: {does}",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=_ARCHITECTURES[lambda_architecture(shared.target)],
            handler=f"lambdas.{service}.handler.handler",
            code=shared.code,
            memory_size=MEMORY_MB,
            timeout=timeout,
            role=role.fixed,
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            environment={
                "STAGE": shared.settings.stage,
                "TRANSITIONS_QUEUE_URL": shared.transitions.queue_url,
                "CONFIG_BUCKET": config.bucket_name,
                "RULES_KEY": RULES_KEY,
                "REGISTRY_KEY": REGISTRY_KEY,
                **environment,
                "POWERTOOLS_SERVICE_NAME": service,
                "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
            },
        )
        acknowledge(self.function, "L1", "the bundle's locked wheels are for this Python; both move together")
