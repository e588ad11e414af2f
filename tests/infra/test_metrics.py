"""Alarms and dashboard look at metrics that the programs really emit, dimension by dimension."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import pytest
from aws_cdk.assertions import Template

from glue_jobs.curate.curate import Summary
from glue_jobs.curate.main import publish
from lambdas.detector.detect import Tally
from telemetry.codec import Reason
from telemetry.rules import Severity
from tests.infra.conftest import ROOT, resources

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient

OURS = "IoTPipeline"
NOW = dt.datetime(2026, 11, 23, 13, 7, tzinfo=dt.UTC)


class Series(NamedTuple):
    """A metric as CloudWatch tells it from others: one dimension more or less is another one."""

    name: str
    dimensions: frozenset[tuple[str, str]]


class RecordingCloudWatch:
    """Takes metrics and keeps their series."""

    def __init__(self) -> None:
        self.series: set[Series] = set()

    def put_metric_data(self, *, Namespace: str, MetricData: Sequence[dict[str, Any]]) -> None:  # noqa: N803
        assert Namespace == OURS
        self.series |= {_series(datum["MetricName"], datum["Dimensions"]) for datum in MetricData}


def _series(name: str, dimensions: Sequence[dict[str, str]]) -> Series:
    return Series(name, frozenset((dimension["Name"], dimension["Value"]) for dimension in dimensions))


@pytest.fixture
def emitted_by_detector(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> set[Series]:
    """What the handler writes for a batch with every reason and severity."""
    for name in ("STATE_TABLE", "ALERTS_TOPIC_ARN", "CONFIG_BUCKET", "RULES_KEY"):
        monkeypatch.setenv(name, "unused")
    monkeypatch.setenv("STAGE", "dev")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "detector")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", OURS)
    monkeypatch.chdir(ROOT)
    sys.modules.pop("lambdas.detector.handler", None)
    handler = importlib.import_module("lambdas.detector.handler")
    del sys.modules["lambdas.detector.handler"]
    reasons, severities = Counter[str](get_args(Reason)), Counter[str](get_args(Severity))
    handler._emit(Tally(records=1, readings=1, rejected=reasons, firing=severities, resolved=severities, newest=NOW))
    handler.metrics.flush_metrics()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return {
        Series(metric["Name"], frozenset((name, line[name]) for name in dimensions))
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        if directive["Namespace"] == OURS
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }


@pytest.fixture
def emitted_by_curation() -> set[Series]:
    """What a run of the job puts."""
    cloudwatch = RecordingCloudWatch()
    summary = Summary(
        run_id="run",
        window_from=NOW,
        window_to=NOW,
        objects=1,
        partitions=1,
        readings=1,
        duplicates=1,
        quarantined=1,
        postponed_readings=1,
        expired_readings=1,
        newest_reading=NOW,
    )
    publish(cast("CloudWatchClient", cloudwatch), "dev", summary, NOW)
    return cloudwatch.series


def _watched(properties: dict[str, Any]) -> Iterator[Series]:
    """The series in our namespace that an alarm or a dashboard looks at."""
    if "DashboardBody" in properties:
        # The references in it are only names of others' resources.
        pieces = properties["DashboardBody"]["Fn::Join"][1]
        body = json.loads("".join(piece if isinstance(piece, str) else "deployed" for piece in pieces))
        for widget in body["widgets"]:
            for namespace, *words in widget["properties"].get("metrics", []):
                if namespace == OURS:
                    name, *dimensions, _rendering = words
                    yield Series(name, frozenset(zip(dimensions[::2], dimensions[1::2], strict=True)))
        return
    stats = [query["MetricStat"]["Metric"] for query in properties.get("Metrics", []) if "MetricStat" in query]
    for metric in stats or [properties]:
        if metric["Namespace"] == OURS:
            yield _series(metric["MetricName"], metric["Dimensions"])


def test_should_watch_only_metrics_that_the_programs_emit(
    templates: dict[str, Template], emitted_by_detector: set[Series], emitted_by_curation: set[Series]
) -> None:
    watched = {
        series
        for found in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard")
        for resource in resources(templates["monitoring"], found).values()
        for series in _watched(resource["Properties"])
    }

    assert {series.name for series in watched} >= {"RulesRejected", "AlertsFiring", "NewestReadingAge", "CurateRuns"}
    assert watched - emitted_by_detector - emitted_by_curation == set()
