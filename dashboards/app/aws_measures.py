"""Metrics of AWS itself on the Pipeline page: of the stream or topic, of the deliveries, and of what is billed."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from dashboards.app.measures import Measure
from lambdas.store.items import DUE_INDEX
from pipeline.errors import PipelineError
from pipeline.names import cluster_name
from planning import msk
from planning.parameters import MEMORY_GB
from planning.plan import Usage
from planning.prices import ATHENA_BYTES_A_MEGABYTE, ATHENA_MEGABYTES_AT_LEAST

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment

_MSK = "AWS/Kafka"

#: States in which Athena bills a query that returns rows: https://aws.amazon.com/athena/pricing/
_BILLED = ("SUCCEEDED", "CANCELLED")


class Capacity(NamedTuple):
    """Capacity of the stream that is billed by the hour, and when the stream was created (UTC).

    A stream on demand has 0 ``shards``; only a topic has ``large_brokers``, in brokers of express.m7g.large.
    """

    created: dt.datetime
    shards: int = 0
    large_brokers: int = 0


def service(deployed: Deployment) -> tuple[Measure, ...]:
    """Return metrics that an emulator does not have: lags in seconds, errors, and records that were refused.

    Next to an emulator there is a Kafka broker without metrics: only those of Lambda are named then.
    """
    errors = Measure("errors", "AWS/Lambda", "Errors", "Sum", (("FunctionName", deployed.detector_function_name),))
    if deployed.ingest == "msk":
        return (errors, *_topic_service(deployed)) if deployed.kafka_cluster_arn else (errors,)
    stream = (("StreamName", deployed.stream_name),)
    delivery = (("DeliveryStreamName", deployed.delivery_stream_name),)
    return (
        Measure("behind", "AWS/Lambda", "IteratorAge", "Maximum", errors.dimensions, 0.001),
        errors,
        Measure("refused", "AWS/Kinesis", "WriteProvisionedThroughputExceeded", "Sum", stream),
        Measure("undelivered", "AWS/Firehose", "DeliveryToS3.DataFreshness", "Maximum", delivery),
    )


def _topic_service(deployed: Deployment) -> tuple[Measure, ...]:
    group = (
        ("Cluster Name", cluster_name(deployed.kafka_cluster_arn)),
        ("Consumer Group", deployed.consumer_group),
        ("Topic", deployed.topic_name),
    )
    channel = _channel(deployed)
    return (
        Measure("behind", _MSK, "EstimatedMaxTimeLag", "Maximum", group),
        Measure("refused", _MSK, "DeliveryToS3.FailedRecordCount", "Sum", channel),
        Measure("undelivered", _MSK, "DeliveryToS3.DataFreshness", "Maximum", channel),
    )


def spent(deployed: Deployment) -> tuple[Measure, ...]:
    """Return billed use: records and bytes of the stream, functions, tables, and bytes read by queries.

    The first word of a key is a field of :class:`~planning.plan.Usage`, except ``queries``.
    """
    functions = (deployed.detector_function_name, deployed.watchdog_function_name, deployed.notifier_function_name)
    tables = [(("TableName", name),) for name in (deployed.state_table_name, deployed.group_table_name)]
    # An index has metrics of its own, of what is written to it.
    indexes = [(("GlobalSecondaryIndexName", DUE_INDEX), *table) for table in tables]
    return (
        *_arrived(deployed),
        *(
            Measure(f"{key} {state}", "AWS/Athena", "ProcessedBytes", statistic, _queries(deployed, state))
            for state in _BILLED
            for key, statistic in (("scanned_bytes", "Sum"), ("queries", "SampleCount"))
        ),
        *(
            Measure(f"{key} {name}", "AWS/Lambda", metric, "Sum", (("FunctionName", name),), scale)
            for name in functions
            for key, metric, scale in (
                ("invocations", "Invocations", 1.0),
                ("gb_seconds", "Duration", MEMORY_GB / 1000),
            )
        ),
        *(
            Measure(f"{key} {number}", "AWS/DynamoDB", metric, "Sum", dimensions)
            for number, dimensions in enumerate((*tables, *indexes))
            for key, metric in (
                ("write_units", "ConsumedWriteCapacityUnits"),
                ("read_units", "ConsumedReadCapacityUnits"),
            )
        ),
    )


def _arrived(deployed: Deployment) -> tuple[Measure, ...]:
    """Return the records and bytes that arrived. Brokers report only rates: the channel counts what it reads."""
    if deployed.ingest == "kinesis":
        stream = (("StreamName", deployed.stream_name),)
        return (
            Measure("records", "AWS/Kinesis", "IncomingRecords", "Sum", stream),
            Measure("bytes", "AWS/Kinesis", "IncomingBytes", "Sum", stream),
        )
    if not deployed.kafka_cluster_arn:
        return ()
    return (
        Measure("records", _MSK, "DeliveryToS3.RecordCount", "Sum", _channel(deployed)),
        Measure("bytes", _MSK, "DeliveryToS3.BytesIn", "Sum", _channel(deployed)),
        Measure(
            "stored_bytes",
            _MSK,
            "StorageUsed",
            "Average",
            (("Cluster Name", cluster_name(deployed.kafka_cluster_arn)),),
        ),
    )


def _queries(deployed: Deployment, state: str) -> tuple[tuple[str, str], ...]:
    return (("QueryState", state), ("QueryType", "DML"), ("WorkGroup", deployed.work_group_name))


def _channel(deployed: Deployment) -> tuple[tuple[str, str], ...]:
    return (
        ("ChannelName", deployed.channel_name),
        ("ClusterName", cluster_name(deployed.kafka_cluster_arn)),
        ("Topic", deployed.topic_name),
    )


def usage(counted: pd.DataFrame, hours: float, capacity: Capacity) -> Usage:
    """Return the sums of :func:`spent`, of ``stored_bytes`` the mean.

    Athena bills at least ten megabytes per query: the sum is that many per query, or the bytes read if more.
    """
    sums = counted.drop(columns="at").sum()
    by_kind = sums.groupby([str(name).split(" ")[0] for name in sums.index]).sum()
    at_least = by_kind.pop("queries") * ATHENA_MEGABYTES_AT_LEAST * ATHENA_BYTES_A_MEGABYTE
    by_kind["scanned_bytes"] = max(by_kind["scanned_bytes"], at_least)
    if "stored_bytes" in counted and counted["stored_bytes"].notna().any():
        by_kind["stored_bytes"] = counted["stored_bytes"].mean()
    return Usage(
        hours=hours,
        shards=capacity.shards,
        broker_hours=capacity.large_brokers * hours,
        **{str(kind): float(value) for kind, value in by_kind.items()},
    )


def capacity(session: boto3.Session, deployed: Deployment) -> Capacity:
    """Return what is billed by the hour; raises :class:`PipelineError` for brokers without a known price."""
    if deployed.ingest == "msk":
        cluster = session.client("kafka").describe_cluster_v2(ClusterArn=deployed.kafka_cluster_arn)["ClusterInfo"]
        nodes = cluster["Provisioned"]
        kind = nodes["BrokerNodeGroupInfo"]["InstanceType"]
        if kind not in {known.name for known in msk.BROKER_TYPES}:
            raise PipelineError(f"the cost is unknown: no price is known of brokers of the type {kind}")
        brokers = nodes["NumberOfBrokerNodes"] * msk.times(kind)
        return Capacity(cluster["CreationTime"].astimezone(dt.UTC), large_brokers=brokers)
    found = session.client("kinesis").describe_stream_summary(StreamName=deployed.stream_name)
    summary = found["StreamDescriptionSummary"]
    on_demand = summary.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND"
    shards = 0 if on_demand else int(summary["OpenShardCount"])
    return Capacity(summary["StreamCreationTimestamp"].astimezone(dt.UTC), shards=shards)
