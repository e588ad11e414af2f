"""Situations in which alerts of other systems went wrong, as tests of rules: tests/cases/alerts.

Each file begins with what was reported and where. ``NN-name.test.yaml`` tests the rules in ``NN-name.yaml``; where
there are none, those that come with the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from evaluation.rehearsal import rehearse
from evaluation.rule_tests.parse import parse_tests
from evaluation.rule_tests.run import RuleTest
from simulator.sinks.record import Record
from telemetry.notifying.message import Notification
from telemetry.registry.registry import parse_registry
from telemetry.rules.lint import lint
from telemetry.rules.parse import parse_rules
from telemetry.text.errors import TextError
from tests.unit.delivery.deployed import NOW, bundled
from tests.unit.evaluation.test_rehearsal import MINUTE, changes, deployed_tells

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests/cases/alerts"

#: The cases that are also played through the deployed functions.
DEPLOYED = ("01", "02", "03", "05", "07", "08", "21", "25")


def rules_of(tests: Path) -> Path:
    own = tests.with_name(tests.name.replace(".test.yaml", ".yaml"))
    return own if own.exists() else ROOT / "rules.yaml"


FILES = sorted(CASES.glob("*.test.yaml"))


@pytest.mark.parametrize(
    "test",
    [
        pytest.param(test, id=f"{path.name.removesuffix('.test.yaml')}: {test.name}")
        for path in FILES
        for test in parse_tests(path.read_text(), rules_of(path).read_text())
    ],
)
def test_should_alert_as_a_person_would_have_it(test: RuleTest) -> None:
    differences = [f"{row.at} {row.kind}: {row.expected} / {row.seen}" for row in test.run().rows if not row.agrees]
    assert differences == []


def told(notifications: Iterable[Notification]) -> list[tuple[str, list[str], list[str]]]:
    return sorted((each.reason, each.rules, sorted(alert.device for alert in each.alerts)) for each in notifications)


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize("path", [path for path in FILES if path.name[:2] in DEPLOYED], ids=lambda path: path.name)
def test_should_alert_in_the_same_way_when_deployed(path: Path, tmp_path: Path) -> None:
    """Except that silence may be known up to a minute later. Without the tests in which somebody does something."""
    rules = rules_of(path).read_text()
    text = path.read_text().replace("  - name:", f"  - start: {NOW.isoformat()}\n    name:")
    tests = [test for test in parse_tests(text, rules) if not test.orders and not test.edits]
    assert tests
    for test in tests:
        records = [Record(each.gateway, each.data, 1, each.at.timestamp()) for each in test.records]
        with bundled(tmp_path, rules.encode()):
            inbox, lake = deployed_tells(rules.encode(), records, test.end)
        rehearsed = rehearse(records, parse_rules(rules), test.end)
        there, here = changes(lake), changes(rehearsed.transitions)
        assert [(each.change, each.rule, each.device) for each in here] == [
            (each.change, each.rule, each.device) for each in there
        ], test.name
        assert all(abs(a.recorded_at - b.recorded_at) <= MINUTE for a, b in zip(here, there, strict=True)), test.name
        assert told(each.notification for each in rehearsed.received) == told(inbox), test.name


def test_should_refuse_a_template_of_prometheus_and_say_what_to_write() -> None:
    with pytest.raises(TextError) as refused:
        parse_rules((CASES / "10-template-of-prometheus.yaml").read_text())
    assert "rule 'hot': summary: " in str(refused.value)
    assert "{device" in str(refused.value)


def test_should_warn_of_a_window_that_the_interval_of_its_devices_never_fills() -> None:
    registry = parse_registry((CASES / "24-window-never-filled.devices.csv").read_text())
    (warning,) = lint(parse_rules((CASES / "24-window-never-filled.yaml").read_text(), registry))
    assert "averaged" in str(warning)
