"""What the infrastructure sets is what the programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from cdk.app import build
from cdk.settings import load
from glue_jobs.curate.arguments import Arguments, parse_arguments
from lambdas.detector.function import Settings as Detector
from lambdas.notifier.function import Settings as Notifier
from lambdas.watchdog.function import Settings as Watchdog

ROOT = Path(__file__).resolve().parents[2]

#: What Glue reads itself and does not hand on as the job's own.
GLUES_OWN = {"--extra-py-files", "--additional-python-modules", "library-set"}

#: What somebody who starts a run says of it, beside what the job is told each time.
RUNS_OWN = {"window_from", "window_to", "window_by", "full", "dry_run", "run_id"}


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = App(
        context={**context, "aws:cdk:bundling-stacks": []},
        analytics_reporting=False,
        builtin_cloud_formation_validation=False,
    )
    build(app, load({}, {}), "aws")
    stacks = [stack for stack in app.node.children if isinstance(stack, Stack)]
    return [resource for stack in stacks for resource in Template.from_stack(stack).to_json()["Resources"].values()]


@pytest.fixture(scope="module")
def functions(resources: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The variables of each function, by its service."""
    found = [r["Properties"] for r in resources if r["Type"] == "AWS::Lambda::Function"]
    variables = [function["Environment"]["Variables"] for function in found]
    return {of["POWERTOOLS_SERVICE_NAME"]: of for of in variables}


@pytest.fixture(scope="module")
def default_arguments(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """The job's."""
    (job,) = (resource["Properties"] for resource in resources if resource["Type"] == "AWS::Glue::Job")
    arguments: dict[str, Any] = job["DefaultArguments"]
    return arguments


@pytest.mark.parametrize(
    ("service", "settings"), [("detector", Detector), ("watchdog", Watchdog), ("notifier", Notifier)]
)
def test_should_set_exactly_the_variables_that_a_function_reads(
    service: str, settings: type[msgspec.Struct], functions: dict[str, dict[str, str]]
) -> None:
    variables = set(functions[service])

    assert {name for name in variables if not name.startswith("POWERTOOLS_")} == {
        field.upper() for field in settings.__struct_fields__
    }
    assert {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"} <= variables


def test_should_have_a_handler_where_each_function_looks_for_it(resources: list[dict[str, Any]]) -> None:
    handlers = [r["Properties"]["Handler"] for r in resources if r["Type"] == "AWS::Lambda::Function"]

    assert len(handlers) == 3
    for handler in handlers:
        module, _, function = handler.rpartition(".")
        assert f"\n{function} = bootstrap(" in ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text()


def test_should_pass_exactly_the_arguments_that_the_curation_reads_but_for_a_runs_own(
    default_arguments: dict[str, Any],
) -> None:
    passed = {name.removeprefix("--") for name in set(default_arguments) - GLUES_OWN}

    assert passed == set(Arguments.__struct_fields__) - RUNS_OWN
    assert set(Arguments.__struct_fields__) >= RUNS_OWN


def test_should_pass_arguments_that_the_curation_can_parse(default_arguments: dict[str, Any]) -> None:
    # Names that only exist once deployed stand in the template as references.
    given = {name: value if isinstance(value, str) else "deployed" for name, value in default_arguments.items()}
    argv = [word for name, value in given.items() if name.startswith("--") for word in (name, value)]

    arguments = parse_arguments(argv, {})

    assert (arguments.stage, arguments.database, arguments.grace_seconds) == ("dev", "iot_dev", 3600)
    assert (arguments.raw_retention_days, arguments.registry_key) == (35, "registry/devices.csv")
