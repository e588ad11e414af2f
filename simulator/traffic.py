"""Every line of a run in the order of time: the readings, and the extra lines between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from simulator.disturbances import Disturbances, Extra
from simulator.fleet import Fleet, Override
from telemetry.reading import Reading

Line = Reading | Extra

#: When (seconds after the start), through which gateway, and what.
Sending = tuple[float, str, Line]


def traffic(
    fleet: Fleet, overrides: Sequence[Override], disturbances: Disturbances, readings: int | None
) -> Iterator[Sending]:
    """The run's lines, up to so many readings; without ``readings`` it has no end."""
    gateways = [device.gateway for device in fleet.devices]
    first = 0
    for at, taken in fleet.rounds(overrides):
        wanted = len(taken) if readings is None else min(len(taken), readings - first)
        lines = zip(at[:wanted], gateways, taken, strict=False)
        done = 0
        for number in disturbances.between(first, first + wanted):
            place = number - first
            yield from islice(lines, place + 1 - done)
            for gateway, extra in disturbances.after(number, gateways[place], taken[place]):
                yield at[place], gateway, extra
            done = place + 1
        yield from lines
        first += wanted
        if first == readings:
            return
