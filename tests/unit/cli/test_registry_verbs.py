"""``iot registry`` as a person types it, with a config bucket that is made up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli import registry, target
from pipeline.errors import PipelineError

DEVICES = "device,site,model,door\nd1,cold,freezer,south\nd2,hall,fan,\n"
DEPLOYED = SimpleNamespace(config_bucket_name="config-bucket", rules_key="rules.yaml", registry_key="devices.csv")


def iot_registry(*words: str | Path) -> Result:
    return CliRunner().invoke(registry.app, [str(word) for word in words])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "devices.csv"
    file.write_text(DEVICES)
    return file


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    with mock_aws():
        session = boto3.Session()
        session.client("s3").create_bucket(Bucket="config-bucket")
        monkeypatch.setattr(target, "deployed", lambda _: (session, DEPLOYED))
        yield session


def test_should_apply_a_registry_and_show_it(session: boto3.Session, file: Path) -> None:
    shown = iot_registry("show")
    assert (shown.stdout, shown.stderr) == ("", "none was applied yet: rules match by device and site only\n")
    result = iot_registry("apply", file)
    assert result.stdout == ("2 devices are registered from now on; rules can match by device, site, model, door\n"), (
        result.exception
    )
    assert iot_registry("show").stdout == DEVICES


def test_should_leave_the_registry_alone_when_the_new_one_is_broken(session: boto3.Session, file: Path) -> None:
    iot_registry("apply", file)
    file.write_text(DEVICES + "d1,cold,freezer,\n")
    result = iot_registry("apply", file)
    assert isinstance(result.exception, PipelineError)
    assert str(result.exception).startswith(f"{file}: line 4: the device 'd1' is already on line 2")
    assert iot_registry("show").stdout == DEVICES


def test_should_refuse_a_registry_that_the_rules_in_use_cannot_be_used_with(session: boto3.Session, file: Path) -> None:
    iot_registry("apply", file)
    rules = b"rules: [{name: draught, when: temperature > 1, match: {door: south}}]"
    session.client("s3").put_object(Bucket="config-bucket", Key="rules.yaml", Body=rules)
    file.write_text("device,site,model\nd1,cold,freezer\n")
    result = iot_registry("apply", file)
    assert isinstance(result.exception, PipelineError)
    assert "so it was not applied" in str(result.exception)
    assert "rule 'draught': match: door: the registry has no such attribute" in str(result.exception)
    assert iot_registry("show").stdout == DEVICES


def test_should_say_that_there_is_no_such_file(tmp_path: Path) -> None:
    result = iot_registry("apply", tmp_path / "none.csv")
    assert isinstance(result.exception, PipelineError)
    assert "cannot read the registry in" in str(result.exception)
