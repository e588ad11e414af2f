"""Notifications of failed runs of a Glue job, with Glue's own message."""

from __future__ import annotations

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from constructs import Construct


class JobFailures(events.Rule):
    """The rule. Its messages say *why* a run failed; the alarm on its matches says that failures continue."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str, job_name: str, topic: sns.ITopic) -> None:
        field = events.EventField.from_path
        super().__init__(
            scope,
            construct_id,
            rule_name=name,
            description=f"Runs of {job_name} that failed",
            event_pattern=events.EventPattern(
                source=["aws.glue"],
                detail_type=["Glue Job State Change"],
                detail={"jobName": [job_name], "state": ["FAILED", "TIMEOUT"]},
            ),
            targets=[
                targets.SnsTopic(
                    topic,
                    message=events.RuleTargetInput.from_text(
                        f"Run {field('$.detail.jobRunId')} of {field('$.detail.jobName')}: {field('$.detail.state')}. "
                        f"{field('$.detail.message')} Runbook: docs/runbooks/curate-failed.md"
                    ),
                )
            ],
        )
