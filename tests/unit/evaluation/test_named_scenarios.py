"""The scenarios that come with the simulator, rehearsed with the rules that come with the pipeline."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from evaluation.rehearsal import Rehearsal, rehearse
from evaluation.scoring import MOST_NOTIFICATIONS, WANTED, Score, score
from simulator.fleet.registry import registry_csv
from simulator.run import simulation
from simulator.scenario.scenario import NAMES, Scenario, load
from telemetry.registry.registry import parse_registry
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet

RULES = (Path(__file__).parents[3] / "rules.yaml").read_bytes()

#: A winter night, a summer noon, and a weekend in autumn; UTC.
STARTS = (
    dt.datetime(2026, 1, 14, 23, 20, tzinfo=dt.UTC),
    dt.datetime(2026, 7, 8, 10, 45, 30, tzinfo=dt.UTC),
    dt.datetime(2026, 10, 24, 22, 10, tzinfo=dt.UTC),  # the clocks are set back
)
SEEDS = (None, 4711)


def scenario(name: str, seed: int | None = None) -> Scenario:
    """The scenario, a large one with fewer devices, by its own or another seed."""
    found = load(name)
    found = found.resized(1000) if found.size > 1000 else found
    return found if seed is None else msgspec.structs.replace(found, seed=seed)


def played_through(what: Scenario, start: dt.datetime, rules: RuleSet | None = None) -> Rehearsal:
    used = rules or parse_rules(RULES, parse_registry(registry_csv(what)))
    return rehearse(simulation.records(what, start), used, start + dt.timedelta(seconds=what.duration))


def rehearsed(what: Scenario, start: dt.datetime, rules: RuleSet | None = None) -> Score:
    until = start + dt.timedelta(seconds=what.duration)
    played = played_through(what, start, rules)
    return score(simulation.injected_faults(what, start), played.received, until, transitions=played.transitions)


def _cases() -> list[tuple[str, dt.datetime, int | None]]:
    """Each scenario with its own seed and another, and all starts in turn: they take seconds."""
    starts = itertools.cycle(STARTS)
    return [(name, next(starts), seed) for name in NAMES for seed in SEEDS]


@pytest.mark.parametrize(("name", "start", "seed"), _cases())
def test_should_be_told_of_what_matters_and_of_nothing_else(name: str, start: dt.datetime, seed: int | None) -> None:
    found = rehearsed(scenario(name, seed), start)
    assert (found.missed, found.false) == ([], [])
    assert found.good
    assert found.total.precision >= WANTED
    assert found.total.recall >= WANTED
    assert found.total.per_fault <= MOST_NOTIFICATIONS
    # A scenario that expects nothing would be good whatever was told of it.
    assert found.total.expected >= (0 if name == "calm" else 8)


def test_should_be_told_nothing_on_a_good_day() -> None:
    found = rehearsed(scenario("calm"), STARTS[1])
    assert (found.alerts, found.messages) == (0, 0)


def test_should_have_one_alert_of_a_device_and_a_rule_wherever_the_device_is_heard() -> None:
    played = played_through(scenario("wandering-devices"), STARTS[1])
    fired = Counter((each.device, each.rule) for each in played.transitions if each.change == "firing" and each.device)
    assert set(fired.values()) == {1}
    ended = [each for each in played.transitions if each.change == "resolved"]
    assert {(each.device, each.rule) for each in ended if each.device} == fired.keys()


def test_should_be_told_that_a_clock_is_wrong_and_not_that_its_device_is_silent() -> None:
    found = rehearsed(scenario("bad-clocks"), STARTS[1])
    assert found.confusion["clock_skew"] == {"clock-wrong": 12, "quiet": 30}
    assert found.confusion["restart"].keys() == {"clock-wrong", "quiet"}
    assert found.confusion["silence"] == {"device-silent": 4}
    assert found.by_rule["device-silent"].expected == 4


def test_should_not_be_good_with_rules_that_fire_at_the_first_odd_reading() -> None:
    hasty = parse_rules("rules:\n  - {name: too-hot, when: temperature > 40}\n")
    found = rehearsed(scenario("dirty-network"), STARTS[0], hasty)
    assert not found.good
    assert found.by_kind["spike"].false > 0
    assert found.by_rule["freezer-warm"].recall == 0
