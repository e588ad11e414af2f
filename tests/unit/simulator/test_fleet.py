"""The fleet: who its devices are, where they stand, and when they report."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.fleet.fleet import Fleet
from simulator.models.epoch import MICROSECONDS, microseconds
from simulator.models.sites import Site
from simulator.scenario.scenario import LARGEST_SEED, Group, Scenario, ScenarioError
from tests.unit.simulator.samples import SITES, START, scenario, scenarios

SINCE = microseconds(START)
HOUR = 3_600 * MICROSECONDS


def test_should_name_devices_by_model_and_number_and_spread_them_over_sites_and_gateways() -> None:
    fleet = Fleet(scenario())
    assert [device.id for device in fleet.devices][:2] == ["indoor-00000", "indoor-00001"]
    assert fleet.devices[-1].id == "freezer-00019"
    assert Counter(device.site for device in fleet.devices) == {"north": 10, "south": 10}
    assert Counter(device.gateway for device in fleet.devices) == {
        "north-gw-01": 4,
        "north-gw-02": 3,
        "north-gw-03": 3,
        "south-gw-01": 5,
        "south-gw-02": 5,
    }
    assert all(device.gateway.startswith(device.site) for device in fleet.devices)


def test_should_put_devices_only_where_their_group_says() -> None:
    made = scenario(
        devices=(
            Group(model="outdoor", count=3, sites=("n*", "x")),
            Group(model="indoor", count=2, sites=("south",), interval="1m"),
        )
    )
    devices = Fleet(made).devices
    assert [device.site for device in devices] == ["north"] * 3 + ["south"] * 2
    assert [device.interval for device in devices] == [2.0] * 3 + [60.0] * 2


def test_should_bear_more_gateways_than_devices() -> None:
    fleet = Fleet(scenario(devices=(Group(model="indoor", count=1),)))
    assert len(fleet.gateways) == 5
    assert [device.gateway for device in fleet.devices] == ["north-gw-01"]


def test_should_keep_the_longest_names_within_what_a_reading_may_have() -> None:
    long = "m" * 60
    made = scenario(
        sites=(Site(name="s" * 60),),
        devices=(Group(model=long, count=1),),
        models={long: scenario().all_models["indoor"]},
    )
    (device,) = Fleet(made).devices
    assert max(len(device.id), len(device.site), len(device.gateway)) <= 128


@given(
    made=scenarios(kinds=()),
    since=st.integers(0, 2**52),
    first=st.integers(0, HOUR // 20),
    second=st.integers(0, HOUR // 20),
)
def test_should_count_readings_that_add_up_and_are_taken_in_their_span(
    made: Scenario, since: int, first: int, second: int
) -> None:
    fleet = Fleet(made)
    middle, until = since + first, since + first + second
    assert fleet.count(since, middle) + fleet.count(middle, until) == fleet.count(since, until)
    same = np.ones(len(fleet.devices), np.int64)
    device, seq = fleet.reports(same * since, same * middle)
    taken = fleet.taken_at(device, seq)
    assert len(device) == fleet.count(since, middle)
    assert ((since <= taken) & (taken < middle)).all()
    assert len(set(zip(device.tolist(), seq.tolist(), strict=True))) == len(device)
    again, more = fleet.reports(same * middle, same * until)
    for place in set(device.tolist()) & set(again.tolist()):
        # A device goes on counting where it was, an interval later.
        assert more[again == place][0] == seq[device == place][-1] + 1
        after = fleet.taken_at(again, more)[again == place][0] - taken[device == place][-1]
        assert after == fleet.interval[place]


@given(made=scenarios(kinds=()), since=st.integers(0, 2**52), readings=st.integers(1, 2_000))
def test_should_end_a_span_as_soon_as_it_has_the_readings(made: Scenario, since: int, readings: int) -> None:
    fleet = Fleet(made)
    until = fleet.until(since, readings)
    assert fleet.count(since, until) >= readings > fleet.count(since, until - 1)


@pytest.mark.parametrize(("interval", "rate"), [("2s", 10.0), ("1ms", 20_000.0), ("10h", 20 / 36_000)])
def test_should_know_its_rate(interval: str, rate: float) -> None:
    assert Fleet(scenario(interval=interval)).rate == pytest.approx(rate)


def test_should_spread_the_reports_over_the_interval() -> None:
    fleet = Fleet(scenario(interval="100s", devices=(Group(model="indoor", count=100),)))
    times = np.sort(fleet.phase) / MICROSECONDS
    assert np.diff(times).max() < 3
    assert times[0] < 3
    assert times[-1] > 97


@given(st.data())
def test_should_measure_the_same_whatever_else_is_asked_for(data: st.DataObject) -> None:
    fleet = Fleet(scenario(interval="1m"))
    device = np.sort(np.array(data.draw(st.lists(st.integers(0, 19), min_size=1, max_size=30))))
    times = st.integers(SINCE, SINCE + 100 * HOUR)
    ts = np.array(data.draw(st.lists(times, min_size=len(device), max_size=len(device))))
    together = np.array(fleet.measure(device, ts))
    one_by_one = [Fleet(fleet.scenario).measure(device[n : n + 1], ts[n : n + 1]) for n in (0, len(device) // 2)]
    assert [np.array(each)[:, 0].tolist() for each in one_by_one] == [
        together[:, n].tolist() for n in (0, len(device) // 2)
    ]


def test_should_measure_nothing_for_nobody() -> None:
    nobody = np.zeros(0, np.int64)
    assert [len(column) for column in Fleet(scenario()).measure(nobody, nobody)] == [0, 0, 0]


@pytest.mark.parametrize("seed", [0, 1, LARGEST_SEED - 1, LARGEST_SEED])
def test_should_measure_something_else_with_another_seed_at_the_same_times(seed: int) -> None:
    one, other = Fleet(scenario()), Fleet(scenario(seed=seed))
    every, at = np.arange(20), np.full(20, SINCE)
    assert one.devices == other.devices
    assert one.phase.tolist() == other.phase.tolist(), "so that runs of any seed follow one another"
    assert (one.measure(every, at).temperature != other.measure(every, at).temperature).all()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"interval": "0.999ms"}, "once a millisecond at most"),
        ({"devices": (Group(model="indoor", count=1, interval="0.1ms"),)}, "once a millisecond at most"),
        ({"seed": -1}, "invalid seed -1"),
        ({"seed": LARGEST_SEED + 1}, f"invalid seed {LARGEST_SEED + 1}"),
    ],
)
def test_should_refuse_what_no_fleet_can_be_made_of(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        Fleet(scenario(**more))


def test_should_keep_the_proportions_when_it_is_resized() -> None:
    made = scenario(devices=tuple(Group(model="indoor", count=count) for count in (60, 30, 10)))
    assert [group.count for group in made.resized(50).devices] == [30, 15, 5]
    assert [group.count for group in made.resized(1_000).devices] == [600, 300, 100]


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=6), st.integers(1, 5_000))
def test_should_have_exactly_so_many_devices_and_some_of_each_kind_when_it_is_resized(
    counts: list[int], devices: int
) -> None:
    made = scenario(devices=tuple(Group(model="indoor", count=count) for count in counts))
    if devices < len(counts):
        with pytest.raises(ScenarioError, match="take at least as many devices"):
            made.resized(devices)
    else:
        resized = made.resized(devices)
        assert resized.size == devices
        assert min(group.count for group in resized.devices) >= 1


@pytest.mark.parametrize(("gateways", "each"), [(2, [1, 1]), (7, [4, 3])])
def test_should_share_gateways_out_over_the_sites(gateways: int, each: list[int]) -> None:
    assert [site.gateways for site in scenario().behind(gateways).sites] == each


def test_should_refuse_less_than_a_gateway_a_site() -> None:
    with pytest.raises(ScenarioError, match="has 2 sites; each needs a gateway"):
        scenario().behind(1)


@pytest.mark.parametrize("interval", [0.001, 0.3, 1 / 3, 60.0, 86_400.0])
def test_should_have_every_device_report_at_the_interval_that_is_asked_for(interval: float) -> None:
    made = scenario(devices=(Group(model="indoor", count=2, interval="5s"), Group(model="freezer", count=1)))
    intervals = [device.interval for device in Fleet(made.reporting_every(interval)).devices]
    assert intervals == pytest.approx([interval] * 3, abs=1e-6)


def test_should_begin_its_time_where_it_is_told() -> None:
    later = START + dt.timedelta(days=400)
    fleet = Fleet(msgspec.structs.replace(scenario(), sites=SITES))
    assert fleet.count(microseconds(later), microseconds(later) + 2 * MICROSECONDS) == 20
