"""The alert rules, checked and ready to evaluate: who is watched by which, and what is worth a closer look."""

from __future__ import annotations

import datetime as dt
import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Optional

import msgspec

from telemetry.reading.model import STATUSES, Reading
from telemetry.registry.registry import EMPTY, Registry
from telemetry.rules.conditions import And, Comparison, Condition, Leaf, Metric, NoData, Or, Status, Window, leaves

Severity = Literal["info", "warning", "critical", "page"]

#: The severities, from the least to the most severe.
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical", "page")

#: What alerts can be grouped by, and what an inhibition can ask to be equal.
GROUP_LABELS = ("rule", "site", "gateway", "device", "severity")

#: How many devices' rules are remembered: some 20 MB of a function's memory at most.
_REMEMBERED_DEVICES = 100_000


class Escalation(msgspec.Struct, frozen=True):
    """An alert that has been firing for ``after`` becomes this severe."""

    after: dt.timedelta
    to: Severity


class Flapping(msgspec.Struct, frozen=True):
    """An alert with more than ``changes`` firings and resolutions within ``window`` is flapping."""

    changes: int
    window: dt.timedelta


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: fires when ``when`` has held for ``hold_for``, resolves when ``clear`` holds.

    ``device`` and ``site`` are globs, ``attributes`` names of the registry's with a glob each. An empty ``summary``
    stands for the usual one. See :mod:`telemetry.rules.parse`.
    """

    name: str
    when: Condition
    clear: Condition
    hold_for: dt.timedelta
    keep_firing_for: dt.timedelta
    severity: Severity
    escalate: Optional[Escalation]
    summary: str
    runbook: str
    device: str
    site: str
    attributes: tuple[tuple[str, str], ...] = ()
    repeat_interval: dt.timedelta
    group_wait: dt.timedelta
    group_interval: dt.timedelta
    group_by: tuple[str, ...]
    flapping: Flapping

    @property
    def no_data(self) -> Optional[Literal["device", "gateway"]]:
        """Whose silence the rule is about, if it is about silence."""
        return self.when.scope if isinstance(self.when, NoData) else None

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows whose values its conditions need, each once."""
        found = (window for condition in (self.when, self.clear) for window in _windows(condition))
        return tuple(dict.fromkeys(found))

    def matches(self, device: str, site: str, attributes: Mapping[str, str]) -> bool:
        """Whether the globs match; ``attributes`` are those of the registry, none of a device that is not in it."""
        return (
            _matches(self.device, device)
            and _matches(self.site, site)
            and all(name in attributes and _matches(glob, attributes[name]) for name, glob in self.attributes)
        )


def _matches(glob: str, name: str) -> bool:
    return glob == "*" or fnmatch.fnmatchcase(name, glob)


class Inhibition(msgspec.Struct, frozen=True):
    """While a ``source`` rule fires, alerts of ``target`` rules with ``equal`` labels are not told.

    ``source`` and ``target`` are globs on rule names; ``equal`` are some of ``GROUP_LABELS``.
    """

    source: str
    target: str
    equal: tuple[str, ...]


class Watch(NamedTuple):
    """What watches a device.

    A reading is quiet if for each (metric, low, high) of ``ranges`` its value is null or within, both ends included,
    and its status is none of ``loud_statuses``: then no comparison of any ``when`` holds, but for those of
    ``windows``, which are not asked. The windows are one for each (metric, seconds), of ``clear`` conditions too.
    ``no_data`` are those of the rules that are about the device's silence. ``is_quiet`` says of a reading whether it is
    quiet and there is no window, so that it can begin no alert. ``judged`` are the rules that readings decide, each
    with whether a reading may begin its alert.
    """

    rules: tuple[Rule, ...]
    windows: tuple[Window, ...]
    no_data: tuple[Rule, ...]
    ranges: tuple[tuple[str, float, float], ...]
    loud_statuses: frozenset[str]
    is_quiet: Callable[[Reading], bool]
    judged: tuple[tuple[Rule, Callable[[Reading], bool]], ...]


class RuleSet:
    """The rules and inhibitions of one file, in its order, and the registry that says which devices they are about."""

    def __init__(
        self, rules: Iterable[Rule], inhibitions: Iterable[Inhibition] = (), registry: Registry = EMPTY
    ) -> None:
        self.rules = tuple(rules)
        self.inhibitions = tuple(inhibitions)
        self.registry = registry
        #: The rules about the silence of gateways: they watch no device.
        self.gateway_rules = tuple(rule for rule in self.rules if rule.no_data == "gateway")
        #: Whether any rule is about silence, and whether any needs what devices said recently at all: soft state.
        self.minds_silence = any(rule.no_data for rule in self.rules)
        self.soft = self.minds_silence or any(rule.windows for rule in self.rules)
        self._device_rules = tuple(rule for rule in self.rules if rule.no_data != "gateway")
        #: The devices of those readings that are not quiet by the rules of all devices; None where there are windows.
        self.loud = None if any(rule.windows for rule in self.rules) else _loud(self._device_rules)
        self._by_name = {rule.name: rule for rule in self.rules}
        # Matching globs costs more than evaluating the rules, and a device keeps its name and place. There are many
        # devices and few sets of rules that watch one.
        self._watching: dict[tuple[str, str], Watch] = {}
        self._watches: dict[tuple[str, ...], Watch] = {}

    def named(self, name: str) -> Optional[Rule]:
        """The rule of this name, if there is one."""
        return self._by_name.get(name)

    def watching(self, device: str, site: str) -> Watch:
        """What watches a device at a site."""
        found = self._watching.get((device, site))
        if found is None:
            if len(self._watching) >= _REMEMBERED_DEVICES:
                self._watching.clear()
                self._watches.clear()
            found = self._watching[device, site] = self._watch(device, site)
        return found

    def _watch(self, device: str, site: str) -> Watch:
        attributes = self.registry.attributes_of(device)
        rules = tuple(rule for rule in self._device_rules if rule.matches(device, site, attributes))
        names = tuple(rule.name for rule in rules)
        found = self._watches.get(names)
        if found is None:
            found = self._watches[names] = _watch(rules)
        return found


def _watch(rules: tuple[Rule, ...]) -> Watch:
    windows = {(window.metric, window.seconds): window for rule in rules for window in rule.windows}
    parts = [leaf for rule in rules for leaf in leaves(rule.when)]
    ranges, loud_statuses = _ranges(parts), _loud_statuses(parts)
    names: dict[str, object] = {}
    return Watch(
        rules=rules,
        windows=tuple(windows.values()),
        no_data=tuple(rule for rule in rules if rule.no_data),
        ranges=ranges,
        loud_statuses=loud_statuses,
        is_quiet=_not_quiet if windows else _test(_quiet(ranges, loud_statuses, names), names),
        judged=tuple((rule, _may_begin(rule)) for rule in rules if not rule.no_data),
    )


def _not_quiet(_: Reading) -> bool:
    return False


def _may_begin(rule: Rule) -> Callable[[Reading], bool]:
    """Whether a reading may make the rule's ``when`` true: exactly, unless the rule has windows."""
    if rule.windows:
        return lambda _: True
    names: dict[str, object] = {}
    return _test(_expression(rule.when, names), names)


def _expression(condition: Condition, names: dict[str, object]) -> str:
    """A condition in Python; what is null makes no comparison true. Its numbers and texts are in ``names``."""
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
    raise TypeError(f"{condition} is not about a reading alone")


def _loud_statuses(parts: Iterable[Leaf]) -> frozenset[str]:
    return frozenset(status for leaf in parts for status in statuses_of(leaf))


def _loud(rules: Iterable[Rule]) -> Callable[[Sequence[Reading]], list[str]]:
    parts = [leaf for rule in rules for leaf in leaves(rule.when)]
    names: dict[str, object] = {}
    quiet = _quiet(_ranges(parts), _loud_statuses(parts), names)
    devices: Callable[[Sequence[Reading]], list[str]] = _compiled(
        f"lambda readings: [reading.device_id for reading in readings if not ({quiet})]", names
    )
    return devices


def _quiet(ranges: Iterable[tuple[str, float, float]], loud_statuses: frozenset[str], names: dict[str, object]) -> str:
    """The test of a reading's quietness, in Python; its numbers and texts are in ``names``."""
    names["loud"] = loud_statuses
    terms = ["reading.status not in loud"] if loud_statuses else []
    for metric, low, high in ranges:
        names |= {f"low_{metric}": low, f"high_{metric}": high}
        terms.append(f"((value := reading.{metric}) is None or low_{metric} <= value <= high_{metric})")
    return " and ".join(terms) or "True"


def _test(expression: str, names: dict[str, object]) -> Callable[[Reading], bool]:
    test: Callable[[Reading], bool] = _compiled(f"lambda reading: {expression}", names)
    return test


def _compiled(function: str, names: dict[str, object]) -> Any:
    """A function of Python's text. Walking a condition takes thrice as long, and every reading of the stream is tested.

    The text is made of operators and of the names of metrics and constants: nothing of what a person wrote.
    """
    return eval(function, names)  # noqa: S307


def _ranges(parts: Iterable[Leaf]) -> tuple[tuple[str, float, float], ...]:
    """For each metric the values that make none of the comparisons true; none at all where low is above high."""
    ranges: dict[str, tuple[float, float]] = {}
    for leaf in parts:
        if isinstance(leaf, Comparison) and isinstance(leaf.subject, Metric):
            low, high = ranges.get(leaf.subject.name, (-math.inf, math.inf))
            # Numbers are discrete: what is less than one is at most the number before it.
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


def statuses_of(leaf: Leaf) -> frozenset[str]:
    """The statuses with which a comparison of the status holds; none for other comparisons."""
    if not isinstance(leaf, Status):
        return frozenset()
    return frozenset((leaf.status,)) if leaf.op == "==" else frozenset(STATUSES) - {leaf.status}


def _windows(condition: Condition) -> Iterable[Window]:
    subjects = (leaf.subject for leaf in leaves(condition) if isinstance(leaf, Comparison))
    return (subject for subject in subjects if isinstance(subject, Window))
