"""Fast tests of readings, compiled from conditions: every reading of the stream goes through one.

A reading is *quiet* if no comparison of any condition holds for it, comparisons of windows aside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from telemetry.reading.model import STATUSES, Reading
from telemetry.rules.conditions import And, Comparison, Condition, Leaf, Metric, Or, Status, leaves

ReadingTest = Callable[[Reading], bool]

#: A metric, and the lowest and the highest of the values with which no comparison of it holds.
MetricRange = tuple[str, float, float]


def holds(condition: Condition) -> ReadingTest:
    """Return a test whether a condition without windows holds."""
    names: dict[str, object] = {}
    expression = _expression(condition, names)
    test: ReadingTest = _compile(f"lambda reading: {expression}", names)
    return test


def is_quiet(conditions: Iterable[Condition]) -> ReadingTest:
    """Return a test whether a reading is quiet."""
    names: dict[str, object] = {}
    expression = _quiet_expression(list(conditions), names)
    test: ReadingTest = _compile(f"lambda reading: {expression}", names)
    return test


def devices_not_quiet(conditions: Iterable[Condition]) -> Callable[[Sequence[Reading]], list[str]]:
    """Return a function that selects the devices of the readings that are not quiet."""
    names: dict[str, object] = {}
    quiet = _quiet_expression(list(conditions), names)
    devices: Callable[[Sequence[Reading]], list[str]] = _compile(
        f"lambda readings: [reading.device_id for reading in readings if not ({quiet})]", names
    )
    return devices


def quiet_ranges(conditions: Iterable[Condition]) -> tuple[MetricRange, ...]:
    """Return for each metric the values with which no comparison holds; none where low is above high."""
    ranges: dict[str, tuple[float, float]] = {}
    for leaf in _leaves(conditions):
        if isinstance(leaf, Comparison) and isinstance(leaf.subject, Metric):
            low, high = ranges.get(leaf.subject.name, (-math.inf, math.inf))
            # Floats are discrete: x < t is the same as x <= nextafter(t, -inf).
            if leaf.op == ">":
                high = min(high, leaf.threshold)
            elif leaf.op == ">=":
                high = min(high, math.nextafter(leaf.threshold, -math.inf))
            elif leaf.op == "<":
                low = max(low, leaf.threshold)
            else:
                low = max(low, math.nextafter(leaf.threshold, math.inf))
            ranges[leaf.subject.name] = low, high
    return tuple((metric, low, high) for metric, (low, high) in ranges.items())


def matching_statuses(conditions: Iterable[Condition]) -> frozenset[str]:
    """Return the statuses with which any comparison of the status holds."""
    return frozenset(status for leaf in _leaves(conditions) for status in _statuses_of(leaf))


def _statuses_of(leaf: Leaf) -> frozenset[str]:
    if not isinstance(leaf, Status):
        return frozenset()
    return frozenset((leaf.status,)) if leaf.op == "==" else frozenset(STATUSES) - {leaf.status}


def _leaves(conditions: Iterable[Condition]) -> Iterable[Leaf]:
    return (leaf for condition in conditions for leaf in leaves(condition))


def _quiet_expression(conditions: Sequence[Condition], names: dict[str, object]) -> str:
    """Write the test of quietness in Python; its numbers and texts are in ``names``."""
    names["matching"] = statuses = matching_statuses(conditions)
    terms = ["reading.status not in matching"] if statuses else []
    for metric, low, high in quiet_ranges(conditions):
        names |= {f"low_{metric}": low, f"high_{metric}": high}
        terms.append(f"((value := reading.{metric}) is None or low_{metric} <= value <= high_{metric})")
    return " and ".join(terms) or "True"


def _expression(condition: Condition, names: dict[str, object]) -> str:
    """Write a condition in Python; null makes no comparison true. Its numbers and texts are in ``names``."""
    if isinstance(condition, (And, Or)):
        word = " and " if isinstance(condition, And) else " or "
        return "(" + word.join(_expression(term, names) for term in condition.terms) + ")"
    name = f"constant{len(names)}"
    if isinstance(condition, Status):
        names[name] = condition.status
        return f"reading.status {condition.op} {name}"
    if isinstance(condition, Comparison) and isinstance(condition.subject, Metric):
        names[name] = condition.threshold
        return f"((value := reading.{condition.subject.name}) is not None and value {condition.op} {name})"
    raise TypeError(f"a reading alone does not decide {condition}")


def _compile(function: str, names: dict[str, object]) -> Any:
    """Compile a function's text. Walking a condition takes three times as long, for every reading of the stream.

    The text is made of operators and of the names of metrics and constants: nothing of what a person wrote.
    """
    return eval(function, names)  # noqa: S307
