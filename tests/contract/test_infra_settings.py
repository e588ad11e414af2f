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
from lambdas.detector.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

#: What Glue reads itself and does not hand on as the job's own.
GLUES_OWN = {"--extra-py-files", "--additional-python-modules", "library-set"}


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = App(
        context={**context, "aws:cdk:bundling-stacks": []},
        analytics_reporting=False,
        builtin_cloud_formation_validation=False,
    )
    build(app, load({}, {}), "aws")
    stacks = [stack for stack in app.node.children if isinstance(stack, Stack)]
    return {
        resource["Type"]: resource["Properties"]
        for stack in stacks
        for resource in Template.from_stack(stack).to_json()["Resources"].values()
    }


def test_should_set_exactly_the_variables_that_the_detector_reads(resources: dict[str, dict[str, Any]]) -> None:
    variables = set(resources["AWS::Lambda::Function"]["Environment"]["Variables"])

    assert {name for name in variables if not name.startswith("POWERTOOLS_")} == {
        field.upper() for field in Settings.__struct_fields__
    }
    assert {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"} <= variables


def test_should_pass_only_arguments_that_the_curation_accepts(resources: dict[str, dict[str, Any]]) -> None:
    arguments = resources["AWS::Glue::Job"]["DefaultArguments"]
    passed = {name.removeprefix("--") for name in set(arguments) - GLUES_OWN}
    required = {field.name for field in msgspec.structs.fields(Arguments) if field.required}

    assert required <= passed <= set(Arguments.__struct_fields__)


def test_should_pass_arguments_that_the_curation_can_parse(resources: dict[str, dict[str, Any]]) -> None:
    defaults = resources["AWS::Glue::Job"]["DefaultArguments"]
    # Names that only exist once deployed stand in the template as references.
    given = {name: value if isinstance(value, str) else "deployed" for name, value in defaults.items()}
    argv = [word for name, value in given.items() if name.startswith("--") for word in (name, value)]

    arguments = parse_arguments(argv, {})

    assert (arguments.stage, arguments.database, arguments.grace_seconds) == ("dev", "iot_dev", 3600)
