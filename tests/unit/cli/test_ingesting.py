"""Verbs that start the local AWS say what does not go together before they start anything."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli import main, target
from cli.verbs import deploy
from local import deployment, emulator
from local.endpoint import LocalError
from local.kafka import instance as kafka
from pipeline.errors import PipelineError
from tests.deployments import named_deployment


@pytest.mark.parametrize("verb", ["up", "demo"])
@pytest.mark.parametrize("ingest", [[], ["--ingest", "kinesis"]])
def test_should_take_a_broker_for_a_topic_only(verb: str, ingest: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(emulator, "start")
    result = CliRunner().invoke(main.app, [verb, *ingest, "--kafka", "127.0.0.1:9092"])
    assert isinstance(result.exception, PipelineError)
    assert str(result.exception) == "--kafka is the broker of --ingest msk: write both"


@pytest.mark.parametrize("verb", ["up", "demo"])
def test_should_take_a_broker_on_this_machine_only(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(emulator, "start")
    result = CliRunner().invoke(main.app, [verb, "--ingest", "msk", "--kafka", "10.0.0.1:9092"])
    assert isinstance(result.exception, LocalError)
    assert "on this machine only, not to '10.0.0.1:9092'" in str(result.exception)


@pytest.mark.parametrize("verb", ["up", "demo"])
def test_should_start_nothing_where_no_broker_can_run(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(emulator, "start")
    monkeypatch.setattr(kafka, "missing", lambda: "no Java")
    result = CliRunner().invoke(main.app, [verb, "--ingest", "msk"])
    assert isinstance(result.exception, LocalError)
    assert "install Java 17 or newer" in str(result.exception)


class Started:
    """A local AWS and Kafka that only note what is done with them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.happened: list[str] = []
        self.kafka: kafka.Instance | None = None
        self.died: kafka.Instance | None = None
        monkeypatch.setattr(emulator, "start", lambda _port: emulator.Instance(1, 4566))
        monkeypatch.setattr(emulator, "stop", lambda: self._note("emulator stopped"))
        monkeypatch.setattr(kafka, "missing", lambda: "")
        monkeypatch.setattr(kafka, "start", self._start)
        monkeypatch.setattr(kafka, "stop", self._stop)
        monkeypatch.setattr(kafka, "running", lambda *_: self.kafka)
        monkeypatch.setattr(kafka, "died", lambda: self.died)

    def _note(self, what: str) -> bool:
        self.happened.append(what)
        return True

    def _start(self, endpoint: str, broker: str) -> None:
        self.kafka = kafka.Instance(2, broker or "127.0.0.1:9999", endpoint, own=not broker, emulator=1)

    def _stop(self) -> bool:
        self.kafka = None
        return self._note("kafka stopped")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    return Started(monkeypatch)


def said(*words: str) -> str:
    result = CliRunner().invoke(main.app, words, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == 0
    return " ".join(result.output.split())


def test_should_start_kafka_beside_the_local_aws_and_leave_it_when_asked_again(started: Started) -> None:
    up = "the local AWS is up at http://127.0.0.1:4566"
    assert said("up") == f"{up}; next: iot deploy"
    assert said("up", "--ingest", "msk") == f"{up}, with a Kafka broker at 127.0.0.1:9999; next: iot deploy"
    assert "Kafka" in said("up")
    assert json.loads(said("up", "--json"))["kafka_bootstrap"] == "127.0.0.1:9999"
    assert started.happened == []


def test_should_not_take_kafka_away_from_what_is_deployed(started: Started) -> None:
    said("up", "--ingest", "msk")
    result = CliRunner().invoke(main.app, ["up", "--ingest", "kinesis"])
    assert isinstance(result.exception, PipelineError)
    assert str(result.exception).endswith("'iot down' ends both")
    assert started.happened == []


@pytest.mark.parametrize("own", [True, False])
def test_should_start_kafka_again_that_has_died(started: Started, *, own: bool) -> None:
    broker = "127.0.0.1:9999" if own else "127.0.0.1:9092"
    started.died = kafka.Instance(2, broker, "http://127.0.0.1:4566", own=own, emulator=1)
    assert f"with a Kafka broker at {broker}" in said("up")
    assert started.kafka == started.died


def test_should_use_a_broker_that_runs(started: Started) -> None:
    assert "at 127.0.0.1:9092" in said("up", "--ingest", "msk", "--kafka", "127.0.0.1:9092")
    assert started.kafka == kafka.Instance(2, "127.0.0.1:9092", "http://127.0.0.1:4566", own=False, emulator=1)


def test_should_end_all_of_it(started: Started) -> None:
    assert said("down") == "the local AWS is down"
    assert started.happened == ["kafka stopped", "emulator stopped"]


class Session:
    """A session with the local AWS at an endpoint."""

    def __init__(self, endpoint: str) -> None:
        self.meta = SimpleNamespace(endpoint_url=endpoint)

    def client(self, _name: str) -> Session:
        return self


@pytest.mark.parametrize(("endpoint", "ingest"), [("http://127.0.0.1:4566", "msk"), ("http://127.0.0.1:1", "kinesis")])
def test_should_deploy_a_topic_where_kafka_runs_beside_that_aws(
    started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str, ingest: str
) -> None:
    said("up", "--ingest", "msk")
    given: list[dict[str, str]] = []
    monkeypatch.setattr(deployment, "deploy", lambda *_, **more: given.append(more.get("context", {})))
    monkeypatch.setattr(deploy, "_wait_for_topic", lambda *_: None)
    deploy.deploy_stacks(Session(endpoint), "dev", Console(quiet=True), home=tmp_path)  # type: ignore[arg-type]
    assert given == [{"ingest": "msk", "kafka_bootstrap": "127.0.0.1:9999"} if ingest == "msk" else {}]


def test_should_not_change_the_ingest_of_a_deployed_stage(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    said("up", "--ingest", "msk")
    monkeypatch.setattr(target, "connect", lambda **_: Session("http://127.0.0.1:4566"))
    monkeypatch.setattr(deploy, "find", lambda *_: named_deployment(ingest="kinesis"))
    monkeypatch.delattr(deployment, "deploy")
    result = CliRunner().invoke(main.app, ["deploy"])
    assert isinstance(result.exception, PipelineError)
    assert "with ingest kinesis, which cannot become msk in place: run 'iot down'" in str(result.exception)
