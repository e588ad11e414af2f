"""What functions write in embedded metric format can be asked of CloudWatch, and alarms go by it."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local import emulator
from local.emulator import Instance
from local.endpoint import ACCOUNT
from pipeline.deployment import Deployment
from tests.waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

FUNCTION = "iot-dev-some-function"

#: A function that writes its event, one line for each item.
CODE = """
import json
def handler(event, context):
    for line in event:
        print(line if isinstance(line, str) else json.dumps(line))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for an emulator of this module's own, which it resets."""
    folder = tmp_path_factory.mktemp("metrics")
    try:
        yield folder
    finally:
        emulator.stop(folder)


@pytest.fixture
def instance(home: Path) -> Instance:
    """An empty emulator."""
    started = emulator.start(home=home)
    emulator.reset(home)
    return started


@pytest.fixture
def session(instance: Instance, turn_to: Callable[[str], boto3.Session]) -> boto3.Session:
    return turn_to(instance.endpoint)


def deploy_function(session: boto3.Session) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("code.py", CODE)
    session.client("lambda").create_function(
        FunctionName=FUNCTION,
        Runtime="python3.13",
        Handler="code.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/test",
        Code={"ZipFile": archive.getvalue()},
    )


def invoke(session: boto3.Session, *lines: dict[str, Any] | str) -> None:
    answer = session.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps(lines))
    assert "FunctionError" not in answer


def emf(values: float | list[float], at: dt.datetime, *, name: str = "Delay", **dimensions: str) -> dict[str, Any]:
    directive = {
        "Namespace": "Some",
        "Dimensions": [["service", *dimensions]],
        "Metrics": [{"Name": name, "Unit": "Milliseconds"}],
    }
    metadata = {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [directive]}
    return {"_aws": metadata, "service": "test", name: values, **dimensions}


def ask(session: boto3.Session, *statistics: str, **dimensions: str) -> dict[str, dict[dt.datetime, float]]:
    """What GetMetricData says of the metric Delay by the minute."""
    queries: list[MetricDataQueryTypeDef] = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "Some",
                    "MetricName": "Delay",
                    "Dimensions": [
                        {"Name": name, "Value": value} for name, value in {"service": "test", **dimensions}.items()
                    ],
                },
                "Period": 60,
                "Stat": statistic,
            },
        }
        for number, statistic in enumerate(statistics)
    ]
    now = dt.datetime.now(dt.UTC)
    answer = session.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries, StartTime=now - dt.timedelta(hours=1), EndTime=now + dt.timedelta(minutes=1)
    )
    return {
        statistic: dict(zip(result["Timestamps"], result["Values"], strict=True))
        for statistic, result in zip(statistics, answer["MetricDataResults"], strict=True)
    }


def minute(minutes_ago: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) - dt.timedelta(minutes=minutes_ago)


def test_should_answer_for_each_series_and_period_with_every_statistic(session: boto3.Session) -> None:
    early, late = minute(9), minute(5)
    deploy_function(session)
    invoke(session, emf([float(n) for n in range(1, 101)], early), emf(7, late), emf(5000, early, site="a"), "text")

    wait_for(lambda: ask(session, "Sum", site="a")["Sum"] and late in ask(session, "Sum")["Sum"], "the metric")
    assert ask(session, "SampleCount", "Sum", "Minimum", "Maximum", "Average", "p95") == {
        "SampleCount": {early: 100, late: 1},
        "Sum": {early: 5050, late: 7},
        "Minimum": {early: 1, late: 7},
        "Maximum": {early: 100, late: 7},
        "Average": {early: 50.5, late: 7},
        "p95": {early: pytest.approx(95.05), late: 7},
    }
    assert ask(session, "Maximum", site="a") == {"Maximum": {early: 5000}}


def test_should_count_each_line_once_though_executions_write_the_same_and_a_bad_one_is_among_them(
    session: boto3.Session, home: Path
) -> None:
    at = minute(3)
    deploy_function(session)
    bad = emf(1, at) | {"Delay": "much"}
    for _ in range(5):
        invoke(session, emf(2, at), bad, emf(2, at), {"_aws": 1}, '"_aws"')
        invoke(session, emf(2, at))

    wait_for(lambda: ask(session, "Sum")["Sum"].get(at, 0) >= 30, "the metric")
    invoke(session, emf(1, minute(1)))
    wait_for(lambda: minute(1) in ask(session, "Sum")["Sum"] or minute(2) in ask(session, "Sum")["Sum"])
    assert ask(session, "SampleCount", "Sum")["SampleCount"][at] == 15
    assert ask(session, "Sum")["Sum"][at] == 30
    assert "a line of /aws/lambda/iot-dev-some-function is left out: Delay: Expected" in emulator.log_file(
        home
    ).read_text(errors="replace")


def test_should_start_anew_after_a_reset(session: boto3.Session, home: Path) -> None:
    for value in (1, 2):
        deploy_function(session)
        invoke(session, emf(value, minute(2)))
        wait_for(lambda: ask(session, "Sum")["Sum"], "the metric")
        assert set(ask(session, "Sum")["Sum"].values()) == {value}
        emulator.reset(home)
        assert ask(session, "Sum")["Sum"] == {}


def test_should_set_off_an_alarm_and_tell_its_topic(session: boto3.Session) -> None:
    cloudwatch, sns, sqs = session.client("cloudwatch"), session.client("sns"), session.client("sqs")
    topic = sns.create_topic(Name="operations")["TopicArn"]
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:told")
    cloudwatch.put_metric_alarm(
        AlarmName="slow",
        Namespace="Some",
        MetricName="Delay",
        Dimensions=[{"Name": "service", "Value": "test"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1000,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[topic],
    )
    deploy_function(session)

    def state() -> str:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["slow"])["MetricAlarms"]
        return alarm["StateValue"]

    invoke(session, emf(10, dt.datetime.now(dt.UTC)))
    wait_for(lambda: state() == "OK", "the alarm's end")
    invoke(session, emf(2000, dt.datetime.now(dt.UTC)))
    wait_for(lambda: state() == "ALARM", "the alarm")
    (message,) = wait_for(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), "the notification")
    assert json.loads(json.loads(message["Body"])["Message"])["NewStateValue"] == "ALARM"


def test_should_count_the_readings_of_the_deployed_pipeline(aws: boto3.Session, deployed: Deployment) -> None:
    def readings() -> float:
        now = dt.datetime.now(dt.UTC)
        answer = aws.client("cloudwatch").get_metric_statistics(
            Namespace="IoTPipeline",
            MetricName="Readings",
            Dimensions=[{"Name": "service", "Value": "detector"}, {"Name": "stage", "Value": "dev"}],
            StartTime=now - dt.timedelta(hours=1),
            EndTime=now + dt.timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in answer["Datapoints"])

    def put(count: int) -> None:
        now = dt.datetime.now(dt.UTC).isoformat()
        lines = [
            json.dumps({"device_id": "counted", "site": "s", "ts": now, "seq": seq, "status": "ok"}) + "\n"
            for seq in range(count)
        ]
        aws.client("kinesis").put_record(
            StreamName=deployed.stream_name, PartitionKey="counted", Data="".join(lines).encode()
        )

    before = readings()
    put(7)
    wait_for(lambda: readings() == before + 7, "the metric")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc, which Linux has")
def test_should_end_with_the_first_process_of_the_emulator_however_that_ends(tmp_path: Path) -> None:
    def agents(group: int) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                of_group = os.getpgid(int(process.name)) == group
                if of_group and b"local.metrics_agent" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
        return found

    instance = emulator.start(home=tmp_path)
    try:
        assert len(agents(instance.pid)) == 1
        os.kill(instance.pid, signal.SIGKILL)
        wait_for(lambda: not agents(instance.pid), "the agent's end")
    finally:
        emulator.stop(tmp_path)
