"""The scenarios that come with the simulator can be used, and do what they say."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest

from simulator.fleet.fleet import Fleet
from simulator.run import simulation
from simulator.scenario.scenario import NAMES, load, text_of
from telemetry.reading.codec import decode_batch
from telemetry.rules.parse import parse_rules
from tests.unit.simulator.samples import START, MemorySink

RULES = parse_rules(Path(__file__).parents[3].joinpath("rules.yaml").read_bytes())


def test_should_have_a_library() -> None:
    assert set(NAMES) >= {
        "bad-clocks", "calm", "cold-chain-break", "demo", "dirty-network", "heatwave", "site-outage", "storm-10k",
        "wandering-devices",
    }  # fmt: skip


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


def test_should_have_devices_that_wander_and_devices_that_are_heard_twice() -> None:
    heard: defaultdict[str, set[str]] = defaultdict(set)
    copies: Counter[bytes] = Counter()
    for record in simulation.records(load("wandering-devices"), START):
        for line in record.payload.splitlines():
            device = msgspec.json.decode(line)["device_id"]
            heard[device].add(record.gateway)
            copies[line] += device.startswith("tag")
    wandered = [gateways for device, gateways in heard.items() if device.startswith("tracker")]
    assert len(wandered) == 50
    assert min(map(len, wandered)) >= 4
    assert sum(number > 1 for number in copies.values()) > 0.5 * sum(number > 0 for number in copies.values())


def test_should_have_clocks_that_are_refused_and_clocks_that_are_set_back() -> None:
    reasons: Counter[str] = Counter()
    behind: set[str] = set()
    for record in simulation.records(load("bad-clocks"), START):
        batch = decode_batch(record.payload, arrived := dt.datetime.fromtimestamp(record.at, dt.UTC))
        reasons.update(line.reason for line in batch.rejected)
        behind.update(each.device_id for each in batch.readings if each.ts < arrived - dt.timedelta(minutes=50))
    assert reasons.keys() == {"from_future", "too_late"}
    assert behind == {device.id for device in Fleet(load("bad-clocks")).devices if device.model == "meter"}
