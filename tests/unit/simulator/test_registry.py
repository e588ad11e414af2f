"""The registry of a scenario's devices."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings

from simulator.fleet.fleet import Fleet
from simulator.fleet.registry import registry_csv
from simulator.models.sites import Site
from simulator.scenario.scenario import NAMES, Group, Scenario, load
from telemetry.registry.devices import devices
from telemetry.registry.registry import parse_registry
from tests.unit.simulator.samples import scenario, scenarios

FILE = Path(__file__).parents[3] / "registry" / "devices.csv"


def test_should_register_the_devices_of_the_demo_in_this_repository() -> None:
    assert FILE.read_text() == registry_csv(load("demo")), (
        "the devices of the demo changed: iot scenarios registry demo > registry/devices.csv"
    )


@settings(max_examples=50)
@given(scenarios(kinds=()))
def test_should_have_every_device_with_values_that_can_be_used(made: Scenario) -> None:
    registry = parse_registry(registry_csv(made))
    found = devices(registry)
    assert found.problems == []
    by_name = {row.device_id: row for row in found.rows}
    sites = {site.name: site for site in made.sites}
    for device in Fleet(made).devices:
        row = by_name.pop(device.id)
        assert (row.site, row.model, row.interval_seconds) == (device.site, device.model, device.interval)
        assert registry.attributes_of(device.id)["gateway"] == device.gateway
        assert row.latitude == pytest.approx(sites[device.site].latitude, abs=0.006)
        assert row.longitude == pytest.approx(sites[device.site].longitude, abs=0.006)
        assert row.installed
        assert dt.date(2024, 1, 1) < row.installed <= dt.date(2026, 10, 1)
    assert not by_name


@pytest.mark.parametrize("name", NAMES)
def test_should_register_every_scenario_of_the_library(name: str) -> None:
    assert devices(parse_registry(registry_csv(load(name)))).problems == []


def test_should_calibrate_some_devices_by_what_they_measure_too_much() -> None:
    made = scenario()
    offsets = Fleet(made).offsets()
    found = [row.calibration_offset for row in devices(parse_registry(registry_csv(made))).rows]
    for place, calibration in enumerate(found):
        assert calibration == (pytest.approx(-offsets[place], abs=0.006) if place % 4 == 0 else None)


def test_should_write_intervals_of_any_length_exactly() -> None:
    made = scenario(interval="1234567.25s", devices=(Group(model="indoor", count=1),))
    (row,) = devices(parse_registry(registry_csv(made))).rows
    assert row.interval_seconds == 1_234_567.25


@pytest.mark.parametrize(("latitude", "longitude"), [(90.0, 180.0), (-90.0, -180.0)])
def test_should_stay_on_the_globe(latitude: float, longitude: float) -> None:
    made = scenario(sites=(Site(name="pole", latitude=latitude, longitude=longitude),))
    assert devices(parse_registry(registry_csv(made))).problems == []


def test_should_register_the_same_devices_each_time_and_others_for_another_seed() -> None:
    assert registry_csv(scenario()) == registry_csv(scenario())
    assert registry_csv(scenario(seed=6)) != registry_csv(scenario())
