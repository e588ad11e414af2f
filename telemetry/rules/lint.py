"""Lint of valid rules: conditions that cannot hold or cannot end, and rules that repeat another one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Optional, Union

from telemetry.reading.fields import FIELDS
from telemetry.reading.model import STATUSES
from telemetry.registry.registry import Registry
from telemetry.rules.conditions import (
    And,
    Comparison,
    Condition,
    Metric,
    NoData,
    Or,
    Rejected,
    Status,
    Window,
    leaves,
    negate,
)
from telemetry.rules.functions import FUNCTIONS, Range
from telemetry.rules.globs import can_both_match
from telemetry.rules.rule_set import Rule, RuleSet

_RANGES = {
    field.name: Range(
        -math.inf if field.minimum is None else field.minimum,
        math.inf if field.maximum is None else field.maximum,
    )
    for field in FIELDS
    if field.kind == "number"
}


class Suspicion(NamedTuple):
    """A rule that may be a mistake, and why."""

    rule: str
    message: str

    def __str__(self) -> str:
        return f"rule {self.rule!r}: {self.message}"


#: Feasible values per metric, window and status (under the key ``status``).
_Feasible = Mapping[Union[Metric, Window, str], Union[Range, frozenset[str]]]


def lint(rules: RuleSet) -> list[Suspicion]:
    """Return what is suspicious, in the order of the rules. Each is certain, but not every mistake is found."""
    found = [suspicion for rule in rules.rules for suspicion in _of_rule(rule)]
    if rules.registry.attributes:
        found += [
            Suspicion(rule.name, "it matches no registered device; look at its match, and at the registry")
            for rule in rules.rules
            if not any(_registered((rule,), rules.registry))
        ]
    for one, other in itertools.combinations(rules.rules, 2):
        overlap = _overlap(one, other, rules.registry)
        if overlap:
            found.append(overlap)
    order = {rule.name: place for place, rule in enumerate(rules.rules)}
    return sorted(found, key=lambda suspicion: order[suspicion.rule])


def can_hold(condition: Condition) -> bool:
    """Whether some reading within the bounds of :class:`~telemetry.reading.model.Reading` makes the condition true.

    Windows are taken to be independent of each other and of the reading: a False is certain, a True is not.
    """
    return _satisfiable([condition], {})


def _of_rule(rule: Rule) -> Iterator[Suspicion]:
    if rule.by_arrival:
        return
    when, clear = f"when ({rule.when})", f"clear ({rule.clear})"
    if not can_hold(rule.when):
        yield Suspicion(rule.name, f"{when} can never hold, so it will never fire{_bounds(rule.when)}")
        return
    if not can_hold(negate(rule.when)):
        yield Suspicion(rule.name, f"{when} holds for every reading that has the values{_bounds(rule.when)}")
    if not can_hold(rule.clear):
        yield Suspicion(rule.name, f"{clear} can never hold, so its alerts will never resolve{_bounds(rule.clear)}")


def _bounds(condition: Condition) -> str:
    """Describe the values that readings can have in a condition's metrics, windows and status."""
    said: dict[str, None] = {}
    for leaf in leaves(condition):
        if isinstance(leaf, Status):
            said[f"status is {', '.join(STATUSES)}"] = None
        elif isinstance(leaf, Comparison) and math.isfinite(_range_of(leaf.subject).low):
            low, high = _range_of(leaf.subject)
            said[
                f"{leaf.subject} is " + (f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}")
            ] = None
    return f" ({'; '.join(said)})" if said else ""


def _satisfiable(goals: list[Condition], feasible: _Feasible) -> bool:
    """Whether all goals can hold with feasible values; alternatives are tried one after the other."""
    if not goals:
        return True
    goal, rest = goals[0], goals[1:]
    if isinstance(goal, And):
        return _satisfiable([*goal.terms, *rest], feasible)
    if isinstance(goal, Or):
        return any(_satisfiable([term, *rest], feasible) for term in goal.terms)
    if isinstance(goal, (NoData, Rejected)):
        return True
    fewer = _restrict(feasible, goal)
    return fewer is not None and _satisfiable(rest, fewer)


def _restrict(feasible: _Feasible, leaf: Union[Comparison, Status]) -> Optional[_Feasible]:
    """Return the feasible values with which the leaf holds, too; None if there are none."""
    if isinstance(leaf, Status):
        named = frozenset((leaf.status,))
        statuses = feasible.get("status", frozenset(STATUSES))
        statuses = statuses & named if leaf.op == "==" else statuses - named  # type: ignore[operator]
        return {**feasible, "status": statuses} if statuses else None
    known = feasible.get(leaf.subject) or _range_of(leaf.subject)
    both = _satisfying(leaf).within(known)  # type: ignore[arg-type]
    return {**feasible, leaf.subject: both} if both.low <= both.high else None


def _satisfying(leaf: Comparison) -> Range:
    """Return the values that satisfy a comparison."""
    # Floats are discrete: x < t is the same as x <= nextafter(t, -inf).
    if leaf.op == ">":
        return Range(math.nextafter(leaf.threshold, math.inf), math.inf)
    if leaf.op == ">=":
        return Range(leaf.threshold, math.inf)
    if leaf.op == "<":
        return Range(-math.inf, math.nextafter(leaf.threshold, -math.inf))
    return Range(-math.inf, leaf.threshold)


def _range_of(subject: Union[Metric, Window]) -> Range:
    if isinstance(subject, Metric):
        return _RANGES[subject.name]
    return FUNCTIONS[subject.function].values(_RANGES[subject.metric])


def _registered(rules: Sequence[Rule], registry: Registry) -> Iterator[str]:
    """Return the registered devices that all of the rules match."""
    for name, device in registry.devices.items():
        if all(rule.matches(name, device.site, device.attributes) for rule in rules):
            yield name


def _overlap(one: Rule, other: Rule, registry: Registry) -> Optional[Suspicion]:
    """Find two rules of one severity of which one fires wherever the other does."""
    a, b = one.when, other.when
    if not (isinstance(a, Comparison) and isinstance(b, Comparison)):
        return None
    if one.severity != other.severity or a.subject != b.subject or a.op[0] != b.op[0]:
        return None
    if not (can_both_match(one.device, other.device) and can_both_match(one.site, other.site)):
        return None
    # Devices that are not registered have no attributes, so such rules match none of them.
    if (one.attributes or other.attributes) and not any(_registered((one, other), registry)):
        return None
    if not (can_hold(a) and can_hold(b)):
        return None
    narrow, wide = (one, other) if _satisfying(a).within(_satisfying(b)) == _satisfying(a) else (other, one)
    return Suspicion(
        narrow.name,
        f"wherever it holds ({narrow.when}), rule {wide.name!r} does too ({wide.when}), and both are {one.severity}: "
        "one device will have two alerts; give one another severity, or devices of its own (match)",
    )
