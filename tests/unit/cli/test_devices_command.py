"""``iot devices``: taking devices out of service."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator

import boto3
import msgspec
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli import target
from cli.verbs.devices import app
from lambdas.store.homes import HomeTable
from lambdas.store.states import StateTable
from pipeline.errors import PipelineError
from telemetry.alerting.state import Home
from tests.unit.pipeline.alerting import DEPLOYED, RULES_TEXT, create_state_table, reading, state_of


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """A deployment with an alert that fires, a device without one, and a registry."""
    with mock_aws():
        session = boto3.Session()
        s3 = session.client("s3")
        s3.create_bucket(Bucket=DEPLOYED.config_bucket_name)
        s3.put_object(Bucket=DEPLOYED.config_bucket_name, Key=DEPLOYED.rules_key, Body=RULES_TEXT.encode())
        registry = b"device,site,model\nhot,plant-1,oven\n"
        s3.put_object(Bucket=DEPLOYED.config_bucket_name, Key=DEPLOYED.registry_key, Body=registry)
        create_state_table(session, [state_of("gw-1", reading("hot", temperature=41))])
        HomeTable(session.client("dynamodb"), DEPLOYED.state_table_name).claim({"quiet": Home("gw-1")})
        url = session.client("sqs").create_queue(QueueName="transitions")["QueueUrl"]
        deployed = msgspec.structs.replace(DEPLOYED, transitions_queue_url=url)
        monkeypatch.setattr(target, "deployed", lambda _: (session, deployed))
        monkeypatch.setattr(getpass, "getuser", lambda: "ann")
        yield session


@pytest.fixture
def iot(session: boto3.Session) -> Callable[..., Result]:
    """``iot devices`` with these words; raises what ``iot`` prints on one line with exit code 1."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, words, obj=target.Choice(False, "dev"), catch_exceptions=False)

    return run


def test_should_retire_devices_and_say_what_ended_and_what_is_left_to_do(
    iot: Callable[..., Result], session: boto3.Session
) -> None:
    done = iot("retire", "quiet", "hot", "--why", "sold")
    assert done.stdout == "retired hot: ended too-hot (ann: sold)\nretired quiet: it had no active alert (ann: sold)\n"
    assert done.stderr == "hot is in the registry: take it out there, too ('iot registry apply')\n"
    states = StateTable(session.client("dynamodb"), DEPLOYED.state_table_name)
    assert states.load([Home("gw-1")])[Home("gw-1")].state.alerts == {}


def test_should_refuse_a_device_that_is_not_known(iot: Callable[..., Result]) -> None:
    with pytest.raises(PipelineError, match="no such devices were heard of: hat; check the names"):
        iot("retire", "hat", "hot", "--why", "sold")


def test_should_ask_for_the_reason(iot: Callable[..., Result]) -> None:
    assert iot("retire", "hot").exit_code == 2
