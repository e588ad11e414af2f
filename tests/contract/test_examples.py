"""What is published does what it says: the examples' tests pass, and every rule in the documents can be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from evaluation.rule_tests.parse import parse_tests, path_of_tests
from telemetry.notifying.message import Notification
from telemetry.registry.registry import parse_registry
from telemetry.rules.lint import lint
from telemetry.rules.parse import parse_rules

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "docs/examples").glob("*.yaml") if not path.name.endswith(".test.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_should_pass_the_tests_that_are_published_with_an_example(path):
    rules = parse_rules(path.read_text())
    assert lint(rules) == []
    outcomes = [test.run() for test in parse_tests(path_of_tests(path).read_text(), path.read_text())]
    for outcome in outcomes:
        assert [str(row) for row in outcome.rows if not row.agrees] == [], outcome.name
    tested = {row.expected.rule for outcome in outcomes for row in outcome.rows if row.expected} - {""}
    assert tested == {rule.name for rule in rules.rules}, "each rule is seen to do something"


def test_should_have_tests_for_each_published_example():
    tests = {path.name for path in (ROOT / "docs/examples").glob("*.test.yaml")}
    assert len(tests) == 3
    assert tests == {path_of_tests(path).name for path in EXAMPLES}


def blocks(document: str = "docs/alerting.md", language: str = "yaml") -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("document", "count"), [("docs/alerting.md", 3), ("README.md", 1)])
def test_should_be_able_to_use_every_rule_in_the_text(document, count):
    published = [text for text in blocks(document) if not text.startswith("tests:")]
    assert len(published) == count
    (devices,) = blocks(language="csv")
    for text in published:
        assert parse_rules(text, parse_registry(devices)).rules


def test_should_pass_the_test_in_the_text_with_the_rules_in_the_text():
    (tests,) = (text for text in blocks() if text.startswith("tests:"))
    (test,) = parse_tests(tests, next(blocks()))
    assert [str(row) for row in test.run().rows if not row.agrees] == []


@pytest.mark.parametrize("text", [next(blocks()), (ROOT / "rules.yaml").read_text()], ids=["alerting.md", "rules.yaml"])
def test_should_publish_the_defaults_that_are_built_in(text):
    defaults = re.search(r"^defaults:.*\n(?:  .*\n)+", text, re.MULTILINE)
    assert defaults
    bare = "rules:\n  - {name: r, when: temperature > 1}\n"
    assert parse_rules(defaults[0] + bare).rules == parse_rules(bare).rules
    assert set(re.findall(r"^  (\w+):", defaults[0], re.MULTILINE)) == {
        *("severity", "for", "keep_firing_for", "flapping"),
        *("group_by", "group_wait", "group_interval", "repeat_interval"),
    }


def test_should_publish_a_message_of_the_published_schema():
    (message,) = re.findall(
        r"^```json\n(\{\n.*?)^```$", (ROOT / "docs/alerting.md").read_text(), re.MULTILINE | re.DOTALL
    )
    schema = msgspec.json.decode((ROOT / "docs/notification.schema.json").read_bytes())
    Draft202012Validator(schema).validate(msgspec.json.decode(message))
    notification = msgspec.json.decode(message, type=Notification)
    assert notification.firing == len([alert for alert in notification.alerts if alert.status == "firing"])
