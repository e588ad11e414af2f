"""Rules files: what they mean, and what a mistake in one says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.rules import Condition, RulesError, parse_rules, summarize


def rules(body: str) -> str:
    return f"rules:\n  - {{name: r, {body}}}"


def test_should_read_a_rule_with_everything_in_it() -> None:
    (rule,) = parse_rules("""
        defaults: {severity: info}
        rules:
          - name: freezer-warm
            match: {site: "cold-*", device: "f-?"}
            when: temperature > -15
            clear: temperature < -17.5
            severity: critical
            summary: "{device} at {value:.1f} °C, {comparison}"
            runbook: docs/freezer.md
    """).rules
    assert (rule.when, rule.clear) == (Condition("temperature", ">", -15), Condition("temperature", "<", -17.5))
    assert (rule.severity, rule.runbook) == ("critical", "docs/freezer.md")
    assert rule.matches("f-1", "cold-north")
    assert not rule.matches("f-10", "cold-north")
    assert not rule.matches("f-1", "warm")
    assert summarize(rule, device="f-1", site="cold-1", value=-12.34) == "f-1 at -12.3 °C, limit > -15"


@pytest.mark.parametrize(
    ("when", "opposite"),
    [("battery < 2.4", ">="), ("battery <= 2.4", ">"), ("battery > 2.4", "<="), ("battery >= 2.4", "<")],
)
def test_should_clear_on_the_opposite_by_default(when: str, opposite: str) -> None:
    (rule,) = parse_rules(rules(f"when: '{when}'")).rules
    assert str(rule.clear) == f"battery {opposite} 2.4"
    assert rule.severity == "warning"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expected `object`"),
        ("rules: [", "rules: "),
        ("rules: []\ngroups: []", "unknown field `groups`"),
        (rules("when: temperature > 1, whne: x"), "unknown field `whne`"),
        (rules("summary: x"), "missing required field `when`"),
        ("rules: [{name: 'Not Good', when: temperature > 1}]", "$.rules[0].name"),
        (rules("when: temperature > hot"), "'temperature > hot' is no condition"),
        (rules("when: temperature = 1"), "is no condition"),
        (rules("when: pressure > 1"), "there are temperature, humidity, battery"),
        (rules("when: temperature > 1, clear: humidity < 1"), "use one metric"),
        (rules("when: temperature > 40, clear: temperature < 41"), "must lie on the other side"),
        (rules("when: temperature < 2, clear: temperature > 1"), "must lie on the other side"),
        (rules("when: temperature > 40, clear: temperature > 38"), "must lie on the other side"),
        (rules("when: temperature >= 40, clear: temperature <= 40"), "must lie on the other side"),
        (rules("when: temperature > 1, severity: terrible"), "'terrible'"),
        (rules("when: temperature > 1, summary: '{who} is hot'"), "{device}"),
        (rules("when: temperature > 1, summary: '{value:d}'"), "cannot be filled in"),
        (rules("when: temperature > 1, summary: '{device.secret}'"), "cannot be filled in"),
        ("rules: [{name: a, when: battery < 1}, {name: a, when: battery < 2}]", "'a' is used twice"),
    ],
)
def test_should_say_what_is_wrong_in_one_line(text: str, words: str) -> None:
    with pytest.raises(RulesError) as error:
        parse_rules(text)
    assert words in str(error.value)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_should_refuse_anything_else_as_rules_and_nothing_worse(text: bytes | str) -> None:
    try:
        parse_rules(text)
    except RulesError:
        return


def test_should_ship_default_rules_that_parse() -> None:
    from pathlib import Path

    names = {rule.name for rule in parse_rules(Path("rules.yaml").read_bytes()).rules}
    assert {"too-hot", "too-cold", "battery-low", "too-humid"} <= names
