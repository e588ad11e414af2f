"""Health of the pipeline itself: the operations topic, the alarms and the dashboard."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_s3 as s3
from aws_cdk.aws_cloudwatch import IAlarm, Metric
from constructs import Construct

from cdk.constructs.detector import TIMEOUT
from cdk.constructs.function import MEMORY_MB
from cdk.constructs.job_failures import JobFailures
from cdk.constructs.notifications import NotificationTopic
from cdk.limits import supports
from cdk.settings import Settings
from cdk.stacks.alerts import AlertsStack
from cdk.target import Target
from dashboards.alarm_constructs import create_alarms, create_composite
from dashboards.alarms import alarm_specs
from dashboards.cloudwatch import create_dashboard
from dashboards.metrics import KafkaTopic, Watched
from pipeline.names import Names
from planning.msk import sustained_bytes


class MonitoringStack(Stack):
    """The alarms on every part, the dashboard, and the topic that alarms notify."""

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        names: Names,
        target: Target,
        stream: kinesis.IStream | KafkaTopic,
        raw_bucket: s3.IBucket,
        lake_bucket: s3.IBucket,
        alerts: AlertsStack,
    ) -> None:
        super().__init__(scope, names.stack("monitoring"), description="IoT pipeline: alarms and dashboard")
        # Apart from the device alerts: other people, and it must work when the alerts are what is broken.
        operations = NotificationTopic(
            self,
            "Operations",
            name=names.operations_topic,
            display_name=f"IoT pipeline operations ({settings.stage})",
            key=alerts.key,
            emails=settings.operations_emails or settings.alert_emails,
        )
        operations.let_alarms_publish()
        JobFailures(
            self,
            "CurateFailures",
            name=names.curate_failures_rule,
            job_name=names.curate_job,
            topic=operations,
        )
        watched = Watched(
            stage=settings.stage,
            stream=stream,
            raw_delivery=names.delivery_stream,
            alerts_delivery=names.alerts_delivery_stream,
            detector=alerts.detector.function,
            detector_timeout=TIMEOUT,
            watchdog=alerts.watchdog.function,
            notifier=alerts.notifier.function,
            function_memory_mb=MEMORY_MB,
            failure_queue=alerts.failure_queue,
            transitions=alerts.transitions,
            transitions_failures=alerts.transitions_failures,
            alerts_topics=(alerts.topic, alerts.text_topic),
            curate_failures_rule=names.curate_failures_rule,
            stale_after_hours=settings.stale_after_hours,
            tables={"alerts": alerts.state_table, "groups": alerts.group_table},
            buckets={"the raw zone": raw_bucket, "the lake": lake_bucket},
            workgroup=names.workgroup,
            broker_bytes=_broker_bytes(settings, stream),
        )
        specs = alarm_specs(watched)
        if not supports(self, target, "alarms on metric math"):
            specs = [spec for spec in specs if isinstance(spec.metric, Metric)]
        alarms = create_alarms(self, specs, topic=operations, name=names.alarm)
        every: list[IAlarm] = [*alarms]
        if supports(self, target, "AWS::CloudWatch::CompositeAlarm"):
            every.insert(0, create_composite(self, specs, alarms, topic=operations, name=names.alarm))
        create_dashboard(self, watched, every, name=names.dashboard)
        CfnOutput(self, "DashboardName", value=names.dashboard)


def _broker_bytes(settings: Settings, stream: kinesis.IStream | KafkaTopic) -> float:
    """Return the bytes a second that a broker of our own cluster accepts for long; 0 where there is no such cluster."""
    if isinstance(stream, KafkaTopic) and settings.kafka_cluster_arn is None:
        return sustained_bytes(settings.kafka_broker_type)
    return 0
