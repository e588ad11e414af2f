"""Alarms, the dashboard and the page ask MSK for metrics that it publishes, with just these dimensions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_cdk.assertions import Template

from dashboards.app import aws_measures
from tests.deployments import named_deployment
from tests.infra.asked_metrics import PUBLISHED, Asked, of_streamlit
from tests.infra.conftest import only, resources
from tests.infra.watched_topic import watched_topic

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
def test_should_ask_msk_for_metrics_that_it_publishes(where: Any, at_least: int) -> None:
    found = list(where(watched_topic()))

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


def test_should_graph_no_metric_of_a_kinesis_stream_for_a_topic() -> None:
    body = json.dumps(only(watched_topic(), "AWS::CloudWatch::Dashboard"))

    assert "AWS/Kinesis" not in body
    assert "IteratorAge" not in body
    assert "iot-dev-raw" in body  # the channel, no delivery stream
    assert "DataReadFromKinesisStream" not in body
