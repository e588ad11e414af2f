"""Buckets with common defaults: private, encrypted, TLS only, access logged, kept when the stack is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.target import Target

#: Parts of an aborted multipart upload are billed, and no listing shows them.
_ABANDONED_UPLOADS = Duration.days(1)


class Bucket(s3.Bucket):
    """A bucket for data. Objects expire after ``retention_days``; None keeps them, except as ``lifecycle`` says."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        access_logs: AccessLogs | None,
        retention_days: int | None,
        removal: RemovalPolicy,
        target: Target,
        versioned: bool = False,
        lifecycle: Sequence[s3.LifecycleRule] = (),
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=versioned,
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=_ABANDONED_UPLOADS,
                    expiration=Duration.days(retention_days) if retention_days else None,
                ),
                *lifecycle,
            ],
            removal_policy=removal,
            # AWS refuses to delete a bucket that is not empty; MiniStack deletes it, and hangs on the custom
            # resource that would empty it.
            auto_delete_objects=removal is RemovalPolicy.DESTROY and target != "ministack",
        )
        if access_logs:
            # Not the construct's own property: that would let the log bucket's policy name this bucket, and
            # the two stacks depend on each other in a circle.
            cast(
                "s3.CfnBucket", self.node.default_child
            ).logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
                destination_bucket_name=access_logs.bucket_name, log_file_prefix=f"{construct_id.lower()}/"
            )


class AccessLogs(Bucket):
    """The bucket of the access logs of all other buckets of a stage."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        sources: str,
        retention_days: int,
        removal: RemovalPolicy,
        target: Target,
    ) -> None:
        super().__init__(
            scope, construct_id, access_logs=None, retention_days=retention_days, removal=removal, target=target
        )
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AccessLogDelivery",
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[self.arn_for_objects("*")],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {"aws:SourceArn": f"arn:{Aws.PARTITION}:s3:::{sources}-*"},
                },
            )
        )
