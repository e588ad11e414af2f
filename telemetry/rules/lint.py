"""Lint of valid rules: what cannot hold, end or be known, and rules that repeat another one."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional, Union

from telemetry.reading.fields import FIELDS
from telemetry.reading.model import STATUSES
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
    windows,
)
from telemetry.rules.functions import FUNCTIONS, Range
from telemetry.rules.globs import can_both_match
from telemetry.rules.registered import DeviceSet, Registered, Slow, count, globs_of
from telemetry.rules.rule_set import Rule, RuleSet
from telemetry.text.durations import format_duration

_RANGES = {
    field.name: Range(
        -math.inf if field.minimum is None else field.minimum,
        math.inf if field.maximum is None else field.maximum,
    )
    for field in FIELDS
    if field.kind == "number"
}

#: The seconds after ``for`` within which the watchdog declares a silence: a minute of last-seen times not yet written,
#: and one until its next run.
_CLOCK = 120

#: The number of values of an attribute that a message lists.
_SHOWN_VALUES = 5


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
    registered = Registered(rules.registry) if rules.registry.attributes else None
    found = [suspicion for rule in rules.rules for suspicion in (*_of_rule(rule), *_of_devices(rule, registered))]
    comparing = [rule for rule in rules.rules if isinstance(rule.when, Comparison) and can_hold(rule.when)]
    found += filter(None, (_overlap(*pair, registered) for pair in itertools.combinations(comparing, 2)))
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
    if not rule.keep_firing_for and any(window.function == "deviation" for window in windows(rule.clear)):
        yield Suspicion(
            rule.name,
            "deviation compares with the device's own past, which soon has the odd readings in it, so that its alerts "
            "may end while nothing is as it was: give it keep_firing_for",
        )
    if not can_hold(rule.clear):
        yield Suspicion(rule.name, f"{clear} can never hold, so its alerts will never resolve{_bounds(rule.clear)}")


def _of_devices(rule: Rule, registered: Optional[Registered]) -> Iterator[Suspicion]:
    """Return what is suspicious about a rule given the devices that it is about."""
    if registered is None:
        return
    matching = registered.matching(rule)
    if not matching:
        yield Suspicion(rule.name, f"it matches no registered device; {_unmatched(rule, registered)}")
    for window in rule.windows:
        needed = FUNCTIONS[window.function].history
        slow = registered.slow(matching, window.seconds / needed)
        if slow:
            earlier = "another reading" if needed == 1 else f"{needed} other readings"
            yield Suspicion(
                rule.name,
                f"{window} never has a value for {_shown(slow, matching)}: make the window longer than "
                f"{_duration(slow.interval * needed)}, so that it has {earlier} in it",
            )
    if rule.no_data == "device":
        slow = registered.slow(matching, rule.hold_for.total_seconds() + _CLOCK)
        if slow:
            yield Suspicion(
                rule.name,
                f"it fires between two readings of {_shown(slow, matching)}: make for longer than "
                f"{_duration(slow.interval)}",
            )


def _unmatched(rule: Rule, registered: Registered) -> str:
    """Say which glob of a rule none of the registered devices is like."""
    for key, glob in globs_of(rule):
        if not registered.having(key, glob):
            values = [value for value in registered.values_of(key) if value]
            known = ", ".join(values[:_SHOWN_VALUES]) + (", …" if len(values) > _SHOWN_VALUES else "")
            return f"none has a {key} like {glob!r}: " + (f"there are {known}" if values else "it is empty for all")
    return "each of its globs (match) matches some, but no device has them all"


def _shown(slow: Slow, matching: DeviceSet) -> str:
    every = f"which reports every {_duration(slow.interval)}"
    if slow.devices == count(matching) == 1:
        return f"the device {slow.example}, {every}"
    return f"{slow.devices:,} of the {count(matching):,} devices, such as {slow.example}, {every}"


def _duration(seconds: float) -> str:
    return format_duration(dt.timedelta(seconds=math.ceil(seconds)))


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


def _overlap(one: Rule, other: Rule, registered: Optional[Registered]) -> Optional[Suspicion]:
    """Find two rules of one severity of which one fires wherever the other does."""
    a, b = one.when, other.when
    if not (isinstance(a, Comparison) and isinstance(b, Comparison)):
        return None
    if one.severity != other.severity or a.subject != b.subject or a.op[0] != b.op[0]:
        return None
    if not (can_both_match(one.device, other.device) and can_both_match(one.site, other.site)):
        return None
    # Devices that are not registered have no attributes, so such rules match none of them.
    of_registered = one.attributes or other.attributes
    if of_registered and not (registered and registered.matching(one) & registered.matching(other)):
        return None
    narrow, wide = (one, other) if _satisfying(a).within(_satisfying(b)) == _satisfying(a) else (other, one)
    return Suspicion(
        narrow.name,
        f"wherever it holds ({narrow.when}), rule {wide.name!r} does too ({wide.when}), and both are {one.severity}: "
        "one device will have two alerts; give one another severity, or devices of its own (match)",
    )
