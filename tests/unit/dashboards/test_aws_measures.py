"""What AWS itself measures of a stream and of a topic, and what that was billed."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import pandas as pd
import pytest

from dashboards.app import aws_measures
from dashboards.app.aws_measures import Capacity
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from planning.plan import cost_so_far
from tests.deployments import named_deployment

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
END = START + dt.timedelta(minutes=4, seconds=30)

CLUSTER_ARN = "arn:aws:kafka:eu-west-1:123456789012:cluster/iot-dev/0a1b2c3d-4e5f-6789-abcd-ef0123456789-5"


@pytest.fixture
def on_msk() -> Deployment:
    return named_deployment(ingest="msk", kafka_cluster_arn=CLUSTER_ARN, kafka_bootstrap="")


class MSK:
    """A cluster of three brokers of a type."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def client(self, name: str) -> MSK:
        assert name == "kafka"
        return self

    def describe_cluster_v2(self, *, ClusterArn: str) -> dict[str, Any]:  # noqa: N803
        assert ClusterArn == CLUSTER_ARN
        nodes = {"NumberOfBrokerNodes": 3, "BrokerNodeGroupInfo": {"InstanceType": self._kind}}
        return {"ClusterInfo": {"CreationTime": START, "Provisioned": nodes}}


def test_should_ask_msk_for_the_lag_of_the_detectors_group_in_the_cluster(on_msk: Deployment) -> None:
    asked = {one.key: one for one in aws_measures.service(on_msk)}

    assert asked.keys() == {"behind", "errors", "refused", "undelivered"}
    assert (asked["behind"].name, asked["behind"].scale) == ("EstimatedMaxTimeLag", 1.0)
    assert dict(asked["behind"].dimensions) == {
        "Cluster Name": "iot-dev",
        "Consumer Group": "the-consumer-group",
        "Topic": "the-topic-name",
    }
    assert dict(asked["undelivered"].dimensions)["ChannelName"] == "the-channel-name"


def test_should_ask_for_no_metric_of_a_broker_next_to_an_emulator() -> None:
    local = named_deployment(ingest="msk", kafka_cluster_arn="", kafka_bootstrap="127.0.0.1:9092")

    assert {one.namespace for one in aws_measures.service(local)} == {"AWS/Lambda"}
    assert {one.namespace for one in aws_measures.spent(local)}.isdisjoint({"AWS/Kafka", "AWS/Kinesis"})


def test_should_know_the_brokers_that_are_billed_and_since_when(on_msk: Deployment) -> None:
    session = cast("Any", MSK("express.m7g.xlarge"))

    assert aws_measures.capacity(session, on_msk) == Capacity(START, large_brokers=6)


def test_should_say_that_no_price_is_known_of_other_brokers(on_msk: Deployment) -> None:
    with pytest.raises(PipelineError, match=r"no price is known of brokers of the type kafka\.m7g\.large"):
        aws_measures.capacity(cast("Any", MSK("kafka.m7g.large")), on_msk)


def test_should_bill_a_topic_by_its_brokers_its_bytes_and_what_it_keeps_in_the_mean() -> None:
    counted = pd.DataFrame(
        {
            "at": [START, END],
            "records": [100.0, 50.0],
            "bytes": [1e9, 1e9],
            "stored_bytes": [4e9, 6e9],
            "queries SUCCEEDED": [None, 1.0],
            "scanned_bytes SUCCEEDED": [None, 5e6],
        }
    )
    used = aws_measures.usage(counted, 10.0, Capacity(START, large_brokers=6))

    assert (used.broker_hours, used.bytes, used.stored_bytes, used.shards) == (60, 2e9, 5e9, 0)
    services = {item.service for item in cost_so_far(used)}
    assert "MSK" in services
    assert services.isdisjoint({"Kinesis", "Firehose"})


def test_should_add_up_what_functions_and_tables_took() -> None:
    counted = pd.DataFrame(
        {
            "at": [START, END],
            "records": [100.0, 50.0],
            "bytes": [1e6, None],
            "scanned_bytes SUCCEEDED": [None, 5e6],
            "queries SUCCEEDED": [None, 2.0],
            "scanned_bytes CANCELLED": [None, 30e6],
            "queries CANCELLED": [None, 1.0],
            "invocations a": [10.0, 1.0],
            "invocations b": [5.0, None],
            "gb_seconds a": [0.5, 0.5],
            "write_units t": [3.0, 4.0],
            "read_units t": [1.0, 1.0],
        }
    )
    used = aws_measures.usage(counted, 24.0, Capacity(START, shards=2))
    assert (used.hours, used.shards, used.records, used.bytes, used.scanned_bytes) == (24, 2, 150, 1e6, 35e6)
    assert (used.invocations, used.gb_seconds, used.write_units, used.read_units) == (16, 1, 7, 2)


def test_should_bill_a_query_for_ten_megabytes_at_least() -> None:
    counted = pd.DataFrame({"at": [START], "scanned_bytes S": [5e6], "queries S": [3.0]})
    assert aws_measures.usage(counted, 1.0, Capacity(START)).scanned_bytes == 30e6


@pytest.mark.parametrize(("mode", "billed"), [("PROVISIONED", 3), ("ON_DEMAND", 0)])
def test_should_know_the_shards_that_are_billed_and_since_when(mode: str, billed: int) -> None:
    class Kinesis:
        def client(self, _name: str) -> Kinesis:
            return self

        def describe_stream_summary(self, **_: str) -> dict[str, Any]:
            summary = {"StreamModeDetails": {"StreamMode": mode}, "OpenShardCount": 3}
            return {"StreamDescriptionSummary": summary | {"StreamCreationTimestamp": START}}

    deployed = named_deployment(stream_name="stream")

    assert aws_measures.capacity(cast("Any", Kinesis()), deployed) == Capacity(START, shards=billed)
