"""Alarms and dashboard look at metrics that the programs really emit, dimension by dimension."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import msgspec
import pytest
from aws_cdk.assertions import Template

from glue_jobs.curate.main import publish
from glue_jobs.curate.summary import Summary
from lambdas.detector.detect import Tally as DetectorTally
from lambdas.detector.settings import Settings as DetectorSettings
from lambdas.notifier.carry import Tally as NotifierTally
from lambdas.notifier.settings import Settings as NotifierSettings
from lambdas.watchdog.settings import Settings as WatchdogSettings
from telemetry.reading.codec import Reason
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import Severity
from tests.infra.conftest import ROOT, resources

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient

OURS = "IoTPipeline"
NOW = dt.datetime(2026, 11, 23, 13, 7, tzinfo=dt.UTC)


#: A search for metrics of ours: the names of the dimensions, and the values that are given.
_SEARCH = re.compile(rf"SEARCH\('{{{OURS},([^}}]*)}} ([^']*)'")
_TERM = re.compile(r'(\w+)="([^"]*)"')


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
def emitted_by(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., set[Series]]:
    """What a function writes: has the handler of ``service`` do something to its metrics."""

    def emitted(service: str, settings: type[msgspec.Struct], emit: Callable[[ModuleType], None]) -> set[Series]:
        for name in settings.__struct_fields__:
            monkeypatch.setenv(name.upper(), "unused")
        monkeypatch.setenv("STAGE", "dev")
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", service)
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", OURS)
        monkeypatch.chdir(ROOT)
        sys.modules.pop(f"lambdas.{service}.handler", None)
        handler = importlib.import_module(f"lambdas.{service}.handler")
        del sys.modules[f"lambdas.{service}.handler"]
        capsys.readouterr()
        emit(handler)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
        return {
            Series(metric["Name"], frozenset((name, line[name]) for name in dimensions))
            for line in lines
            for directive in line["_aws"]["CloudWatchMetrics"]
            if directive["Namespace"] == OURS
            for dimensions in directive["Dimensions"]
            for metric in directive["Metrics"]
        }

    return emitted


@pytest.fixture
def emitted_by_detector(emitted_by: Callable[..., set[Series]]) -> set[Series]:
    """What the handler writes for a batch with every reason."""

    def emit(handler: ModuleType) -> None:
        rejected = Counter[str](get_args(Reason))
        handler._emit(DetectorTally(records=1, readings=1, rejected=rejected, transitions=1, newest=NOW))
        handler.metrics.flush_metrics()

    return emitted_by("detector", DetectorSettings, emit)


@pytest.fixture
def emitted_by_notifier(emitted_by: Callable[..., set[Series]]) -> set[Series]:
    """What the handler writes for a batch with every severity, at one site."""

    def emit(handler: ModuleType) -> None:
        severities = Counter[str](get_args(Severity))
        tally = NotifierTally(
            firing=severities, firing_at=Counter(some=1), resolved=severities, published=1, delays=[1.0]
        )
        handler._emit(tally, 1)
        handler.metrics.flush_metrics()

    return emitted_by("notifier", NotifierSettings, emit)


@pytest.fixture
def emitted_by_watchdog(emitted_by: Callable[..., set[Series]], monkeypatch: pytest.MonkeyPatch) -> set[Series]:
    """What a run writes in which nothing is due."""

    def emit(handler: ModuleType) -> None:
        monkeypatch.setattr(handler, "due_keys", lambda *_: iter(()))
        rules = parse_rules("rules: [{name: too-hot, when: temperature > 40}]")
        monkeypatch.setattr(handler.rules, "current", lambda: rules)
        context = SimpleNamespace(
            function_name="watchdog", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="id"
        )
        handler.handler({}, context)

    return emitted_by("watchdog", WatchdogSettings, emit)


@pytest.fixture
def emitted_by_curation() -> set[Series]:
    """What a run of the job puts."""
    cloudwatch = RecordingCloudWatch()
    summary = Summary(run_id="run", readings=1, duplicates=1, quarantined=1, newest_reading=NOW, completeness=99.0)
    publish(cast("CloudWatchClient", cloudwatch), "dev", summary, NOW)
    return cloudwatch.series


def _watched(properties: dict[str, Any]) -> Iterator[Series]:
    """The series in our namespace that an alarm or a dashboard looks at."""
    if "DashboardBody" in properties:
        # The references in it are only names of others' resources.
        pieces = properties["DashboardBody"]["Fn::Join"][1]
        body = json.loads("".join(piece if isinstance(piece, str) else "deployed" for piece in pieces))
        for widget in body["widgets"]:
            for first, *words in widget["properties"].get("metrics", []):
                if first == OURS:
                    name, *dimensions, _rendering = words
                    yield Series(name, frozenset(zip(dimensions[::2], dimensions[1::2], strict=True)))
                elif isinstance(first, dict) and (found := _SEARCH.match(first["expression"])):
                    names, terms = found[1].split(","), dict(_TERM.findall(found[2]))
                    name = terms.pop("MetricName")
                    yield Series(name, frozenset((dimension, terms.get(dimension, "some")) for dimension in names))
        return
    stats = [query["MetricStat"]["Metric"] for query in properties.get("Metrics", []) if "MetricStat" in query]
    for metric in stats or [properties]:
        if metric["Namespace"] == OURS:
            yield _series(metric["MetricName"], metric["Dimensions"])


def test_should_watch_only_metrics_that_the_programs_emit(
    templates: dict[str, Template],
    emitted_by_detector: set[Series],
    emitted_by_watchdog: set[Series],
    emitted_by_notifier: set[Series],
    emitted_by_curation: set[Series],
) -> None:
    watched = {
        series
        for found in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard")
        for resource in resources(templates["monitoring"], found).values()
        for series in _watched(resource["Properties"])
    }

    assert {series.name for series in watched} >= {
        "RulesRejected",
        "AlertsFiring",
        "NewestReadingAge",
        "CurateRuns",
        "Completeness",
    }
    assert ("site", "some") in {dimension for series in watched for dimension in series.dimensions}
    emitted = emitted_by_detector | emitted_by_watchdog | emitted_by_notifier | emitted_by_curation
    assert watched - emitted == set()
