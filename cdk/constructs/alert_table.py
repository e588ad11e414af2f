"""DynamoDB tables: alert state (items per home of devices) and notification groups."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from lambdas.store.items import DUE_INDEX


class AlertTable(dynamodb.Table):
    """On demand, encrypted, restorable to any second of the last 35 days, with an index of the items that are due."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        partition_key: str,
        sort_key: str | None = None,
        removal: RemovalPolicy,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            partition_key=_text(partition_key),
            sort_key=_text(sort_key) if sort_key else None,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=removal is not RemovalPolicy.DESTROY,
            removal_policy=removal,
        )
        self.add_global_secondary_index(
            index_name=DUE_INDEX,
            # Only items that wait for a moment have these keys.
            # A few partitions rather than one: all writes to an index partition share its 1,000 a second.
            partition_key=dynamodb.Attribute(name="timer", type=dynamodb.AttributeType.NUMBER),
            sort_key=dynamodb.Attribute(name="due", type=dynamodb.AttributeType.NUMBER),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )

    @property
    def due_index_arn(self) -> str:
        """The ARN of the index, for a policy that allows to query it and nothing else."""
        return f"{self.table_arn}/index/{DUE_INDEX}"


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
