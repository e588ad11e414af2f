"""The CDK command line deploys to the embedded AWS, tells how far it is and why it failed, and leaves nothing."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from local import deployment
from local.deployment import Progress
from local.emulator import ROOT, Instance
from local.endpoint import LocalError
from pipeline.deployment import Deployment
from tests.waiting import wait_for

TWO_STACKS = """
import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs

app = cdk.App()
environment = cdk.Environment(account="000000000000", region="us-east-1")
for name in ("one", "two"):
    stack = cdk.Stack(app, f"{app.node.get_context('stage')}-{name}", env=environment)
    queue = sqs.Queue(stack, "Queue", queue_name=f"{stack.stack_name}-queue")
app.synth()
"""

ONE_RESOURCE = """
import aws_cdk as cdk

app = cdk.App()
stack = cdk.Stack(app, "some-stack", env=cdk.Environment(account="000000000000", region="us-east-1"))
cdk.CfnResource(stack, "Resource", type="{type}", properties={properties})
app.synth()
"""


@pytest.fixture
def app(tmp_path: Path) -> Callable[[str], Path]:
    """Makes the folder of a CDK app from its Python source."""

    def make(source: str) -> Path:
        folder = tmp_path / "app"
        folder.mkdir()
        (folder / "app.py").write_text(source)
        (folder / "cdk.json").write_text(json.dumps({"app": f"{sys.executable} app.py"}))
        return folder

    return make


def processes_of(endpoint: str) -> list[str]:
    """The command lines of the living processes that were turned to this endpoint from outside the emulator."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (process / "environ").read_bytes().split(b"\0")
            if f"AWS_ENDPOINT_URL={endpoint}".encode() in variables and b"BIND_HOST=127.0.0.1" not in variables:
                found.append((process / "cmdline").read_text())
    return found


def test_should_deploy_the_stacks_of_a_stage_and_tell_how_far_it_is(
    aws: boto3.Session, app: Callable[[str], Path], tmp_path: Path
) -> None:
    seen: list[Progress] = []
    deployment.deploy(aws.client("cloudformation"), "some-stage", seen.append, app=app(TWO_STACKS), home=tmp_path)
    for stack in ("some-stage-one", "some-stage-two"):
        of_stack = [progress for progress in seen if progress.stack == stack]
        assert max(progress.done for progress in of_stack) >= 1
        assert [progress.finished for progress in of_stack].count(True) == 1
        assert of_stack[-1].finished
        assert aws.client("sqs").get_queue_url(QueueName=f"{stack}-queue")
    assert "some-stage-one-queue" not in (tmp_path / "deploy.log").read_text()
    assert "✅  some-stage-one" in (tmp_path / "deploy.log").read_text()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param(
            ONE_RESOURCE.format(type="AWS::MSK::Cluster", properties={}),
            "Unrecognized resource types: .AWS::MSK::Cluster",
            id="refused stack",
        ),
        pytest.param(
            ONE_RESOURCE.format(
                type="AWS::CloudWatch::Alarm",
                properties={
                    "ComparisonOperator": "LessThanThreshold",
                    "EvaluationPeriods": 1,
                    "Metrics": [{"Id": "a"}],
                },
            ),
            "some-stack: AWS::CloudWatch::Alarm: .*not supported",
            id="failed resource",
        ),
        pytest.param("raise SystemExit('settings: no stage here')", "settings: no stage here", id="failed app"),
    ],
)
def test_should_say_in_a_few_lines_why_it_failed_and_where_the_log_is(
    source: str, reason: str, aws: boto3.Session, app: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(LocalError, match=rf"(?s)cdk deploy failed:\n.*{reason}.*deploy\.log") as error:
        deployment.deploy(aws.client("cloudformation"), "dev", lambda _progress: None, app=app(source), home=tmp_path)
    assert len(str(error.value).splitlines()) <= 5


def test_should_say_that_nothing_answers(turn_to: Callable[[str], boto3.Session], tmp_path: Path) -> None:
    session = turn_to("http://127.0.0.1:1")
    with pytest.raises(LocalError, match=r"nothing answers at http://127\.0\.0\.1:1: run 'iot up' first"):
        deployment.deploy(session.client("cloudformation"), "dev", lambda _progress: None, home=tmp_path)


def test_should_refuse_an_endpoint_that_is_not_on_this_machine(aws: boto3.Session, tmp_path: Path) -> None:
    cloudformation = aws.client("cloudformation", endpoint_url="https://cloudformation.us-east-1.amazonaws.com")
    with pytest.raises(LocalError, match="this machine only"):
        deployment.deploy(cloudformation, "dev", lambda _progress: None, home=tmp_path)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc, which Linux has")
def test_should_leave_no_process_when_interrupted(
    emulator: Instance, app: Callable[[str], Path], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    folder = app(f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(600)\n")
    code = (
        "from pathlib import Path; from local import deployment, endpoint\n"
        f"session = endpoint.enter({emulator.endpoint!r})\n"
        "deployment.deploy(session.client('cloudformation'), 'dev', print,\n"
        f"                  app=Path({str(folder)!r}), home=Path({str(tmp_path)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL) as command:
        wait_for(lambda: started.exists() or command.poll() is not None, "the app's start")
        assert command.poll() is None
        assert len(processes_of(emulator.endpoint)) >= 2
        command.send_signal(signal.SIGINT)
        command.wait()
    assert processes_of(emulator.endpoint) == []


def test_should_deploy_the_whole_app_bootstrapped_like_an_account(aws: boto3.Session, deployed: Deployment) -> None:
    pages = aws.client("cloudformation").get_paginator("describe_stacks").paginate()
    states = {stack["StackName"]: stack["StackStatus"] for page in pages for stack in page["Stacks"]}
    expected = ["CDKToolkit", *(f"iot-dev-{part}" for part in ("ingest", "alerts", "lake", "batch", "monitoring"))]
    assert {name: states.get(name) for name in expected} == dict.fromkeys(expected, "CREATE_COMPLETE")
    assert aws.client("lambda").get_function(FunctionName=deployed.detector_function_name)
