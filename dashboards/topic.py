"""Metrics of a Kafka topic on Amazon MSK: its consumer group, its channel to the raw zone, and the Express brokers.

All are at the monitoring level DEFAULT, which is free. Express brokers have no metric of under-replicated or offline
partitions and no disks to fill: the service keeps three copies, and storage has no limit. Throttled requests have
metrics from the level PER_BROKER on, which costs more than it tells: the bytes per broker show it before it begins.
https://docs.aws.amazon.com/msk/latest/developerguide/metrics-details-express.html
"""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_cloudwatch import MathExpression, Metric

from dashboards.metrics import FIVE_MINUTES, HOUR, MINUTE, KafkaTopic, search

_NAMESPACE = "AWS/Kafka"
_CLUSTER = "Cluster Name"
_BROKER = "Broker ID"


def of_group(topic: KafkaTopic, name: str, *, statistic: str = "Maximum") -> Metric:
    """Return a metric of how far the detector's consumer group is behind.

    ``EstimatedMaxTimeLag`` is in seconds: how long the longest backlog of a partition takes to read. ``SumOffsetLag``
    and ``MaxOffsetLag`` are in records, as is Lambda's own ``OffsetLag``: records say nothing about time. There is no
    lag while the group rebalances, or before it has committed an offset.
    https://docs.aws.amazon.com/msk/latest/developerguide/consumer-lag.html
    """
    return Metric(
        namespace=_NAMESPACE,
        metric_name=name,
        dimensions_map={_CLUSTER: topic.cluster, "Consumer Group": topic.consumer_group, "Topic": topic.topic},
        statistic=statistic,
        period=MINUTE,
    )


def of_channel(topic: KafkaTopic, name: str, *, statistic: str = "Sum", period: Duration = FIVE_MINUTES) -> Metric:
    """Return a metric of the channel's delivery to the raw zone.

    https://docs.aws.amazon.com/msk/latest/developerguide/msk-data-delivery-s3-metrics.html
    """
    return Metric(
        namespace=_NAMESPACE,
        metric_name=f"DeliveryToS3.{name}",
        dimensions_map={"ClusterName": topic.cluster, "ChannelName": topic.channel, "Topic": topic.topic},
        statistic=statistic,
        period=period,
    )


def undelivered_records(topic: KafkaTopic) -> MathExpression:
    """Return the number of records that the channel could not deliver, whether it wrote a dead letter or not."""
    return MathExpression(
        expression="FILL(failed, 0) + FILL(dead_letters, 0)",
        using_metrics={
            "failed": of_channel(topic, "FailedRecordCount"),
            "dead_letters": of_channel(topic, "DLQDeliverySuccess"),
        },
        period=FIVE_MINUTES,
        label="undelivered records",
    )


def unread(topic: KafkaTopic, detector: lambda_.IFunction) -> MathExpression:
    """Return 1 in a minute in which records waited and the detector did not run, else 0."""
    return MathExpression(
        expression="IF(FILL(waiting, 0) > 0 AND FILL(invocations, 0) < 1, 1, 0)",
        using_metrics={
            "waiting": of_group(topic, "SumOffsetLag", statistic="Minimum"),
            "invocations": detector.metric_invocations(period=MINUTE),
        },
        period=MINUTE,
        label="records wait and are not read",
    )


def of_worst_broker(topic: KafkaTopic, function: str, name: str) -> MathExpression:
    """Return the maximum or minimum (``function``) of a metric over the brokers of the cluster, however many.

    A query of Metrics Insights, which alarms accept and which costs as much as the metrics that it reads:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Metrics_Insights_Alarm.html
    """
    schema = f'SCHEMA("{_NAMESPACE}", "{_BROKER}", "{_CLUSTER}")'
    return MathExpression(
        expression=f"SELECT {function}({name}) FROM {schema} WHERE \"{_CLUSTER}\" = '{topic.cluster}'",  # noqa: S608
        using_metrics={},
        period=MINUTE,
        label=f"{name} of a broker",
    )


def by_broker(topic: KafkaTopic, name: str, *variable: str, statistic: str = "Average", **fixed: str) -> MathExpression:
    """Return a metric per broker of the cluster, by the minute; for dashboards only."""
    fixed = {_CLUSTER: topic.cluster, **fixed}
    return search(_NAMESPACE, name, MINUTE, _BROKER, *variable, statistic=statistic, **fixed)


def bytes_in_per_hour(topic: KafkaTopic) -> MathExpression:
    """Return the bytes that producers put into the topic; for dashboards only."""
    fixed = {_CLUSTER: topic.cluster, "Topic": topic.topic}
    rates = search(_NAMESPACE, "BytesInPerSec", HOUR, _BROKER, statistic="Average", **fixed)
    return MathExpression(
        expression=f"SUM({rates.expression}) * {HOUR.to_seconds():.0f}", using_metrics={}, period=HOUR, label=""
    )


def stored_bytes(topic: KafkaTopic) -> Metric:
    """Return the bytes that the cluster stores for all its topics, each once."""
    return Metric(
        namespace=_NAMESPACE,
        metric_name="StorageUsed",
        dimensions_map={_CLUSTER: topic.cluster},
        statistic="Average",
        period=HOUR,
    )
