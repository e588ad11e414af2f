"""Every alarm tells somebody something that helps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk.assertions import Template

from lambdas.notifier.dispatcher import LONGEST_WAKE_SECONDS
from planning.msk import sustained_bytes
from tests.infra.conftest import ROOT, app_for, only, resources, templates_for

RUNBOOKS = ROOT / "docs" / "runbooks"
SECTIONS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation")


def alarms_in(monitoring: Template) -> dict[str, dict[str, Any]]:
    """The properties of the alarms, by their names without the stage."""
    found = resources(monitoring, "AWS::CloudWatch::Alarm").values()
    return {alarm["Properties"]["AlarmName"].removeprefix("iot-dev-"): alarm["Properties"] for alarm in found}


@pytest.fixture(scope="module")
def alarms(templates: dict[str, Template]) -> dict[str, dict[str, Any]]:
    return alarms_in(templates["monitoring"])


@pytest.fixture(scope="module")
def kafka_alarms(kafka_templates: dict[str, Template]) -> dict[str, dict[str, Any]]:
    return alarms_in(kafka_templates["monitoring"])


@pytest.fixture(scope="module")
def composite(templates: dict[str, Template]) -> dict[str, Any]:
    return only(templates["monitoring"], "AWS::CloudWatch::CompositeAlarm")


def test_should_alarm_on_every_part_of_a_readings_way(alarms: dict[str, dict[str, Any]]) -> None:
    assert set(alarms) == {
        "stream-throttled",
        "detector-behind",
        "detector-errors",
        "detector-throttled",
        "detector-slow",
        "detector-gave-up",
        "windows-dropped",
        "rejected-readings",
        "watchdog-stopped",
        "watchdog-failing",
        "rules-rejected",
        "alert-storm",
        "notifications-late",
        "notifier-errors",
        "notifications-failing",
        "notifications-failed",
        "alerts-undelivered",
        "alerts-delivery-late",
        "raw-delivery-late",
        "curate-failed",
        "curated-data-stale",
    }


def test_should_alarm_on_what_a_kafka_topic_has_in_place_of_a_kinesis_stream(
    alarms: dict[str, dict[str, Any]], kafka_alarms: dict[str, dict[str, Any]]
) -> None:
    assert set(alarms) - set(kafka_alarms) == {"stream-throttled"}
    assert set(kafka_alarms) - set(alarms) == {
        "brokers-near-quota",
        "brokers-busy",
        "detector-stopped",
        "raw-delivery-failed",
    }
    changed = {name for name in alarms.keys() & kafka_alarms.keys() if "Kafka" in json.dumps(kafka_alarms[name])}
    assert changed == {"detector-behind", "raw-delivery-late"}
    assert "Kinesis" not in json.dumps(kafka_alarms)


def test_should_alarm_on_a_minute_of_backlog_of_the_detectors_consumer_group(
    kafka_alarms: dict[str, dict[str, Any]],
) -> None:
    behind = kafka_alarms["detector-behind"]

    assert (behind["Namespace"], behind["MetricName"], behind["Statistic"]) == (
        "AWS/Kafka",
        "EstimatedMaxTimeLag",
        "Maximum",
    )
    assert {one["Name"]: one["Value"] for one in behind["Dimensions"]} == {
        "Cluster Name": "iot-dev",
        "Consumer Group": "iot-dev-detector",
        "Topic": "iot-dev-readings",
    }
    assert (behind["Threshold"], behind["Period"], behind["DatapointsToAlarm"]) == (60, 60, 5)


@pytest.mark.parametrize(
    ("name", "expression", "threshold", "comparison"),
    [
        ("brokers-busy", "SELECT MIN(CpuIdle)", 40, "LessThanThreshold"),
        (
            "brokers-near-quota",
            "SELECT MAX(BytesInPerSec)",
            0.8 * sustained_bytes("express.m7g.large"),
            "GreaterThanOrEqualToThreshold",
        ),
    ],
)
def test_should_alarm_on_the_worst_of_any_number_of_brokers(
    name: str, expression: str, threshold: float, comparison: str, kafka_alarms: dict[str, dict[str, Any]]
) -> None:
    alarm = kafka_alarms[name]
    (query,) = alarm["Metrics"]

    schema = 'FROM SCHEMA("AWS/Kafka", "Broker ID", "Cluster Name") WHERE "Cluster Name" = \'iot-dev\''
    assert query["Expression"] == f"{expression} {schema}"
    assert query["Period"] == 60
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (threshold, comparison)


def test_should_leave_the_quota_of_brokers_to_the_owner_of_a_cluster() -> None:
    cluster = "arn:aws:kafka:eu-west-1:123456789012:cluster/ours/0a1b2c3d-4e5f-6789-abcd-ef0123456789-5"
    app = app_for(ingest="msk", kafka_cluster_arn=cluster, kafka_topic="readings")

    alarms = alarms_in(templates_for(app)["monitoring"])

    assert "brokers-near-quota" not in alarms
    assert alarms["brokers-busy"]["Metrics"][0]["Expression"].endswith("WHERE \"Cluster Name\" = 'ours'")
    assert {one["Name"]: one["Value"] for one in alarms["detector-behind"]["Dimensions"]} == {
        "Cluster Name": "ours",
        "Consumer Group": "iot-dev-detector",
        "Topic": "readings",
    }


def test_should_alarm_on_waiting_records_when_the_detector_does_not_run(
    kafka_alarms: dict[str, dict[str, Any]],
) -> None:
    queries = {query["Id"]: query for query in kafka_alarms["detector-stopped"]["Metrics"]}
    expression = queries.pop("expr_1")["Expression"]

    assert {id_: query["MetricStat"]["Metric"]["MetricName"] for id_, query in queries.items()} == {
        "waiting": "SumOffsetLag",
        "invocations": "Invocations",
    }
    assert expression == "IF(FILL(waiting, 0) > 0 AND FILL(invocations, 0) < 1, 1, 0)"


def test_should_alarm_on_records_that_the_channel_does_not_deliver(kafka_alarms: dict[str, dict[str, Any]]) -> None:
    late, failed = kafka_alarms["raw-delivery-late"], kafka_alarms["raw-delivery-failed"]

    assert (late["MetricName"], late["Threshold"]) == ("DeliveryToS3.DataFreshness", 1800)
    assert {one["Name"]: one["Value"] for one in late["Dimensions"]} == {
        "ClusterName": "iot-dev",
        "ChannelName": "iot-dev-raw",
        "Topic": "iot-dev-readings",
    }
    assert failed["AlarmDescription"].startswith("[critical]")
    assert {query["MetricStat"]["Metric"]["MetricName"] for query in failed["Metrics"] if "MetricStat" in query} == {
        "DeliveryToS3.FailedRecordCount",
        "DeliveryToS3.DLQDeliverySuccess",
    }


def test_should_tell_operations_when_an_alarm_starts_and_ends(
    templates: dict[str, Template], alarms: dict[str, dict[str, Any]], composite: dict[str, Any]
) -> None:
    (topic,) = resources(templates["monitoring"], "AWS::SNS::Topic")

    every = [*alarms.values(), composite]
    assert all(alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}] for alarm in every)


def test_should_give_one_sign_for_all_critical_alarms_and_none_for_warnings(
    templates: dict[str, Template], composite: dict[str, Any]
) -> None:
    pieces = composite["AlarmRule"]["Fn::Join"][1]
    children = {piece["Fn::GetAtt"][0] for piece in pieces if isinstance(piece, dict)}
    between = {piece for piece in pieces if isinstance(piece, str)}

    critical = {
        key
        for key, alarm in resources(templates["monitoring"], "AWS::CloudWatch::Alarm").items()
        if alarm["Properties"]["AlarmDescription"].startswith("[critical]")
    }
    assert composite["AlarmName"] == "iot-dev-pipeline-unhealthy"
    assert children == critical
    assert len(critical) > 1
    assert between == {'(ALARM("', '") OR ALARM("', '"))'}


def test_should_search_for_what_is_not_known_when_it_is_deployed(templates: dict[str, Template]) -> None:
    body = only(templates["monitoring"], "AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    text = "".join(piece if isinstance(piece, str) else "deployed" for piece in body)

    searched = [
        expression
        for widget in json.loads(text)["widgets"]
        for (first, *_) in widget["properties"].get("metrics", [])
        if isinstance(first, dict) and "SEARCH" in (expression := first["expression"])
    ]
    assert (
        'SEARCH(\'{IoTPipeline,service,site,stage} MetricName="AlertsFiring" service="notifier" '
        "stage=\"dev\"', 'Sum', 300)"
    ) in searched
    assert {expression.split("{")[1].split(",")[0] for expression in searched} == {
        "IoTPipeline",
        "AWS/Athena",
        "AWS/DynamoDB",
        "AWS/S3",
    }


def test_should_let_alarms_and_failed_runs_reach_the_encrypted_topic(templates: dict[str, Template]) -> None:
    def services(policy: dict[str, Any]) -> set[str]:
        allowed = [s["Principal"] for s in policy["Statement"] if s["Effect"] == "Allow"]
        named = [principal["Service"] for principal in allowed if "Service" in principal]
        return {service for some in named for service in (some if isinstance(some, list) else [some])}

    (key,) = resources(templates["alerts"], "AWS::KMS::Key").values()
    (topic,) = resources(templates["monitoring"], "AWS::SNS::TopicPolicy").values()
    publishers = {"cloudwatch.amazonaws.com", "events.amazonaws.com"}

    assert services(topic["Properties"]["PolicyDocument"]) == publishers
    assert services(key["Properties"]["KeyPolicy"]) == publishers


def test_should_have_a_runbook_for_every_alarm_and_an_alarm_for_every_runbook(
    alarms: dict[str, dict[str, Any]], kafka_alarms: dict[str, dict[str, Any]], composite: dict[str, Any]
) -> None:
    every = {**alarms, **kafka_alarms, composite["AlarmName"].removeprefix("iot-dev-"): composite}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(every)
    for name, alarm in every.items():
        assert alarm["AlarmDescription"].endswith(f"Runbook: docs/runbooks/{name}.md")
        text = (RUNBOOKS / f"{name}.md").read_text()
        assert text.startswith(f"# {name}\n")
        assert [line for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)
        diagnosis = text.split("## Diagnosis")[1].split("## Mitigation")[0]
        assert "```" in diagnosis, f"{name}: no command to diagnose it with"


def test_should_alarm_on_stale_tables_after_two_whole_runs_and_on_silence(
    alarms: dict[str, dict[str, Any]],
) -> None:
    stale = alarms["curated-data-stale"]

    # One run that finds new readings is enough, whatever others find.
    assert (stale["TreatMissingData"], stale["Statistic"]) == ("breaching", "Minimum")
    assert (stale["Period"], stale["EvaluationPeriods"], stale["DatapointsToAlarm"]) == (3600, 3, 3)


def test_should_give_the_tables_the_hours_that_are_set() -> None:
    app = app_for(curate_schedule="cron(0 */6 * * ? *)", curated_stale_after_hours="18")
    monitoring = templates_for(app)["monitoring"]

    (stale,) = (
        alarm["Properties"]
        for alarm in resources(monitoring, "AWS::CloudWatch::Alarm").values()
        if alarm["Properties"]["AlarmName"] == "iot-dev-curated-data-stale"
    )
    assert (stale["Period"], stale["EvaluationPeriods"], stale["DatapointsToAlarm"]) == (3600, 18, 18)
    assert "For 18 hours" in stale["AlarmDescription"]


def test_should_not_alarm_on_stale_tables_where_that_is_switched_off() -> None:
    app = app_for(curate_schedule="cron(0 3 ? * MON-FRI *)", curated_stale_after_hours="0")

    alarms = resources(templates_for(app)["monitoring"], "AWS::CloudWatch::Alarm").values()

    assert "iot-dev-curated-data-stale" not in {alarm["Properties"]["AlarmName"] for alarm in alarms}


def test_should_alarm_when_no_run_of_the_watchdog_succeeds_or_none_begins(alarms: dict[str, dict[str, Any]]) -> None:
    stopped = alarms["watchdog-stopped"]
    (expression,) = (query for query in stopped["Metrics"] if "Expression" in query)
    metrics = {query["Id"]: query["MetricStat"] for query in stopped["Metrics"] if "MetricStat" in query}

    assert (stopped["ComparisonOperator"], stopped["Threshold"]) == ("LessThanThreshold", 1)
    assert stopped["TreatMissingData"] == "breaching"
    assert expression["Expression"] == "invocations - errors"
    assert {name: (stat["Metric"]["MetricName"], stat["Period"]) for name, stat in metrics.items()} == {
        "invocations": ("Invocations", 300),
        "errors": ("Errors", 300),
    }


def test_should_end_the_alarm_on_rules_though_no_readings_come(alarms: dict[str, dict[str, Any]]) -> None:
    rejected = alarms["rules-rejected"]

    assert {"Name": "service", "Value": "watchdog"} in rejected["Dimensions"]
    assert rejected["TreatMissingData"] == "notBreaching"


def test_should_not_take_a_message_that_is_held_back_for_a_late_one(alarms: dict[str, dict[str, Any]]) -> None:
    late = alarms["notifications-late"]

    assert late["MetricName"] == "ApproximateAgeOfOldestMessage"
    assert late["Threshold"] > LONGEST_WAKE_SECONDS


def test_should_hear_of_failed_and_timed_out_runs_of_our_job(templates: dict[str, Template]) -> None:
    (rule,) = resources(templates["monitoring"], "AWS::Events::Rule").values()

    assert rule["Properties"]["EventPattern"] == {
        "source": ["aws.glue"],
        "detail-type": ["Glue Job State Change"],
        "detail": {"jobName": ["iot-dev-curate"], "state": ["FAILED", "TIMEOUT"]},
    }
