"""Topics that people and programs subscribe to, and the key that encrypts them."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct


class NotificationsKey(kms.Key):
    """A key of our own: AWS services that publish, alarms first, cannot use the AWS managed key of SNS."""

    def __init__(self, scope: Construct, construct_id: str, *, alias: str) -> None:
        super().__init__(
            scope,
            construct_id,
            alias=alias,
            description="Encrypts the alerts and operations topics",
            enable_key_rotation=True,
            # Topics keep no messages, so nothing becomes unreadable with the key.
            removal_policy=RemovalPolicy.DESTROY,
        )
        for service in ("cloudwatch.amazonaws.com", "events.amazonaws.com"):
            self.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(service)],
                    actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                    resources=["*"],
                )
            )


class NotificationTopic(sns.Topic):
    """An encrypted, TLS-only topic with its e-mail subscribers, who confirm by a link in the first e-mail."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        display_name: str,
        key: kms.IKey,
        emails: Iterable[str] = (),
    ) -> None:
        super().__init__(
            scope, construct_id, topic_name=name, display_name=display_name, master_key=key, enforce_ssl=True
        )
        for email in emails:
            self.add_subscription(subscriptions.EmailSubscription(email))

    def let_alarms_publish(self) -> None:
        """Let this account's CloudWatch alarms publish; a topic with a policy of its own has no default for it."""
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsPublish",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
