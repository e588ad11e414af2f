"""The rules file: parse what a person writes in ``rules.yaml``, check it and make rules of it.

::

    defaults: {severity: warning, for: 0s, keep_firing_for: 0s, repeat_interval: 4h, group_by: [site, rule],
               group_wait: 5s, group_interval: 5m, flapping: {changes: 6, window: 30m}}     # each may be in a rule too
    inhibit:
      - {source: gateway-down, target: "*", equal: [gateway]}     # globs on rule names
    rules:
      - name: freezer-warm
        match: {site: "cold-*", model: freezer}   # globs on device, site and attributes of the registry; left out: all
        when: temperature > -15                # telemetry.rules.conditions says what can stand here
        clear: temperature < -17               # hysteresis; without it, the opposite of "when"
        for: 2m                                # how long "when" has to hold
        keep_firing_for: 5m                    # how long "clear" has to hold
        severity: critical                     # info, warning, critical, page
        escalate: {after: 15m, to: page}
        summary: "{device_id} at {value:.1f} °C"
        runbook: docs/runbooks/freezer-warm.md
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from typing import NamedTuple, Optional, Union

from telemetry.registry.registry import EMPTY, Registry
from telemetry.rules.condition_parser import parse_condition
from telemetry.rules.conditions import Comparison, Condition, ConditionError, NoData, Rejected, Status, negate
from telemetry.rules.filters import matching_statuses
from telemetry.rules.rule_set import (
    GROUP_LABELS,
    SEVERITIES,
    Escalation,
    Flapping,
    Inhibition,
    Rule,
    RuleSet,
    Severity,
)
from telemetry.rules.schema import EscalationSection, InhibitionSection, RuleSection, SettingsSection, read_file
from telemetry.rules.summaries import check_summary
from telemetry.text.durations import parse_duration
from telemetry.text.errors import MistakesError, TextError
from telemetry.text.yaml_text import Path, YamlText

#: Last-seen times are written once a minute: a shorter silence looks like a healthy device.
MIN_SILENCE = dt.timedelta(minutes=1)

#: The watchdog runs once a minute.
MIN_REPEAT_INTERVAL = dt.timedelta(minutes=1)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class _Settings(NamedTuple):
    """The checked settings of ``defaults``, or of a rule."""

    severity: Severity = "warning"
    hold_for: dt.timedelta = dt.timedelta(0)
    keep_firing_for: dt.timedelta = dt.timedelta(0)
    repeat_interval: dt.timedelta = dt.timedelta(hours=4)
    group_by: tuple[str, ...] = ("site", "rule")
    group_wait: dt.timedelta = dt.timedelta(seconds=5)
    group_interval: dt.timedelta = dt.timedelta(minutes=5)
    flapping: Flapping = Flapping(changes=6, window=dt.timedelta(minutes=30))


def parse_rules(text: Union[str, bytes], registry: Registry = EMPTY) -> RuleSet:
    """Parse the rules in a YAML text, which can match by the attributes of a registry; raise :class:`TextError`."""
    return _RulesReader(YamlText(text), registry).rule_set()


class _RulesReader:
    """Makes rules of the sections of a file, and notes each mistake at its place, so that all are reported."""

    def __init__(self, text: YamlText, registry: Registry) -> None:
        self._text = text
        self._registry = registry
        self._file = read_file(text)
        self._mistakes = list(self._file.mistakes)

    def rule_set(self) -> RuleSet:
        """Return the rules and inhibitions; raise :class:`MistakesError`."""
        noted = len(self._mistakes)
        defaults = self._settings(("defaults",), self._file.defaults, _Settings())
        certain = len(self._mistakes) == noted
        self._check_names()
        rules = [
            self._rule(("rules", index), section, defaults, certain=certain and index not in self._file.broken)
            for index, section in self._file.rules.items()
        ]
        inhibitions = [self._inhibition(("inhibit", index), section) for index, section in self._file.inhibit.items()]
        if self._mistakes:
            raise MistakesError(self._mistakes)
        return RuleSet(filter(None, rules), inhibitions, self._registry)

    def _note(self, path: Path, message: str, *, at_key: bool = False, offset: Optional[int] = None) -> None:
        self._mistakes.append(self._text.error(path, message, at_key=at_key, offset=offset))

    def _check_names(self) -> None:
        names: set[str] = set()
        for index, section in self._file.rules.items():
            if not _NAME.fullmatch(section.name):
                self._note(("rules", index, "name"), "a name is 1 to 63 of a-z, 0-9 and -, and does not begin with -")
            if section.name in names:
                self._note(("rules", index, "name"), "the name is used twice; each rule needs its own")
            names.add(section.name)

    def _settings(self, path: Path, section: SettingsSection, base: _Settings) -> _Settings:
        def duration(key: str, text: Optional[str], otherwise: dt.timedelta) -> dt.timedelta:
            return self._duration((*path, key), text, otherwise)

        repeat_interval = duration("repeat_interval", section.repeat_interval, base.repeat_interval)
        if section.repeat_interval is not None and repeat_interval < MIN_REPEAT_INTERVAL:
            self._note((*path, "repeat_interval"), "at least 1m: the watchdog runs once a minute")
        changes, window = section.flapping.changes, section.flapping.window
        return _Settings(
            severity=self._severity((*path, "severity"), section.severity, base.severity),
            hold_for=duration("for", section.hold_for, base.hold_for),
            keep_firing_for=duration("keep_firing_for", section.keep_firing_for, base.keep_firing_for),
            repeat_interval=repeat_interval,
            group_by=base.group_by if section.group_by is None else self._labels((*path, "group_by"), section.group_by),
            group_wait=duration("group_wait", section.group_wait, base.group_wait),
            group_interval=duration("group_interval", section.group_interval, base.group_interval),
            flapping=Flapping(
                changes=base.flapping.changes if changes is None else changes,
                window=self._duration((*path, "flapping", "window"), window, base.flapping.window),
            ),
        )

    def _rule(self, path: Path, section: RuleSection, defaults: _Settings, *, certain: bool) -> Optional[Rule]:
        """Return a rule, None if it has no condition; ``certain`` is whether no setting of it is known to be wrong."""
        noted = len(self._mistakes)
        settings = self._settings(path, section, defaults)
        certain = certain and len(self._mistakes) == noted
        when = self._condition((*path, "when"), section.when)
        clear = self._clear(path, section, when)
        match = self._match((*path, "match"), section.match)
        if isinstance(when, NoData):
            self._check_silence(path, section, when, settings if certain else None)
        try:
            check_summary(section.summary)
        except TextError as error:
            self._note((*path, "summary"), str(error))
        escalate = self._escalation((*path, "escalate"), section.escalate, settings.severity if certain else None)
        if when is None or clear is None:
            return None
        return Rule(
            name=section.name,
            when=when,
            clear=clear,
            escalate=escalate,
            summary=section.summary,
            runbook=section.runbook,
            device=match.pop("device", "*"),
            site=match.pop("site", "*"),
            attributes=tuple(match.items()),
            **settings._asdict(),
        )

    def _match(self, path: Path, globs: dict[str, str]) -> dict[str, str]:
        known = ("device", "site", *self._registry.attributes)
        for key in globs:
            if key not in known:
                message = f"the registry has no such attribute; rules can match by {', '.join(known)}"
                if not self._registry.attributes:
                    message = (
                        "rules match by device and site where no registry of devices was applied: "
                        "iot registry apply FILE (before that: iot rules check --registry FILE)"
                    )
                self._note((*path, key), message, at_key=True)
        return dict(globs)

    def _clear(self, path: Path, section: RuleSection, when: Optional[Condition]) -> Optional[Condition]:
        path = (*path, "clear")
        by_arrival = isinstance(when, (NoData, Rejected))
        if section.clear is None:
            return when if when is None or by_arrival else negate(when)
        if by_arrival:
            ends = "arrive" if isinstance(when, NoData) else "are accepted"
            self._note(path, f"{when} ends when readings {ends} again; leave clear out", at_key=True)
            return None
        clear = self._condition(path, section.clear)
        if isinstance(clear, (NoData, Rejected)):
            self._note(path, f"{clear} can only begin an alert; write it under when")
        elif when and clear and _overlap(when, clear):
            self._note(path, f"{clear} does not lie on the other side of when ({when})")
        return clear

    def _check_silence(self, path: Path, section: RuleSection, when: NoData, settings: Optional[_Settings]) -> None:
        if settings and settings.hold_for < MIN_SILENCE:
            where = (*path, "when" if section.hold_for is None else "for")
            self._note(where, 'no_data needs a "for" of at least 1m: arrivals are known to the minute')
        of_devices = [key for key, glob in section.match.items() if key != "site" and (key, glob) != ("device", "*")]
        if when.scope == "gateway" and of_devices:
            self._note(
                (*path, "match", of_devices[0]),
                "no_data(gateway) is about gateways, not devices; match it by site only",
            )

    def _escalation(
        self, path: Path, section: Optional[EscalationSection], severity: Optional[Severity]
    ) -> Optional[Escalation]:
        if section is None:
            return None
        to = self._severity((*path, "to"), section.to, "page")
        if severity and to == section.to and SEVERITIES.index(to) <= SEVERITIES.index(severity):
            self._note((*path, "to"), f"{to} is not above the rule's severity, {severity}")
        return Escalation(self._duration((*path, "after"), section.after, dt.timedelta(0)), to)

    def _inhibition(self, path: Path, section: InhibitionSection) -> Inhibition:
        for key, glob in (("source", section.source), ("target", section.target)):
            if not fnmatch.filter(self._file.names, glob):
                self._note((*path, key), f"no rule has a name like {glob!r}")
        equal = self._labels((*path, "equal"), section.equal)
        if not equal:
            self._note((*path, "equal"), f"name at least one of {', '.join(GROUP_LABELS)}")
        return Inhibition(section.source, section.target, equal)

    def _condition(self, path: Path, text: str) -> Optional[Condition]:
        try:
            return parse_condition(text)
        except ConditionError as error:
            self._note(path, error.message, offset=error.offset)
            return None

    def _duration(self, path: Path, text: Optional[str], otherwise: dt.timedelta) -> dt.timedelta:
        try:
            return otherwise if text is None else parse_duration(text)
        except TextError as error:
            self._note(path, str(error))
            return otherwise

    def _severity(self, path: Path, text: Optional[str], otherwise: Severity) -> Severity:
        if text is None or text in SEVERITIES:
            return text or otherwise
        self._note(path, f"there is no severity {text!r}; there are {', '.join(SEVERITIES)}")
        return otherwise

    def _labels(self, path: Path, texts: list[str]) -> tuple[str, ...]:
        for index, text in enumerate(texts):
            if text not in GROUP_LABELS:
                self._note((*path, index), f"there is no label {text!r}; there are {', '.join(GROUP_LABELS)}")
            elif text in texts[:index]:
                self._note((*path, index), f"{text} is given twice")
        return tuple(texts)


def _overlap(when: Condition, clear: Condition) -> bool:
    """Whether both can hold at once, for single comparisons of the same thing; False for other conditions."""
    if isinstance(when, Status) and isinstance(clear, Status):
        return bool(matching_statuses([when]) & matching_statuses([clear]))
    if not (isinstance(when, Comparison) and isinstance(clear, Comparison)) or when.subject != clear.subject:
        return False
    if when.op[0] == clear.op[0]:
        return True
    low, high = (when, clear) if when.op[0] == ">" else (clear, when)
    return low.threshold < high.threshold or (low.threshold == high.threshold and low.op == ">=" and high.op == "<=")
