"""Alarms and dashboard of a stage with a Kafka topic, without the rest of the stage."""

from __future__ import annotations

import functools

from aws_cdk import App, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from dashboards.alarm_constructs import create_alarms, create_composite
from dashboards.alarms import alarm_specs
from dashboards.cloudwatch import create_dashboard
from dashboards.metrics import KafkaTopic, Watched
from pipeline.names import Names

NAMES = Names("dev")


@functools.cache
def watched_topic() -> Template:
    """Return the template of a stack with only the alarms and the dashboard."""
    stack = Stack(App(), "monitoring")
    queue = sqs.Queue.from_queue_arn(stack, "Queue", "arn:aws:sqs:eu-west-1:123456789012:queue")
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:123456789012:topic")
    functions = {
        name: lambda_.Function.from_function_name(stack, name, NAMES.function(name))
        for name in ("detector", "watchdog", "notifier")
    }
    watched = Watched(
        stage=NAMES.stage,
        stream=KafkaTopic(NAMES.kafka_cluster, NAMES.topic, NAMES.channel, NAMES.consumer_group),
        raw_delivery=NAMES.delivery_stream,
        alerts_delivery=NAMES.alerts_delivery_stream,
        **functions,
        detector_timeout=Duration.seconds(60),
        function_memory_mb=512,
        failure_queue=queue,
        transitions=queue,
        transitions_failures=queue,
        alerts_topics=(topic, topic),
        curate_failures_rule=NAMES.curate_failures_rule,
        stale_after_hours=3,
        tables={},
        buckets={},
        workgroup=NAMES.workgroup,
        broker_bytes=10_000_000,
    )
    specs = alarm_specs(watched)
    alarms = create_alarms(stack, specs, topic=topic, name=NAMES.alarm)
    create_composite(stack, specs, alarms, topic=topic, name=NAMES.alarm)
    create_dashboard(stack, watched, alarms, name=NAMES.dashboard)
    return Template.from_stack(stack)
