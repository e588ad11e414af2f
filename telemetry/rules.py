"""Alert rules: what a person writes in ``rules.yaml``, checked and made ready to evaluate.

::

    defaults: {severity: warning}
    rules:
      - name: too-hot
        match: {site: "plant-*", device: "*"}      # globs; what is left out matches everything
        when: temperature > 40                     # a metric against a number
        clear: temperature < 38                    # hysteresis; without it, the opposite of "when"
        severity: critical
        summary: "{device} at {value:.1f}, limit {threshold}"
        runbook: docs/runbooks/too-hot.md
"""

from __future__ import annotations

import fnmatch
import operator
import re
from typing import Annotated, Callable, Literal, Optional, cast

import msgspec

from telemetry.fields import METRICS

Severity = Literal["info", "warning", "critical"]
Operator = Literal["<", "<=", ">", ">="]

_OPERATORS: dict[Operator, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPPOSITE: dict[Operator, Operator] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_COMPARISON = re.compile(r"\s*(?P<metric>\w+)\s*(?P<op><=|>=|<|>)\s*(?P<number>[-+]?\d+(\.\d+)?)\s*")
_DEFAULT_SUMMARY = "{device} at {site}: {metric} is {value:g}, {comparison}"


class RulesError(ValueError):
    """The rules cannot be used; the message says which rule, what is wrong with it and what to write."""


class Condition(msgspec.Struct, frozen=True):
    """A metric compared with a number, in the metric's unit."""

    metric: str
    op: Operator
    threshold: float

    def holds(self, value: float) -> bool:
        """Whether ``value`` satisfies the comparison."""
        return _OPERATORS[self.op](value, self.threshold)

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.threshold:g}"


class Rule(msgspec.Struct, frozen=True):
    """One rule: fires when ``when`` holds, resolves when ``clear`` holds, keeps its state in between."""

    name: str
    when: Condition
    clear: Condition
    severity: Severity
    summary: str
    runbook: str
    device: str
    site: str

    def matches(self, device: str, site: str) -> bool:
        """Whether the rule watches this device."""
        return fnmatch.fnmatchcase(device, self.device) and fnmatch.fnmatchcase(site, self.site)


#: How many devices' rules are remembered: some 20 MB of a function's memory at most.
_REMEMBERED_DEVICES = 100_000


class RuleSet:
    """The rules of one file, in its order."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        # Matching globs costs more than evaluating the rules, and a device keeps its name and place.
        self._watching: dict[tuple[str, str], tuple[Rule, ...]] = {}

    def watching(self, device: str, site: str) -> tuple[Rule, ...]:
        """The rules that watch a device at a site."""
        found = self._watching.get((device, site))
        if found is None:
            if len(self._watching) >= _REMEMBERED_DEVICES:
                self._watching.clear()
            found = self._watching[device, site] = tuple(rule for rule in self.rules if rule.matches(device, site))
        return found


_RuleName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Match(msgspec.Struct, forbid_unknown_fields=True):
    device: str = "*"
    site: str = "*"


class _RuleText(msgspec.Struct, forbid_unknown_fields=True):
    name: _RuleName
    when: str
    clear: Optional[str] = None
    match: _Match = msgspec.field(default_factory=_Match)
    severity: Optional[Severity] = None
    summary: str = _DEFAULT_SUMMARY
    runbook: str = ""


class _Defaults(msgspec.Struct, forbid_unknown_fields=True):
    severity: Severity = "warning"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rules: list[_RuleText]
    defaults: _Defaults = msgspec.field(default_factory=_Defaults)


def parse_rules(text: str | bytes) -> RuleSet:
    """The rules in a YAML text; raises :class:`RulesError` for one that cannot be used."""
    try:
        file = msgspec.yaml.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RulesError(f"rules: {error}") from error
    seen: set[str] = set()
    for rule in file.rules:
        if rule.name in seen:
            raise RulesError(f"rules: the name {rule.name!r} is used twice; each rule needs its own")
        seen.add(rule.name)
    return RuleSet(tuple(_rule(rule, file.defaults) for rule in file.rules))


def _rule(text: _RuleText, defaults: _Defaults) -> Rule:
    when = _condition(text.name, "when", text.when)
    if text.clear is None:
        clear = Condition(when.metric, _OPPOSITE[when.op], when.threshold)
    else:
        clear = _condition(text.name, "clear", text.clear)
    _check_hysteresis(text.name, when, clear)
    rule = Rule(
        name=text.name,
        when=when,
        clear=clear,
        severity=text.severity or defaults.severity,
        summary=text.summary,
        runbook=text.runbook,
        device=text.match.device,
        site=text.match.site,
    )
    try:
        summarize(rule, device="device", site="site", value=0.0)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise RulesError(
            f"rule {text.name!r}: summary {text.summary!r} cannot be filled in ({error!r}); it may use "
            "{device}, {site}, {metric}, {value}, {threshold}, {comparison} and {rule}"
        ) from error
    return rule


def _condition(rule: str, key: str, text: str) -> Condition:
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise RulesError(f"rule {rule!r}: {key}: {text!r} is no condition; write one like 'temperature > 40'")
    if match["metric"] not in METRICS:
        raise RulesError(f"rule {rule!r}: {key}: no metric {match['metric']!r}; there are {', '.join(METRICS)}")
    return Condition(match["metric"], cast("Operator", match["op"]), float(match["number"]))


def _check_hysteresis(rule: str, when: Condition, clear: Condition) -> None:
    """Refuse a clear condition on another metric, in the same direction, or overlapping with ``when``."""
    if clear.metric != when.metric:
        raise RulesError(f"rule {rule!r}: clear is about {clear.metric!r}, when about {when.metric!r}; use one metric")
    rising = when.op in (">", ">=")
    apart = clear.threshold <= when.threshold if rising else clear.threshold >= when.threshold
    touching = clear.threshold == when.threshold and "=" in when.op and "=" in clear.op
    if rising == (clear.op in (">", ">=")) or not apart or touching:
        raise RulesError(f"rule {rule!r}: clear ({clear}) must lie on the other side of when ({when})")


def summarize(rule: Rule, *, device: str, site: str, value: float) -> str:
    """The rule's one-line summary for a person, filled in."""
    return rule.summary.format(
        device=device,
        site=site,
        value=value,
        metric=rule.when.metric,
        threshold=rule.when.threshold,
        comparison=f"limit {rule.when.op} {rule.when.threshold:g}",
        rule=rule.name,
    )
