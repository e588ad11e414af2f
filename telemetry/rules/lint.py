"""What is suspicious in rules that are valid: what cannot hold, cannot end, or says what another rule says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Optional, Union

from telemetry.reading.fields import FIELDS
from telemetry.reading.model import STATUSES
from telemetry.registry.registry import Registry
from telemetry.rules.conditions import And, Comparison, Condition, Metric, NoData, Or, Status, Window, leaves, negate
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
    """What is odd about a rule, and why: for a person."""

    rule: str
    message: str

    def __str__(self) -> str:
        return f"rule {self.rule!r}: {self.message}"


#: What is left of each thing that conditions speak of: a span of a metric's or window's values, the statuses.
_Left = Mapping[Union[Metric, Window, str], Union[Range, frozenset[str]]]


def lint(rules: RuleSet) -> list[Suspicion]:
    """What is suspicious, rule by rule in the order of the file. Each is certain, but not all that is odd is found."""
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

    Windows are taken to be independent of each other and of the reading, so a True may be too kind; a False is not.
    """
    return _satisfiable([condition], {})


def _of_rule(rule: Rule) -> Iterator[Suspicion]:
    if rule.no_data:
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
    """What readings can have of the things that a condition speaks of."""
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


def _satisfiable(goals: list[Condition], left: _Left) -> bool:
    """Whether all goals can hold with what is left; alternatives are tried one after the other."""
    if not goals:
        return True
    goal, rest = goals[0], goals[1:]
    if isinstance(goal, And):
        return _satisfiable([*goal.terms, *rest], left)
    if isinstance(goal, Or):
        return any(_satisfiable([term, *rest], left) for term in goal.terms)
    if isinstance(goal, NoData):
        return True
    less = _restrict(left, goal)
    return less is not None and _satisfiable(rest, less)


def _restrict(left: _Left, leaf: Union[Comparison, Status]) -> Optional[_Left]:
    """What is left where the leaf holds; None for nothing."""
    if isinstance(leaf, Status):
        named = frozenset((leaf.status,))
        statuses = left.get("status", frozenset(STATUSES))
        statuses = statuses & named if leaf.op == "==" else statuses - named  # type: ignore[operator]
        return {**left, "status": statuses} if statuses else None
    known = left.get(leaf.subject) or _range_of(leaf.subject)
    span = _span(leaf).within(known)  # type: ignore[arg-type]
    return {**left, leaf.subject: span} if span.low <= span.high else None


def _span(leaf: Comparison) -> Range:
    """The values that satisfy a comparison: floats are discrete, so an open end is the closed one beside it."""
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
    """The registered devices that all of the rules match."""
    for name, device in registry.devices.items():
        if all(rule.matches(name, device.site, device.attributes) for rule in rules):
            yield name


def _overlap(one: Rule, other: Rule, registry: Registry) -> Optional[Suspicion]:
    """Where both rules have a severity in common and one fires wherever the other does."""
    a, b = one.when, other.when
    if not (isinstance(a, Comparison) and isinstance(b, Comparison)):
        return None
    if one.severity != other.severity or a.subject != b.subject or a.op[0] != b.op[0]:
        return None
    if not (can_both_match(one.device, other.device) and can_both_match(one.site, other.site)):
        return None
    # What is not registered has no attributes, so these rules are about no device but those.
    if (one.attributes or other.attributes) and not any(_registered((one, other), registry)):
        return None
    if not (can_hold(a) and can_hold(b)):
        return None
    narrow, wide = (one, other) if _span(a).within(_span(b)) == _span(a) else (other, one)
    return Suspicion(
        narrow.name,
        f"wherever it holds ({narrow.when}), rule {wide.name!r} does too ({wide.when}), and both are {one.severity}: "
        "one device will have two alerts; give one another severity, or devices of its own (match)",
    )
