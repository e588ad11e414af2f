"""docs/scenario.schema.json is what the loader takes: editors that know it complete and check scenario files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml

from simulator.scenario.faults import Fault
from simulator.scenario.scenario import NAMES, ScenarioError, parse, text_of
from simulator.scenario.schema import schema, text
from tests.unit.simulator.test_scenario import BASE, MISTAKES, OTHERS, WHOLE

SCHEMA = Path("docs/scenario.schema.json")
FAULTS = Path("docs/simulator.md")

#: What goes beyond a single value: only the loader knows.
BEYOND = (
    "it can be at most",
    "give one of them",
    "the run is over by then",
    "there is no model",
    "no site matches",
    "no such time zone",
    "there are two sites",
    "invalid YAML",
    "is given twice",
    "5: expected text",
    "models: 5: invalid name",
    "duty: expected a number > 0",  # NaN, which JSON does not have
)  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    written = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(written)
    return jsonschema.Draft202012Validator(written)


def test_should_have_the_schema_that_the_code_has() -> None:
    assert SCHEMA.read_text() == text(), (
        "scenarios changed: python -m simulator.scenario.schema > docs/scenario.schema.json"
    )


@pytest.mark.parametrize("name", NAMES)
def test_should_take_every_scenario_of_the_library(name: str, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(yaml.safe_load(text_of(name)))


def test_should_take_all_that_a_scenario_can_say(validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(yaml.safe_load(WHOLE))


REFUSED = {BASE + mistake: words for mistake, (_, words) in MISTAKES.items()} | {
    mistake: words for mistake, (_, words) in OTHERS.items()
}  # fmt: skip


@pytest.mark.parametrize("mistake", [text for text, words in REFUSED.items() if not any(w in words for w in BEYOND)])
def test_should_refuse_what_the_loader_refuses(mistake: str, validator: jsonschema.Draft202012Validator) -> None:
    with pytest.raises(ScenarioError):
        parse(mistake)
    assert not validator.is_valid(yaml.safe_load(mistake))


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "-x"},
        {"name": "x" * 61},
        {"seed": True},
        {"interval": "1 h"},
        {"interval": None},
        {"sites": [{"mean": 3}]},
        {"sites": [{"name": "a", "gateways": 0}]},
        {"weather": None},
        {"models": []},
        {"models": {"x": {"kind": "indoor", "battery": {"cold": 1}}}},
        {"devices": {}},
        {"devices": [{"model": "indoor"}]},
        {"devices": [{"model": "indoor", "count": "3"}]},
        {"faults": [{"kind": "silence", "start": "0s"}]},
        {"faults": [{"kind": "silence", "start": "0s", "duration": "1m", "size": 3}]},
        {"faults": [{"kind": "late", "start": "0s", "duration": "1m", "chance": 0}]},
        {"faults": [{"kind": "oversize", "start": "0s", "duration": "1m", "bytes": 3_000_000}]},
        {"faults": [{"kind": "clock_skew", "start": "0s", "duration": "1m"}]},
        {"faults": [{"kind": "gateway_down", "start": "0s", "duration": "1m", "backlog": "yes"}]},
    ],
    ids=str,
)
def test_should_refuse_alike(change: dict[str, Any], validator: jsonschema.Draft202012Validator) -> None:
    usable = {"name": "a", "devices": [{"model": "indoor", "count": 3}]}
    validator.validate(usable)
    parse(json.dumps(usable))
    assert not validator.is_valid(usable | change)
    with pytest.raises(ScenarioError):
        parse(json.dumps(usable | change))


def test_should_describe_every_key_to_editors() -> None:
    for struct in schema()["$defs"].values():
        for key, value in struct["properties"].items():
            assert value.get("description") or key == "kind", (struct["title"], key)
        assert struct["additionalProperties"] is False


def test_should_document_every_kind_of_fault() -> None:
    (table,) = re.findall(r"^\| kind \| parameters .*\n\|.*\n((?:\|.*\n)+)", FAULTS.read_text(), re.MULTILINE)
    documented = {name: row for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert documented.keys() == {kind.__struct_config__.tag for kind in get_args(Fault)}
    common = {"start", "duration", "devices", "sites", "gateways", "models", "count", "share", "expect", "tolerate"}
    for kind in get_args(Fault):
        row = documented[kind.__struct_config__.tag]
        assert set(kind.__struct_fields__) - common == set(re.findall(r"`(\w+)`", row.split("|")[2])), row
