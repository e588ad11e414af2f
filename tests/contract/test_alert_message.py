"""The alert message as published: docs/alert-message.schema.json is what subscribers may rely on."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from telemetry.alerting import GatewayState, evaluate
from telemetry.message import AlertMessage, alert_message
from telemetry.reading import Reading
from telemetry.rules import parse_rules

SCHEMA = Path("docs/alert-message.schema.json")
NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def message() -> dict[str, Any]:
    """A message as a subscriber receives it."""
    reading = Reading(device_id="d", site="s", ts=NOW, seq=1, temperature=41, status="ok")
    rules = parse_rules("rules: [{name: too-hot, when: temperature > 40}]")
    _, (transition,) = evaluate(rules, GatewayState("gw"), [reading], NOW)
    decoded: dict[str, Any] = json.loads(msgspec.json.encode(alert_message(transition, NOW)))
    return decoded


@pytest.fixture
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def test_should_publish_messages_that_match_the_schema(
    message: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    validator.validate(message)


@pytest.mark.parametrize("name", AlertMessage.__struct_fields__)
def test_should_promise_every_field(
    name: str, message: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    del message[name]
    with pytest.raises(jsonschema.ValidationError, match=name):
        validator.validate(message)


def test_should_document_the_message_as_the_code_has_it() -> None:
    generated = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(AlertMessage)}
    assert json.loads(SCHEMA.read_text()) == generated, (
        f"the message changed; if that is meant, tell its subscribers and put this into {SCHEMA}:\n"
        + json.dumps(generated, indent=2)
    )
