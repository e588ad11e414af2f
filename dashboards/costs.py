"""Metrics of use that AWS charges for."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Duration
from aws_cdk import aws_s3 as s3
from aws_cdk.aws_cloudwatch import IMetric, MathExpression, Metric

from dashboards.metrics import HOUR, Watched, search

_DAY = Duration.days(1)


def gb_seconds(watched: Watched) -> dict[str, MathExpression]:
    """Return the GB-seconds per function, without cold starts; Lambda charges for them in addition to invocations.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    functions = {"detector": watched.detector, "watchdog": watched.watchdog, "notifier": watched.notifier}
    return {
        name: MathExpression(
            expression=f"{name}_ms / 1000 * {watched.function_memory_mb} / 1024",
            using_metrics={f"{name}_ms": function.metric_duration(statistic="Sum", period=HOUR)},
            period=HOUR,
        )
        for name, function in functions.items()
    }


def bytes_from_stream(watched: Watched) -> Metric:
    """Return the bytes that Firehose reads from the stream; it charges for each record as 5 KB or more.

    https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
    """
    return _firehose(watched.raw_delivery, "DataReadFromKinesisStream.Bytes")


def bytes_of_alerts(watched: Watched) -> Metric:
    """Return the bytes that the notifier puts into its delivery stream."""
    return _firehose(watched.alerts_delivery, "IncomingBytes")


def bytes_scanned(watched: Watched) -> MathExpression:
    """Return the bytes that queries read, by type and final state: Athena charges for cancelled queries too.

    https://docs.aws.amazon.com/athena/latest/ug/query-metrics-viewing.html
    """
    return search("AWS/Athena", "ProcessedBytes", HOUR, "QueryState", "QueryType", WorkGroup=watched.workgroup)


def units(watched: Watched, name: str) -> Iterator[IMetric]:
    """Yield the consumed capacity units of the tables, and of their indexes, which have metrics of their own.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    """
    for label, table in watched.tables.items():
        yield table.metric(name, statistic="Sum", period=HOUR, label=label)
        yield search("AWS/DynamoDB", name, HOUR, "GlobalSecondaryIndexName", TableName=table.table_name)


def bucket_size(bucket: s3.IBucket) -> MathExpression:
    """Return a bucket's bytes by storage class, once a day.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
    """
    return search("AWS/S3", "BucketSizeBytes", _DAY, "StorageType", statistic="Average", BucketName=bucket.bucket_name)


def _firehose(delivery_stream: str, name: str) -> Metric:
    return Metric(
        namespace="AWS/Firehose",
        metric_name=name,
        dimensions_map={"DeliveryStreamName": delivery_stream},
        statistic="Sum",
        period=HOUR,
    )
