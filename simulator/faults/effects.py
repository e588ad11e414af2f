"""The effects of faults on readings and lines."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from simulator.faults.plan import PlannedFault, metric_of
from simulator.fleet.lines import DAMAGES, DUPLICATE, LATE, MALFORMED, Lines, joined
from simulator.models.epoch import MICROSECONDS
from simulator.models.randomness import Floats, Places, hashes, normal
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
)
from telemetry.reading.fields import FIELDS, METRICS
from telemetry.text.durations import parse_seconds

#: A gateway that comes back sends what it has kept within this, in order.
_CATCHING_UP = 10 * MICROSECONDS

_BOUNDS = {field.name: (field.minimum, field.maximum) for field in FIELDS if field.name in METRICS}

#: The kinds that have lines arrive in another order than they were taken in.
_DISORDER = (Late, Reorder, GatewayDown, SiteOutage)


def disorderly(faults: Iterable[PlannedFault]) -> bool:
    """Return whether lines may arrive in another order than they were taken in."""
    return any(isinstance(planned.fault, _DISORDER) for planned in faults)


def repeating(faults: Iterable[PlannedFault]) -> bool:
    """Return whether lines may arrive more than once."""
    return any(isinstance(planned.fault, Duplicate) for planned in faults)


def spoil_values(
    faults: Iterable[PlannedFault], device: Places, seq: Places, taken: Places, metrics: dict[str, Floats]
) -> None:
    """Have the faults change what was measured, in place, within the bounds of what can be said."""
    for planned in faults:
        metric = metric_of(planned.fault)
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
    """Return whether the gateways of an outage send later what they could not."""
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
    """Draw the lines that a fault affects by chance; return them, and for each a number from 0 to 1."""
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
