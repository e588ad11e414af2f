"""``iot rules`` as a person types it, without an AWS or with one that is made up."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli import target
from cli.verbs import rules as verbs
from pipeline import history
from pipeline.errors import PipelineError
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from tests.unit.evaluation.played import START, batches

ROOT = Path(__file__).parents[3]
RULES = 'rules: [{name: hot, when: "temperature > 40", for: 5m, severity: critical}]\n'
OTHER = RULES.replace("40", "41").replace("}]", "}, {name: new, when: status == fault}]")
TESTS = """tests:
  - name: heat
    series: [{device: d1, temperature: 50x5}]
    expect: [{at: 5m, alerts: [{rule: hot, device: d1}]}]
"""
DEPLOYED = SimpleNamespace(config_bucket_name="config-bucket", rules_key="rules.yaml", registry_key="devices.csv")


def iot_rules(*words: str | Path) -> Result:
    return CliRunner().invoke(verbs.app, [str(word) for word in words])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return file


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    with mock_aws():
        session = boto3.Session()
        s3 = session.client("s3")
        s3.create_bucket(Bucket="config-bucket")
        s3.put_bucket_versioning(Bucket="config-bucket", VersioningConfiguration={"Status": "Enabled"})
        monkeypatch.setattr(target, "deployed", lambda _: (session, DEPLOYED))
        yield session


def in_use(session: boto3.Session) -> str:
    return session.client("s3").get_object(Bucket="config-bucket", Key="rules.yaml")["Body"].read().decode()


def register(session: boto3.Session, text: str) -> None:
    session.client("s3").put_object(Bucket="config-bucket", Key="devices.csv", Body=text.encode())


def test_should_say_what_each_rule_means(file: Path) -> None:
    result = iot_rules("check", file)
    assert result.exit_code == 0
    assert result.stdout == (
        "hot                      critical when temperature > 40 for 5m, until temperature <= 40; device *, site *\n"
    )
    assert result.stderr == ""


def test_should_warn_without_failing(file: Path) -> None:
    file.write_text('rules: [{name: hot, when: "temperature > 200"}]')
    result = iot_rules("check", file)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: rule 'hot': when (temperature > 200) can never hold")


DEVICES = "device,site,model\nd1,cold,freezer\n"
OF_FREEZERS = RULES.replace("}]", ", match: {model: freezer}}]")


def test_should_check_rules_against_the_registry_that_is_named(file: Path, tmp_path: Path) -> None:
    devices = tmp_path / "mine.csv"
    devices.write_text(DEVICES)
    file.write_text(OF_FREEZERS)
    result = iot_rules("check", file, "--registry", devices)
    assert result.stdout.endswith("device *, site *, model freezer\n")
    assert result.stderr == ""
    file.write_text(OF_FREEZERS.replace("model: freezer", "model: fan"))
    result = iot_rules("check", file, "--registry", devices)
    assert (result.exit_code, result.stderr.partition(";")[0]) == (
        0,
        "warning: rule 'hot': it matches no registered device",
    )


def test_should_check_and_test_rules_against_the_registry_that_lies_here(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(OF_FREEZERS)
    file.with_name("rules.test.yaml").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    assert "no registry of devices was applied" in str(iot_rules("check", file).exception)
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry/devices.csv").write_text(DEVICES)
    assert iot_rules("check", file).exit_code == 0
    assert iot_rules("test", file).stdout == "passed  heat\n1 passed, 0 failed\n"
    (tmp_path / "registry/devices.csv").write_text(DEVICES.replace("d1", "d2"))
    assert iot_rules("test", file).exit_code == 1


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot read the registry in"), ("device\n", "mine.csv: line 1: column 2 has to be")]
)
def test_should_say_what_is_wrong_with_the_registry(file: Path, tmp_path: Path, text: str | None, message: str) -> None:
    devices = tmp_path / "mine.csv"
    if text is not None:
        devices.write_text(text)
    result = iot_rules("check", file, "--registry", devices)
    assert isinstance(result.exception, PipelineError)
    assert message in str(result.exception)


def test_should_refuse_what_is_no_rule(file: Path) -> None:
    file.write_text("rules: [{name: hot, when: pressure > 1}]")
    assert isinstance(iot_rules("check", file).exception, PipelineError)


def test_should_have_tests_of_the_shipped_rules_that_pass_and_nothing_odd_in_them() -> None:
    assert iot_rules("check", ROOT / "rules.yaml").stderr == ""
    result = iot_rules("test", ROOT / "rules.yaml")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.endswith(" passed, 0 failed\n")


def test_should_run_the_tests_beside_the_rules(file: Path) -> None:
    file.with_name("rules.test.yaml").write_text(TESTS)
    result = iot_rules("test", file)
    assert result.exit_code == 0
    assert result.stdout == "passed  heat\n1 passed, 0 failed\n"


def test_should_show_expected_beside_seen_and_fail(file: Path, tmp_path: Path) -> None:
    tests = tmp_path / "mine.yaml"
    tests.write_text(TESTS.replace("at: 5m", "at: 4m"))
    result = iot_rules("test", file, "--tests", tests)
    assert result.exit_code == 1
    assert "failed  heat" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if "≠" in line]
    assert line.index("hot d1 firing") < line.index("hot d1 pending critical")
    assert result.stdout.endswith("0 passed, 1 failed\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot read the tests in"), ("tests: []", "mine.yaml: there are no tests in it")],
)
def test_should_say_what_is_wrong_with_the_tests(file: Path, tmp_path: Path, text: str | None, message: str) -> None:
    tests = tmp_path / "mine.yaml"
    if text is not None:
        tests.write_text(text)
    result = iot_rules("test", file, "--tests", tests)
    assert isinstance(result.exception, PipelineError)
    assert message in str(result.exception)


def test_should_teach_the_notation_of_tests_by_help() -> None:
    shown = iot_rules("test", "--help").stdout
    assert "temperature: -20 -18+2x5 _x3 -20x10" in shown
    assert "- {rule: freezer-warm, device: f1, status: pending}" in shown
    assert "-18 and five more, each 2 greater" in shown


def test_should_apply_rules_and_say_what_that_changes(session: boto3.Session, file: Path) -> None:
    removed = ", ".join(rule.name for rule in parse_rules(Path("rules.yaml").read_bytes()).rules)
    assert f"added: hot; removed: {removed}" in iot_rules("apply", file).stdout
    file.write_text(OTHER)
    result = iot_rules("apply", file)
    assert result.stdout == (
        "2 rules are in use from now on: hot, new\nagainst those before: added: new; changed: hot\n"
    )
    assert in_use(session) == OTHER
    assert "against those before: nothing changed" in iot_rules("apply", file).stdout


def test_should_roll_back_and_say_what_that_changes(session: boto3.Session, file: Path) -> None:
    iot_rules("apply", file)
    file.write_text(OTHER)
    iot_rules("apply", file)
    assert "against those before: removed: new; changed: hot" in iot_rules("apply", "--rollback").stdout
    assert in_use(session) == RULES
    assert iot_rules("show").stdout == RULES


def test_should_not_apply_rules_that_fail_their_tests(session: boto3.Session, file: Path) -> None:
    iot_rules("apply", file)
    file.write_text(OTHER.replace("5m", "6m"))
    file.with_name("rules.test.yaml").write_text(TESTS)
    result = iot_rules("apply", file)
    assert isinstance(result.exception, PipelineError)
    assert "fails its tests" in str(result.exception)
    assert "was not applied" in str(result.exception)
    assert in_use(session) == RULES


def test_should_apply_and_play_back_rules_with_the_registry_in_use(
    session: boto3.Session, file: Path, lake: list[tuple[dt.datetime, dt.datetime]]
) -> None:
    file.write_text(OF_FREEZERS)
    file.with_name("rules.test.yaml").write_text(TESTS)
    for words in (("apply", file), ("backtest", file, "--from", "2026-11-01")):
        assert "no registry of devices was applied" in str(iot_rules(*words).exception)
    register(session, DEVICES + "hot-one,hall,freezer\n")
    assert "1 passed, 0 failed\n1 rules are in use" in iot_rules("apply", file).stdout
    assert in_use(session) == OF_FREEZERS
    for model, alerts in (("freezer", 1), ("fan", 0)):
        register(session, f"{DEVICES}hot-one,hall,{model}\n")
        found = json.loads(iot_rules("backtest", file, "--from", "2026-11-01", "--json").stdout)
        assert (found["rules"][0]["alerts"], found["rules"][0]["live"]) == (alerts, alerts)
    register(session, "rubbish")
    result = iot_rules("apply", file)
    assert isinstance(result.exception, PipelineError)
    assert str(result.exception).startswith("the registry in use (devices.csv): line 1: ")


def test_should_apply_rules_that_pass_their_tests(session: boto3.Session, file: Path) -> None:
    file.with_name("rules.test.yaml").write_text(TESTS)
    assert "1 passed, 0 failed\n1 rules are in use" in iot_rules("apply", file).stdout
    assert in_use(session) == RULES


@pytest.mark.parametrize("words", [(), ("--rollback", "rules.yaml")])
def test_should_apply_either_a_file_or_the_rules_before(words: tuple[str, ...]) -> None:
    assert "and not both" in str(iot_rules("apply", *words).exception)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (("--from", "yesterday"), "--from: invalid time 'yesterday': write a time such as"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "must lie before --to"),
        (("--from", "2026-11-02", "--to", "soon"), "--to: invalid time 'soon': write a time"),
    ],
)
def test_should_say_what_is_no_window(file: Path, window: tuple[Any, ...], message: str) -> None:
    assert message in str(iot_rules("backtest", file, *window).exception)


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dt.datetime, dt.datetime]]:
    """Three hours of readings of two devices, one of which is hot for an hour; what windows were asked for."""
    asked: list[tuple[dt.datetime, dt.datetime]] = []
    sent = [
        Reading(
            device_id=device,
            site="s1",
            ts=START + dt.timedelta(minutes=minute),
            seq=minute,
            temperature=50.0 if device == "hot-one" and 60 <= minute < 120 else 20.0,
            status="ok",
        )
        for device in ("cool-one", "hot-one")
        for minute in range(180)
    ]

    @contextlib.contextmanager
    def fetched(_: object, __: object, start: dt.datetime, end: dt.datetime) -> Iterator[SimpleNamespace]:
        asked.append((start, end))
        yield SimpleNamespace(readings=len(sent), newest=sent[-1].ts, batches=lambda: batches(sent))

    monkeypatch.setattr(history, "fetched", fetched)
    return asked


def test_should_play_rules_back_beside_those_in_use(
    session: boto3.Session, file: Path, lake: list[tuple[dt.datetime, dt.datetime]]
) -> None:
    result = iot_rules("backtest", file, "--from", "2026-11-01", "--to", "2026-11-01T03:00+00:00", "--json")
    assert result.exit_code == 0, result.exception
    found = json.loads(result.stdout)
    assert lake == [(START, START + dt.timedelta(hours=3))]
    assert (found["readings"], found["devices"]) == (360, 2)
    assert (found["from"], found["to"]) == ("2026-11-01T00:00:00Z", "2026-11-01T03:00:00Z")
    assert found["readings_per_second"] > 0
    by_rule = {rule.pop("rule"): rule for rule in found["rules"]}
    assert by_rule["hot"]["alerts"] == by_rule["hot"]["only_new"] == 1
    assert by_rule["hot"]["median_seconds"] == 55 * 60
    assert by_rule["too-hot"]["only_live"] == 1
    assert found["noisiest"] == [{"device": "hot-one", "alerts": 1}]


def test_should_show_a_backtest_as_tables(
    session: boto3.Session, file: Path, lake: list[tuple[dt.datetime, dt.datetime]]
) -> None:
    file.write_text(RULES.replace("}]", "}, {name: gateway-down, when: no_data(gateway), for: 5m}]"))
    shown = iot_rules("backtest", file, "--from", "2026-11-01").stdout
    assert "360 readings of 2 devices from 2026-11-01 00:00 to" in shown
    rows = [line.replace("│", " ").split() for line in shown.splitlines()]
    assert ["hot", "1", "0", "0", "55m", "0", "0", "1", "0"] in rows
    assert ["too-hot", "0", "0", "0", "-", "1", "0", "0", "1"] in rows
    assert ["hot-one", "1"] in rows
    assert "not played back, as the history has neither gateways nor rejected lines: clock-wrong, gateway-down" in shown
