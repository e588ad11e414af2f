"""``iot status``: the deployment with the stream that it has, and how far its consumer is behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import boto3
import pytest
import typer
from botocore.exceptions import NoCredentialsError
from msgspec import structs
from typer.testing import CliRunner, Result

from cli import target
from cli.verbs.status import status
from pipeline import kafka
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from pipeline.kafka import ConsumerLag, PartitionLag
from simulator.sinks import kafka as kafka_sink
from tests.deployments import named_deployment

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(status)

ON_KINESIS = named_deployment()
ON_KAFKA = named_deployment(
    ingest="msk", kafka_partitions=2, stream_retention_hours=24, kafka_cluster_arn="", kafka_bootstrap="127.0.0.1:9092"
)
LAG = ConsumerLag(
    group="the-consumer-group",
    behind=1_207,
    partitions=[
        PartitionLag(partition=0, committed=3_000, end=4_200, behind=1_200),
        PartitionLag(partition=1, committed=None, end=7, behind=7),
    ],
)


@pytest.fixture
def iot_status(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(deployed: Deployment, *words: str) -> Result:
        monkeypatch.setattr(target, "deployed", lambda _: (boto3.Session(region_name="eu-west-1"), deployed))
        choice = target.Choice(aws=True, stage="dev")
        return CliRunner().invoke(app, list(words), obj=choice, catch_exceptions=False)

    return run


@pytest.fixture
def lag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "consumer_lag", lambda _deployed: LAG)


def test_should_show_the_stream_and_ask_no_broker(iot_status: Callable[..., Result]) -> None:
    shown = iot_status(ON_KINESIS)
    assert shown.exit_code == 0
    assert "the-stream-name (Kinesis)" in shown.stdout
    assert "s3://the-raw-bucket-name/raw/ by delivery stream the-delivery-stream-name" in shown.stdout
    assert "consumer" not in shown.stdout
    assert "topic" not in shown.stdout.replace("the-alerts-topic-arn", "")


@pytest.mark.usefixtures("lag")
def test_should_show_the_topic_and_its_consumer_lag(iot_status: Callable[..., Result]) -> None:
    shown = iot_status(ON_KAFKA)
    assert "the-topic-name (Kafka): 2 partitions, kept for 24 h" in shown.stdout
    assert "127.0.0.1:9092" in shown.stdout
    assert "1,207 records behind" in shown.stdout
    assert "by channel the-channel-name" in shown.stdout
    assert "3,000" not in shown.stdout


@pytest.mark.usefixtures("lag")
def test_should_list_the_partitions_on_demand(iot_status: Callable[..., Result]) -> None:
    *_, first, second = iot_status(ON_KAFKA, "--partitions").stdout.splitlines()
    assert first.split() == ["0", "3,000", "4,200", "1,200"]
    assert second.split() == ["1", "-", "7", "7"]


@pytest.mark.usefixtures("lag")
def test_should_give_all_of_it_as_json(iot_status: Callable[..., Result]) -> None:
    shown = json.loads(iot_status(ON_KAFKA, "--json").stdout)
    assert shown["TopicName"] == "the-topic-name"
    assert shown["RawBucketName"] == "the-raw-bucket-name"
    assert shown["endpoint"].startswith("https://sts.")
    assert shown["ConsumerLag"]["Behind"] == 1_207
    assert shown["ConsumerLag"]["Partitions"][1] == {"Partition": 1, "Committed": None, "End": 7, "Behind": 7}


def test_should_give_json_without_a_lag_where_there_is_no_topic(iot_status: Callable[..., Result]) -> None:
    shown = json.loads(iot_status(ON_KINESIS, "--json").stdout)
    assert shown["StreamName"] == "the-stream-name"
    assert "ConsumerLag" not in shown


def test_should_show_the_rest_when_no_broker_answers(
    iot_status: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_deployed: Deployment) -> ConsumerLag:
        raise PipelineError("no Kafka broker answers at 127.0.0.1:9092")

    monkeypatch.setattr(kafka, "consumer_lag", unreachable)
    shown = iot_status(ON_KAFKA, "--partitions")
    assert shown.exit_code == 0
    assert "unknown: no Kafka broker answers at 127.0.0.1:9092" in shown.stdout
    assert "the-dashboard-name" in shown.stdout
    as_json = json.loads(iot_status(ON_KAFKA, "--json").stdout)
    assert as_json["ConsumerLag"] == {"Unknown": "no Kafka broker answers at 127.0.0.1:9092"}


def test_should_point_to_the_dashboard_from_outside_of_the_vpc(
    iot_status: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_cluster_arn: str) -> str:
        raise NoCredentialsError

    monkeypatch.setattr(kafka_sink, "find_brokers", refused)
    on_msk = structs.replace(ON_KAFKA, kafka_bootstrap="", kafka_cluster_arn="arn:aws:kafka:eu-west-1:1:cluster/c/u")
    shown = iot_status(on_msk)
    assert shown.exit_code == 0
    assert "unknown: Unable to locate credentials; the dashboard the-dashboard-name in CloudWatch" in shown.stdout


def test_should_show_the_rest_without_the_client(
    iot_status: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pipeline.kafka")
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    shown = iot_status(ON_KAFKA)
    assert shown.exit_code == 0
    assert "unknown: the package confluent_kafka is missing: pip install" in shown.stdout
