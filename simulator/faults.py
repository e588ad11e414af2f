"""Devices made to break a rule, with the alerts that must follow as ground truth.

A device steps well over the rule's limit in one round, stays there, and steps back well below in a later
one: exactly one alert fires and resolves, at the moments the ground truth names.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import msgspec

from simulator.fleet import Fleet, Override


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One device that breaks ``rule``: the alert fires at ``since`` and resolves at ``until`` (event times, UTC).

    ``until`` is None where the run was stopped before the device was well again.
    """

    device: str
    site: str
    gateway: str
    metric: str
    rule: str
    since: dt.datetime = msgspec.field(name="from")
    until: dt.datetime | None = msgspec.field(name="to")


class PlannedFault(NamedTuple):
    """What to do to the fleet, and what must come of it."""

    override: Override
    fault: Fault

    def as_of(self, moment: dt.datetime) -> Fault | None:
        """The ground truth if the run ended at ``moment``: None if nothing broke, no end if it had not mended."""
        if moment < self.fault.since:
            return None
        mended = self.fault.until is not None and self.fault.until <= moment
        return self.fault if mended else msgspec.structs.replace(self.fault, until=None)


class _Breach(NamedTuple):
    """A demo rule's name and the values that break it beyond doubt."""

    rule: str
    metric: str
    lowest: float
    highest: float


_BREACHES = (
    _Breach("too-hot", "temperature", 44.0, 52.0),
    _Breach("too-cold", "temperature", -15.0, -9.0),
    _Breach("battery-low", "battery", 2.0, 2.3),
    _Breach("too-humid", "humidity", 96.5, 99.5),
)


def plan_faults(fleet: Fleet, number: int, readings: int) -> list[PlannedFault]:
    """Choose ``number`` devices and when each breaks and mends, within a run of so many readings.

    Raises ValueError if there are not enough devices, or if a device reports less than three times.
    """
    config = fleet.config
    rounds = readings // config.devices
    if number > config.devices:
        raise ValueError(f"{number} faults are too many for {config.devices} devices; each takes its own device")
    if number and rounds < 3:
        raise ValueError(
            f"a fault takes three reports of a device and {readings} readings of {config.devices} devices "
            "are too few; run longer, faster or with fewer devices"
        )
    random = config.random(purpose=2)
    planned = []
    for count, place in enumerate(random.choice(config.devices, number, replace=False).tolist()):
        breach = _BREACHES[count % len(_BREACHES)]
        breaks = int(random.integers(max(1, rounds // 10), max(1, rounds * 4 // 10), endpoint=True))
        mends = int(random.integers(max(breaks + 1, rounds // 2), max(breaks + 1, rounds * 85 // 100), endpoint=True))
        value = round(float(random.uniform(breach.lowest, breach.highest)), 2)
        device = fleet.devices[place]
        fault = Fault(
            device=device.id,
            site=device.site,
            gateway=device.gateway,
            metric=breach.metric,
            rule=breach.rule,
            since=fleet.start + dt.timedelta(seconds=fleet.at(breaks, place)),
            until=fleet.start + dt.timedelta(seconds=fleet.at(mends, place)),
        )
        planned.append(PlannedFault(Override(place, breach.metric, value, range(breaks, mends)), fault))
    return planned
