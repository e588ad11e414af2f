"""The watchdog: a function that runs timers of alerts each minute, without readings."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from cdk.constructs.alert_table import AlertTable
from cdk.constructs.function import Function, Shared
from cdk.constructs.roles import allow

#: The shortest period of an EventBridge rule:
#: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
PERIOD = Duration.minutes(1)


class Watchdog(Function):
    """The function and its schedule. A run that fails or is late is not repeated: the next one does the same."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: Shared,
        state_table: AlertTable,
        group_table: AlertTable,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            service="watchdog",
            shared=shared,
            does="each minute, what is due on alerts and groups by the clock",
            # Runs may overlap: both tables are written on the condition that nobody else wrote meanwhile.
            timeout=PERIOD,
            statements={
                "KeepStates": [
                    allow(
                        "dynamodb:BatchGetItem",
                        "dynamodb:PutItem",
                        "dynamodb:UpdateItem",
                        # After an edit of rules or registry, all alerts are reviewed.
                        "dynamodb:Scan",
                        on=[state_table.table_arn],
                    ),
                    allow("dynamodb:Query", on=[state_table.due_index_arn]),
                ],
                "FindGroups": [allow("dynamodb:Query", on=[group_table.due_index_arn])],
            },
            environment={"STATE_TABLE": state_table.table_name, "GROUP_TABLE": group_table.table_name},
        )
        self.function.configure_async_invoke(retry_attempts=0, max_event_age=PERIOD)
        events.Rule(
            self,
            "Schedule",
            rule_name=shared.names.watchdog_schedule,
            description="Runs the watchdog",
            schedule=events.Schedule.rate(PERIOD),
            targets=[targets.LambdaFunction(self.function, retry_attempts=0, max_event_age=PERIOD)],
        )
