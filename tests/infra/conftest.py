"""One synthesis per settings, without bundling: the templates are what is looked at."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from cdk.app import build
from cdk.settings import load
from cdk.target import Target

ROOT = Path(__file__).resolve().parents[2]


def new_app(target: Target = "aws", **settings: str) -> App:
    """Return an app of its own with the context of ``cdk.json``, nothing bundled.

    CloudFormation's rules check it at synth where no settings but the kind of stream are given: that takes seconds.
    """
    context: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = App(
        context={**context, "aws:cdk:bundling-stacks": []},
        analytics_reporting=False,
        builtin_cloud_formation_validation=target == "aws" and settings in ({}, {"ingest": "msk"}),
    )
    build(app, load(settings, {}), target)
    return app


@functools.cache
def app_for(target: Target = "aws", **settings: str) -> App:
    """Return the app with these settings. All tests share it, so none may change it."""
    return new_app(target, **settings)


@functools.cache
def templates_for(app: App) -> dict[str, Template]:
    """Return the app's templates, by the part of the stack's name that follows the stage."""
    stacks = [stack for stack in app.node.children if isinstance(stack, Stack)]
    return {stack.stack_name.rpartition("-")[2]: Template.from_stack(stack) for stack in stacks}


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    """The template's resources of a type, by logical id."""
    return {key: dict(value) for key, value in template.find_resources(kind).items()}


def only(template: Template, kind: str) -> dict[str, Any]:
    """The properties of the template's one resource of a type."""
    (resource,) = resources(template, kind).values()
    properties: dict[str, Any] = resource["Properties"]
    return properties


@pytest.fixture(scope="session")
def app() -> App:
    return app_for()


@pytest.fixture(scope="session")
def templates(app: App) -> dict[str, Template]:
    return templates_for(app)


@pytest.fixture(scope="session")
def ministack_templates() -> dict[str, Template]:
    return templates_for(app_for("ministack"))


@pytest.fixture(scope="session")
def kafka_templates() -> dict[str, Template]:
    return templates_for(app_for(ingest="msk"))
