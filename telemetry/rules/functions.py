"""The functions of conditions, such as ``avg`` in ``avg(temperature, 1h) > 30``: one entry of ``FUNCTIONS`` each.

Each takes a metric and how long its window is, and is a statistic of the device's readings in the window. The window
is kept as sums of its parts (:mod:`telemetry.alerting.windows`), from which a function computes its value.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Literal, NamedTuple, Optional

import msgspec

#: How many earlier parts with readings ``deviation`` needs.
_MIN_HISTORY = 8


class Part(msgspec.Struct, array_like=True):
    """Sums over the readings of one part of a window. ``moments`` adds up their seconds since the part's start."""

    index: int
    count: int
    total: float
    low: float
    high: float
    moments: float
    last: float


class Earlier(NamedTuple):
    """Sums over all parts of a window before ``part``; times are in seconds since the start of that one.

    ``first`` is the index of the first part with readings, ``samples`` are the last readings of the parts.
    """

    part: int
    first: int
    readings: int
    total: float
    low: float
    high: float
    times: float
    squares: float
    products: float
    samples: list[float]


class Range(NamedTuple):
    """The numbers from ``low`` to ``high``, both included; none where ``low`` is above ``high``."""

    low: float
    high: float

    def within(self, other: Range) -> Range:
        """Return the numbers that both have."""
        return Range(max(self.low, other.low), min(self.high, other.high))


class Function(NamedTuple):
    """One function.

    ``value`` computes it from the window's earlier parts, which have readings, its current part, and the metric of the
    reading that is looked at; None is unknown. ``values`` is the range of its values for a metric with a range, by
    which ``iot rules check`` finds conditions that can never hold. ``history`` is how many earlier readings within
    the window it needs, by which it finds windows that a device never fills.
    """

    name: str
    unit: Literal["of the metric", "of the metric per minute", "none"]
    values: Callable[[Range], Range]
    value: Callable[[Earlier, Part, Optional[float]], Optional[float]]
    history: int = 1


def _any_number(_: Range) -> Range:
    return Range(-math.inf, math.inf)


def _from_zero(_: Range) -> Range:
    return Range(0, math.inf)


def _as_the_metric(metric: Range) -> Range:
    return metric


def _rate(earlier: Earlier, current: Part, _: Optional[float]) -> Optional[float]:
    """Change per minute: the least-squares line through the parts' means, each weighted by its readings."""
    time = current.moments / current.count if current.count else 0.0
    count = earlier.readings + current.count
    times, total = earlier.times + current.moments, earlier.total + current.total
    spread = earlier.squares + current.count * time * time - times * times / count
    if spread <= 0:
        return None
    return 60 * (earlier.products + current.total * time - times * total / count) / spread


def _average(earlier: Earlier, current: Part, _: Optional[float]) -> float:
    return (earlier.total + current.total) / (earlier.readings + current.count)


def _lowest(earlier: Earlier, current: Part, _: Optional[float]) -> float:
    return min(earlier.low, current.low)


def _highest(earlier: Earlier, current: Part, _: Optional[float]) -> float:
    return max(earlier.high, current.high)


def _deviation(earlier: Earlier, _: Part, value: Optional[float]) -> Optional[float]:
    """Return the distance of a reading from the median of the samples, as a modified z-score without its sign.

    0.6745 |x - median| / MAD; where more than half of the samples are the same value, the mean absolute deviation
    (times 1.253314) stands in for the MAD; None where there is no spread at all. B. Iglewicz and D. Hoaglin, "How to
    Detect and Handle Outliers", ASQC 1993; https://www.ibm.com/docs/en/cognos-analytics/11.1.0?topic=terms-modified-z-score
    """
    history = earlier.samples
    if value is None or len(history) < _MIN_HISTORY:
        return None
    median = statistics.median(history)
    distances = [abs(sample - median) for sample in history]
    mad = statistics.median(distances)
    if mad > 0:
        return 0.6745 * abs(value - median) / mad
    mean = sum(distances) / len(distances)
    return abs(value - median) / (1.253314 * mean) if mean > 0 else None


#: The functions by name. A new one also needs a row in docs/alerting.md.
FUNCTIONS = {
    function.name: function
    for function in (
        Function("rate", "of the metric per minute", _any_number, _rate),
        Function("avg", "of the metric", _as_the_metric, _average),
        Function("min", "of the metric", _as_the_metric, _lowest),
        Function("max", "of the metric", _as_the_metric, _highest),
        Function("deviation", "none", _from_zero, _deviation, history=_MIN_HISTORY),
    )
}
