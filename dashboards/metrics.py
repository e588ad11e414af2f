"""Metrics of the pipeline, as functions over the resources that emit them.

They have no labels, which the dashboard adds: in an alarm's template a label makes a plain metric an
expression, and MiniStack refuses those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_cloudwatch import IMetric, MathExpression, Metric

from dashboards.catalogue import METRICS, Service
from glue_jobs.curate.metrics import NAMESPACE

MINUTE = Duration.minutes(1)
FIVE_MINUTES = Duration.minutes(5)
HOUR = Duration.hours(1)


class KafkaTopic(NamedTuple):
    """Names that the metrics of a topic have as dimensions.

    ``channel`` delivers the topic to the raw zone; ``consumer_group`` is that of the detector's event source mapping.
    """

    cluster: str
    topic: str
    channel: str
    consumer_group: str


class Watched(NamedTuple):
    """The resources of one stage.

    The deliveries are names of Firehose delivery streams; a topic has its channel in place of ``raw_delivery``.
    ``curate_failures_rule`` is the name of the EventBridge rule that matches failed runs of the job.
    ``stale_after_hours`` is how long the curated tables may get no new readings, 0 for any time. ``tables`` and
    ``buckets`` are keyed by their names on the dashboard; ``workgroup`` is the name of Athena's. ``broker_bytes`` is
    how many bytes a second a broker of our own Kafka cluster accepts; 0 where there is none.
    """

    stage: str
    stream: kinesis.IStream | KafkaTopic
    raw_delivery: str
    alerts_delivery: str
    detector: lambda_.IFunction
    detector_timeout: Duration
    watchdog: lambda_.IFunction
    notifier: lambda_.IFunction
    function_memory_mb: int
    failure_queue: sqs.IQueue
    transitions: sqs.IQueue
    transitions_failures: sqs.IQueue
    alerts_topics: Sequence[sns.ITopic]
    curate_failures_rule: str
    stale_after_hours: int
    tables: dict[str, dynamodb.ITable]
    buckets: dict[str, s3.IBucket]
    workgroup: str
    broker_bytes: float = 0


def of_stream(stream: kinesis.IStream, name: str) -> Metric:
    """Return a metric of a Kinesis stream, summed by the minute."""
    return stream.metric(name, statistic="Sum", period=MINUTE)


def of_delivery(delivery_stream: str) -> Metric:
    """Return the age of the oldest record that Firehose has not delivered yet, in seconds."""
    return Metric(
        namespace="AWS/Firehose",
        metric_name="DeliveryToS3.DataFreshness",
        dimensions_map={"DeliveryStreamName": delivery_stream},
        statistic="Maximum",
        period=FIVE_MINUTES,
    )


def ours(
    watched: Watched, name: str, *, service: Service | None = None, statistic: str | None = None, **part: str
) -> Metric:
    """Return a metric of the catalogue; with ``severity`` or ``reason``, only the part with that value."""
    metric = METRICS[name]
    return Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map=metric.dimensions(watched.stage, service, **part),
        statistic=statistic or metric.statistic,
        period=Duration.seconds(metric.period_seconds),
    )


def by_site(watched: Watched) -> MathExpression:
    """Return the alerts that fired per site. A site has a metric from its first alert on."""
    fired = METRICS["AlertsFiring"]
    return search(NAMESPACE, fired.name, FIVE_MINUTES, "site", **fired.dimensions(watched.stage))


def search(
    namespace: str, name: str, period: Duration, *variable: str, statistic: str = "Sum", **fixed: str
) -> MathExpression:
    """Return all metrics of that name with any value of the ``variable`` dimensions and the ``fixed`` ones.

    For dashboards only: alarms accept no search.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
    """
    schema = ",".join((namespace, *map(_quote, sorted((*variable, *fixed)))))
    exactly = " ".join(f'{_quote(dimension)}="{value}"' for dimension, value in fixed.items())
    return MathExpression(
        expression=f"SEARCH('{{{schema}}} MetricName=\"{name}\" {exactly}', '{statistic}', {period.to_seconds():.0f})",
        using_metrics={},
        period=period,
        label="",
    )


def _quote(dimension: str) -> str:
    """Return a dimension's name as a search wants it: names with spaces are quoted."""
    return f'"{dimension}"' if " " in dimension else dimension


def rejected_percent(watched: Watched) -> IMetric:
    """Return the share of lines that are not valid readings, in percent of all lines."""
    return MathExpression(
        expression="100 * rejected / (readings + rejected)",
        using_metrics={
            "rejected": ours(watched, "RejectedReadings"),
            "readings": ours(watched, "Readings"),
        },
        period=FIVE_MINUTES,
        label="rejected (%)",
    )


def undelivered(watched: Watched) -> IMetric:
    """Return the number of failed deliveries of alerts to subscribers of any topic; SNS reports none as nothing."""
    failed = {
        f"failed{number}": topic.metric_number_of_notifications_failed(period=FIVE_MINUTES)
        for number, topic in enumerate(watched.alerts_topics)
    }
    return MathExpression(
        expression=" + ".join(f"FILL({name}, 0)" for name in failed),
        using_metrics=failed,
        period=FIVE_MINUTES,
        label="failed deliveries",
    )


def waiting(queue: sqs.IQueue) -> Metric:
    """Return the number of messages that wait in ``queue``."""
    return queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=FIVE_MINUTES)


def age_of_oldest(queue: sqs.IQueue) -> Metric:
    """Return the age of the oldest message in ``queue``, in seconds, without those received three times or more.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    return queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=MINUTE)


def successes(function: lambda_.IFunction) -> IMetric:
    """Return the number of invocations of ``function`` that succeeded."""
    return MathExpression(
        expression="invocations - errors",
        using_metrics={
            "invocations": function.metric_invocations(period=FIVE_MINUTES),
            "errors": function.metric_errors(period=FIVE_MINUTES),
        },
        period=FIVE_MINUTES,
        label="successes",
    )


def curate_failures(watched: Watched) -> Metric:
    """Return the number of failed runs. Glue has no metric for it: this counts matches of the rule on failed runs."""
    return Metric(
        namespace="AWS/Events",
        metric_name="Invocations",
        dimensions_map={"RuleName": watched.curate_failures_rule},
        statistic="Sum",
        period=HOUR,
    )
