"""The simulator as ``iot simulate --no-pace`` runs it: from a scenario of the library to the last line sent."""

from __future__ import annotations

from pathlib import Path

from benchmarks.simulator.contenders import DEVICES, INTERVAL, START, Contender
from simulator.run import simulation
from simulator.run.manifest import Manifest
from simulator.scenario.scenario import Scenario, load
from simulator.sinks.lines import LineSink, open_lines
from simulator.sinks.sink import Sink

_PACKAGES = ("numpy", "msgspec")


def calm() -> Contender:
    """A good day, behind ten gateways as the scenario has it: up to a hundred lines a record."""
    return _to_file("calm")


def dirty_network() -> Contender:
    """Duplicates, late, reordered, damaged and oversize lines, wrong clocks, and devices that break."""
    return _to_file("dirty-network")


def small_records() -> Contender:
    """A good day in records of five lines, as of gateways that have few devices: what a record costs."""
    return _to_file("calm", batch=5)


def simulate(scenario: Scenario, rows: int, sink: Sink, batch: int = simulation.DEFAULT_BATCH) -> Manifest:
    """Run as fast as it goes."""
    return simulation.simulate(simulation.plan(scenario, readings=rows, start=START, speed=0, batch=batch), sink)


def scenario(name: str) -> Scenario:
    """A scenario of the library with as many devices as every contender has."""
    return load(name).resized(DEVICES).reporting_every(INTERVAL)


def _to_file(name: str, batch: int = simulation.DEFAULT_BATCH) -> Contender:
    def write(path: Path, rows: int) -> None:
        with open_lines(path) as out:
            simulate(scenario(name), rows, LineSink(out), batch)

    return Contender(write, _PACKAGES)
