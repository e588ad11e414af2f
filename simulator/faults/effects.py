"""The effects of faults on readings and lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from simulator.faults.plan import PlannedFault, metric_of
from simulator.fleet.lines import DAMAGES, DUPLICATE, LATE, MALFORMED, SECOND, Lines, joined
from simulator.models.epoch import MICROSECONDS
from simulator.models.randomness import Floats, Places, hashes, normal, uniform
from simulator.scenario.faults import (
    BatteryDying,
    ClockSkew,
    Drift,
    Duplicate,
    Fault,
    Flapping,
    GatewayDown,
    HeardTwice,
    Late,
    Malformed,
    Noise,
    Oversize,
    Reorder,
    Restart,
    Silence,
    SiteOutage,
    Spike,
    Step,
    Stuck,
    Uploads,
    Wander,
)
from telemetry.reading.fields import FIELDS, METRICS
from telemetry.text.durations import parse_seconds

#: A gateway that comes back sends what it has kept within this, in order.
_CATCHING_UP = 10 * MICROSECONDS

#: A gateway that uploads sends all it has within this.
_AT_ONCE = MICROSECONDS // 100

_BOUNDS = {field.name: (field.minimum, field.maximum) for field in FIELDS if field.name in METRICS}

#: The kinds that have lines arrive in another order than they were taken in.
_DISORDER = (Late, Reorder, GatewayDown, SiteOutage, Uploads, Wander, HeardTwice)


def disorderly(faults: Iterable[PlannedFault]) -> bool:
    """Return whether lines may arrive in another order than they were taken in."""
    return any(isinstance(planned.fault, _DISORDER) for planned in faults)


def repeating(faults: Iterable[PlannedFault]) -> bool:
    """Return whether lines may arrive more than once."""
    return any(isinstance(planned.fault, Duplicate) for planned in faults)


def rerouted(faults: Sequence[PlannedFault], devices: int) -> NDArray[np.bool_]:
    """Return which of the devices may be heard through gateways that are not their own."""
    found = np.zeros(devices, np.bool_)
    for planned in faults:
        if planned.routes:
            found |= planned.affects
    return found


def restarted(faults: Iterable[PlannedFault]) -> list[PlannedFault]:
    """Return the faults after which devices begin to count their readings again."""
    return [each for each in faults if isinstance(each.fault, Restart) and each.fault.counter == "ram"]


def renumber(restarts: Iterable[PlannedFault], lines: Lines) -> None:
    """Have restarted devices count from 0, in place: what is drawn by a reading's number has been drawn by now."""
    before = np.zeros(len(lines.seq), np.int64)
    for planned in sorted(restarts, key=lambda each: each.since):
        rows = np.flatnonzero(planned.affects[lines.device] & (lines.taken >= planned.since))
        before[rows] = planned.before[lines.device[rows]]
    lines.seq[:] -= before


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
    """Have the faults move, lose, damage, delay and repeat lines.

    In this order, whatever the scenario's, so that a line that is sent again is the same line.
    """
    faults = list(faults)
    # What one outage holds back may run into the next: then the earlier one has to come first.
    outages = sorted((each for each in faults if _is_outage(each.fault)), key=lambda each: each.since)
    for planned in faults:
        _set_clock(planned, lines)
    for planned in faults:
        _move(planned, lines)
    for planned in faults:
        if isinstance(planned.fault, Silence):
            lines = _without(lines, planned.rows(lines.device, lines.taken))
    lines = joined([lines, *(_second(planned, lines) for planned in faults if isinstance(planned.fault, HeardTwice))])
    for planned in outages:
        if not _keeps(planned.fault):
            lines = _without(lines, planned.heard(lines.gateway, lines.taken))
    for planned in faults:
        _damage(planned, lines)
    for planned in faults:
        _delay(planned, lines)
    for planned in faults:
        _collect(planned, lines)
    lines = _interrupt(outages, lines)
    _flag_seconds(lines)
    again = [_again(planned, lines) for planned in faults if isinstance(planned.fault, Duplicate)]
    return joined([lines, *(_interrupt(outages, copies) for copies in again)])


def _set_clock(planned: PlannedFault, lines: Lines) -> None:
    match planned.fault:
        case ClockSkew(ahead=ahead):
            rows = planned.rows(lines.device, lines.taken)
            lines.shown[rows] += round(ahead * MICROSECONDS)
        case Restart():
            rows = planned.rows(lines.device, lines.taken)
            lines.shown[rows] = lines.taken[rows] - planned.since
        case _:
            pass


def _move(planned: PlannedFault, lines: Lines) -> None:
    if not (isinstance(planned.fault, Wander) and planned.routes):
        return
    rows = planned.rows(lines.device, lines.taken)
    steps: Places | int = 0
    if planned.fault.every:
        # Each device moves at a time of its own.
        every = round(parse_seconds(planned.fault.every) * MICROSECONDS)
        shift = uniform(planned.keys) * every
        steps = (lines.taken[rows] - planned.since + shift.astype(np.int64)[lines.device[rows]]) // every
    lines.gateway[rows] = planned.routes.after(lines.gateway[rows], steps)


def _second(planned: PlannedFault, lines: Lines) -> Lines:
    """Return what other gateways hear too: the same lines."""
    assert isinstance(planned.fault, HeardTwice)  # noqa: S101 - for the type checker
    assert planned.routes  # noqa: S101
    rows, drawn = _hit(planned, lines, planned.fault.chance)
    other = planned.routes.after(lines.gateway[rows])
    elsewhere = other != lines.gateway[rows]
    copies = lines.rows(rows[elsewhere])
    copies.gateway[:] = other[elsewhere]
    copies.sent[:] += (drawn[elsewhere] * parse_seconds(planned.fault.within) * MICROSECONDS).astype(np.int64)
    copies.flags[:] |= SECOND
    return copies


def _flag_seconds(lines: Lines) -> None:
    """Flag what was heard twice as sent before, unless what was heard first is lost."""
    second = np.flatnonzero(lines.flags & SECOND)
    if not len(second):
        return
    lines.flags[second] ^= SECOND
    # In 64 bits: a device that reports each millisecond has sent less than 2**43 readings since 1970.
    reading = lines.seq * (int(lines.device.max()) + 1) + lines.device
    _, first = np.unique(reading, return_index=True)
    again = np.setdiff1d(second, first)
    lines.flags[again] = np.where(lines.flags[again] & MALFORMED, MALFORMED, DUPLICATE)


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
        rows = outage.heard(lines.gateway, lines.sent)
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


def _collect(planned: PlannedFault, lines: Lines) -> None:
    match planned.fault:
        case Uploads(every=text, newest_first=newest_first):
            rows = planned.heard(lines.gateway, lines.sent)
            every = round(parse_seconds(text) * MICROSECONDS)
            sent = lines.sent[rows]
            upload = np.minimum(planned.since + ((sent - planned.since) // every + 1) * every, planned.until)
            age = (upload - sent) / every
            lines.sent[rows] = upload + ((age if newest_first else 1 - age) * _AT_ONCE).astype(np.int64)
            lines.flags[rows] |= LATE
        case _:
            pass


def _again(planned: PlannedFault, lines: Lines) -> Lines:
    assert isinstance(planned.fault, Duplicate)  # noqa: S101 - for the type checker
    rows, drawn = _hit(planned, lines, planned.fault.chance)
    copies = lines.rows(rows)
    copies.sent[:] += (drawn * parse_seconds(planned.fault.within) * MICROSECONDS).astype(np.int64)
    # A damaged line that comes twice is two damaged lines.
    copies.flags[:] = np.where(copies.flags & MALFORMED, MALFORMED, DUPLICATE)
    return copies
