"""The gateways through which lines come: devices that move or are heard twice, and gateways that upload."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings

from simulator.fleet.fleet import Fleet
from simulator.fleet.lines import DUPLICATE, LATE, MALFORMED, REORDERED
from simulator.run.simulation import injected_faults
from simulator.scenario import faults as kinds
from simulator.scenario.scenario import Scenario, ScenarioError
from tests.unit.simulator.samples import START, Line, injected, lines, scenario, scenarios

#: The fault is there for the middle minute of the run.
WHEN: dict[str, Any] = {"start": "30s", "duration": "1m"}
BEGINS, ENDS = START.timestamp() + 30, START.timestamp() + 90

OWN = {device.id: device.gateway for device in Fleet(scenario()).devices}
SITE = {device.id: device.site for device in Fleet(scenario()).devices}


def during(line: Line) -> bool:
    assert line.reading
    return BEGINS <= line.reading.ts.timestamp() < ENDS


def gateways_of(found: list[Line], device: str) -> list[str]:
    """The gateways through which a device comes, one after another."""
    times = sorted((line.reading.ts, line.gateway) for line in found if line.device == device and line.reading)
    return [gateway for gateway, _ in itertools.groupby(gateway for _, gateway in times)]


def test_should_move_devices_behind_another_gateway_of_their_site_and_back() -> None:
    found = lines(scenario(kinds.Wander(models=("freezer",), **WHEN)))
    assert {line.text for line in found} == {line.text for line in lines(scenario())}
    for line in found:
        moved = line.device.startswith("freezer") and during(line)
        assert (line.gateway != OWN[line.device]) == moved
        assert line.gateway.startswith(SITE[line.device])
    for device, own in OWN.items():
        others = [gateway for gateway in gateways_of(found, device) if gateway != own]
        assert len(others) == device.startswith("freezer")


def test_should_move_a_device_on_every_so_often_round_its_sites_gateways() -> None:
    found = lines(scenario(kinds.Wander(every="10s", **WHEN)))
    for device, own in OWN.items():
        *moves, last = gateways_of(found, device)
        assert moves[0] == last == own
        names = [f"{SITE[device]}-gw-{number:02}" for number in range(1, 4 if SITE[device] == "north" else 3)]
        assert all(names.index(after) == (names.index(at) + 1) % len(names) for at, after in itertools.pairwise(moves))
        # Six or seven moves, the last of which may be the one back.
        assert 7 <= len([*moves, last]) <= 9


def test_should_move_devices_only_to_gateways_that_match() -> None:
    found = lines(scenario(kinds.Wander(every="10s", to="north-gw-0[12]", **WHEN)))
    assert {line.gateway for line in found if during(line) and SITE[line.device] == "north"} == {
        "north-gw-01",
        "north-gw-02",
    }
    assert all(line.gateway == OWN[line.device] for line in found if SITE[line.device] == "south")


@pytest.mark.parametrize("kind", [kinds.Wander, kinds.HeardTwice])
@pytest.mark.parametrize("where", [{"to": "west-*"}, {"to": "south-gw-01", "gateways": ("south-gw-01",)}], ids=str)
def test_should_refuse_to_move_devices_that_have_nowhere_to_go(kind: Any, where: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="affects no device: none that matches is at a site with another"):
        injected(scenario(kind(**where, **WHEN)))


def test_should_tell_the_truth_about_a_device_that_moves() -> None:
    made = scenario(
        kinds.Wander(devices=("indoor-00003",), **WHEN), kinds.HeardTwice(devices=("indoor-00003",), **WHEN)
    )
    moved, twice = injected_faults(made, START)
    assert (moved.device, moved.gateway, moved.details) == ("indoor-00003", OWN["indoor-00003"], {"to": "*"})
    assert twice.details == {"chance": 1.0, "within": "2s", "to": "*"}


def test_should_hear_lines_through_a_second_gateway_soon_after() -> None:
    found = lines(scenario(kinds.HeardTwice(chance=0.5, within="3s", **WHEN)))
    second = [line for line in found if line.flags & DUPLICATE]
    first = {line.text: line for line in found if not line.flags & DUPLICATE}
    assert len(found) == 1_200 + len(second)
    assert len(first) == 1_200
    assert len(second) / 600 == pytest.approx(0.5, abs=0.06)
    for line in second:
        assert during(line)
        assert line.gateway != first[line.text].gateway == OWN[line.device]
        assert SITE[line.device] in line.gateway
        assert -1 <= line.at - first[line.text].at <= 4


def test_should_hear_through_the_second_gateway_what_the_first_loses() -> None:
    down = kinds.GatewayDown(gateways=("south-gw-01",), **WHEN)
    found = lines(scenario(kinds.HeardTwice(sites=("south",), **WHEN), down))
    assert {line.text for line in found} == {line.text for line in lines(scenario())}
    lost = [line for line in found if OWN[line.device] == "south-gw-01" and during(line)]
    assert {(line.gateway, line.flags & DUPLICATE) for line in lost} == {("south-gw-02", 0)}


def test_should_lose_what_moved_devices_send_through_a_gateway_that_is_down_and_only_that() -> None:
    away = kinds.Wander(gateways=("south-gw-01",), start="0s", duration="2m")
    found = lines(scenario(away, kinds.GatewayDown(gateways=("south-gw-01",), **WHEN)))
    assert {line.text for line in found} == {line.text for line in lines(scenario())}
    found = lines(scenario(away, kinds.GatewayDown(gateways=("south-gw-02",), **WHEN)))
    assert not [line for line in found if SITE[line.device] == "south" and during(line)]


def test_should_upload_all_that_a_gateway_has_at_once_in_order() -> None:
    found = lines(scenario(kinds.Uploads(gateways=("south-gw-01",), every="20s", **WHEN)))
    uploaded = [line for line in found if line.flags & LATE]
    assert {line.text for line in found} == {line.text for line in lines(scenario())}
    assert {line.device for line in uploaded} == {device for device, own in OWN.items() if own == "south-gw-01"}
    assert all(during(line) == (line.flags & LATE > 0) for line in found if line.gateway == "south-gw-01")
    for line in uploaded:
        assert line.reading
        due = BEGINS + (line.reading.ts.timestamp() - BEGINS) // 20 * 20 + 20
        assert due <= line.at <= due + 1.1
    assert not any(line.flags & REORDERED for line in found)


def test_should_upload_the_newest_reading_first_in_one_record() -> None:
    made = scenario(kinds.Uploads(gateways=("south-gw-01",), every="20s", newest_first=True, **WHEN))
    found = lines(made)
    by_record: defaultdict[float, list[float]] = defaultdict(list)
    for line in found:
        if line.flags & LATE and line.reading:
            by_record[line.at].append(line.reading.ts.timestamp())
    assert len(by_record) == 3
    assert all(times == sorted(times, reverse=True) for times in by_record.values())
    assert any(line.flags & REORDERED for line in found)


@settings(max_examples=40)
@given(scenarios(restarts=False))
def test_should_send_a_reading_once_without_a_flag_however_many_hear_it(made: Scenario) -> None:
    found = lines(made)
    originals = [line.text for line in found if not line.flags & (DUPLICATE | MALFORMED)]
    assert len(originals) == len(set(originals))
    assert {line.text for line in found if line.flags & DUPLICATE} <= set(originals)


@settings(max_examples=40)
@given(scenarios(restarts=False))
def test_should_flag_what_was_overtaken_at_the_end_of_a_gateways_tick(made: Scenario) -> None:
    """With records that are never full, what arrives is what is due, whichever gateway it is that sends it."""
    newest: defaultdict[str, int] = defaultdict(lambda: -1)
    for line in lines(made, batch=100_000):
        if line.reading is None or line.flags & DUPLICATE:
            continue
        assert bool(line.flags & REORDERED) == (line.reading.seq < newest[line.device])
        newest[line.device] = max(line.reading.seq, newest[line.device])
