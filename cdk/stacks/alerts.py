"""Somebody is told: the detector on the stream, its states and rules, and the topic it publishes to."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_kinesis as kinesis
from constructs import Construct

from cdk.constructs.alert_state import AlertStateTable
from cdk.constructs.detector import Detector
from cdk.constructs.failure_queue import FailureQueue
from cdk.constructs.notifications import NotificationsKey, NotificationTopic
from cdk.constructs.storage import AccessLogs, Bucket
from cdk.naming import RULES_KEY, Names
from cdk.settings import Settings
from cdk.target import Target


class AlertsStack(Stack):
    """The detector and what it reads, keeps and publishes to."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        names: Names,
        target: Target,
        stream: kinesis.IStream,
        access_logs: AccessLogs,
    ) -> None:
        super().__init__(scope, names.stack("alerts"), description="IoT pipeline: from readings to alerts")
        self.key = NotificationsKey(self, "Key", alias=names.notifications_key_alias)
        self.topic = NotificationTopic(
            self,
            "Topic",
            name=names.alerts_topic,
            display_name=f"IoT alerts ({settings.stage})",
            key=self.key,
            emails=settings.alert_emails,
        )
        state_table = AlertStateTable(self, "State", removal=settings.data_removal)
        config_bucket = Bucket(
            self,
            "Config",
            access_logs=access_logs,
            retention_days=None,
            removal=settings.data_removal,
            target=target,
            versioned=True,
        )
        self.failure_queue = FailureQueue(self, "Failures", name=names.failure_queue)
        self.detector = Detector(
            self,
            "Detector",
            names=names,
            settings=settings,
            target=target,
            stream=stream,
            state_table=state_table,
            alerts_topic=self.topic,
            topic_key=self.key,
            config_bucket=config_bucket,
            failure_queue=self.failure_queue,
        )
        CfnOutput(self, "AlertsTopicArn", value=self.topic.topic_arn)
        CfnOutput(self, "StateTableName", value=state_table.table_name)
        CfnOutput(self, "ConfigBucketName", value=config_bucket.bucket_name)
        CfnOutput(self, "RulesKey", value=RULES_KEY)
        CfnOutput(self, "DetectorFunctionName", value=self.detector.function.function_name)
        CfnOutput(self, "FailureQueueUrl", value=self.failure_queue.queue_url)
