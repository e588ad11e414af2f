"""What ``iot plan`` takes as deployed is what is deployed."""

from __future__ import annotations

import base64
import json
from typing import get_args

from aws_cdk.assertions import Template

from cdk.kafka_settings import Brokers, BrokerType, Partitions
from cdk.settings import GLACIER_MINIMUM_DAYS, STAGE_DEFAULTS, load
from pipeline import event_source
from planning import msk, prices
from planning import parameters as planned
from tests.infra.conftest import only, resources


def test_should_plan_functions_as_they_are_deployed(templates: dict[str, Template]) -> None:
    functions = [
        found["Properties"]
        for found in resources(templates["alerts"], "AWS::Lambda::Function").values()
        if "FunctionName" in found["Properties"]
    ]
    assert {found["MemorySize"] for found in functions} == {planned.MEMORY_GB * 1024}
    assert {tuple(found["Architectures"]) for found in functions} == {("arm64",)}


def test_should_plan_the_detectors_batches_as_they_are_deployed(templates: dict[str, Template]) -> None:
    (mapping,) = [
        found["Properties"]
        for found in resources(templates["alerts"], "AWS::Lambda::EventSourceMapping").values()
        if "ParallelizationFactor" in found["Properties"]
    ]
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"], mapping["ParallelizationFactor"]) == (
        event_source.BATCH_RECORDS,
        event_source.BATCH_WINDOW_SECONDS,
        planned.PARALLELIZATION,
    )


def test_should_plan_the_raw_zone_as_production_keeps_it(templates: dict[str, Template]) -> None:
    (delivery,) = resources(templates["ingest"], "AWS::KinesisFirehose::DeliveryStream").values()
    hints = delivery["Properties"]["ExtendedS3DestinationConfiguration"]["BufferingHints"]
    assert hints["SizeInMBs"] * 1024**2 == planned.BUFFER_BYTES
    assert STAGE_DEFAULTS["prod"]["raw_buffer_seconds"] == planned.BUFFER_SECONDS
    assert STAGE_DEFAULTS["prod"]["raw_archive_after_days"] == planned.ARCHIVED_AFTER.days
    assert planned.ARCHIVED_FOR.days == GLACIER_MINIMUM_DAYS


def test_should_plan_what_watches_as_it_is_deployed(templates: dict[str, Template]) -> None:
    def count(kind: str) -> int:
        return sum(len(resources(template, kind)) for template in templates.values())

    assert count("AWS::KMS::Key") == planned.KEYS
    assert count("AWS::CloudWatch::Dashboard") == planned.DASHBOARDS
    # "Some": an alarm on an expression is billed for each of its metrics.
    assert count("AWS::CloudWatch::Alarm") <= planned.ALARM_METRICS <= count("AWS::CloudWatch::Alarm") + 10


def test_should_plan_the_topics_that_notifications_are_published_to(templates: dict[str, Template]) -> None:
    assert len(resources(templates["alerts"], "AWS::SNS::Topic")) == planned.TOPICS


# Through MSK


def test_should_plan_the_cluster_that_is_deployed(kafka_templates: dict[str, Template]) -> None:
    cluster = only(kafka_templates["ingest"], "AWS::MSK::Cluster")
    brokers = cluster["BrokerNodeGroupInfo"]
    assert (cluster["NumberOfBrokerNodes"], brokers["InstanceType"]) == (
        planned.KAFKA_BROKERS,
        planned.KAFKA_BROKER_TYPE,
    )
    assert len(brokers["ClientSubnets"]) == msk.ZONES
    # The next level is billed for each metric.
    assert cluster["EnhancedMonitoring"] == "DEFAULT"


def test_should_plan_the_topic_that_is_deployed(kafka_templates: dict[str, Template]) -> None:
    topic = only(kafka_templates["ingest"], "AWS::MSK::Topic")
    assert topic["PartitionCount"] == planned.KAFKA_PARTITIONS
    kept = json.loads(base64.b64decode(topic["Configs"]))["retention.ms"]
    assert int(kept) == planned.STREAM_RETENTION.total_seconds() * 1000


def test_should_plan_the_pollers_that_are_deployed(kafka_templates: dict[str, Template]) -> None:
    (mapping,) = [
        found["Properties"]
        for found in resources(kafka_templates["alerts"], "AWS::Lambda::EventSourceMapping").values()
        if "Topics" in found["Properties"]
    ]
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (
        event_source.BATCH_RECORDS,
        event_source.BATCH_WINDOW_SECONDS,
    )
    pollers = mapping["ProvisionedPollerConfig"]
    assert (pollers["MinimumPollers"], pollers["MaximumPollers"]) == (planned.POLLERS, planned.KAFKA_PARTITIONS)


def test_should_plan_the_delivery_that_is_deployed(kafka_templates: dict[str, Template]) -> None:
    channel = only(kafka_templates["ingest"], "AWS::MSK::Channel")
    freshness = channel["S3DestinationConfiguration"]["DataFreshnessInSeconds"]
    assert freshness == load({"ingest": "msk"}, {}).raw_buffer_seconds
    assert load({"ingest": "msk", "stage": "prod"}, {}).raw_buffer_seconds == planned.BUFFER_SECONDS
    assert not resources(kafka_templates["ingest"], "AWS::KinesisFirehose::DeliveryStream")
    assert not resources(kafka_templates["ingest"], "AWS::Kinesis::Stream")


def test_should_plan_the_network_that_is_deployed(kafka_templates: dict[str, Template]) -> None:
    endpoint = only(kafka_templates["ingest"], "AWS::EC2::VPCEndpoint")
    assert len(endpoint["SubnetIds"]) == planned.ENDPOINTS * msk.ZONES
    assert not resources(kafka_templates["ingest"], "AWS::EC2::NatGateway")


def test_should_plan_what_watches_a_topic_as_it_is_deployed(kafka_templates: dict[str, Template]) -> None:
    def count(kind: str) -> int:
        return sum(len(resources(template, kind)) for template in kafka_templates.values())

    assert count("AWS::KMS::Key") == planned.KEYS
    assert count("AWS::CloudWatch::Dashboard") == planned.DASHBOARDS
    assert count("AWS::CloudWatch::Alarm") <= planned.ALARM_METRICS <= count("AWS::CloudWatch::Alarm") + 10


def test_should_know_the_sizes_and_limits_that_settings_accept() -> None:
    assert tuple(kind.name for kind in msk.BROKER_TYPES) == get_args(BrokerType)
    brokers, partitions = get_args(Brokers)[1], get_args(Partitions)[1]
    assert (brokers.ge, brokers.multiple_of, brokers.le) == (msk.ZONES, msk.ZONES, prices.CLUSTER_BROKERS)
    assert partitions.le == prices.MAPPING_POLLERS
