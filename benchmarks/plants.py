"""The fleet that the detector's and the curation's data come from: plants full of devices of a kind, all well."""

from __future__ import annotations

import datetime as dt

import numpy as np

from simulator.fleet.fleet import Fleet
from simulator.fleet.lines import Encoder, Lines
from simulator.models.devices import Indoor
from simulator.models.epoch import microseconds
from simulator.models.sites import Site
from simulator.scenario.scenario import Group, Scenario

DEVICES_A_GATEWAY = 50
_GATEWAYS_A_PLANT = 5


def plants(devices: int, interval: float) -> Fleet:
    """So many devices, each of which reports every so many seconds, fifty behind a gateway and five gateways a plant.

    The last plant takes the rest.
    """
    a_plant = DEVICES_A_GATEWAY * _GATEWAYS_A_PLANT
    counts = [min(a_plant, devices - first) for first in range(0, devices, a_plant)]
    sites = [
        Site(name=f"plant-{number}", gateways=-(-count // DEVICES_A_GATEWAY)) for number, count in enumerate(counts, 1)
    ]
    groups = [Group(model="device", count=count, sites=(site.name,)) for count, site in zip(counts, sites, strict=True)]
    scenario = Scenario(name="plants", models={"device": Indoor()}, sites=tuple(sites), devices=tuple(groups))
    return Fleet(scenario.reporting_every(interval))


def taken(fleet: Fleet, since: dt.datetime, until: dt.datetime) -> Lines:
    """Return the lines that the devices report in [since, until) (UTC), in the order of time."""
    everyone = np.ones(len(fleet.devices), np.int64)
    device, seq = fleet.reports(everyone * microseconds(since), everyone * microseconds(until))
    at = fleet.taken_at(device, seq)
    none = np.zeros(len(device), np.int32)
    measured = fleet.measure(device, at)
    lines = Lines(
        device=device,
        gateway=fleet.gateway[device],
        seq=seq,
        taken=at,
        shown=at,
        sent=at,
        **measured._asdict(),
        status=none.astype(np.int8),
        flags=none.astype(np.uint8),
        damage=np.full(len(device), -1, np.int8),
        padding=none,
    )
    return lines.rows(np.argsort(at, kind="stable"))


def encoder(fleet: Fleet) -> Encoder:
    """Makes lines of JSON of what the fleet reports."""
    return Encoder([device.id for device in fleet.devices], [device.site for device in fleet.devices])
