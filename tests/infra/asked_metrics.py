"""Metrics that alarms, dashboards and pages ask CloudWatch for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from aws_cdk.assertions import Template

from dashboards.app.measures import Measure
from glue_jobs.curate.metrics import NAMESPACE
from tests.contract import grafana
from tests.infra.conftest import resources

#: What AWS publishes with these dimensions, of what ours ask for.
PUBLISHED = {
    # https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html
    ("AWS/Kinesis", "StreamName"): {
        "IncomingBytes",
        "IncomingRecords",
        "ReadProvisionedThroughputExceeded",
        "WriteProvisionedThroughputExceeded",
    },
    # https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
    ("AWS/Firehose", "DeliveryStreamName"): {
        "DataReadFromKinesisStream.Bytes",
        "DeliveryToS3.DataFreshness",
        "IncomingBytes",
    },
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    ("AWS/Lambda", "FunctionName"): {"Duration", "Errors", "Invocations", "IteratorAge", "Throttles"},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    ("AWS/SQS", "QueueName"): {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    # https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    ("AWS/SNS", "TopicName"): {"NumberOfNotificationsFailed"},
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    ("AWS/Events", "RuleName"): {"Invocations"},
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    ("AWS/DynamoDB", "TableName"): {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"},
    ("AWS/DynamoDB", "GlobalSecondaryIndexName", "TableName"): {
        "ConsumedReadCapacityUnits",
        "ConsumedWriteCapacityUnits",
    },
    # Express brokers, at the level DEFAULT. The page leaves the cluster out of the lag's dimensions; AWS' own guide to
    # alarms has it: https://docs.aws.amazon.com/msk/latest/developerguide/metrics-details-express.html
    # https://github.com/aws/agent-toolkit-for-aws/tree/main/skills/specialized-skills/analytics-skills/managing-amazon-msk
    ("AWS/Kafka", "Cluster Name"): {"StorageUsed"},
    ("AWS/Kafka", "Broker ID", "Cluster Name"): {
        "BytesInPerSec",
        "CpuIdle",
        "LeaderCount",
        "MemoryFree",
        "MessagesInPerSec",
    },
    ("AWS/Kafka", "Broker ID", "Cluster Name", "Topic"): {"BytesInPerSec"},
    ("AWS/Kafka", "Broker ID", "Client Authentication", "Cluster Name"): {"ClientConnectionCount"},
    ("AWS/Kafka", "Cluster Name", "Consumer Group", "Topic"): {"EstimatedMaxTimeLag", "MaxOffsetLag", "SumOffsetLag"},
    # https://docs.aws.amazon.com/msk/latest/developerguide/msk-data-delivery-s3-metrics.html
    ("AWS/Kafka", "ChannelName", "ClusterName", "Topic"): {
        "DeliveryToS3.BytesIn",
        "DeliveryToS3.DLQDeliverySuccess",
        "DeliveryToS3.DataFreshness",
        "DeliveryToS3.FailedRecordCount",
        "DeliveryToS3.RecordCount",
        "DeliveryToS3.SuccessfulRecordCount",
    },
    # https://docs.aws.amazon.com/athena/latest/ug/query-metrics-viewing.html
    ("AWS/Athena", "QueryState", "QueryType", "WorkGroup"): {"ProcessedBytes"},
}

#: The name of a resource, by the dimension that CloudWatch has it in: the type, and the property with the name.
NAMED = {
    "StreamName": ("AWS::Kinesis::Stream", "Name"),
    "DeliveryStreamName": ("AWS::KinesisFirehose::DeliveryStream", "DeliveryStreamName"),
    "FunctionName": ("AWS::Lambda::Function", "FunctionName"),
    "QueueName": ("AWS::SQS::Queue", "QueueName"),
    "TopicName": ("AWS::SNS::Topic", "TopicName"),
    "RuleName": ("AWS::Events::Rule", "Name"),
    "WorkGroup": ("AWS::Athena::WorkGroup", "Name"),
}

#: A search for metrics of ours: the names of the dimensions, and the values that are given.
_SEARCH = re.compile(rf"SEARCH\('{{{NAMESPACE},([^}}]*)}} ([^']*)'")
_TERM = re.compile(r'(\w+)="([^"]*)"')


class Asked(NamedTuple):
    """A metric that an alarm, a graph or a figure asks for; a dimension's value of ``*`` is any."""

    where: str
    namespace: str
    name: str
    dimensions: dict[str, str]


def of_cloudwatch(template: Template, kind: str) -> Iterator[Asked]:
    """The metrics in our namespace that alarms or the dashboard ask for."""
    for name, resource in resources(template, kind).items():
        properties = resource["Properties"]
        if "DashboardBody" in properties:
            yield from of_body(properties["DashboardBody"]["Fn::Join"][1])
            continue
        stats = [query["MetricStat"]["Metric"] for query in properties.get("Metrics", []) if "MetricStat" in query]
        for metric in stats or [properties]:
            if metric["Namespace"] == NAMESPACE:
                dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
                yield Asked(name, NAMESPACE, metric["MetricName"], dimensions)


def of_body(pieces: list[Any]) -> Iterator[Asked]:
    """The metrics in our namespace of a dashboard; the references in it are only names of others' resources."""
    body = json.loads("".join(piece if isinstance(piece, str) else "deployed" for piece in pieces))
    for properties in (widget["properties"] for widget in body["widgets"]):
        for first, *words in properties.get("metrics", []):
            if first == NAMESPACE:
                name, *dimensions, _rendering = words
                pairs = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
                yield Asked(properties["title"], NAMESPACE, name, pairs)
            elif isinstance(first, dict) and (found := _SEARCH.match(first["expression"])):
                terms = dict(_TERM.findall(found[2]))
                name = terms.pop("MetricName")
                pairs = {dimension: terms.get(dimension, "*") for dimension in found[1].split(",")}
                yield Asked(properties["title"], NAMESPACE, name, pairs)


def of_grafana() -> Iterator[Asked]:
    for board in grafana.BOARDS.values():
        for panel in grafana.panels(board):
            for target in panel["targets"]:
                if target.get("metricName"):
                    dimensions = {key: value.replace("$stage", "dev") for key, value in target["dimensions"].items()}
                    yield Asked(panel["title"], target["namespace"], target["metricName"], dimensions)
                    assert target["matchExact"]


def of_streamlit(wanted: tuple[Measure, ...]) -> Iterator[Asked]:
    for one in wanted:
        yield Asked(one.key, one.namespace, one.name, dict(one.dimensions))
