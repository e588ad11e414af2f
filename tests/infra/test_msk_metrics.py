"""Alarms, the dashboard and the page ask MSK for metrics that it publishes, with just these dimensions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws_cdk.assertions import Template

from dashboards.app import aws_measures
from tests.deployments import named_deployment
from tests.infra.asked_metrics import PUBLISHED, Asked, of_grafana, of_streamlit
from tests.infra.conftest import only, resources

#: A search for metrics of MSK, and a query of them by SQL.
_SEARCH = re.compile(r"SEARCH\('{AWS/Kafka,([^}]*)} MetricName=\"(\w+)\"")
_QUERY = re.compile(r"SELECT \w+\((\w+)\) FROM SCHEMA\(\"AWS/Kafka\", ([^)]*)\)")


def asked(where: str, name: str, dimensions: list[str]) -> Asked:
    return Asked(where, "AWS/Kafka", name, {one.strip(' "'): "*" for one in dimensions})


def of_alarms(template: Template) -> Iterator[Asked]:
    for alarm in resources(template, "AWS::CloudWatch::Alarm").values():
        properties: dict[str, Any] = alarm["Properties"]
        for query in properties.get("Metrics", [{"MetricStat": {"Metric": properties}}]):
            metric = query.get("MetricStat", {}).get("Metric", {})
            if metric.get("Namespace") == "AWS/Kafka":
                dimensions = [one["Name"] for one in metric["Dimensions"]]
                yield asked(properties["AlarmName"], metric["MetricName"], dimensions)
            if found := _QUERY.match(query.get("Expression", "")):
                yield asked(properties["AlarmName"], found[1], found[2].split(","))


def of_dashboard(template: Template) -> Iterator[Asked]:
    pieces = only(template, "AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    body = json.loads("".join(piece if isinstance(piece, str) else "deployed" for piece in pieces))
    for properties in (widget["properties"] for widget in body["widgets"]):
        for first, *words in properties.get("metrics", []):
            if first == "AWS/Kafka":
                yield asked(properties["title"], words[0], words[1:-1:2])
            elif isinstance(first, dict) and (found := _SEARCH.search(first["expression"])):
                yield asked(properties["title"], found[2], found[1].split(","))


@pytest.mark.parametrize(("where", "at_least"), [(of_alarms, 7), (of_dashboard, 15)])
def test_should_ask_msk_for_metrics_that_it_publishes(
    where: Callable[[Template], Iterator[Asked]], at_least: int, kafka_templates: dict[str, Template]
) -> None:
    found = list(where(kafka_templates["monitoring"]))

    assert len(found) >= at_least
    for one in found:
        assert one.name in PUBLISHED[one.namespace, *sorted(one.dimensions)], one


def test_should_ask_for_published_metrics_on_the_page_of_a_topic() -> None:
    arn = "arn:aws:kafka:eu-west-1:123456789012:cluster/iot-dev/0a1b2c3d-4e5f-6789-abcd-ef0123456789-5"
    deployed = named_deployment(ingest="msk", kafka_cluster_arn=arn, kafka_bootstrap="")

    found = list(of_streamlit((*aws_measures.service(deployed), *aws_measures.spent(deployed))))

    assert sum(one.namespace == "AWS/Kafka" for one in found) == 6
    for one in found:
        assert one.name in PUBLISHED[one.namespace, *sorted(one.dimensions)], one


def test_should_name_the_cluster_topic_channel_and_group_that_there_are(kafka_templates: dict[str, Template]) -> None:
    ingest, alerts = kafka_templates["ingest"], kafka_templates["alerts"]
    (source,) = (
        mapping["Properties"]["AmazonManagedKafkaEventSourceConfig"]
        for mapping in resources(alerts, "AWS::Lambda::EventSourceMapping").values()
        if "AmazonManagedKafkaEventSourceConfig" in mapping["Properties"]
    )
    cluster = only(ingest, "AWS::MSK::Cluster")["ClusterName"]
    there = {
        "Cluster Name": cluster,
        "ClusterName": cluster,
        "Topic": only(ingest, "AWS::MSK::Topic")["TopicName"],
        "ChannelName": only(ingest, "AWS::MSK::Channel")["ChannelName"],
        "Consumer Group": source["ConsumerGroupId"],
    }

    asked_for = [one for one in of_grafana() if one.namespace == "AWS/Kafka"]

    assert len(asked_for) > 8
    for one in asked_for:
        assert {key: value for key, value in one.dimensions.items() if value != "*"}.items() <= there.items(), one
    dimensions = [
        dimension
        for alarm in resources(kafka_templates["monitoring"], "AWS::CloudWatch::Alarm").values()
        for metric in (alarm["Properties"], *_metrics_of(alarm["Properties"]))
        if metric.get("Namespace") == "AWS/Kafka"
        for dimension in metric["Dimensions"]
    ]
    assert {dimension["Name"]: dimension["Value"] for dimension in dimensions} == there


def _metrics_of(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for query in alarm.get("Metrics", []):
        yield query.get("MetricStat", {}).get("Metric", {})


def test_should_graph_no_metric_of_a_kinesis_stream_for_a_topic(kafka_templates: dict[str, Template]) -> None:
    body = json.dumps(only(kafka_templates["monitoring"], "AWS::CloudWatch::Dashboard"))

    assert "AWS/Kinesis" not in body
    assert "IteratorAge" not in body
    assert "iot-dev-raw" in body  # the channel, no delivery stream
    assert "DataReadFromKinesisStream" not in body
