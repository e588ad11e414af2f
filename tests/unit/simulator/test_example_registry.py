"""``registry/devices.csv`` is about the fleet of ``make demo``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from local import demo
from simulator.fleet import Fleet, FleetConfig
from telemetry.devices import devices
from telemetry.registry import parse_registry

FILE = Path(__file__).resolve().parents[3] / "registry" / "devices.csv"


def test_should_register_every_device_of_the_demo_at_its_site() -> None:
    interval = demo.DEVICES / demo.RATE
    config = FleetConfig(devices=demo.DEVICES, gateways=demo.GATEWAYS, interval=interval)
    fleet = Fleet(config, dt.datetime(2026, 11, 23, tzinfo=dt.UTC))
    found = devices(parse_registry(FILE.read_bytes()))
    assert found.problems == []
    assert {row.device_id: row.site for row in found.rows} == {device.id: device.site for device in fleet.devices}
    assert {row.interval_seconds for row in found.rows} == {interval}
    assert all(row.model and row.latitude and row.longitude and row.installed for row in found.rows)
    assert any(row.calibration_offset for row in found.rows)
