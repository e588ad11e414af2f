"""Verbs that start the local AWS say what does not go together before they start anything."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli import main
from local import emulator
from local.endpoint import LocalError
from pipeline.errors import PipelineError


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
