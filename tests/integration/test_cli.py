"""The ``iot`` command as a person types it."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest

import local.emulator
from cli import main, target
from evaluation.raw_lines import count_raw_lines
from local.emulator import Instance
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from simulator.run.manifest import Manifest
from tests.waiting import wait_for

IOT = Path(sys.executable).with_name("iot")


def iot(*words: str, endpoint: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | variables
    if endpoint:
        environment["AWS_ENDPOINT_URL"] = endpoint
    return subprocess.run([IOT, *words], env=environment, capture_output=True, text=True, check=False, timeout=300)


def said(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command says, and nothing else."""
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--help",),
        ("simulate", "--help"),
        ("query", "--help"),
        ("etl", "run", "--help"),
        ("audit", "--help"),
        ("alerts", "--help"),
        ("alerts", "snooze", "--help"),
        ("devices", "retire", "--help"),
    ],
)
def test_should_teach_by_help(words: tuple[str, ...]) -> None:
    shown = iot(*words)
    assert "Usage: iot" in shown.stdout + shown.stderr


def test_should_go_from_simulation_to_query(emulator: Instance, deployed: Deployment, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        result = iot(*words, endpoint=emulator.endpoint)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout) if "--json" in words else result.stdout

    assert run("status", "--json")["StreamName"] == deployed.stream_name
    manifest = tmp_path / "run.json"
    fleet = ("--devices", "20", "--gateways", "3", "--seed", "99")
    run("simulate", "--sink", "kinesis", *fleet, "--rate", "200", "--duration", "2s", "--manifest", str(manifest))
    assert json.loads(manifest.read_text())["sent"] == 400
    plan = run("etl", "run", "--dry-run", "--json")
    assert (plan["summary"]["dry_run"], plan["summary"]["readings"]) == (True, 0)
    done = run("etl", "run", "--json")
    assert done["summary"]["objects"] >= plan["summary"]["objects"] > 0
    assert "computed again" in run("etl", "run", "--full")
    sql = f"SELECT count(*) AS n FROM readings WHERE ts >= TIMESTAMP '{manifest_start(manifest)}'"
    assert run("query", "--json", sql)[0]["n"] >= 400
    assert "readings" in run("query", "SELECT count(*) AS readings FROM readings")


def manifest_start(manifest: Path) -> str:
    return str(json.loads(manifest.read_text())["started_at"]).replace("T", " ").removesuffix("Z")


def test_should_fail_an_audit_that_does_not_add_up(emulator: Instance, deployed: Deployment, tmp_path: Path) -> None:
    manifest = tmp_path / "run.json"
    fleet = ("--devices", "20", "--gateways", "3", "--seed", "98")
    sent = iot("simulate", *fleet, "--count", "40", "--no-pace", "--sink", f"file:{tmp_path}/lines",
               "--manifest", str(manifest))  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    iot("etl", "run", endpoint=emulator.endpoint)
    result = iot("audit", "--manifest", str(manifest), "--json", endpoint=emulator.endpoint)
    assert result.returncode == 1
    found = json.loads(result.stdout)
    # They went into a file, and nowhere else.
    assert found["lost"] == found["totals"]["lost_in_delivery"] == found["totals"]["sent"] == 40
    assert found["adds_up"] is False


def trouble(folder: Path, model: str, devices: int) -> str:
    """A scenario of ten minutes, of which so many devices of 20 are too hot for four."""
    file = folder / f"{model}.yaml"
    file.write_text(f"""
name: {model}
duration: 10m
interval: 15s
sites: [{{name: site-of-{model}, gateways: 2}}]
models: {{{model}: {{kind: indoor}}}}
devices: [{{model: {model}, count: 20}}]
faults: [{{kind: step, start: 2m, duration: 4m, count: {devices}, size: 30, expect: [too-hot]}}]
""")
    return str(file)


def test_should_show_alerts_until_interrupted_and_leave_no_queue_behind(
    emulator: Instance, deployed: Deployment, aws: boto3.Session, tmp_path: Path
) -> None:
    environment = os.environ | {"AWS_ENDPOINT_URL": emulator.endpoint}
    with subprocess.Popen(
        [IOT, "alerts", "tail", "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tail:
        sns, sqs = aws.client("sns"), aws.client("sqs")
        wait_for(
            lambda: sns.list_subscriptions_by_topic(TopicArn=deployed.alerts_topic_arn)["Subscriptions"],
            "the subscription",
        )
        scenario = trouble(tmp_path, "tailed", devices=1)
        sent = iot(
            "simulate", "--sink", "kinesis", "--scenario", scenario, "--speed", "200", endpoint=emulator.endpoint
        )
        assert sent.returncode == 0, sent.stderr
        assert tail.stdout is not None
        told = itertools.chain.from_iterable(json.loads(line)["alerts"] for line in tail.stdout)
        over = next(alert for alert in told if alert["status"] == "resolved")
        assert over["fired_at"] < over["resolved_at"]
        tail.send_signal(signal.SIGINT)
        assert tail.wait(timeout=120) == 130
    assert not [url for url in sqs.list_queues().get("QueueUrls", []) if "iot-inbox" in url]
    assert sns.list_subscriptions_by_topic(TopicArn=deployed.alerts_topic_arn)["Subscriptions"] == []


def test_should_acknowledge_an_alert_tell_its_history_and_close_it(
    emulator: Instance, deployed: Deployment, aws: boto3.Session
) -> None:
    device = f"device-{uuid.uuid4().hex[:8]}"

    def run(*words: str) -> Any:
        result = iot("alerts", *words, endpoint=emulator.endpoint)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout) if "--json" in words else result.stdout

    now = dt.datetime.now(dt.UTC)
    hot = [
        {
            "device_id": device,
            "site": "site-1",
            "ts": (now - ago).isoformat(),
            "seq": seq,
            "status": "ok",
            "temperature": 45,
        }
        for seq, ago in enumerate((dt.timedelta(minutes=2), dt.timedelta(0)))
    ]
    data = "\n".join(map(json.dumps, hot)).encode()
    aws.client("kinesis").put_record(StreamName=deployed.stream_name, PartitionKey=f"gw-{device}", Data=data)
    (alert,) = wait_for(lambda: run("list", "--device", device, "--json"), "the alert in the list")
    assert (alert["status"], alert["rule"], alert["gateway"]) == ("firing", "too-hot", f"gw-{device}")
    assert device in run("list")

    who = ("--who", "ann")
    assert run("ack", alert["alert_id"][:12], "--why", "on it", *who).startswith(f"acknowledged too-hot at {device}")
    quiet = ("--rule", "battery-low", "--device", device)
    assert run("snooze", *quiet, "--for", "2h", "--why", "new cells", *who).startswith("snoozed battery-low")
    assert {each["hold"]["kind"] for each in run("list", "--device", device, "--all", "--json")} == {
        "acknowledged", "snoozed",
    }  # fmt: skip
    run("unsnooze", *quiet, *who)
    run("disable", *quiet, "--why", "broken", *who)
    run("enable", *quiet, *who)

    def history() -> list[str]:
        return [event["change"] for event in run("show", alert["alert_id"], "--json")["history"]]

    wait_for(lambda: history() == ["pending", "firing", "acknowledged"], "the history in the lake")
    assert "acknowledged by ann" in run("show", alert["alert_id"])

    assert run("close", alert["alert_id"][:12], "--why", "a new sensor", *who).startswith(f"closed too-hot at {device}")
    assert run("list", "--device", device, "--json") == []
    retired = iot("devices", "retire", device, "--why", "sold", *who, endpoint=emulator.endpoint)
    assert retired.stdout == f"retired {device}: it had no active alert (ann: sold)\n", retired.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("ack", "ffff", "--why", "x"), "iot: no alert ffff is active; 'iot alerts list' shows those that are"),
        (
            ("ack", "f", "--why", "x"),
            "iot: invalid alert id 'f': give at least its first 4 characters, of 0 to 9 and a to f",
        ),
        (
            ("show", "ffff"),
            "iot: no alert ffff is active or in the lake; 'iot alerts list' shows those that are active",
        ),
    ],
)
def test_should_say_in_one_line_that_there_is_no_such_alert(
    emulator: Instance, deployed: Deployment, words: tuple[str, ...], line: str
) -> None:
    assert said(iot("alerts", *words, endpoint=emulator.endpoint)) == line


def test_should_refuse_rules_whose_tests_fail(emulator: Instance, deployed: Deployment, tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text("rules: [{name: hot, when: temperature > 50}]")
    expected = "[{at: 1m, alerts: [{rule: hot, device: d, status: firing}]}]"
    (tmp_path / "mine.test.yaml").write_text(
        "tests: [{name: heat, interval: 1m, series: [{device: d, site: s, temperature: 20 45}], "
        f"expect: {expected}}}]"
    )
    tested = iot("rules", "test", str(rules))
    assert tested.returncode == 1
    assert "heat" in tested.stdout + tested.stderr
    assert iot("rules", "apply", str(rules), endpoint=emulator.endpoint).returncode == 1
    assert "none were applied yet" in iot("rules", "show", endpoint=emulator.endpoint).stderr


def test_should_backtest_rules_over_the_lake(emulator: Instance, deployed: Deployment, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = iot(*words, endpoint=emulator.endpoint, TMPDIR=str(tmp_path))
        assert result.returncode == 0, result.stderr
        return result.stdout

    manifest = tmp_path / "run.json"
    scenario = trouble(tmp_path, "backtested", devices=3)
    run("simulate", "--sink", "kinesis", "--scenario", scenario, "--speed", "200", "--manifest", str(manifest))
    run("etl", "run")
    sent = json.loads(manifest.read_text())
    ended = dt.datetime.fromisoformat(sent["ended_at"]) + dt.timedelta(seconds=1)
    window = ("--from", sent["started_at"], "--to", ended.isoformat())
    same = json.loads(run("rules", "backtest", "rules.yaml", *window, "--json"))
    assert same["readings"] >= 800
    assert all(rule["only_new"] == rule["only_live"] == 0 for rule in same["rules"])
    assert sum(rule["alerts"] for rule in same["rules"]) >= 3
    stricter = tmp_path / "stricter.yaml"
    stricter.write_text("rules: [{name: any-heat, when: temperature > -100, clear: temperature < -100}]")
    other = json.loads(run("rules", "backtest", str(stricter), *window, "--json"))
    (rule,) = (rule for rule in other["rules"] if rule["rule"] == "any-heat")
    assert rule["only_new"] >= 20
    assert not list(tmp_path.glob("iot-history-*"))


def test_should_say_what_to_do_before_anything_is_deployed(tmp_path: Path) -> None:
    fresh = local.emulator.start(home=tmp_path)
    try:
        line = said(iot("query", "SELECT 1", endpoint=fresh.endpoint))
    finally:
        local.emulator.stop(tmp_path)
    assert line == "iot: no stack iot-dev-* is deployed here; run 'iot deploy', or 'make demo' for everything"


def test_should_say_what_to_do_when_no_local_aws_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(local.emulator, "running", lambda: None)
    with pytest.raises(PipelineError, match="'iot up' and 'iot deploy', or see everything at once with 'make demo'"):
        target.connect(aws=False)


@pytest.mark.parametrize("endpoint", ["http://10.0.0.1:4566", "https://sts.amazonaws.com", "http://example.invalid"])
def test_should_refuse_an_endpoint_off_this_machine(endpoint: str) -> None:
    assert "local commands talk to this machine only" in said(iot("status", endpoint=endpoint))


def test_should_say_that_nothing_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert endpoint in said(iot("query", "SELECT 1", endpoint=endpoint))


def test_should_not_mix_up_the_account_and_the_local_aws() -> None:
    assert "unset one of them" in said(iot("--aws", "status", endpoint="http://127.0.0.1:1"))


def test_should_leave_deploying_to_an_account_to_the_cdk() -> None:
    assert "npx cdk deploy --all" in said(iot("--aws", "deploy"))


def test_should_give_athenas_reason(emulator: Instance, deployed: Deployment) -> None:
    result = iot("query", "SELECT nonsense FROM readings", endpoint=emulator.endpoint)
    assert result.returncode == 1
    assert result.stderr.startswith("iot: Athena refused the query: ")
    assert "nonsense" in result.stderr


def test_should_say_that_a_file_is_no_manifest(emulator: Instance, deployed: Deployment, tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    line = said(iot("audit", "--manifest", str(missing), endpoint=emulator.endpoint))
    assert line.startswith(f"iot: {missing} is not a manifest of a simulation")


def test_should_end_by_a_signal_as_by_the_keyboard() -> None:
    with pytest.raises(KeyboardInterrupt):
        main._interrupt(signal.SIGTERM, None)


def test_should_check_apply_show_and_roll_back_rules(emulator: Instance, deployed: Deployment, tmp_path: Path) -> None:
    shipped, edited = Path("rules.yaml"), tmp_path / "edited.yaml"
    edited.write_text(shipped.read_text().replace("temperature > 40", "temperature > 41"))
    try:
        assert "when temperature > 40" in iot("rules", "check", str(shipped)).stdout
        assert "none were applied yet" in iot("rules", "show", endpoint=emulator.endpoint).stderr
        for file in (shipped, edited):
            assert "too-hot" in iot("rules", "apply", str(file), endpoint=emulator.endpoint).stdout
            assert iot("rules", "show", endpoint=emulator.endpoint).stdout == file.read_text()
        assert iot("rules", "apply", "--rollback", endpoint=emulator.endpoint).returncode == 0
        assert iot("rules", "show", endpoint=emulator.endpoint).stdout == shipped.read_text()
    finally:
        s3 = boto3.client("s3", endpoint_url=emulator.endpoint)
        versions = s3.list_object_versions(Bucket=deployed.config_bucket_name).get("Versions", [])
        for version in versions:
            s3.delete_object(Bucket=deployed.config_bucket_name, Key=version["Key"], VersionId=version["VersionId"])


def test_should_point_at_what_is_wrong_with_rules(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("rules:\n  - name: r\n    when: battery > 2 and pressure > 1\n")
    result = iot("rules", "check", str(broken))
    assert (result.returncode, result.stdout) == (1, "")
    what, where, caret = result.stderr.rstrip().splitlines()
    assert "line 3, column 27: rule 'r': when: there is no metric 'pressure'" in what
    assert where[caret.index("^") :].startswith("pressure")
    assert "cannot read the rules in" in said(iot("rules", "check", str(tmp_path / "none.yaml")))
    assert "and not both" in said(iot("rules", "apply", str(broken), "--rollback"))


def test_should_account_for_a_past_that_nobody_streamed(
    emulator: Instance, deployed: Deployment, tmp_path: Path
) -> None:
    scenario, manifest = trouble(tmp_path, "backfilled", devices=2), tmp_path / "run.json"
    words = ("--scenario", scenario, "--backfill", "3h", "--processes", "2", "--manifest", str(manifest))
    sent = iot("simulate", *words, endpoint=emulator.endpoint)
    assert sent.returncode == 0, sent.stderr
    *_, line = sent.stderr.splitlines()
    _, _, command = line.partition("next: iot ")
    ran = iot(*command.split(), endpoint=emulator.endpoint)
    assert ran.returncode == 0, ran.stderr
    audited = iot("audit", "--manifest", str(manifest), "--json", endpoint=emulator.endpoint)
    assert audited.returncode == 0, audited.stdout
    assert json.loads(audited.stdout)["totals"]["curated"] == json.loads(manifest.read_text())["sent"] == 14_400


def test_should_replay_a_data_set_through_the_pipeline(
    emulator: Instance, deployed: Deployment, aws: boto3.Session, tmp_path: Path
) -> None:
    data, manifest = tmp_path / "lab.csv", tmp_path / "run.json"
    rows = [f"2019-03-01 00:{minute:02}:00,mote-{mote},{20 + mote}.5" for minute in range(50) for mote in range(3)]
    data.write_text("\n".join(["when,mote,celsius", *rows, "2019-03-01 01:00:00,mote-1,warm"]))
    words = (str(data), "--map", "time=when", "--map", "temperature=celsius", "--map", "site='a lab'", "--no-pace")
    sent = iot("replay", *words, "--sink", "kinesis", "--manifest", str(manifest), endpoint=emulator.endpoint)
    assert sent.returncode == 0, sent.stderr
    run = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    wait_for(
        lambda: count_raw_lines(aws, deployed.raw_bucket_name, run) >= run.sent == 151, "the lines in the raw zone"
    )
    assert iot("etl", "run", endpoint=emulator.endpoint).returncode == 0
    audited = iot("audit", "--manifest", str(manifest), "--json", endpoint=emulator.endpoint)
    assert audited.returncode == 0, audited.stdout
    totals = json.loads(audited.stdout)["totals"]
    assert (totals["curated"], totals["quarantined"]) == (150, 1)
