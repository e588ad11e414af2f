"""What is uploaded: complete, without what does not belong, the same from build to build."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import boto3
import pytest
from uv import find_uv_bin

from cdk import bundling
from cdk.settings import EtlEngine
from lambdas.detector.function import Settings as Detector
from lambdas.notifier.function import Settings as Notifier
from lambdas.watchdog.function import Settings as Watchdog
from tests.infra.conftest import ROOT

#: What Lambda's runtime has of itself: boto3 and what that needs.
LAMBDAS_OWN = ("boto3", "botocore", "dateutil", "s3transfer", "six.py", "urllib3")

#: The Python of each kind of job and the minor version of its glibc: Amazon Linux 2 under the Python shell, Amazon
#: Linux 2023 under Spark. https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-python-libraries.html
GLUES_PYTHON: dict[EtlEngine, tuple[str, int]] = {"pythonshell": ("3.9", 26), "spark": ("3.11", 34)}


def test_should_build_the_same_wheel_twice(tmp_path: Path) -> None:
    first, second = bundling.curate_wheel(tmp_path / "a"), bundling.curate_wheel(tmp_path / "b")

    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_should_put_code_and_sql_into_the_wheel_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(bundling.curate_wheel(tmp_path)) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert {"telemetry/reading/model.py", "glue_jobs/__init__.py", "glue_jobs/curate/arguments.py"} <= names
    assert {f"glue_jobs/curate/sql/{path.name}" for path in (ROOT / "glue_jobs/curate/sql").glob("*.sql")} <= names
    assert {Path(name).suffix for name in names} == {".py", ".sql"}
    assert not {"glue_jobs/curate/job.py", "glue_jobs/curate/spark_job.py"} & names


def test_should_build_a_wheel_that_installs(tmp_path: Path) -> None:
    wheel = bundling.curate_wheel(tmp_path)
    command = [find_uv_bin(), "pip", "install", "--offline", "--no-deps", "--target", str(tmp_path / "to"), str(wheel)]

    subprocess.run([*command, "--python", sys.executable], check=True, capture_output=True)

    assert (tmp_path / "to/telemetry/reading/model.py").read_bytes() == (
        ROOT / "telemetry/reading/model.py"
    ).read_bytes()


@pytest.mark.parametrize(
    ("engine", "needed"), [("pythonshell", {"duckdb", "pyarrow"}), ("spark", {"sqlglot", "pyarrow"})]
)
def test_should_list_the_jobs_locked_modules(engine: EtlEngine, needed: set[str]) -> None:
    modules = bundling.curate_modules(engine).split(",")

    assert all(module.count("==") == 1 and " " not in module for module in modules)
    assert needed <= {module.split("==")[0] for module in modules}


def test_should_lock_the_same_versions_of_what_decides_about_rows_for_both_engines() -> None:
    shell, spark = (set(bundling.curate_modules(engine).split(",")) for engine in get_args(EtlEngine))

    decisive = ("msgspec", "pyarrow", "jinja2")
    assert {m for m in shell if m.startswith(decisive)} == {m for m in spark if m.startswith(decisive)}


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


def test_should_bundle_functions_that_import_with_nothing_but_lambdas_own_packages(tmp_path: Path) -> None:
    bundle, runtime = tmp_path / "bundle", tmp_path / "runtime"
    runtime.mkdir()
    for name in LAMBDAS_OWN:
        (runtime / name).symlink_to(Path(boto3.__file__).parents[1] / name)
    sources = bundling._sources("telemetry", "lambdas", "rules.yaml")

    bundling._FunctionsBundle(sources, ("--python", sys.executable)).try_bundle(str(bundle))

    code = """
import importlib, pathlib
for path in sorted(pathlib.Path("lambdas").glob("*/*.py")) + sorted(pathlib.Path("telemetry").rglob("*.py")):
    importlib.import_module(".".join(path.with_suffix("").parts))
    print(path)
"""
    environ = {
        "PYTHONPATH": str(runtime),
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_METRICS_NAMESPACE": "IoTPipeline",
        **{name.upper(): "some" for of in (Detector, Watchdog, Notifier) for name in of.__struct_fields__},
    }
    # Without site, and so without this environment's packages.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=bundle, env=environ, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    handlers = {f"lambdas/{name}/handler.py" for name in ("detector", "watchdog", "notifier")}
    assert {*handlers, "telemetry/rules/parse.py"} <= set(done.stdout.split())
    assert not list(bundle.rglob("test_*.py"))
    assert not (bundle / "lambdas/requirements.in").exists()


def test_should_bundle_extensions_for_graviton_and_lambdas_python(tmp_path: Path) -> None:
    install = ("--python-platform", bundling._MANYLINUX["arm64"], "--python-version", bundling.LAMBDA_PYTHON)

    bundling._FunctionsBundle([], install).try_bundle(str(tmp_path))

    extensions = [path.name for path in tmp_path.rglob("*.so")]
    assert extensions
    assert {name.split(".", 1)[1] for name in extensions} == {"cpython-313-aarch64-linux-gnu.so"}


def test_should_run_the_curation_without_what_rules_are_parsed_with() -> None:
    code = "import sys, glue_jobs.curate.main; print({'lark', 'yaml'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("engine", "entry", "glues_own"),
    [
        ("pythonshell", "glue_jobs/curate/main.py", set[str]()),
        ("pythonshell", "glue_jobs/curate/engines/duckdb_engine.py", set[str]()),
        ("spark", "glue_jobs/curate/spark_job.py", {"pyspark", "py4j"}),
    ],
)
def test_should_lock_every_module_that_the_curation_imports(engine: EtlEngine, entry: str, glues_own: set[str]) -> None:
    locked = {module.partition("==")[0] for module in bundling.curate_modules(engine).split(",")}

    assert _imported(ROOT / entry) - glues_own <= locked


def _imported(entry: Path) -> set[str]:
    """The packages that a module of ours imports when it is loaded, by itself or through others of ours."""
    found, seen, files = set[str](), set[Path](), [entry]
    while files:
        file = files.pop()
        seen.add(file)
        for name in _imports(ast.parse(file.read_text())):
            ours = [ROOT.joinpath(*name.split(".")).with_suffix(".py"), ROOT.joinpath(*name.split("."), "__init__.py")]
            files += [path for path in ours if path.exists() and path not in seen]
            found.add(name.partition(".")[0])
    return found - sys.stdlib_module_names - {"glue_jobs", "telemetry"}


def _imports(module: ast.Module) -> Iterator[str]:
    """What a module imports at once: not what it does for type checkers or inside its functions."""
    for node in module.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("engine", get_args(EtlEngine))
def test_should_lock_modules_that_glue_can_install(engine: EtlEngine) -> None:
    done = _glue_install(engine, "--requirement", str(bundling.CURATE_REQUIREMENTS[engine]))

    assert done.returncode == 0, done.stderr


def test_should_notice_a_module_that_glue_cannot_install() -> None:
    done = _glue_install("pythonshell", "pyarrow==21.0.0")

    assert "No matching distribution found for pyarrow==21.0.0" in done.stderr


def _glue_install(engine: EtlEngine, *what: str) -> subprocess.CompletedProcess[str]:
    """Let pip choose wheels as Glue does.

    With pip, because uv knows no platform between glibc 2.17 and 2.28.
    """
    python, glibc_minor = GLUES_PYTHON[engine]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--only-binary", ":all:"]
    # pip wants a folder for what is not for this interpreter, and leaves it alone in a dry run.
    command += ["--ignore-installed", "--target", "unused", "--python-version", python]
    for minor in range(5, glibc_minor + 1):
        command += ["--platform", f"manylinux_2_{minor}_x86_64"]
    command += ["--platform", "manylinux2014_x86_64"]
    return subprocess.run([*command, *what], capture_output=True, text=True, check=False)


def test_should_say_in_one_line_what_cannot_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("msgspec==0.0.0.dev1\n")
    monkeypatch.setattr(bundling, "FUNCTIONS_REQUIREMENTS", requirements)

    with pytest.raises(SystemExit, match=r"^cdk: the functions' dependencies cannot be installed"):
        bundling._FunctionsBundle([], ("--python", sys.executable, "--offline")).try_bundle(str(tmp_path))
