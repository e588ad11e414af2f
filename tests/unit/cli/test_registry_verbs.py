"""``iot registry`` as a person types it, with a config bucket that is made up."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli import target
from cli.verbs import registry
from pipeline import registry as the_registry
from pipeline.errors import PipelineError
from telemetry.registry.devices import devices
from telemetry.registry.registry import parse_registry
from telemetry.tables.curated import DEVICE_HEALTH
from tests.unit.pipeline.lake import Lake

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


def test_should_refuse_a_registry_with_values_that_cannot_be_used(session: boto3.Session, file: Path) -> None:
    iot_registry("apply", file)
    file.write_text("device,site,model,interval,latitude\nd1,cold,freezer,0,91\nd2,hall,fan,,x\n")
    result = iot_registry("apply", file)
    assert isinstance(result.exception, PipelineError)
    first, *others = str(result.exception).splitlines()
    assert first == f"{file}: 3 values cannot be used, so it was not applied:"
    assert [line.split(";")[0] for line in others] == [
        "  line 2: device 'd1': latitude '91' is out of range",
        "  line 2: device 'd1': interval '0' is out of range",
        "  line 3: device 'd2': latitude 'x' is not a number",
    ]
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


NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake with readings of d1 today, and of d3 a month ago."""
    lake = Lake(DEVICE_HEALTH)
    monkeypatch.setattr(the_registry, "query", lake.query)
    for device, site, days in (("d1", "cold", 0), ("d3", "cold", 30)):
        seen = NOW - dt.timedelta(days=days)
        lake.add(
            DEVICE_HEALTH, f"{seen:%Y-%m-%d}", device_id=device, site=site, received=1500, first_seen=seen,
            last_seen=seen,
        )  # fmt: skip
    return lake


def words(result: Result) -> list[str]:
    """The lines of the output, with a space wherever there are some."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_should_pass_a_registry_that_has_every_device_that_is_heard_of(
    session: boto3.Session, lake: Lake, file: Path
) -> None:
    iot_registry("apply", file)
    result = iot_registry("check")
    assert result.exit_code == 0, result.output
    assert words(result) == [
        "the registry in use: 2 devices; your own columns: door",
        "registered, but not heard of in the last 7 days: 1",
        "device site model",
        "d2 hall fan",
        "all 1 devices heard of in the last 7 days are registered, at their sites",
    ]


def test_should_fail_a_registry_that_the_readings_contradict(session: boto3.Session, lake: Lake, file: Path) -> None:
    file.write_text("device,site,model,interval\nd1,hall,freezer,0\n")
    result = iot_registry("check", file, "--days", "31")
    assert result.exit_code == 1
    today, before = (f"{NOW - dt.timedelta(days=days):%Y-%m-%d %H:%M:%S}" for days in (0, 30))
    assert words(result) == [
        f"{file}: 1 devices; values: interval",
        "values that cannot be used: 1",
        str(devices(parse_registry(file.read_bytes())).problems[0]),
        "not registered, but heard of in the last 31 days: 1",
        "device site readings first seen (UTC) last seen (UTC)",
        f"d3 cold 1,500 {before} {before}",
        "at another site than the registry says: 1",
        "device registered at is at readings first seen (UTC) last seen (UTC)",
        f"d1 hall cold 1,500 {today} {today}",
    ]
    found = json.loads(iot_registry("check", file, "--days", "31", "--json").stdout)
    assert (found["passed"], found["devices"], found["seen"], found["absent"]) == (False, 1, 2, [])
    assert found["problems"][0] | {"write": ""} == {
        "line": 2, "device": "d1", "column": "interval", "value": "0", "why": "is out of range", "write": "",
    }  # fmt: skip
    assert [one["device_id"] for one in found["unknown"]] == ["d3"]
    assert [(one["registered_site"], one["seen"]["site"]) for one in found["elsewhere"]] == [("hall", "cold")]


def test_should_list_all_devices_as_unknown_where_no_registry_was_applied(session: boto3.Session, lake: Lake) -> None:
    result = iot_registry("check")
    assert result.exit_code == 1
    assert result.stderr == "none was applied yet: 'iot registry apply FILE' does it\n"
    assert "not registered, but heard of in the last 7 days: 1" in result.stdout


def test_should_say_that_nothing_was_compared_with_an_empty_lake(
    session: boto3.Session, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(the_registry, "query", Lake(DEVICE_HEALTH).query)
    result = iot_registry("check", file, "--days", "1")
    assert result.exit_code == 0
    assert result.stderr.startswith("the lake has no readings since")
    assert "all 0 devices" not in result.stdout


def test_should_show_the_first_of_many_devices(session: boto3.Session, lake: Lake, file: Path) -> None:
    file.write_text("device,site,model\n" + "".join(f"x{number:03},cold,fan\n" for number in range(25)))
    shown = iot_registry("check", file).stdout
    assert "x019" in shown
    assert "x020" not in shown
    assert "and 5 more; --json lists them all" in shown


def test_should_say_what_is_wrong_with_a_file_to_check(session: boto3.Session, lake: Lake, file: Path) -> None:
    file.write_text("device;site;model\n")
    result = iot_registry("check", file)
    assert isinstance(result.exception, PipelineError)
    assert str(result.exception).startswith(f"{file}: line 1: column 1 has to be 'device'")
