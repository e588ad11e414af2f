"""The lake: its bucket, its catalog and the Athena workgroup."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.constructs.catalog import Catalog
from cdk.constructs.lifecycle import lake_lifecycle
from cdk.constructs.named_queries import NamedQueries
from cdk.constructs.query_workgroup import QueryWorkGroup
from cdk.constructs.storage import AccessLogs, Bucket
from cdk.limits import supports
from cdk.settings import Settings
from cdk.target import Target
from pipeline.names import Names


class LakeStack(Stack):
    """The lake bucket, the tables over it and over the raw zone, the Athena workgroup and its saved queries."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        names: Names,
        target: Target,
        raw_bucket: s3.IBucket,
        access_logs: AccessLogs,
    ) -> None:
        super().__init__(scope, names.stack("lake"), description="IoT pipeline: the tables and how to query them")
        self.bucket = Bucket(
            self,
            "Lake",
            access_logs=access_logs,
            retention_days=None,
            removal=settings.data_removal,
            target=target,
            lifecycle=lake_lifecycle(settings),
        )
        results = Bucket(
            self,
            "QueryResults",
            access_logs=access_logs,
            retention_days=settings.query_results_retention_days,
            removal=settings.data_removal,
            target=target,
        )
        self.catalog = Catalog(
            self,
            "Catalog",
            database_name=names.database,
            raw_bucket=raw_bucket,
            raw_retention_days=settings.raw_retention_days,
            lake_bucket=self.bucket,
            lake_retention_days=settings.curated_retention_days,
        )
        workgroup = QueryWorkGroup(
            self, "Queries", name=names.workgroup, results=results, scan_limit_gb=settings.athena_scan_limit_gb
        )
        if supports(self, target, "AWS::Athena::NamedQuery"):
            NamedQueries(self, "NamedQueries", workgroup=workgroup.ref, database=self.catalog.database.ref)
        CfnOutput(self, "LakeBucketName", value=self.bucket.bucket_name)
        CfnOutput(self, "DatabaseName", value=self.catalog.database.ref)
        CfnOutput(self, "WorkGroupName", value=workgroup.ref)
        CfnOutput(self, "QueryResultsBucketName", value=results.bucket_name)
