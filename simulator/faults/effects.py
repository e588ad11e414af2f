"""The effects of a scenario's faults on readings and lines, and the ground truth about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.faults.truth import InjectedFault
from simulator.fleet.fleet import MICROSECONDS, Fleet
from simulator.fleet.lines import DAMAGES, DUPLICATE, LATE, MALFORMED, Lines, joined
from simulator.models.randomness import Floats, Keys, Places, hashes, keys, normal, uniform
from simulator.scenario.faults import (
    BatteryDying,
    ClockSkew,
    Drift,
    Duplicate,
    Fault,
    Flapping,
    GatewayDown,
    Late,
    Malformed,
    Noise,
    Oversize,
    Reorder,
    Silence,
    SiteOutage,
    Spike,
    Step,
    Stuck,
    details,
    matches,
)
from simulator.scenario.scenario import ScenarioError
from telemetry.reading.fields import FIELDS, METRICS
from telemetry.text.durations import parse_seconds

#: A gateway that comes back sends what it has kept within this, in order.
_CATCHING_UP = 10 * MICROSECONDS

_BOUNDS = {field.name: (field.minimum, field.maximum) for field in FIELDS if field.name in METRICS}

#: The kinds that have lines arrive in another order than they were taken in.
_DISORDER = (Late, Reorder, GatewayDown, SiteOutage)


class PlannedFault(NamedTuple):
    """A fault of the scenario (``number`` counts from 1), with the devices that it affects, from ``since`` to before
    ``until``, microseconds since 1970. ``keys`` are its randomness, ``before`` what was measured when it began.
    """

    number: int
    fault: Fault
    affects: NDArray[np.bool_]
    since: int
    until: int
    keys: Keys
    before: Floats

    def rows(self, device: Places, at: Places) -> Places:
        """Select the readings that it affects, by device and time: when they were taken, or are sent."""
        if not len(at) or at.max() < self.since or at.min() >= self.until:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.affects[device] & (at >= self.since) & (at < self.until))

    def uniform(self, device: Places, seq: Places) -> Floats:
        """A number from 0 to 1 for each reading."""
        return uniform(hashes(self.keys[device], seq))


def plan(fleet: Fleet, since: int, until: int) -> list[PlannedFault]:
    """The faults of a run between two times, microseconds since 1970.

    Raises :class:`~simulator.scenario.scenario.ScenarioError` for a fault that affects no device.
    """
    seed = fleet.scenario.seed
    planned = []
    # Devices that a fault affects already come last, so that one fault does not hide another.
    troubled = np.zeros(len(fleet.devices), np.bool_)
    for number, fault in enumerate(fleet.scenario.faults, 1):
        key = keys(seed, f"fault {number}", len(fleet.devices))
        affects = _chosen(fleet, number, fault, key, troubled)
        if fault.count or fault.share:
            troubled |= affects
        begin = since + round(parse_seconds(fault.start) * MICROSECONDS)
        end = min(until, begin + round(parse_seconds(fault.duration) * MICROSECONDS))
        before = np.zeros(len(fleet.devices))
        if isinstance(fault, Stuck):
            devices = np.flatnonzero(affects)
            measured = fleet.measure(devices, np.full(len(devices), begin))
            before[devices] = getattr(measured, fault.metric)
        if begin < end:
            planned.append(PlannedFault(number, fault, affects, begin, end, key, before))
    return planned


def _chosen(fleet: Fleet, number: int, fault: Fault, key: Keys, troubled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Select the devices that a fault affects, or all devices of the gateways or sites that it affects."""
    candidates = np.array(
        [
            matches(device.id, fault.devices)
            and matches(device.site, fault.sites)
            and matches(device.gateway, fault.gateways)
            and matches(device.model, fault.models)
            for device in fleet.devices
        ]
    )
    if not candidates.any():
        raise ScenarioError(
            f"fault {number} ({kind_of(fault)}) affects no device: none matches its devices, sites, gateways and models"
        )
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
    if isinstance(fault, GatewayDown):
        return fleet.gateway
    return fleet.site if isinstance(fault, SiteOutage) else np.arange(len(fleet.devices))


def _metric(fault: Fault) -> str:
    """Return the metric whose values a fault changes; empty for none."""
    return "battery" if isinstance(fault, BatteryDying) else getattr(fault, "metric", "")


def kind_of(fault: Fault) -> str:
    """The fault's kind, as scenarios write it."""
    return str(fault.__struct_config__.tag)


def disorderly(faults: Iterable[PlannedFault]) -> bool:
    """Whether lines may arrive in another order than they were taken in."""
    return any(isinstance(planned.fault, _DISORDER) for planned in faults)


def repeating(faults: Iterable[PlannedFault]) -> bool:
    """Whether lines may arrive more than once."""
    return any(isinstance(planned.fault, Duplicate) for planned in faults)


def spoil_values(
    faults: Iterable[PlannedFault], device: Places, seq: Places, taken: Places, metrics: dict[str, Floats]
) -> None:
    """Have the faults change what was measured, in place, within the bounds of what can be said."""
    for planned in faults:
        metric = _metric(planned.fault)
        if not metric or not len(rows := planned.rows(device, taken)):
            continue
        metrics[metric][rows] += _error(planned, metrics[metric][rows], device[rows], seq[rows], taken[rows])
    for metric, values in metrics.items():
        np.clip(values, *_BOUNDS[metric], out=values)


def _error(planned: PlannedFault, values: Floats, device: Places, seq: Places, taken: Places) -> Floats | float:
    """Return the error added to the measurement."""
    since: Floats = (taken - planned.since) / MICROSECONDS
    error: Floats | float = 0.0
    match planned.fault:
        case Spike(size=size, chance=chance):
            error = np.where(planned.uniform(device, seq) < chance, size, 0.0)
        case Step(size=size):
            error = size
        case Drift(per_hour=per_hour):
            error = per_hour * since / 3600
        case Stuck():
            error = planned.before[device] - values
        case Noise(size=size):
            error = size * normal(hashes(planned.keys[device], seq))
        case Flapping(size=size, period=period):
            error = np.where(since / parse_seconds(period) % 1 < 0.5, size, 0.0)
        case BatteryDying(to=to, duration=duration):
            # Down within the first half, so that it is low for a while.
            error = (to - values) * np.minimum(1, 2 * since / parse_seconds(duration))
        case _:
            pass
    return error


def disturb(faults: Iterable[PlannedFault], lines: Lines) -> Lines:
    """Have the faults lose, damage, delay and repeat lines.

    In this order, whatever the scenario's, so that a line that is sent again is the same line.
    """
    faults = list(faults)
    # What one outage holds back may run into the next: then the earlier one has to come first.
    outages = sorted((each for each in faults if _is_outage(each.fault)), key=lambda each: each.since)
    for planned in faults:
        if isinstance(planned.fault, ClockSkew):
            rows = planned.rows(lines.device, lines.taken)
            lines.shown[rows] += round(planned.fault.ahead * MICROSECONDS)
    for planned in faults:
        if isinstance(planned.fault, Silence) or (_is_outage(planned.fault) and not _keeps(planned.fault)):
            lines = _without(lines, planned.rows(lines.device, lines.taken))
    for planned in faults:
        _damage(planned, lines)
    for planned in faults:
        _delay(planned, lines)
    lines = _interrupt(outages, lines)
    again = [_again(planned, lines) for planned in faults if isinstance(planned.fault, Duplicate)]
    return joined([lines, *(_interrupt(outages, copies) for copies in again)])


def _is_outage(fault: Fault) -> bool:
    return isinstance(fault, GatewayDown | SiteOutage)


def _keeps(fault: Fault) -> bool:
    """Whether an outage's gateways send later what they could not."""
    return isinstance(fault, GatewayDown | SiteOutage) and fault.backlog


def _without(lines: Lines, rows: Places) -> Lines:
    if not len(rows):
        return lines
    kept = np.ones(len(lines.device), np.bool_)
    kept[rows] = False
    return lines.rows(kept)


def _interrupt(outages: Iterable[PlannedFault], lines: Lines) -> Lines:
    """Have nothing sent while a gateway is down: neither what is taken then, nor what was held back until then."""
    for outage in outages:
        rows = outage.rows(lines.device, lines.sent)
        if not _keeps(outage.fault):
            lines = _without(lines, rows)
            continue
        part = (lines.sent[rows] - outage.since) / (outage.until - outage.since)
        lines.sent[rows] = outage.until + (part * _CATCHING_UP).astype(np.int64)
        lines.flags[rows] |= LATE
    return lines


def _hit(planned: PlannedFault, lines: Lines, chance: float) -> tuple[Places, Floats]:
    """The lines that a fault strikes by chance, and for each a number from 0 to 1."""
    rows = planned.rows(lines.device, lines.taken)
    drawn = planned.uniform(lines.device[rows], lines.seq[rows])
    hit = drawn < chance
    return rows[hit], drawn[hit] / chance


def _damage(planned: PlannedFault, lines: Lines) -> None:
    match planned.fault:
        case Malformed(chance=chance):
            rows, drawn = _hit(planned, lines, chance)
            lines.damage[rows] = (drawn * len(DAMAGES)).astype(np.int8)
            lines.flags[rows] |= MALFORMED
        case Oversize(chance=chance, bytes=size):
            rows, _ = _hit(planned, lines, chance)
            lines.padding[rows] = size
        case _:
            pass


def _delay(planned: PlannedFault, lines: Lines) -> None:
    match planned.fault:
        case Late(chance=chance, delay=delay):
            rows, drawn = _hit(planned, lines, chance)
            held = (0.5 + drawn) * parse_seconds(delay)
        case Reorder(chance=chance, within=within):
            rows, drawn = _hit(planned, lines, chance)
            held = drawn * parse_seconds(within)
        case _:
            return
    lines.sent[rows] += (held * MICROSECONDS).astype(np.int64)
    lines.flags[rows] |= LATE


def _again(planned: PlannedFault, lines: Lines) -> Lines:
    assert isinstance(planned.fault, Duplicate)  # noqa: S101 - for the type checker
    rows, drawn = _hit(planned, lines, planned.fault.chance)
    copies = lines.rows(rows)
    copies.sent[:] += (drawn * parse_seconds(planned.fault.within) * MICROSECONDS).astype(np.int64)
    # A damaged line that comes twice is two damaged lines.
    copies.flags[:] = np.where(copies.flags & MALFORMED, MALFORMED, DUPLICATE)
    return copies


def injected_faults(fleet: Fleet, faults: Iterable[PlannedFault]) -> list[InjectedFault]:
    """Return the ground truth in the order of time: one record per device, gateway or site that a fault affects."""
    found = []
    for planned in faults:
        fault = planned.fault
        _, first = np.unique(_unit(fleet, fault)[planned.affects], return_index=True)
        for place in np.flatnonzero(planned.affects)[first].tolist():
            device = fleet.devices[place]
            whole_site = isinstance(fault, SiteOutage)
            whole_gateway = isinstance(fault, GatewayDown)
            who = device.site if whole_site else device.gateway if whole_gateway else device.id
            found.append(
                InjectedFault(
                    id=f"{planned.number}-{kind_of(fault)}-{who}",
                    number=planned.number,
                    kind=kind_of(fault),
                    site=device.site,
                    gateway="" if whole_site else device.gateway,
                    device="" if whole_site or whole_gateway else device.id,
                    metric=_metric(fault),
                    since=moment(planned.since),
                    until=moment(planned.until),
                    expects=fault.expect,
                    tolerates=fault.tolerate,
                    details=details(fault),
                )
            )
    return sorted(found, key=lambda fault: (fault.since, fault.number))


def moment(microseconds: int) -> dt.datetime:
    """A time in microseconds since 1970, as a date and time (UTC)."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)


def microseconds(moment: dt.datetime) -> int:
    """The other way round."""
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
