"""The fleet of a scenario: its devices, when each reports, and what it measures.

A reading is a function of the device and the moment alone: whoever asks for any part of a run, in any order, gets the
same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simulator.models.climate import Climate
from simulator.models.devices import Measured, Model, measure, offset
from simulator.models.epoch import MICROSECONDS
from simulator.models.randomness import Drift, Floats, Keys, Places, hashes, keys, normal, uniform
from simulator.scenario.faults import matches
from simulator.scenario.scenario import LARGEST_SEED, Scenario, ScenarioError
from telemetry.text.durations import parse_seconds

#: Multiples of the golden ratio, modulo one, spread evenly however many they are.
_GOLDEN = (1 + 5**0.5) / 2


class Device(NamedTuple):
    """A device: its name, site, gateway, model, and how often (seconds) it reports."""

    id: str
    site: str
    gateway: str
    model: str
    interval: float


class Cohort(NamedTuple):
    """The devices of a model, next to each other: those from ``first`` up to ``end``."""

    model: Model
    first: int
    end: int
    wander: Drift


class Fleet:
    """The devices, by their place. A device counts its readings in ``seq`` since 1970.

    So runs of a scenario that follow one another, with any seed, go on as one: nothing is counted twice.
    Raises :class:`~simulator.scenario.scenario.ScenarioError` for an interval under a millisecond or an invalid seed.
    """

    def __init__(self, scenario: Scenario) -> None:
        if not 0 <= scenario.seed <= LARGEST_SEED:
            raise ScenarioError(f"invalid seed {scenario.seed}: write a number from 0 to {LARGEST_SEED}")
        self.scenario = scenario
        self.devices = _devices(scenario)
        number = len(self.devices)
        self.gateways = [f"{site.name}-gw-{n + 1:02}" for site in scenario.sites for n in range(site.gateways)]
        sites = {site.name: place for place, site in enumerate(scenario.sites)}
        gateways = {gateway: place for place, gateway in enumerate(self.gateways)}
        self.site: Places = np.array([sites[device.site] for device in self.devices])
        self.gateway: Places = np.array([gateways[device.gateway] for device in self.devices])
        #: The site of each gateway; the gateways of a site stand next to each other.
        self.gateway_site: Places = np.repeat(np.arange(len(sites)), [site.gateways for site in scenario.sites])
        self.key: Keys = keys(scenario.seed, "device", number)
        self.interval: Places = np.array([round(device.interval * MICROSECONDS) for device in self.devices])
        if self.interval.min() < 1_000:
            raise ScenarioError("a device reports once a millisecond at most; use more devices, or a longer interval")
        self.phase: Places = (np.arange(number) * _GOLDEN % 1 * self.interval).astype(np.int64)
        self._odd = uniform(keys(scenario.seed, "odd", number))
        self._cycle = uniform(keys(scenario.seed, "cycle", number))
        self._climate = Climate(scenario.sites, scenario.weather, scenario.seed)
        self.cohorts = _cohorts(scenario, self.key)

    @property
    def rate(self) -> float:
        """Readings a second of the whole fleet, if nothing goes wrong."""
        return float((MICROSECONDS / self.interval).sum())

    def count(self, since: int, until: int) -> int:
        """Count the readings taken in [since, until), in microseconds since 1970."""
        return int((self.first(until) - self.first(since)).sum())

    def until(self, since: int, readings: int) -> int:
        """Return the end of a span that begins at ``since`` and has ``readings`` readings, or more if some coincide."""
        low, high = since, since + math.ceil(readings / self.rate * MICROSECONDS) + int(self.interval.max()) + 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.count(since, middle) >= readings else (middle + 1, high)
        return low

    def reports(self, since: Places, until: Places) -> tuple[Places, Places]:
        """Return the readings that each device takes in [since, until) of its own, in microseconds since 1970.

        They are given by device and ``seq``, device after device.
        """
        first = self.first(since)
        each = np.maximum(self.first(until) - first, 0)
        device = np.repeat(np.arange(len(each)), each)
        begins = np.cumsum(each) - each
        return device, first[device] + np.arange(len(device)) - begins[device]

    def taken_at(self, device: Places, seq: Places) -> Places:
        """Return when readings are taken, in microseconds since 1970."""
        return self.phase[device] + seq * self.interval[device]

    def first(self, moment: int | Places) -> Places:
        """Return the ``seq`` of each device's first reading that is not before the moment."""
        return -((self.phase - moment) // self.interval)

    def measure(self, device: Places, ts: Places) -> Measured:
        """Measure with devices, in ascending order, at the moments ``ts`` (microseconds since 1970)."""
        parts = [
            self._measure(cohort, device[first:end], ts[first:end])
            for cohort, first, end in self.by_cohort(device)
            if end > first
        ]
        if not parts:
            return Measured(*(np.zeros(0) for _ in Measured._fields))
        return Measured(*map(np.concatenate, zip(*parts, strict=True)))

    def offsets(self) -> Floats:
        """Return the constant error (°C) of each device's temperature."""
        return np.concatenate([offset(c.model, self._odd[c.first : c.end]) for c in self.cohorts])

    def by_cohort(self, device: Places) -> list[tuple[Cohort, int, int]]:
        """Return each cohort with its span in ``device``, which is in ascending order."""
        bounds = np.searchsorted(device, [cohort.first for cohort in self.cohorts] + [len(self.devices)]).tolist()
        return list(zip(self.cohorts, bounds, bounds[1:], strict=False))

    def _measure(self, cohort: Cohort, device: Places, ts: Places) -> Measured:
        t = ts / MICROSECONDS
        return measure(
            cohort.model,
            self._climate.at(self.site[device], t),
            t,
            odd=self._odd[device],
            phase=self._cycle[device],
            wander=cohort.wander.at(device - cohort.first, t),
            jitter=normal(hashes(self.key[device], ts)),
        )


def _devices(scenario: Scenario) -> list[Device]:
    devices: list[Device] = []
    at_site = {site.name: 0 for site in scenario.sites}
    for group in scenario.devices:
        interval = parse_seconds(group.interval or scenario.interval)
        sites = [site for site in scenario.sites if matches(site.name, group.sites)]
        for number in range(group.count):
            site = sites[number % len(sites)]
            gateway = at_site[site.name] % site.gateways + 1
            at_site[site.name] += 1
            name = f"{group.model}-{len(devices):05}"
            devices.append(Device(name, site.name, f"{site.name}-gw-{gateway:02}", group.model, interval))
    return devices


def _cohorts(scenario: Scenario, key: Keys) -> list[Cohort]:
    cohorts, first = [], 0
    for group in scenario.devices:
        model, end = scenario.all_models[group.model], first + group.count
        cohorts.append(Cohort(model, first, end, Drift(key[first:end], parse_seconds(model.noise_memory))))
        first = end
    return cohorts
