"""``iot score`` as a person and a program see it: small scenarios are really rehearsed, real runs are made up."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from cli import target
from cli.verbs import score as command
from pipeline import alerts as in_lake
from pipeline.errors import PipelineError
from pipeline.inbox import Received
from simulator.faults.truth import InjectedFault, encode_injected_faults
from simulator.run.manifest import DeviceCounts, Manifest
from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import Notification, NotifiedAlert
from tests.unit.pipeline.alerting import DEPLOYED

app = typer.Typer()
app.command()(command.score)

SCENARIO = """
name: tiny
description: Two of four rooms get too hot
seed: 3
duration: 30m
interval: 30s
sites:
  - {name: hamburg, timezone: Europe/Berlin, latitude: 53.55, longitude: 9.99, gateways: 1, mean: 9.9}
devices:
  - {model: indoor, count: 4}
faults:
  - {kind: step, start: 5m, duration: 10m, models: [indoor], count: 2, size: 40, expect: [too-hot]}
"""
CALM = SCENARIO[: SCENARIO.index("faults:")].replace("tiny", "calm")

RULES = "rules:\n  - {name: too-hot, when: temperature > 40, for: 1m}\n"
#: Fire for what is not there.
CAREFUL = "rules:\n  - {name: too-hot, when: temperature > 5}\n"

START = ("--start", "2026-11-25T06:00")

NOW = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def at(minutes: float) -> dt.datetime:
    return NOW + minutes * MINUTE


def fault(
    name: str = "i", *, since: float = 0, until: float = 60, device: str = "d1", gateway: str = "g1", site: str = "s1",
    kind: str = "step", metric: str = "temperature", expects: Sequence[str] = ("hot",), tolerates: Sequence[str] = (),
) -> InjectedFault:  # fmt: skip
    return InjectedFault(
        id=name, number=1, kind=kind, site=site, gateway=gateway, device=device, metric=metric, since=at(since),
        until=at(until), expects=tuple(expects), tolerates=tuple(tolerates),
    )  # fmt: skip


def alert(
    name: str = "a", *, fired: float = 5, resolved: float | None = None, rule: str = "hot", device: str = "d1",
    gateway: str = "g1", site: str = "s1",
) -> NotifiedAlert:  # fmt: skip
    return NotifiedAlert(
        alert_id=name, sequence=1, status="firing" if resolved is None else "resolved", flapping=False, held=None,
        rule=rule, severity="warning", device=device, site=site, gateway=gateway, metric="", value=None, threshold=None,
        condition="", summary="", runbook="", active_at=at(fired), fired_at=at(fired),
        resolved_at=None if resolved is None else at(resolved), changed_at=at(fired if resolved is None else resolved),
    )  # fmt: skip


def notify(*alerts: NotifiedAlert, minute: float = 6, name: str = "", **changes: Any) -> Received:
    """A notification that is published and received at that minute."""
    shown = Notification(
        notification_id=name or f"n{minute:g}", reason="new", state="firing", severity="warning", group={}, firing=1,
        resolved=0, at_least=False, summary="", rules=["hot"], sites=["s1"], alerts=list(alerts), omitted=0,
        published_at=at(minute),
    )  # fmt: skip
    return Received(msgspec.structs.replace(shown, **changes), at(minute))


def change(name: str, kind: str, minute: float, *, device: str = "d9", fired: float | None = None) -> Transition:
    return Transition(
        alert_id=name, sequence=1, change=kind, status="resolved" if kind == "resolved" else "firing",  # type: ignore[arg-type]
        rule="hot", severity="warning", device=device, site="s1", gateway="g1", held=None, flapping=False, metric="",
        value=None, threshold=None, condition="", summary="", runbook="", active_at=at(minute),
        fired_at=at(minute if fired is None else fired), changed_at=at(minute), recorded_at=at(minute),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"tiny.yaml": SCENARIO, "calm.yaml": CALM, "rules.yaml": RULES, "careful.yaml": CAREFUL}.items():
        (tmp_path / name).write_text(text)


def iot_score(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments), obj=target.Choice(aws=False, stage="dev"))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rehearse(*arguments: str, rules: str = "rules.yaml") -> Result:
    return iot_score("--scenario", "tiny.yaml", "--rules", rules, *START, *arguments)


def refused(*arguments: str) -> str:
    """What is said instead of a score, in one line."""
    with pytest.raises(PipelineError) as raised:
        iot_score(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_should_rehearse_a_scenario_and_call_good_rules_good() -> None:
    result = rehearse()
    assert result.exit_code == 0
    first = result.output.splitlines()[0]
    assert first.startswith("tiny.yaml: good: precision 1.00, recall 1.00 (2 of 2 found, 0 false)")
    assert re.search(r"^step +2 +2 +0 +1\.000 +1\.000 ", result.output, re.MULTILINE)
    assert re.search(r"^too-hot +2 +2 +0 +1\.000 +1\.000 ", result.output, re.MULTILINE)


def test_should_give_exit_code_1_to_rules_that_are_not_good_enough() -> None:
    result = rehearse(rules="careful.yaml")
    assert result.exit_code == 1
    assert result.output.startswith("tiny.yaml: not good: ")
    assert re.search(r"^false  too-hot: indoor-\d+ at 06:0\d:\d\d \(nothing\)$", result.output, re.MULTILINE)


def test_should_print_json() -> None:
    result = rehearse("--json")
    [found] = json.loads(result.output)
    assert (found["name"], found["good"], found["incidents"]) == ("tiny.yaml", True, 2)
    assert found["total"]["found"] == found["by_kind"]["step"]["found"] == found["by_rule"]["too-hot"]["found"] == 2
    assert found["confusion"] == {"step": {"too-hot": 2}}


def test_should_say_which_rules_fire_where_nothing_was_injected() -> None:
    result = iot_score("--scenario", "calm.yaml", "--rules", "careful.yaml", *START)
    assert result.exit_code == 1
    assert re.search(r"^too-hot +0 +0 +4 +0\.000 ", result.output, re.MULTILINE)
    assert re.search(r"^false  too-hot: indoor-00000 at ", result.output, re.MULTILINE)


def test_should_say_one_line_where_nothing_was_injected_and_nothing_fired() -> None:
    result = iot_score("--scenario", "calm.yaml", "--rules", "rules.yaml", *START)
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == 1


def test_should_compare_several_scenarios_and_fail_if_one_does() -> None:
    result = iot_score("--scenario", "calm.yaml", "--scenario", "tiny.yaml", "--rules", "rules.yaml", *START)
    assert result.exit_code == 0
    assert re.search(r"^calm\.yaml +0 .* good$", result.output, re.MULTILINE)
    assert re.search(r"^tiny\.yaml +2 .* good$", result.output, re.MULTILINE)
    (Path.cwd() / "rules.yaml").write_text("rules:\n  - {name: too-hot, when: temperature > 80}\n")
    result = iot_score("--scenario", "calm.yaml", "--scenario", "tiny.yaml", "--rules", "rules.yaml", *START)
    assert result.exit_code == 1
    assert re.search(r"^calm\.yaml +0 .* 0 +good$", result.output, re.MULTILINE)
    assert re.search(r"^tiny\.yaml +2 .* not good$", result.output, re.MULTILINE)


def test_should_rehearse_the_whole_library_with_the_rules_of_this_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "NAMES", ("calm", "demo"))  # the others take longer
    result = iot_score("--all", "--json", *START)
    assert [(found["name"], found["good"]) for found in json.loads(result.output)] == [("calm", True), ("demo", True)]
    assert result.exit_code == 0


def test_should_give_the_same_score_each_time_for_the_same_start() -> None:
    assert rehearse("--json").output == rehearse("--json").output


def test_should_end_a_rehearsal_now_if_it_is_not_told_when_to_begin() -> None:
    before = dt.datetime.now(dt.UTC)
    result = iot_score("--scenario", "calm.yaml", "--rules", "careful.yaml", "--json")
    [found] = json.loads(result.output)
    times = {text.split(" at ")[1][:5] for text in found["false"]}
    begin = before - dt.timedelta(minutes=30)
    assert times <= {f"{begin + dt.timedelta(minutes=minute):%H:%M}" for minute in range(-1, 3)}


@pytest.mark.parametrize(("name", "begins"), [("picture.png", b"\x89PNG"), ("picture.svg", b"<?xml")])
def test_should_draw_a_timeline(name: str, begins: bytes) -> None:
    assert rehearse("--picture", name).exit_code == 0
    assert (Path.cwd() / name).read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name what to score: --scenario NAME or --all for a rehearsal, or --manifest for a real run"),
        (("--scenario", "tiny.yaml", "--manifest", "run.json"), "name what to score"),
        (("--all", "--manifest", "run.json"), "name what to score"),
        (("--manifest", "run.json"), "--manifest needs --alerts"),
        (("--all", "--scenario", "tiny.yaml"), "leave --scenario out, or --all"),
        (("--scenario", "tiny.yaml", "--alerts", "alerts.jsonl"), "--truth and --alerts are of a real run"),
        (("--scenario", "nowhere"), "nowhere"),
        (("--scenario", "tiny.yaml", "--rules", "none.yaml"), "cannot read the rules in none.yaml"),
        (
            ("--scenario", "tiny.yaml", "--start", "yesterday"),
            "--start: invalid time 'yesterday': write",
        ),
        (("--scenario", "tiny.yaml", "--start", "1900-01-01"), "the simulated time begins in 1900"),
        (("--scenario", "nobody.yaml"), "fault 1 (step) affects no device"),
        (("--scenario", "tiny.yaml", "--picture", "picture.gif"), "picture.gif: a picture's name ends in .png or .svg"),
        (("--scenario", "tiny.yaml", "--picture", "none/x.png"), "--picture: there is no folder none"),
        (("--all", "--picture", "x.png"), "--picture draws one run: give one --scenario"),
    ],
)
def test_should_say_in_one_line_what_cannot_be_scored(arguments: tuple[str, ...], said: str) -> None:
    (Path.cwd() / "nobody.yaml").write_text(SCENARIO.replace("count: 2,", "count: 2, sites: [nowhere],"))
    assert said in refused(*arguments)


def test_should_refuse_a_picture_before_the_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    def rehearsed(*_: object) -> None:
        raise AssertionError("it was rehearsed")

    monkeypatch.setattr(command, "_rehearsed", rehearsed)
    assert "picture.gif" in refused("--scenario", "tiny.yaml", "--picture", "picture.gif")


# A real run

MANIFEST = Manifest(
    scenario="made-up", seed=1, devices=2, gateways=1, speed=60.0, started_at=at(0), ended_at=at(60),
    arrived_from=at(500), arrived_to=at(501), sent=0, duplicates=0, malformed=0, late=0, reordered=0, refused=0,
    retried=0, refusal="",
    by_device={"d1": DeviceCounts(), "d2": DeviceCounts()},
)  # fmt: skip
FOUND = notify(alert(fired=35), minute=500.75)
REAL = ("--manifest", "run.json", "--alerts", "alerts.jsonl")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The files of a run at sixty times the speed: a thing went wrong in minute 30, and was told."""
    (tmp_path / "run.json").write_bytes(msgspec.json.encode(MANIFEST))
    (tmp_path / "run.truth.jsonl").write_bytes(encode_injected_faults([fault(since=30)]))
    # As "iot alerts tail --json" writes it.
    (tmp_path / "alerts.jsonl").write_bytes(msgspec.json.encode(FOUND.notification) + b"\n")
    return tmp_path


def test_should_score_a_real_run_by_when_notifications_were_published(run: Path) -> None:
    result = iot_score(*REAL, "--json")
    assert result.exit_code == 0
    [found] = json.loads(result.output)
    assert (found["name"], found["total"]["found"], found["total"]["expected"]) == ("run.json", 1, 1)
    assert found["total"]["fires_after"] == {"p50": 300.0, "p95": 300.0}
    assert found["total"]["told_after"] == {"p50": 15.0, "p95": 15.0}


def test_should_leave_out_of_a_real_run_what_was_told_of_other_devices(run: Path) -> None:
    others = notify(alert("other", device="somebody-elses", fired=36), minute=500.8)
    with (run / "alerts.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(others.notification) + b"\n")
    [found] = json.loads(iot_score(*REAL, "--json").output)
    assert (found["alerts"], found["total"]["false"]) == (1, 0)


def test_should_say_of_a_real_run_what_was_missed(run: Path) -> None:
    (run / "alerts.jsonl").write_bytes(b"")
    result = iot_score(*REAL)
    assert result.exit_code == 1
    assert "missed  hot: i\n" in result.output


def test_should_not_expect_of_a_real_run_what_began_right_before_its_end(run: Path) -> None:
    (run / "run.truth.jsonl").write_bytes(encode_injected_faults([fault(since=30), fault("j", since=58, device="d2")]))
    assert json.loads(iot_score(*REAL, "--json").output)[0]["total"]["expected"] == 1


def test_should_take_another_ground_truth_and_draw_it(run: Path) -> None:
    (run / "other.jsonl").write_bytes(encode_injected_faults([fault(since=30), fault("j", since=30, device="d2")]))
    result = iot_score(*REAL, "--truth", "other.jsonl", "--picture", "picture.svg", "--json")
    assert json.loads(result.output)[0]["total"]["expected"] == 2
    assert "recall 0.50" in (run / "picture.svg").read_text(encoding="utf-8")


def test_should_not_say_how_soon_a_run_was_told_that_went_as_fast_as_it_could(run: Path) -> None:
    (run / "run.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(MANIFEST, speed=0)))
    assert "told after" not in iot_score(*REAL).output
    assert "fires after" in iot_score(*REAL).output


def test_should_print_a_runs_name_as_it_is(run: Path) -> None:
    (run / "run.json").rename(run / "run[red].json")
    result = iot_score("--manifest", "run[red].json", "--alerts", "alerts.jsonl", "--truth", "run.truth.jsonl")
    assert result.output.startswith("run[red].json: good: ")


def test_should_ask_the_lake_for_alerts_that_a_notification_does_not_list(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[dt.datetime, dt.datetime]] = []

    def transitions(_session: object, _deployed: object, begin: dt.datetime, end: dt.datetime) -> list[Transition]:
        asked.append((begin, end))
        return [change("x", "firing", 500.5, device="d2", fired=35)]

    monkeypatch.setattr(target, "deployed", lambda _: (boto3.Session(), DEPLOYED))
    monkeypatch.setattr(in_lake, "transitions", transitions)
    (run / "run.truth.jsonl").write_bytes(encode_injected_faults([fault(since=30, device="d2")]))
    notification = msgspec.structs.replace(FOUND.notification, alerts=[], omitted=1)
    (run / "alerts.jsonl").write_bytes(msgspec.json.encode(notification) + b"\n")
    result = iot_score(*REAL, "--json")
    assert asked == [(at(500), at(501))]
    assert json.loads(result.output)[0]["total"]["found"] == 1


#: Ground truth whose times have no zone.
NO_ZONE = msgspec.structs.replace(fault(), since=at(30).replace(tzinfo=None), until=at(60).replace(tzinfo=None))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("run.json", b"{}", "run.json is not a manifest of a simulation: "),
        ("run.json", b"\xff", "run.json is not a manifest of a simulation: "),
        ("run.json", b'{"scenario":"\xff"}', "run.json is not a manifest of a simulation: "),
        (
            "run.json",
            msgspec.json.encode(msgspec.structs.replace(MANIFEST, started_at=at(0).replace(tzinfo=None))),
            "run.json: its times need a time zone, as 2026-11-23T12:00:00Z",
        ),
        ("run.truth.jsonl", b"nonsense\n", "run.truth.jsonl is not the ground truth of a simulation: "),
        ("run.truth.jsonl", b'{"id":"\xff"}\n', "run.truth.jsonl is not the ground truth of a simulation: "),
        ("run.truth.jsonl", encode_injected_faults([NO_ZONE]), "run.truth.jsonl: its times need a time zone"),
        ("alerts.jsonl", b'{"alerts":[]}\n', "alerts.jsonl has no notifications as "),
        ("alerts.jsonl", b'{"notification_id":"\xff"}\n', "alerts.jsonl has no notifications as "),
        (
            "alerts.jsonl",
            msgspec.json.encode(msgspec.structs.replace(FOUND.notification, published_at=at(0).replace(tzinfo=None))),
            "alerts.jsonl: its times need a time zone",
        ),
    ],
)
def test_should_say_in_one_line_which_file_of_a_run_is_wrong(run: Path, name: str, text: bytes, said: str) -> None:
    (run / name).write_bytes(text)
    assert refused(*REAL).startswith(said)


@pytest.mark.parametrize("name", ["run.json", "run.truth.jsonl", "alerts.jsonl"])
def test_should_say_in_one_line_which_file_of_a_run_is_not_there(run: Path, name: str) -> None:
    (run / name).unlink()
    assert refused(*REAL).startswith(name)
    assert "No such file" in refused(*REAL)
