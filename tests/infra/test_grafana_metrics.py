"""Every metric that the dashboards name is emitted by a program of ours, or by AWS about a resource of the stacks."""

from __future__ import annotations

import fnmatch
import json
from typing import Any, NamedTuple

import pytest
from aws_cdk.assertions import Template

from dashboards.grafana.pipeline import LATE_DELIVERY
from tests.contract import grafana
from tests.infra.test_metrics import (  # noqa: F401 - fixtures
    Series,
    emitted_by,
    emitted_by_curation,
    emitted_by_detector,
    emitted_by_notifier,
    emitted_by_watchdog,
)

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
    # https://docs.aws.amazon.com/athena/latest/ug/query-metrics-viewing.html
    ("AWS/Athena", "QueryState", "QueryType", "WorkGroup"): {"ProcessedBytes"},
}


class Asked(NamedTuple):
    """A metric that a panel asks for."""

    panel: str
    namespace: str
    name: str
    dimensions: dict[str, str]


def asked() -> list[Asked]:
    found = []
    for board in grafana.BOARDS.values():
        for panel in grafana.panels(board):
            for target in panel["targets"]:
                if target.get("metricName"):
                    dimensions = {key: value.replace("$stage", "dev") for key, value in target["dimensions"].items()}
                    found.append(Asked(panel["title"], target["namespace"], target["metricName"], dimensions))
                    assert target["matchExact"]
    return found


def matches(wanted: Asked, series: Series) -> bool:
    """Whether the series is asked for: exactly its dimensions, with ``*`` for any value."""
    there = dict(series.dimensions)
    return (
        wanted.name == series.name
        and there.keys() == wanted.dimensions.keys()
        and all(fnmatch.fnmatchcase(there[key], value) for key, value in wanted.dimensions.items())
    )


def missing(wanted: list[Asked], emitted: set[Series]) -> list[Asked]:
    return [one for one in wanted if not any(matches(one, series) for series in emitted)]


@pytest.fixture
def emitted(
    emitted_by_detector: set[Series],  # noqa: F811
    emitted_by_watchdog: set[Series],  # noqa: F811
    emitted_by_notifier: set[Series],  # noqa: F811
    emitted_by_curation: set[Series],  # noqa: F811
) -> set[Series]:
    return emitted_by_detector | emitted_by_watchdog | emitted_by_notifier | emitted_by_curation


def test_should_ask_for_metrics_that_the_programs_emit(emitted: set[Series]) -> None:
    ours = [one for one in asked() if one.namespace == "IoTPipeline"]
    assert len(ours) > 20
    assert missing(ours, emitted) == []


def test_should_find_a_metric_that_no_program_emits(emitted: set[Series]) -> None:
    good = {"service": "notifier", "stage": "dev", "severity": "critical"}
    wrong = [
        Asked("", "IoTPipeline", "AlertsFired", good),
        Asked("", "IoTPipeline", "AlertsFiring", good | {"severity": "Critical"}),
        Asked("", "IoTPipeline", "AlertsFiring", good | {"rule": "*"}),
    ]
    assert missing([Asked("", "IoTPipeline", "AlertsFiring", good), *wrong], emitted) == wrong


def test_should_ask_aws_for_metrics_that_it_publishes() -> None:
    for one in asked():
        if one.namespace != "IoTPipeline":
            assert one.name in PUBLISHED[one.namespace, *sorted(one.dimensions)], one


def test_should_ask_for_resources_that_there_are(templates: dict[str, Template]) -> None:
    for one in asked():
        for dimension, value in one.dimensions.items():
            if dimension in NAMED and one.namespace != "IoTPipeline":
                kind, key = NAMED[dimension]
                names = [
                    resource["Properties"].get(key)
                    for template in templates.values()
                    for resource in template.find_resources(kind).values()
                ]
                assert value in names, f"{one.panel}: {value} is none of {names}"


def test_should_show_what_the_clouds_own_dashboard_shows_of_ours(templates: dict[str, Template]) -> None:
    def words(value: Any) -> str:
        return (
            value if isinstance(value, str) else "".join(p if isinstance(p, str) else "x" for p in value["Fn::Join"][1])
        )

    (dashboard,) = templates["monitoring"].find_resources("AWS::CloudWatch::Dashboard").values()
    body = json.loads(words(dashboard["Properties"]["DashboardBody"]))
    shown = {
        metric[1]
        for widget in body["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "IoTPipeline"
    }
    not_here = {"GroupsDue", "Transitions"}
    assert shown - not_here <= {one.name for one in asked()}


def test_should_use_math_over_what_is_asked_for() -> None:
    for board in grafana.BOARDS.values():
        for panel in grafana.panels(board):
            ids = {target["id"] for target in panel["targets"] if target.get("id")}
            for target in panel["targets"]:
                if target.get("expression"):
                    words = set(target["expression"].replace("(", " ").replace(")", " ").split())
                    names = {word for word in words if word.isidentifier()}
                    assert names
                    assert names <= ids - {target["id"]}


def test_should_be_red_where_the_alarm_is_on(templates: dict[str, Template]) -> None:
    late = [
        alarm["Properties"]["Threshold"]
        for alarm in templates["monitoring"].find_resources("AWS::CloudWatch::Alarm").values()
        if alarm["Properties"].get("MetricName") == "DeliveryToS3.DataFreshness"
    ]
    assert late
    assert set(late) == {LATE_DELIVERY}
