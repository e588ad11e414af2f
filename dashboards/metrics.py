"""The metrics of the pipeline, as functions over the resources that emit them.

They carry no labels, which the dashboard adds: in an alarm's template a label makes a plain metric an
expression, and MiniStack refuses those.
"""

from __future__ import annotations

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


class Watched(NamedTuple):
    """The resources of one stage.

    The deliveries are names of Firehose delivery streams; ``curate_failures_rule`` is the name of the EventBridge
    rule that matches failed runs of the job. ``stale_after_hours`` is how long the curated tables may get no new
    readings, 0 for any time. ``tables`` are those of alerts and groups, ``buckets`` the raw zone's and the lake's, by
    what the dashboard calls them; ``workgroup`` is Athena's, by name.
    """

    stage: str
    stream: kinesis.IStream
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
    alerts_topic: sns.ITopic
    curate_failures_rule: str
    stale_after_hours: int
    tables: dict[str, dynamodb.ITable]
    buckets: dict[str, s3.IBucket]
    workgroup: str


def of_stream(watched: Watched, name: str) -> Metric:
    """A metric of the stream, summed by the minute."""
    return watched.stream.metric(name, statistic="Sum", period=MINUTE)


def of_delivery(delivery_stream: str) -> Metric:
    """How old the oldest record is that Firehose has not delivered yet, in seconds."""
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
    """The alerts that fired at each site. Which there are, the readings say: a site has a metric from its first on."""
    fired = METRICS["AlertsFiring"]
    return search(NAMESPACE, fired.name, FIVE_MINUTES, "site", **fired.dimensions(watched.stage))


def search(
    namespace: str, name: str, period: Duration, *variable: str, statistic: str = "Sum", **fixed: str
) -> MathExpression:
    """All metrics of that name with these dimensions: any value of the ``variable`` ones, those of the ``fixed`` ones.

    For dashboards alone: no alarm takes a search.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
    """
    schema = ",".join((namespace, *sorted((*variable, *fixed))))
    exactly = " ".join(f'{dimension}="{value}"' for dimension, value in fixed.items())
    return MathExpression(
        expression=f"SEARCH('{{{schema}}} MetricName=\"{name}\" {exactly}', '{statistic}', {period.to_seconds():.0f})",
        using_metrics={},
        period=period,
        label="",
    )


def rejected_percent(watched: Watched) -> IMetric:
    """The share of lines that are no readings, in percent of all lines."""
    return MathExpression(
        expression="100 * rejected / (readings + rejected)",
        using_metrics={
            "rejected": ours(watched, "RejectedReadings"),
            "readings": ours(watched, "Readings"),
        },
        period=FIVE_MINUTES,
        label="rejected (%)",
    )


def waiting(queue: sqs.IQueue) -> Metric:
    """How many messages wait in ``queue``."""
    return queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=FIVE_MINUTES)


def age_of_oldest(queue: sqs.IQueue) -> Metric:
    """How old the oldest message in ``queue`` is, in seconds; what was received three times is not counted.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    return queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=MINUTE)


def successes(function: lambda_.IFunction) -> IMetric:
    """How often ``function`` ran to its end."""
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
    """Runs that failed. Glue has no metric for it: this counts how often the rule on failed runs matched."""
    return Metric(
        namespace="AWS/Events",
        metric_name="Invocations",
        dimensions_map={"RuleName": watched.curate_failures_rule},
        statistic="Sum",
        period=HOUR,
    )
