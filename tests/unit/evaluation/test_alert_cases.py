"""Situations in which alerts of other systems went wrong, as tests of rules: tests/cases/alerts.

Each file begins with what was reported and where. ``NN-name.test.yaml`` tests the rules in ``NN-name.yaml``; where
there are none, those that come with the pipeline.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.rule_tests.parse import parse_tests
from evaluation.rule_tests.run import RuleTest
from telemetry.registry.registry import parse_registry
from telemetry.rules.lint import lint
from telemetry.rules.parse import parse_rules
from telemetry.text.errors import TextError

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests/cases/alerts"


def rules_of(tests: Path) -> Path:
    own = tests.with_name(tests.name.replace(".test.yaml", ".yaml"))
    return own if own.exists() else ROOT / "rules.yaml"


TESTS = [
    pytest.param(test, id=f"{path.name.removesuffix('.test.yaml')}: {test.name}")
    for path in sorted(CASES.glob("*.test.yaml"))
    for test in parse_tests(path.read_text(), rules_of(path).read_text())
]


@pytest.mark.parametrize("test", TESTS)
def test_should_alert_as_a_person_would_have_it(test: RuleTest) -> None:
    differences = [f"{row.at} {row.kind}: {row.expected} / {row.seen}" for row in test.run().rows if not row.agrees]
    assert differences == []


def test_should_refuse_a_template_of_prometheus_and_say_what_to_write() -> None:
    with pytest.raises(TextError) as refused:
        parse_rules((CASES / "10-template-of-prometheus.yaml").read_text())
    assert "rule 'hot': summary: " in str(refused.value)
    assert "{device" in str(refused.value)


def test_should_warn_of_a_window_that_the_interval_of_its_devices_never_fills() -> None:
    registry = parse_registry((CASES / "24-window-never-filled.devices.csv").read_text())
    (warning,) = lint(parse_rules((CASES / "24-window-never-filled.yaml").read_text(), registry))
    assert "averaged" in str(warning)
