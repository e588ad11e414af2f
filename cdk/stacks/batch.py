"""From raw lines to tables: the scheduled curation job and its state."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.constructs.curate_job import CurateJob
from cdk.constructs.curate_role import Lake
from cdk.constructs.curate_state import CurateState
from cdk.settings import Settings
from cdk.target import Target
from pipeline.names import Names


class BatchStack(Stack):
    """The curation job and the table of its state."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        names: Names,
        target: Target,
        raw_bucket: s3.IBucket,
        lake_bucket: s3.IBucket,
        config_bucket: s3.IBucket,
    ) -> None:
        super().__init__(scope, names.stack("batch"), description="IoT pipeline: the curation job")
        state_table = CurateState(self, "CurateState", removal=settings.data_removal)
        curate = CurateJob(
            self,
            "Curate",
            names=names,
            settings=settings,
            target=target,
            lake=Lake(raw_bucket, lake_bucket, config_bucket, state_table, names.database),
        )
        CfnOutput(self, "CurateJobName", value=curate.job.ref)
        CfnOutput(self, "CurateStateTableName", value=state_table.table_name)
