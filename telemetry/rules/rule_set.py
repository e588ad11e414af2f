"""The alert rules, checked and ready to evaluate, and which of them watch a device."""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, Optional

import msgspec

from telemetry.reading.model import Reading
from telemetry.registry.registry import EMPTY, Registry
from telemetry.rules import filters
from telemetry.rules.conditions import Condition, NoData, Rejected, Window, windows
from telemetry.rules.filters import ReadingTest

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
        """``device`` or ``gateway`` for a rule about its silence; None for other rules."""
        return self.when.scope if isinstance(self.when, NoData) else None

    @property
    def by_arrival(self) -> bool:
        """Whether arrivals decide it, not the values of readings: ``no_data`` and ``rejected``."""
        return isinstance(self.when, (NoData, Rejected))

    @property
    def until(self) -> str:
        """Description of what ends its alerts."""
        if isinstance(self.when, Rejected):
            return "readings are accepted again"
        return "readings arrive again" if self.no_data else str(self.clear)

    def rejects(self, reason: str) -> bool:
        """Whether it is about lines that are rejected for this reason."""
        return isinstance(self.when, Rejected) and (not self.when.reasons or reason in self.when.reasons)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows in its conditions, each once."""
        found = (window for condition in (self.when, self.clear) for window in windows(condition))
        return tuple(dict.fromkeys(found))

    def matches(self, device: str, site: str, attributes: Mapping[str, str]) -> bool:
        """Whether the globs match. ``attributes`` are the registry's; a device that is not in it has none."""
        return (
            _matches(self.device, device)
            and _matches(self.site, site)
            and all(name in attributes and _matches(glob, attributes[name]) for name, glob in self.attributes)
        )


def _matches(glob: str, name: str) -> bool:
    return glob == "*" or fnmatch.fnmatchcase(name, glob)


class Inhibition(msgspec.Struct, frozen=True):
    """While a ``source`` rule fires, alerts of ``target`` rules with ``equal`` labels are not reported.

    ``source`` and ``target`` are globs on rule names; ``equal`` are some of ``GROUP_LABELS``.
    """

    source: str
    target: str
    equal: tuple[str, ...]


class Watch(NamedTuple):
    """The rules that watch a device, prepared for its readings.

    - ``rules``: all of them. ``no_data``: those about the device's silence. ``rejected``: those about its rejected
      lines. ``by_readings``: the others, each with a test whether a reading may begin its alert.
    - ``windows``: one for each (metric, seconds) in the rules, ``clear`` conditions included.
    - ``quiet_ranges`` and ``matching_statuses``: a reading is quiet if each metric is null or in its range (metric,
      low, high; both included), and its status is not one of these. Then no comparison of any ``when`` holds, windows
      aside.
    - ``is_quiet``: whether a reading is quiet, so that it can begin no alert. Always False with windows.
    """

    rules: tuple[Rule, ...]
    no_data: tuple[Rule, ...]
    rejected: tuple[Rule, ...]
    by_readings: tuple[tuple[Rule, ReadingTest], ...]
    windows: tuple[Window, ...]
    quiet_ranges: tuple[filters.MetricRange, ...]
    matching_statuses: frozenset[str]
    is_quiet: ReadingTest


class RuleSet:
    """The rules and inhibitions of one file, in its order, and the registry of the devices that they match."""

    def __init__(
        self, rules: Iterable[Rule], inhibitions: Iterable[Inhibition] = (), registry: Registry = EMPTY
    ) -> None:
        self.rules = tuple(rules)
        self.inhibitions = tuple(inhibitions)
        self.registry = registry
        #: The rules about the silence of gateways: they watch no device.
        self.gateway_rules = tuple(rule for rule in self.rules if rule.no_data == "gateway")
        #: Whether any rule is about silence.
        self.watches_silence = any(rule.no_data for rule in self.rules)
        self._rejected_rules = tuple(rule for rule in self.rules if isinstance(rule.when, Rejected))
        has_windows = any(rule.windows for rule in self.rules)
        self._device_rules = tuple(rule for rule in self.rules if rule.no_data != "gateway")
        #: Selects the devices with a reading that is not quiet by the rules of all devices; None where windows are.
        self.devices_not_quiet = (
            None if has_windows else filters.devices_not_quiet([rule.when for rule in self._device_rules])
        )
        self._by_name = {rule.name: rule for rule in self.rules}
        # Matching globs costs more than evaluating the rules, and a device keeps its name and site. Many devices have
        # the same rules, so there are few watches.
        self._watch_of_device: dict[tuple[str, str], Watch] = {}
        self._watch_of_rules: dict[tuple[str, ...], Watch] = {}

    def named(self, name: str) -> Optional[Rule]:
        """Return the rule of this name, if there is one."""
        return self._by_name.get(name)

    def watching(self, device: str, site: str) -> Watch:
        """Return the rules that watch a device at a site."""
        found = self._watch_of_device.get((device, site))
        if found is None:
            if len(self._watch_of_device) >= _REMEMBERED_DEVICES:
                self._watch_of_device.clear()
                self._watch_of_rules.clear()
            found = self._watch_of_device[device, site] = self._watch(device, site)
        return found

    def refuse(self, device: str, site: str, reason: str) -> bool:
        """Return whether a line of a device that is rejected for this reason may begin an alert."""
        return any(
            rule.rejects(reason) and rule.matches(device, site, self.registry.attributes_of(device))
            for rule in self._rejected_rules
        )

    def _watch(self, device: str, site: str) -> Watch:
        attributes = self.registry.attributes_of(device)
        rules = tuple(rule for rule in self._device_rules if rule.matches(device, site, attributes))
        names = tuple(rule.name for rule in rules)
        found = self._watch_of_rules.get(names)
        if found is None:
            found = self._watch_of_rules[names] = _watch(rules)
        return found


def _watch(rules: tuple[Rule, ...]) -> Watch:
    kept = {(window.metric, window.seconds): window for rule in rules for window in rule.windows}
    conditions = [rule.when for rule in rules]
    return Watch(
        rules=rules,
        no_data=tuple(rule for rule in rules if rule.no_data),
        rejected=tuple(rule for rule in rules if isinstance(rule.when, Rejected)),
        by_readings=tuple((rule, _may_begin(rule)) for rule in rules if not rule.by_arrival),
        windows=tuple(kept.values()),
        quiet_ranges=filters.quiet_ranges(conditions),
        matching_statuses=filters.matching_statuses(conditions),
        is_quiet=_never if kept else filters.is_quiet(conditions),
    )


def _may_begin(rule: Rule) -> ReadingTest:
    """Return whether a reading may make the rule's ``when`` true: exactly, unless the rule has windows."""
    return _always if rule.windows else filters.holds(rule.when)


def _always(_: Reading) -> bool:
    return True


def _never(_: Reading) -> bool:
    return False
