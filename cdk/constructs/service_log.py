"""A log group that goes with its stack, kept for the stage's days."""

from __future__ import annotations

from typing import cast

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct


class ServiceLog(logs.LogGroup):
    """Logs tell about the pipeline and hold no readings, so they are no data to retain."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str, retention_days: int) -> None:
        super().__init__(scope, construct_id, log_group_name=name, removal_policy=RemovalPolicy.DESTROY)
        # The construct's own property takes names of durations; CloudFormation takes days.
        cast("logs.CfnLogGroup", self.node.default_child).retention_in_days = retention_days
