"""Alerts: from readings to alerts and notifications, with every change kept in the lake."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk.bundling import functions_code
from cdk.constructs import notifier
from cdk.constructs.alert_table import AlertTable
from cdk.constructs.delivery import Delivery
from cdk.constructs.detector import Detector
from cdk.constructs.failure_queue import FailureQueue
from cdk.constructs.function import Shared
from cdk.constructs.kafka.source import KafkaSource
from cdk.constructs.notifications import NotificationsKey, NotificationTopic
from cdk.constructs.notifier import Notifier
from cdk.constructs.storage import AccessLogs, Bucket
from cdk.constructs.transitions_queue import TransitionsQueue
from cdk.constructs.watchdog import Watchdog
from cdk.settings import Settings
from cdk.target import Target
from pipeline.names import ALERTS_ERRORS_PREFIX, ALERTS_PREFIX, REGISTRY_KEY, RULES_KEY, Names

#: Only the table ``alerts`` waits for it; notifications do not.
_BUFFER_SECONDS = 60


class AlertsStack(Stack):
    """The detector, the watchdog and the notifier, with their tables, queues, topics and rules."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        names: Names,
        target: Target,
        source: kinesis.IStream | KafkaSource | None,
        lake_bucket: s3.IBucket,
        access_logs: AccessLogs,
    ) -> None:
        super().__init__(scope, names.stack("alerts"), description="IoT pipeline: from readings to notifications")
        self.key = NotificationsKey(self, "Key", alias=names.notifications_key_alias)
        self.topic = NotificationTopic(
            self,
            "Topic",
            name=names.alerts_topic,
            display_name=f"IoT alerts ({settings.stage})",
            key=self.key,
        )
        self.text_topic = NotificationTopic(
            self,
            "TextTopic",
            name=names.alerts_text_topic,
            display_name=f"IoT alerts ({settings.stage})",
            key=self.key,
            emails=settings.alert_emails,
        )
        self.state_table = AlertTable(
            self, "State", partition_key="gateway", sort_key="part", removal=settings.data_removal
        )
        self.group_table = AlertTable(self, "Groups", partition_key="group", removal=settings.data_removal)
        self.config_bucket = Bucket(
            self,
            "Config",
            access_logs=access_logs,
            retention_days=None,
            removal=settings.data_removal,
            target=target,
            versioned=True,
        )
        self.failure_queue = FailureQueue(self, "Failures", name=names.failure_queue)
        self.transitions_failures = FailureQueue(self, "TransitionsFailures", name=names.transitions_failure_queue)
        self.transitions = TransitionsQueue(
            self,
            "Transitions",
            name=names.transitions_queue,
            failures=self.transitions_failures,
            consumer_timeout=notifier.TIMEOUT,
            batching_window=notifier.BATCHING_WINDOW,
        )
        delivery = Delivery(
            self,
            "Delivery",
            name=names.alerts_delivery_stream,
            source=None,
            bucket=lake_bucket,
            prefix=ALERTS_PREFIX,
            errors_prefix=ALERTS_ERRORS_PREFIX,
            buffer_seconds=_BUFFER_SECONDS,
            log_retention_days=settings.log_retention_days,
        )
        shared = Shared(names, settings, target, functions_code(target), self.config_bucket, self.transitions)
        self.detector = Detector(
            self,
            "Detector",
            shared=shared,
            source=source,
            state_table=self.state_table,
            failure_queue=self.failure_queue,
        )
        self.watchdog = Watchdog(
            self, "Watchdog", shared=shared, state_table=self.state_table, group_table=self.group_table
        )
        self.notifier = Notifier(
            self,
            "Notifier",
            shared=shared,
            group_table=self.group_table,
            alerts_topic=self.topic,
            alerts_text_topic=self.text_topic,
            topic_key=self.key,
            delivery_stream=delivery.delivery_stream,
        )
        self._outputs(delivery.delivery_stream.ref)

    def _outputs(self, delivery_stream_name: str) -> None:
        CfnOutput(self, "AlertsTopicArn", value=self.topic.topic_arn)
        CfnOutput(self, "AlertsTextTopicArn", value=self.text_topic.topic_arn)
        CfnOutput(self, "StateTableName", value=self.state_table.table_name)
        CfnOutput(self, "GroupTableName", value=self.group_table.table_name)
        CfnOutput(self, "ConfigBucketName", value=self.config_bucket.bucket_name)
        CfnOutput(self, "RulesKey", value=RULES_KEY)
        CfnOutput(self, "RegistryKey", value=REGISTRY_KEY)
        CfnOutput(self, "TransitionsQueueUrl", value=self.transitions.queue_url)
        CfnOutput(self, "AlertsDeliveryStreamName", value=delivery_stream_name)
        CfnOutput(self, "DetectorFunctionName", value=self.detector.function.function_name)
        CfnOutput(self, "WatchdogFunctionName", value=self.watchdog.function.function_name)
        CfnOutput(self, "NotifierFunctionName", value=self.notifier.function.function_name)
        CfnOutput(self, "FailureQueueUrl", value=self.failure_queue.queue_url)
