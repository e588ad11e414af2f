"""What ``iot plan`` takes as deployed is what is deployed."""

from __future__ import annotations

from aws_cdk.assertions import Template

from cdk.settings import GLACIER_MINIMUM_DAYS, STAGE_DEFAULTS
from pipeline import event_source
from planning import parameters as planned
from tests.infra.conftest import resources


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
