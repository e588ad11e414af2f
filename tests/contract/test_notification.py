"""The notification as published: docs/notification.schema.json is what subscribers may rely on."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from telemetry.notifying.message import Notification, NotifiedAlert
from tests.unit.notifier.desk import Desk
from tests.unit.notifier.samples import MINUTE, firing, then

SCHEMA = Path("docs/notification.schema.json")


def generated() -> dict[str, Any]:
    """Return the schema of what the code publishes. Fields that are added later do not break it.

    Every field is published. What was added has a default, for notifications that an earlier version stored.
    """
    schema = msgspec.json.schema(Notification)
    for each in schema["$defs"].values():
        each["description"] = inspect.cleandoc(each["description"])  # as Python 3.13 itself does with docstrings
        each["required"] = list(each["properties"])
        for field in each["properties"].values():
            field.pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


@pytest.fixture
def message() -> dict[str, Any]:
    """A notification as a subscriber receives it, of an alert that fires and one that is over."""
    desk = Desk()
    ended = then(firing("d2"), "resolved", value=None, who="jo", why="is broken")
    desk.take(firing("d1"), firing("d2"), ended)
    (told,) = desk.wait(MINUTE)
    decoded: dict[str, Any] = json.loads(told.json())
    return decoded


@pytest.fixture
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def test_should_publish_notifications_that_match_the_schema(
    message: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    assert [alert["status"] for alert in message["alerts"]] == ["firing", "resolved"]
    validator.validate(message)


@pytest.mark.parametrize("name", Notification.__struct_fields__)
def test_should_promise_every_field(
    name: str, message: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    del message[name]
    with pytest.raises(jsonschema.ValidationError, match=name):
        validator.validate(message)


@pytest.mark.parametrize("name", NotifiedAlert.__struct_fields__)
def test_should_promise_every_field_of_an_alert(
    name: str, message: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    del message["alerts"][0][name]
    with pytest.raises(jsonschema.ValidationError, match=name):
        validator.validate(message)


def test_should_document_the_notification_as_the_code_has_it() -> None:
    assert json.loads(SCHEMA.read_text()) == generated(), (
        f"the notification changed; if that is meant, tell its subscribers and put this into {SCHEMA}:\n"
        + json.dumps(generated(), indent=2)
    )
