"""From raw lines to tables: the scheduled curation job."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.constructs.curate_job import CurateJob
from cdk.naming import Names
from cdk.settings import Settings
from cdk.target import Target


class BatchStack(Stack):
    """The curation job."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        names: Names,
        target: Target,
        raw_bucket: s3.IBucket,
        lake_bucket: s3.IBucket,
    ) -> None:
        super().__init__(scope, names.stack("batch"), description="IoT pipeline: the curation job")
        curate = CurateJob(
            self,
            "Curate",
            names=names,
            settings=settings,
            target=target,
            database_name=names.database,
            raw_bucket=raw_bucket,
            lake_bucket=lake_bucket,
        )
        CfnOutput(self, "CurateJobName", value=curate.job.ref)
