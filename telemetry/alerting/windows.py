"""Windows of readings in constant space: sums of their parts, from which the functions of conditions are computed.

A window of time is divided into ``PARTS`` equal parts that begin at fixed times. Sums of a part can be added to those
of another environment's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

from telemetry.rules.conditions import Window
from telemetry.rules.functions import Earlier, Part

#: How many parts a window is divided into: its edge is exact to a sixteenth of it.
PARTS = 16


@functools.lru_cache(maxsize=1024)
def key_of(window: Window) -> str:
    """Return the key of a window's parts: windows of the same metric and length share them."""
    return f"{window.metric}/{window.seconds}"


def count_value(parts: list[Part], ts: float, length: float, value: float) -> None:
    """Count a value of the newest reading; ``length`` is a part's, in seconds.

    Parts after it are dropped: the device's clock was set back.
    """
    index = int(ts // length)
    moment = ts - index * length
    while parts and parts[-1].index > index:
        del parts[-1]
    if parts and parts[-1].index == index:
        part = parts[-1]
        part.count += 1
        part.total += value
        part.moments += moment
        part.last = value
        if value < part.low:
            part.low = value
        elif value > part.high:
            part.high = value
    else:
        if len(parts) >= PARTS:
            del parts[0]
        parts.append(Part(index, 1, value, value, value, moment, value))


def earlier_parts(parts: list[Part], now: int, length: float) -> Earlier:
    """Add up the parts of the window that ends in the part ``now``, without that one."""
    readings, total, low, high, times, squares, products = 0, 0.0, math.inf, -math.inf, 0.0, 0.0, 0.0
    first, samples = now, []
    for part in parts:
        if now - PARTS < part.index < now:
            first = min(first, part.index)
            time = (part.index - now) * length + part.moments / part.count
            readings += part.count
            total += part.total
            low, high = min(low, part.low), max(high, part.high)
            times += part.count * time
            squares += part.count * time * time
            products += part.total * time
            samples.append(part.last)
    return Earlier(now, first, readings, total, low, high, times, squares, products, samples)


def empty_part(index: int) -> Part:
    """Return a part without readings."""
    return Part(index, 0, 0.0, math.inf, -math.inf, 0.0, 0.0)


def merge_parts(some: Iterable[Part], more: Iterable[Part]) -> list[Part]:
    """Add the parts of two environments, which counted different readings."""
    parts = {part.index: part for part in some}
    for part in more:
        same = parts.get(part.index)
        parts[part.index] = (
            Part(
                part.index,
                same.count + part.count,
                same.total + part.total,
                min(same.low, part.low),
                max(same.high, part.high),
                same.moments + part.moments,
                part.last,
            )
            if same
            else part
        )
    return [parts[index] for index in sorted(parts)][-PARTS:]


def round_parts(parts: Iterable[Part]) -> list[Part]:
    """Round the sums for storage: four decimals are more than a sensor has."""
    return [
        Part(
            part.index,
            part.count,
            round(part.total, 4),
            round(part.low, 4),
            round(part.high, 4),
            round(part.moments, 3),
            round(part.last, 4),
        )
        for part in parts
    ]
