"""The scenarios that come with the simulator can be used, and do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.fleet.fleet import Fleet
from simulator.run import simulation
from simulator.scenario.scenario import NAMES, load, text_of
from telemetry.rules.parse import parse_rules
from tests.unit.simulator.samples import START, MemorySink

RULES = parse_rules(Path(__file__).parents[3].joinpath("rules.yaml").read_bytes())


def test_should_have_a_library() -> None:
    assert {"calm", "cold-chain-break", "demo", "dirty-network", "heatwave", "site-outage", "storm-10k"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_should_run(name: str) -> None:
    made = load(name)
    sink = MemorySink()
    planned = simulation.plan(made, readings=3_000, start=START, speed=0)
    manifest = simulation.simulate(planned, sink)
    assert manifest.scenario == made.name == name
    assert made.description
    assert text_of(name).startswith("#")
    assert manifest.sent - manifest.duplicates > 2_000
    assert len(manifest.by_device) <= made.size


@pytest.mark.parametrize("name", NAMES)
def test_should_expect_rules_that_there_are(name: str) -> None:
    known = {rule.name for rule in RULES.rules}
    for fault in simulation.injected_faults(load(name), START):
        assert {*fault.expects, *fault.tolerates} <= known


@pytest.mark.parametrize("name", NAMES)
def test_should_begin_every_fault_within_the_run(name: str) -> None:
    made = load(name)
    found = simulation.injected_faults(made, START)
    assert {fault.number for fault in found} == set(range(1, len(made.faults) + 1))
    assert bool(found) == (name != "calm")


def test_should_have_ten_thousand_devices_in_a_storm() -> None:
    assert len(Fleet(load("storm-10k")).devices) == 10_000
