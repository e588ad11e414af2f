"""The faults of a run: the devices that each affects and when, and the ground truth about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.faults.routes import Routes, routes
from simulator.faults.truth import InjectedFault
from simulator.fleet.fleet import Fleet
from simulator.models.epoch import MICROSECONDS, moment
from simulator.models.randomness import Floats, Keys, Places, hashes, keys, uniform
from simulator.scenario.faults import (
    BatteryDying,
    Fault,
    GatewayDown,
    HeardTwice,
    Restart,
    SiteOutage,
    Stuck,
    Uploads,
    Wander,
    details,
    matches,
)
from simulator.scenario.scenario import ScenarioError
from telemetry.text.durations import parse_seconds

#: The kinds that affect gateways, with all that is heard through them.
_OF_GATEWAYS = (GatewayDown, Uploads)


class PlannedFault(NamedTuple):
    """A fault of the scenario (``number`` counts from 1), with the devices that it affects, from ``since`` to before
    ``until``, microseconds since 1970.

    ``keys`` are its randomness, ``before`` what was measured when it began, or the number of the first reading then.
    ``gateways`` are those that it affects as a whole, ``routes`` those to which it brings lines.
    """

    number: int
    fault: Fault
    affects: NDArray[np.bool_]
    since: int
    until: int
    keys: Keys
    before: Floats
    gateways: NDArray[np.bool_]
    routes: Routes | None

    def rows(self, device: Places, at: Places) -> Places:
        """Select the readings that it affects, by device and time: when they were taken, or are sent."""
        return self._during(self.affects, device, at)

    def heard(self, gateway: Places, at: Places) -> Places:
        """Select the readings that come through gateways that it affects, of any device."""
        return self._during(self.gateways, gateway, at)

    def _during(self, affected: NDArray[np.bool_], places: Places, at: Places) -> Places:
        if not len(at) or at.max() < self.since or at.min() >= self.until:
            return np.zeros(0, np.int64)
        return np.flatnonzero(affected[places] & (at >= self.since) & (at < self.until))

    def uniform(self, device: Places, seq: Places) -> Floats:
        """Return a number from 0 to 1 for each reading."""
        return uniform(hashes(self.keys[device], seq))


def plan_faults(fleet: Fleet, since: int, until: int) -> list[PlannedFault]:
    """Plan the faults of a run between two times, microseconds since 1970.

    Raises :class:`~simulator.scenario.scenario.ScenarioError` for a fault that affects no device.
    """
    seed = fleet.scenario.seed
    planned = []
    # Devices that a fault affects already come last, so that one fault does not hide another.
    troubled = np.zeros(len(fleet.devices), np.bool_)
    for number, fault in enumerate(fleet.scenario.faults, 1):
        key = keys(seed, f"fault {number}", len(fleet.devices))
        to = routes(fleet, fault.to) if isinstance(fault, Wander | HeardTwice) else None
        affects = _chosen(fleet, fault, key, _candidates(fleet, number, fault, to), troubled)
        if fault.count or fault.share:
            troubled |= affects
        begin = since + round(parse_seconds(fault.start) * MICROSECONDS)
        end = min(until, begin + round(parse_seconds(fault.duration) * MICROSECONDS))
        before = np.zeros(len(fleet.devices))
        if isinstance(fault, Stuck):
            devices = np.flatnonzero(affects)
            measured = fleet.measure(devices, np.full(len(devices), begin))
            before[devices] = getattr(measured, fault.metric)
        elif isinstance(fault, Restart):
            before = fleet.first(begin).astype(np.float64)
        if begin < end:
            gateways = _gateways(fleet, fault, affects)
            planned.append(PlannedFault(number, fault, affects, begin, end, key, before, gateways, to))
    return planned


def _candidates(fleet: Fleet, number: int, fault: Fault, to: Routes | None) -> NDArray[np.bool_]:
    """Select the devices that a fault can affect."""
    candidates = np.array(
        [
            matches(device.id, fault.devices)
            and matches(device.site, fault.sites)
            and matches(device.gateway, fault.gateways)
            and matches(device.model, fault.models)
            for device in fleet.devices
        ]
    )
    why = "none matches its devices, sites, gateways and models"
    if to and candidates.any():
        candidates &= to.elsewhere(fleet.gateway)
        why = "none that matches is at a site with another gateway that matches its to"
    if not candidates.any():
        raise ScenarioError(f"fault {number} ({kind_of(fault)}) affects no device: {why}")
    return candidates


def _chosen(
    fleet: Fleet, fault: Fault, key: Keys, candidates: NDArray[np.bool_], troubled: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Select the devices that a fault affects, or all devices of the gateways or sites that it affects."""
    unit = _unit(fleet, fault)
    places, first = np.unique(unit[candidates], return_index=True)
    devices = np.flatnonzero(candidates)[first]
    wanted = len(places)
    if fault.count is not None:
        wanted = min(wanted, fault.count)
    elif fault.share is not None:
        wanted = max(1, round(fault.share * wanted))
    order = np.lexsort((key[devices], troubled[devices]))
    return np.isin(unit, places[order[:wanted]])


def _unit(fleet: Fleet, fault: Fault) -> Places:
    """Return what a fault affects as a whole, for each device: itself, its gateway or its site."""
    if isinstance(fault, _OF_GATEWAYS):
        return fleet.gateway
    return fleet.site if isinstance(fault, SiteOutage) else np.arange(len(fleet.devices))


def _gateways(fleet: Fleet, fault: Fault, affects: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the gateways that a fault affects as a whole, those without a device of their own too."""
    if isinstance(fault, _OF_GATEWAYS):
        return np.isin(np.arange(len(fleet.gateways)), fleet.gateway[affects])
    whole_sites = isinstance(fault, SiteOutage)
    return np.isin(fleet.gateway_site, fleet.site[affects]) & whole_sites


def metric_of(fault: Fault) -> str:
    """Return the metric whose values a fault changes; empty for none."""
    return "battery" if isinstance(fault, BatteryDying) else getattr(fault, "metric", "")


def kind_of(fault: Fault) -> str:
    """Return the fault's kind, as scenarios write it."""
    return str(fault.__struct_config__.tag)


def ground_truth(fleet: Fleet, faults: Iterable[PlannedFault]) -> list[InjectedFault]:
    """Return the ground truth in the order of time: one record per device, gateway or site that a fault affects."""
    found = []
    for planned in faults:
        fault = planned.fault
        _, first = np.unique(_unit(fleet, fault)[planned.affects], return_index=True)
        for place in np.flatnonzero(planned.affects)[first].tolist():
            device = fleet.devices[place]
            whole_site = isinstance(fault, SiteOutage)
            whole_gateway = isinstance(fault, _OF_GATEWAYS)
            who = device.site if whole_site else device.gateway if whole_gateway else device.id
            found.append(
                InjectedFault(
                    id=f"{planned.number}-{kind_of(fault)}-{who}",
                    number=planned.number,
                    kind=kind_of(fault),
                    site=device.site,
                    gateway="" if whole_site else device.gateway,
                    device="" if whole_site or whole_gateway else device.id,
                    metric=metric_of(fault),
                    since=moment(planned.since),
                    until=moment(planned.until),
                    expects=fault.expect,
                    tolerates=fault.tolerate,
                    details=details(fault),
                )
            )
    return sorted(found, key=lambda fault: (fault.since, fault.number))
