"""The alert rules, checked and ready to evaluate: who is watched by which, and what is worth a closer look."""

from __future__ import annotations

import datetime as dt
import fnmatch
import math
from collections.abc import Iterable
from typing import Literal, NamedTuple, Optional

import msgspec

from telemetry.conditions import Comparison, Condition, Leaf, Metric, NoData, Status, Window, leaves
from telemetry.fields import FIELDS

Severity = Literal["info", "warning", "critical", "page"]

#: The severities, from the least to the most severe.
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical", "page")

#: What alerts can be grouped by, and what an inhibition can ask to be equal.
GROUP_LABELS = ("rule", "site", "gateway", "device", "severity")

#: How many devices' rules are remembered: some 20 MB of a function's memory at most.
_REMEMBERED_DEVICES = 100_000

_STATUSES = frozenset(next(field.choices for field in FIELDS if field.name == "status"))


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

    ``device`` and ``site`` are globs. An empty ``summary`` stands for the usual one. See :mod:`telemetry.rules`.
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

    def matches(self, device: str, site: str) -> bool:
        """Whether the globs match."""
        return fnmatch.fnmatchcase(device, self.device) and fnmatch.fnmatchcase(site, self.site)


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
    ``no_data`` are those of the rules that are about the device's silence.
    """

    rules: tuple[Rule, ...]
    windows: tuple[Window, ...]
    no_data: tuple[Rule, ...]
    ranges: tuple[tuple[str, float, float], ...]
    loud_statuses: frozenset[str]


class RuleSet:
    """The rules and inhibitions of one file, in its order."""

    def __init__(self, rules: Iterable[Rule], inhibitions: Iterable[Inhibition] = ()) -> None:
        self.rules = tuple(rules)
        self.inhibitions = tuple(inhibitions)
        #: The rules about the silence of gateways: they watch no device.
        self.gateway_rules = tuple(rule for rule in self.rules if rule.no_data == "gateway")
        #: Whether any rule needs what devices said recently: soft state.
        self.soft = any(rule.windows or rule.no_data for rule in self.rules)
        self._device_rules = tuple(rule for rule in self.rules if rule.no_data != "gateway")
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
        rules = tuple(rule for rule in self._device_rules if rule.matches(device, site))
        names = tuple(rule.name for rule in rules)
        found = self._watches.get(names)
        if found is None:
            found = self._watches[names] = _watch(rules)
        return found


def _watch(rules: tuple[Rule, ...]) -> Watch:
    windows = {(window.metric, window.seconds): window for rule in rules for window in rule.windows}
    parts = [leaf for rule in rules for leaf in leaves(rule.when)]
    return Watch(
        rules=rules,
        windows=tuple(windows.values()),
        no_data=tuple(rule for rule in rules if rule.no_data),
        ranges=_ranges(parts),
        loud_statuses=frozenset(status for leaf in parts for status in statuses_of(leaf)),
    )


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
    return frozenset((leaf.status,)) if leaf.op == "==" else _STATUSES - {leaf.status}


def _windows(condition: Condition) -> Iterable[Window]:
    subjects = (leaf.subject for leaf in leaves(condition) if isinstance(leaf, Comparison))
    return (subject for subject in subjects if isinstance(subject, Window))
