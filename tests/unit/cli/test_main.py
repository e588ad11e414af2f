"""Verbs are found in their folder and imported when they are used; `iot --help` lists them without importing any."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import main, verbs

VERBS = [file.stem for file in Path(verbs.__file__).parent.glob("[!_]*.py")]


def test_should_list_every_verb_in_order() -> None:
    shown = CliRunner().invoke(main.app, ["--help"], env={"COLUMNS": "120"}).output
    listed = [line.split()[1] for line in shown.split("Commands")[1].splitlines() if line[2:3].isalpha()]
    assert sorted(listed) == sorted(VERBS)
    assert listed == [*main._ORDER]


@pytest.mark.parametrize("name", VERBS)
def test_should_list_a_verb_with_the_help_that_it_has_itself(name: str) -> None:
    assert main.load_verb(name).help == main._help_of(name)


def test_should_import_no_verb_and_nothing_heavy_for_help() -> None:
    code = """
import sys
from typer.testing import CliRunner
from cli import main
assert CliRunner().invoke(main.app, ["--help"]).exit_code == 0
heavy = {"awswrangler", "confluent_kafka", "duckdb", "matplotlib", "numpy", "pandas", "pyarrow"}
print(*sorted(name for name in sys.modules if name.startswith("cli.verbs.") or name in heavy))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_should_suggest_the_verb_that_was_meant() -> None:
    result = CliRunner().invoke(main.app, ["scor"])
    assert result.exit_code == 2
    assert "No such command 'scor'. Did you mean 'score'?" in " ".join(result.output.split())


def test_should_find_a_verb_that_is_just_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ping.py").write_text('def ping() -> None:\n    """Answer."""\n    print("pong")\n')
    monkeypatch.setattr(verbs, "__path__", [*verbs.__path__, str(tmp_path)])
    command = typer.main.get_command(main.app)
    assert isinstance(command, main._Verbs)
    assert list(command.commands) == [*main._ORDER, "ping"]
    assert CliRunner().invoke(main.app, ["ping"]).output == "pong\n"


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("streamlit", ["dashboard"], "dashboard"),
        ("confluent_kafka", ["simulate", "--sink", "kafka://localhost:9092/readings"], "kafka"),
        ("confluent_kafka", ["simulate", "--sink", "kafka://localhost:9092/readings", "--processes", "2"], "kafka"),
        ("confluent_kafka", ["up", "--ingest", "msk", "--kafka", "127.0.0.1:1"], "kafka"),
        ("paho", ["simulate", "--sink", "mqtts://localhost/readings"], "mqtt"),
    ],
)
def test_should_name_the_extra_that_is_not_installed(package: str, arguments: list[str], extra: str) -> None:
    code = f"""
import sys
sys.modules[{package!r}] = None
sys.argv = ["iot", *{arguments!r}]
from cli import main
main.main()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == f"iot: needs the '{extra}' extra: pip install -c requirements-dev.txt -e '.[{extra}]'\n"


def test_should_know_a_package_of_each_extra_that_the_command_line_imports() -> None:
    project = tomllib.loads((Path(main.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert set(main._EXTRAS.values()) == set(project["optional-dependencies"]) - {"spark"}
