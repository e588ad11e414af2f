"""What is uploaded: complete, without what does not belong, the same from build to build."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from cdk import bundling
from tests.infra.conftest import ROOT


def test_should_build_the_same_wheel_twice(tmp_path: Path) -> None:
    first, second = bundling.curate_wheel(tmp_path / "a"), bundling.curate_wheel(tmp_path / "b")

    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_should_put_code_and_sql_into_the_wheel_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(bundling.curate_wheel(tmp_path)) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert {"telemetry/reading.py", "glue_jobs/__init__.py", "glue_jobs/curate/arguments.py"} <= names
    assert {f"glue_jobs/curate/sql/{path.name}" for path in (ROOT / "glue_jobs/curate/sql").glob("*.sql")} <= names
    assert {Path(name).suffix for name in names} == {".py", ".sql"}
    assert "glue_jobs/curate/job.py" not in names


def test_should_build_a_wheel_that_installs(tmp_path: Path) -> None:
    wheel = bundling.curate_wheel(tmp_path)
    command = [find_uv_bin(), "pip", "install", "--offline", "--no-deps", "--target", str(tmp_path / "to"), str(wheel)]

    subprocess.run([*command, "--python", sys.executable], check=True, capture_output=True)

    assert (tmp_path / "to/telemetry/reading.py").read_bytes() == (ROOT / "telemetry/reading.py").read_bytes()


def test_should_list_the_jobs_locked_modules(tmp_path: Path) -> None:
    modules = bundling.curate_modules().split(",")

    assert modules
    assert all(module.count("==") == 1 and " " not in module for module in modules)
    assert "duckdb" in {module.split("==")[0] for module in modules}


def test_should_change_the_hash_with_any_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bundling, "ROOT", tmp_path)
    source = tmp_path / "telemetry" / "a.py"
    source.parent.mkdir()
    source.write_text("one")
    before = bundling._digest(bundling._sources("telemetry"))
    (tmp_path / "telemetry" / "__pycache__").mkdir()
    (tmp_path / "telemetry" / "__pycache__" / "a.pyc").write_text("compiled")
    assert bundling._digest(bundling._sources("telemetry")) == before

    source.write_text("two")

    assert bundling._digest(bundling._sources("telemetry")) != before


def test_should_bundle_a_detector_that_imports(tmp_path: Path) -> None:
    sources = bundling._sources("telemetry", "lambdas/__init__.py", "lambdas/detector", "rules.yaml")

    bundling._DetectorBundle(sources, ("--python", sys.executable)).try_bundle(str(tmp_path))

    code = (
        "import lambdas.detector.settings; from telemetry.rules import parse_rules; "
        "print(len(parse_rules(open('rules.yaml').read()).rules))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4"
    assert not list(tmp_path.rglob("test_*.py"))
    assert not (tmp_path / "lambdas/detector/requirements.in").exists()


def test_should_say_in_one_line_what_cannot_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("msgspec==0.0.0.dev1\n")
    monkeypatch.setattr(bundling, "DETECTOR_REQUIREMENTS", requirements)

    with pytest.raises(SystemExit, match=r"^cdk: the detector's dependencies cannot be installed"):
        bundling._DetectorBundle([], ("--python", sys.executable, "--offline")).try_bundle(str(tmp_path))
