"""``iot report`` as a person and a program see it; what it measures is made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from benchmarks.report import machine
from benchmarks.report import measurements as measuring
from benchmarks.report import page as report_page
from benchmarks.report.machine import Surroundings
from benchmarks.report.measurements import Measurement, Record
from cli.verbs import report as command
from local import emulator
from pipeline.errors import PipelineError
from tests.unit.benchmarks.reported import MACHINE, everything, record

app = typer.Typer()
app.command()(command.report)

Iot = Callable[..., Result]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "mine.md"


@pytest.fixture
def ran() -> list[Measurement]:
    return []


@pytest.fixture
def stopped() -> list[str]:
    return []


@pytest.fixture
def iot(page: Path, ran: list[Measurement], stopped: list[str], monkeypatch: pytest.MonkeyPatch) -> Iot:
    """``iot report`` with these words; raises what ``iot`` prints on one line with exit code 1."""

    def run(measurement: Measurement, _: Surroundings, on_line: Callable[[str], None]) -> Record:
        ran.append(measurement)
        on_line("[round] 1 of 3")
        found = everything().get(measurement.name)
        return found or record(measurement.name, error="cannot run here")

    monkeypatch.setattr(measuring, "run", run)
    monkeypatch.setattr(report_page, "draw", lambda *_: None)  # takes a second
    monkeypatch.setattr(machine, "surroundings", lambda: Surroundings(MACHINE, {}, "abc1234"))
    monkeypatch.setattr(emulator, "running", lambda: None)
    monkeypatch.setattr(emulator, "stop", lambda: stopped.append("stopped"))

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(app, ["--output", str(page), *words], catch_exceptions=False)

    return invoke


def words_of(ran: list[Measurement]) -> dict[str, str]:
    return {each.name: " ".join(each.words) for each in ran}


def test_should_measure_everything_and_go_on_where_something_fails(
    iot: Iot, ran: list[Measurement], page: Path
) -> None:
    found = iot()
    assert found.exit_code == 1
    assert "not measured  curate-medium: cannot run here" in found.stdout
    assert "missed  curation of 160,000 readings, beside pandas: 4.0 times as fast" in found.stdout
    assert ran[-1].name == "demo-3"
    assert {path.stem for path in page.with_suffix("").glob("*.json")} == {each.name for each in ran}
    assert "### 160,000 readings" in page.read_text()


def test_should_say_it_in_json(iot: Iot, page: Path) -> None:
    found: dict[str, Any] = json.loads(iot("--json").stdout)
    assert found["report"] == str(page)
    assert found["failed"]["demo-3"] == "cannot run here"
    assert {"curate-large", "simulator", "scores"} == {each["name"] for each in found["missed"]}


def test_should_take_parts_of_the_rows_that_are_asked_for(iot: Iot, ran: list[Measurement]) -> None:
    iot("--rows", "1600")
    words = words_of(ran)
    assert words["curate-large"] == "python -m benchmarks.curate --rows 1600 --rounds 3 --json"
    assert "--rows 100 " in words["curate-small"]
    assert "--rows 160 " in words["detector"]
    assert "--rows 800 --kinesis-rows 160 " in words["simulator"]
    assert words["scores"] == "iot score --all --start 2026-11-24T09:00:00Z --json"


def test_should_measure_less_when_it_has_to_be_quick(iot: Iot, ran: list[Measurement]) -> None:
    iot("--quick")
    words = words_of(ran)
    assert "--rounds 1 " in words["curate-large"]
    assert words["scores"].startswith("iot score --scenario calm --scenario ")
    assert [name for name in words if name.startswith("demo")] == ["demo-1"]


def test_should_measure_a_part_and_keep_the_others(iot: Iot, ran: list[Measurement], page: Path) -> None:
    measuring.write(page.with_suffix(""), everything()["detector"])
    iot("--only", "curate", "--only", "demo-1")
    assert [each.name for each in ran] == ["curate-small", "curate-medium", "curate-large", "demo-1"]
    assert "### The detector\n\n200" not in page.read_text()
    assert "(mine/detector.json)" in page.read_text()


def test_should_forget_what_a_whole_run_no_longer_measures(iot: Iot, page: Path) -> None:
    measuring.write(page.with_suffix(""), record("curate-huge"))
    iot()
    assert not (page.with_suffix("") / "curate-huge.json").exists()


def test_should_only_write_when_asked_to(iot: Iot, ran: list[Measurement], page: Path, stopped: list[str]) -> None:
    for each in everything().values():
        measuring.write(page.with_suffix(""), each)
    assert iot("--render").exit_code == 0
    assert (ran, stopped) == ([], [])
    assert "# Report" in page.read_text()


@pytest.mark.parametrize(
    ("was_up", "only", "stops"), [(True, "demo", []), (False, "demo", ["stopped"]), (False, "curate", [])]
)
def test_should_stop_a_local_aws_that_it_started(
    iot: Iot, monkeypatch: pytest.MonkeyPatch, stopped: list[str], *, was_up: bool, only: str, stops: list[str]
) -> None:
    monkeypatch.setattr(emulator, "running", lambda: emulator.Instance(1, 1) if was_up else None)
    iot("--only", only)
    assert stopped == stops


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--render", "--quick"), "--render does not measure: leave --quick, --rows and --only out"),
        (("--output", "report"), "--output report: the page is Markdown, and its name ends in .md"),
        (("--only", "curat"), "--only curat: no such measurement; there are .*detector, simulator"),
    ],
)
def test_should_refuse_what_cannot_be_meant(iot: Iot, ran: list[Measurement], words: tuple[str, ...], why: str) -> None:
    with pytest.raises(PipelineError, match=why):
        iot(*words)
    assert ran == []
