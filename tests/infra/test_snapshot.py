"""Logical ids and types: a change of one replaces or deletes something that is deployed.

Where that is meant, write the snapshots again and look at the difference:
``UPDATE_SNAPSHOTS=1 pytest tests/infra/test_snapshot.py``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from aws_cdk.assertions import Template

SNAPSHOTS = Path(__file__).with_name("snapshots")


@pytest.mark.parametrize("part", ["ingest", "lake", "alerts", "batch", "monitoring"])
def test_should_keep_every_resource_in_its_place(part: str, templates: dict[str, Template]) -> None:
    _compare(templates[part], SNAPSHOTS / f"{part}.json")


@pytest.mark.parametrize("part", ["ingest", "alerts", "monitoring"])
def test_should_keep_every_resource_in_its_place_with_a_topic(part: str, kafka_templates: dict[str, Template]) -> None:
    _compare(kafka_templates[part], SNAPSHOTS / "msk" / f"{part}.json")


def _compare(template: Template, snapshot: Path) -> None:
    types = {name: resource["Type"] for name, resource in sorted(template.to_json()["Resources"].items())}
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(json.dumps(types, indent=2) + "\n")

    assert types == json.loads(snapshot.read_text())
