"""The catalogue holds what the programs emit; alarms, dashboards and pages ask for it, dimension by dimension."""

from __future__ import annotations

import datetime as dt
import fnmatch
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import pytest
from aws_cdk.assertions import Template

from dashboards.app import aws_measures, measures
from dashboards.catalogue import METRICS, Metric
from glue_jobs.curate.metrics import NAMESPACE, publish
from glue_jobs.curate.summary import Summary
from lambdas.bootstrap import Runtime, Settings, Wiring, load
from lambdas.detector import function as detector
from lambdas.detector.detect import Tally as DetectorTally
from lambdas.notifier import function as notifier
from lambdas.notifier.dispatcher import Tally as NotifierTally
from lambdas.watchdog import function as watchdog
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Faults
from local.memory_aws.messages import SNS, SQS, Firehose
from local.memory_aws.s3 import S3
from pipeline.deployment import Deployment
from telemetry.reading.codec import Reason
from telemetry.rules.rule_set import Severity
from tests.contract import grafana
from tests.deployments import named_deployment
from tests.eventsource import Clock
from tests.infra.asked_metrics import NAMED, PUBLISHED, Asked, of_cloudwatch, of_grafana, of_streamlit
from tests.infra.conftest import ROOT, resources

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_cloudwatch.client import CloudWatchClient

NOW = dt.datetime(2026, 11, 23, 13, 7, tzinfo=dt.UTC)


class Series(NamedTuple):
    """A metric as CloudWatch tells it from others: one dimension more or less is another one."""

    name: str
    dimensions: frozenset[tuple[str, str]]


#: The units of the series that programs emit.
Emitted = dict[Series, str]


class RecordingCloudWatch:
    """Takes metrics and keeps their series."""

    def __init__(self) -> None:
        self.series: Emitted = {}

    def put_metric_data(self, *, Namespace: str, MetricData: Sequence[dict[str, Any]]) -> None:  # noqa: N803
        assert Namespace == NAMESPACE
        self.series |= {
            Series(datum["MetricName"], frozenset((d["Name"], d["Value"]) for d in datum["Dimensions"])): datum["Unit"]
            for datum in MetricData
        }


Emitter = Callable[[Wiring[Any]], None]


@pytest.fixture
def emitted_by(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Emitted]:
    """What a function writes when ``emit`` has it do something to its metrics."""

    def emitted(service: str, settings: type[Settings], emit: Emitter) -> Emitted:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", service)
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
        monkeypatch.chdir(ROOT)
        environ = {name.upper(): "unused" for name in settings.__struct_fields__} | {"STAGE": "dev"}
        wiring = Wiring(load(settings, environ), Runtime(client=idle_aws().__getitem__))
        capsys.readouterr()
        emit(wiring)
        wiring.metrics.flush_metrics()
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
        return {
            Series(metric["Name"], frozenset((name, line[name]) for name in dimensions)): metric["Unit"]
            for line in lines
            for directive in line["_aws"]["CloudWatchMetrics"]
            if directive["Namespace"] == NAMESPACE
            for dimensions in directive["Dimensions"]
            for metric in directive["Metrics"]
        }

    return emitted


def idle_aws() -> dict[str, object]:
    """Clients of an AWS in which nothing is due, by service."""
    none = Faults()
    s3 = S3(none)
    s3.objects.write("config_bucket", "rules.yaml", io.BytesIO(b"rules: [{name: too-hot, when: temperature > 40}]"))
    return {
        "dynamodb": DynamoDB(none, {"unused": ("gateway", "part")}),
        "sqs": SQS(none, Clock(NOW)),
        "sns": SNS(none),
        "firehose": Firehose(none),
        "s3": s3,
    }


@pytest.fixture
def emitted_by_detector(emitted_by: Callable[..., Emitted]) -> Emitted:
    """What the function writes for a batch with every reason."""

    def emit(wiring: Wiring[detector.Settings]) -> None:
        rejected = Counter[str](get_args(Reason))
        tally = DetectorTally(records=1, readings=1, rejected=rejected, transitions=1, newest=NOW)
        detector.DetectorFunction(wiring).emit(tally)

    return emitted_by("detector", detector.Settings, emit)


@pytest.fixture
def emitted_by_notifier(emitted_by: Callable[..., Emitted]) -> Emitted:
    """What the function writes for a batch with every severity, at one site."""

    def emit(wiring: Wiring[notifier.Settings]) -> None:
        severities = Counter[str](get_args(Severity))
        tally = NotifierTally(
            firing=severities, firing_at=Counter(some=1), resolved=severities, published=1, delays=[1.0]
        )
        notifier.NotifierFunction(wiring).emit(tally, 1)

    return emitted_by("notifier", notifier.Settings, emit)


@pytest.fixture
def emitted_by_watchdog(emitted_by: Callable[..., Emitted]) -> Emitted:
    """What a run writes in which nothing is due."""

    def emit(wiring: Wiring[watchdog.Settings]) -> None:
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
        watchdog.WatchdogFunction(wiring).handle({}, cast("LambdaContext", context))

    return emitted_by("watchdog", watchdog.Settings, emit)


@pytest.fixture
def emitted_by_curation() -> Emitted:
    """What a run of the job puts."""
    cloudwatch = RecordingCloudWatch()
    summary = Summary(run_id="run", readings=1, duplicates=1, quarantined=1, newest_reading=NOW, completeness=99.0)
    publish(cast("CloudWatchClient", cloudwatch), "dev", summary, NOW)
    return cloudwatch.series


@pytest.fixture
def emitted(
    emitted_by_detector: Emitted,
    emitted_by_watchdog: Emitted,
    emitted_by_notifier: Emitted,
    emitted_by_curation: Emitted,
) -> Emitted:
    return emitted_by_detector | emitted_by_watchdog | emitted_by_notifier | emitted_by_curation


@pytest.fixture(scope="module")
def deployed(templates: dict[str, Template]) -> Deployment:
    """A deployment with the names of the templates; what is generated has the name of its field."""

    def name(kind: str, ending: str = "") -> str:
        type_, key = NAMED[kind]
        found = [
            str(resource["Properties"][key])
            for template in templates.values()
            for resource in template.find_resources(type_).values()
            if str(resource["Properties"].get(key, "")).endswith(ending)
        ]
        return found[0]

    names = {
        "stream_name": name("StreamName"),
        "delivery_stream_name": name("DeliveryStreamName", "raw"),
        "work_group_name": name("WorkGroup"),
        **{f"{one}_function_name": name("FunctionName", one) for one in ("detector", "watchdog", "notifier")},
    }
    return named_deployment(**names)


@pytest.fixture(scope="module")
def asked(templates: dict[str, Template], deployed: Deployment) -> dict[str, list[Asked]]:
    """All metrics that are asked for, by what asks."""
    pages = (measures.flow, measures.detection, measures.notification, measures.curation)
    return {
        "alarms": list(of_cloudwatch(templates["monitoring"], "AWS::CloudWatch::Alarm")),
        "dashboard": list(of_cloudwatch(templates["monitoring"], "AWS::CloudWatch::Dashboard")),
        "grafana": list(of_grafana()),
        "streamlit": [
            *(one for page in pages for one in of_streamlit(page("dev"))),
            *of_streamlit(aws_measures.service(deployed)),
            *of_streamlit(aws_measures.spent(deployed)),
        ],
    }


def matches(wanted: Asked, series: Series) -> bool:
    """Whether the series is asked for: exactly its dimensions, with ``*`` for any value."""
    there = dict(series.dimensions)
    return (
        wanted.name == series.name
        and there.keys() == wanted.dimensions.keys()
        and all(fnmatch.fnmatchcase(there[key], value) for key, value in wanted.dimensions.items())
    )


def missing(wanted: list[Asked], emitted: Emitted) -> list[Asked]:
    return [one for one in wanted if not any(matches(one, series) for series in emitted)]


def test_should_have_an_entry_for_each_metric_that_the_programs_emit_and_for_no_other(emitted: Emitted) -> None:
    def kinds(metric: Metric) -> Iterator[tuple[str, str, str, frozenset[str]]]:
        for service in metric.services:
            for part in ((), *((part,) for part in metric.parts)):
                yield service, metric.name, metric.unit, frozenset(("service", "stage", *part))

    assert {
        (dict(series.dimensions)["service"], series.name, unit, frozenset(dict(series.dimensions)))
        for series, unit in emitted.items()
    } == {kind for metric in METRICS.values() for kind in kinds(metric)}


@pytest.mark.parametrize(("where", "at_least"), [("alarms", 6), ("dashboard", 25), ("grafana", 20), ("streamlit", 9)])
def test_should_ask_for_metrics_that_the_programs_emit(
    where: str, at_least: int, asked: dict[str, list[Asked]], emitted: Emitted
) -> None:
    ours = [one for one in asked[where] if one.namespace == NAMESPACE]
    assert len(ours) >= at_least
    assert missing(ours, emitted) == []


def test_should_find_a_metric_that_no_program_emits(emitted: Emitted) -> None:
    good = {"service": "notifier", "stage": "dev", "severity": "critical"}
    wrong = [
        Asked("", NAMESPACE, "AlertsFired", good),
        Asked("", NAMESPACE, "AlertsFiring", good | {"severity": "Critical"}),
        Asked("", NAMESPACE, "AlertsFiring", good | {"rule": "*"}),
    ]
    assert missing([Asked("", NAMESPACE, "AlertsFiring", good), *wrong], emitted) == wrong


@pytest.mark.parametrize("where", ["dashboard", "grafana"])
def test_should_show_every_metric_of_the_catalogue(where: str, asked: dict[str, list[Asked]]) -> None:
    assert METRICS.keys() - {one.name for one in asked[where]} == set()


@pytest.mark.parametrize("where", ["grafana", "streamlit"])
def test_should_ask_aws_for_metrics_that_it_publishes(where: str, asked: dict[str, list[Asked]]) -> None:
    theirs = [one for one in asked[where] if one.namespace != NAMESPACE]
    assert len(theirs) > 15
    for one in theirs:
        assert one.name in PUBLISHED[one.namespace, *sorted(one.dimensions)], one


def test_should_ask_for_resources_that_there_are(asked: dict[str, list[Asked]], templates: dict[str, Template]) -> None:
    for one in asked["grafana"]:
        for dimension, value in one.dimensions.items():
            if dimension in NAMED and one.namespace != NAMESPACE:
                kind, key = NAMED[dimension]
                names = [
                    resource["Properties"].get(key)
                    for template in templates.values()
                    for resource in template.find_resources(kind).values()
                ]
                assert value in names, f"{one.where}: {value} is none of {names}"


def test_should_give_each_measure_of_a_page_its_own_key(deployed: Deployment) -> None:
    for wanted in (measures.flow("dev"), aws_measures.service(deployed), aws_measures.spent(deployed)):
        assert len({one.key for one in wanted}) == len(wanted)


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
    late = {
        alarm["Properties"]["Threshold"]
        for alarm in resources(templates["monitoring"], "AWS::CloudWatch::Alarm").values()
        if alarm["Properties"].get("MetricName") == "DeliveryToS3.DataFreshness"
    }
    red = {
        panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        for panel in grafana.panels(grafana.BOARDS["pipeline"])
        if panel["type"] == "stat" and panel["targets"][0]["metricName"] == "DeliveryToS3.DataFreshness"
    }
    assert len(late) == 1
    assert red == late
