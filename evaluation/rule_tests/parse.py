"""Parse the file of a rules file's tests, check it against the rules, and make tests of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path as FilePath
from typing import Any, TypeVar

from evaluation.rule_tests.edits import Editor, edited_registry
from evaluation.rule_tests.notation import (
    ActiveSection,
    AlertSection,
    CaseSection,
    FileSection,
    NotificationSection,
    NotifiedSection,
    TransitionSection,
)
from evaluation.rule_tests.outcome import Item
from evaluation.rule_tests.receivers import problem_of
from evaluation.rule_tests.run import Order, RuleTest
from evaluation.rule_tests.sending import Sending, expanded, signed_duration
from telemetry.notifying.message import describe
from telemetry.registry.registry import EMPTY, Registry
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from telemetry.text.durations import parse_duration
from telemetry.text.errors import TextError
from telemetry.text.typed_yaml import convert
from telemetry.text.yaml_text import Path, YamlText

_T = TypeVar("_T")

#: Of an alert that is expected, what is compared where it is given.
_ALERT_FACTS = ("status", "change", "severity", "gateway", "summary", "held", "flapping", "who", "why")
_NOTIFICATION_FACTS = ("reason", "state", "severity", "firing", "resolved", "omitted", "summary")


class RuleTestError(ValueError):
    """The tests cannot be used; the message says which one, where, and what to write."""


def path_of_tests(rules: FilePath) -> FilePath:
    """Return the path of a rules file's tests: ``rules.test.yaml`` for ``rules.yaml``."""
    return rules.with_suffix(f".test{rules.suffix}")


def parse_tests(text: str, rules: str, registry: Registry = EMPTY) -> list[RuleTest]:
    """Parse the tests of a rules file, both YAML; raise :class:`RuleTestError`.

    The rules can be used with the registry, or else :class:`TextError` is raised.
    """
    checked: RuleSet | None = None
    tests = []
    try:
        parsed = YamlText(text)
        for index, test in enumerate(convert(parsed, FileSection).tests):
            if test.registry is None:
                checked = checked or parse_rules(rules, registry)
            tests.append(_Reader(parsed, ("tests", index), rules, checked, registry).read(test))
    except TextError as error:
        raise RuleTestError(f"{error}\n'iot rules test --help' shows how tests are written") from error
    if not tests:
        raise RuleTestError("there are no tests in it; 'iot rules test --help' shows how they are written")
    return tests


class _Reader:
    """Makes a test of a section; raises :class:`TextError` at the place of what makes no sense."""

    def __init__(self, text: YamlText, path: Path, rules: str, checked: RuleSet | None, registry: Registry) -> None:
        self._text = text
        self._path = path
        self._rules_text = rules
        self._checked = checked
        self._registry = registry
        self._rules: list[RuleSet] = []
        self._sending: Sending

    def read(self, test: CaseSection) -> RuleTest:
        if test.start.tzinfo is None:
            raise self._error(("start",), f"{test.start.isoformat()} needs a time zone: add Z for UTC")
        if not test.expect and test.transitions is None and test.notifications is None:
            raise self._error((), "it expects nothing: say what with 'expect', 'transitions' or 'notifications'")
        self._rules.append(self._rules_at_first(test))
        interval = self._duration(("interval",), test.interval)
        if not interval:
            raise self._error(("interval",), "it must be more than zero")
        self._sending = Sending(test.series, interval, test.start, self._error)
        records = self._sending.records()
        if not records:
            raise self._error(
                ("series",), "its devices send nothing: give a series some values, such as 'temperature: 20x10'"
            )
        edits = self._edits(test)
        self._check_receivers(test)
        return RuleTest(
            name=test.name,
            rules=self._rules[0],
            start=test.start,
            records=records,
            orders=self._orders(test),
            edits=edits,
            receivers=test.receivers,
            until=self._duration(("until",), test.until or "0s"),
            expect=[
                (self._duration(path, each.at), self._items((*path, "alerts"), each.at, each.alerts))
                for path, each in self._each("expect", test.expect)
            ],
            transitions=None
            if test.transitions is None
            else [
                item
                for path, each in self._each("transitions", test.transitions)
                for item in self._alert(path, self._duration(path, each.at), each)
            ],
            notifications=None
            if test.notifications is None
            else [
                self._notification(path, each, test) for path, each in self._each("notifications", test.notifications)
            ],
        )

    def _rules_at_first(self, test: CaseSection) -> RuleSet:
        if test.registry is None and self._checked is not None:
            return self._checked
        self._registry = edited_registry(EMPTY, test.registry or {})
        return self._at(("registry",), lambda: parse_rules(self._rules_text, self._registry))

    def _each(self, key: str, sections: Sequence[Any]) -> Iterable[tuple[Path, Any]]:
        return (((key, index), section) for index, section in enumerate(sections))

    def _edits(self, test: CaseSection) -> list[tuple[dt.timedelta, RuleSet]]:
        editor = Editor(self._rules_text, self._registry)
        timed = [(self._duration(path, each.at), path, each) for path, each in self._each("edits", test.edits)]
        edits = []
        for at, path, each in sorted(timed, key=lambda edit: edit[0]):
            edits.append((at, self._at(path, partial(editor.edit, each))))
        self._rules += [rules for _, rules in edits]
        return edits

    def _orders(self, test: CaseSection) -> list[Order]:
        orders: list[Order] = []
        for path, each in self._each("orders", test.orders):
            if (each.snooze_for is None) == (each.order == "snooze"):
                message = "it needs 'for', such as 'for: 2h'" if each.order == "snooze" else "only a snooze has 'for'"
                raise self._error(path, message)
            if each.order == "retire":
                if each.rule or not each.device:
                    raise self._error(path, "retire is about a device: give its name as 'device', and no rule")
            else:
                self._check_rule(path, each.rule)
            devices = self._devices(path, each.device, each.gateway or None)
            orders += [Order(self._duration(path, each.at), each, device) for device in devices]
        return orders

    def _check_receivers(self, test: CaseSection) -> None:
        for name, policy in test.receivers.items():
            for attribute, conditions in policy.items():
                for place, condition in enumerate(conditions):
                    if problem := problem_of(condition):
                        raise self._error(("receivers", name, attribute, place), problem)

    # What is expected

    def _items(self, path: Path, at: str, alerts: Sequence[ActiveSection]) -> list[Item]:
        time = self._duration(path[:-1], at)
        return [item for place, alert in enumerate(alerts) for item in self._alert((*path, place), time, alert)]

    def _alert(self, path: Path, at: dt.timedelta, alert: AlertSection) -> list[Item]:
        self._check_rule(path, alert.rule)
        facts = {name: value for name in _ALERT_FACTS if (value := getattr(alert, name, None)) is not None}
        if isinstance(alert, TransitionSection) and alert.changed_at is not None:
            text = alert.changed_at
            facts["changed_at"] = self._at((*path, "changed_at"), lambda: signed_duration(text))
        return [Item(at, (alert.rule, device), facts) for device in self._devices(path, alert.device, alert.gateway)]

    def _notification(self, path: Path, told: NotificationSection, test: CaseSection) -> Item:
        facts: dict[str, Any] = {
            name: value for name in _NOTIFICATION_FACTS if (value := getattr(told, name)) is not None
        }
        if told.group is not None:
            facts["group"] = describe(dict(sorted(told.group.items())))
        if told.alerts is not None:
            alerts: list[NotifiedSection] = told.alerts
            facts["alerts"] = [
                item
                for place, alert in enumerate(alerts)
                for item in self._alert((*path, "alerts", place), dt.timedelta(), alert)
            ]
        if told.attributes is not None:
            facts["attributes"] = {
                name: frozenset([values] if isinstance(values, str) else values)
                for name, values in told.attributes.items()
            }
        if told.receivers is not None:
            for place, name in enumerate(told.receivers):
                if name not in test.receivers:
                    known = ", ".join(test.receivers) or "none: name them under 'receivers' of the test"
                    raise self._error((*path, "receivers", place), f"there is no receiver {name!r}; there are {known}")
            facts["receivers"] = frozenset(told.receivers)
        return Item(self._duration(path, told.at), (), facts)

    # Names that cannot occur are most likely misspelt

    def _check_rule(self, path: Path, name: str) -> None:
        if not any(rules.named(name) for rules in self._rules):
            names = dict.fromkeys(rule.name for rules in self._rules for rule in rules.rules)
            raise self._error((*path, "rule"), f"there is no rule {name!r}; there are {', '.join(names)}")

    def _devices(self, path: Path, device: str, gateway: str | None) -> list[str]:
        """Return the devices of a name with ranges; the empty one for a gateway itself."""
        known = self._sending.gateways
        gateways = {name for names in known.values() for name in names}
        if not device:
            if gateway is not None and gateway not in gateways:
                raise self._error((*path, "gateway"), f"no series has the gateway {gateway!r}")
            return [""]
        devices = self._at((*path, "device"), lambda: expanded(device))
        for name in devices:
            if name not in known:
                raise self._error((*path, "device"), f"no series has the device {name!r}")
            if gateway is not None and gateway not in known[name]:
                raise self._error((*path, "gateway"), f"no series has the device {name!r} behind {gateway!r}")
        return devices

    # Values

    def _duration(self, path: Path, text: str) -> dt.timedelta:
        where = path if path in (("interval",), ("until",)) else (*path, "at")
        return self._at(where, lambda: parse_duration(text))

    def _at(self, path: Path, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except TextError as error:
            raise self._error(path, str(error)) from error

    def _error(self, path: Path, message: str) -> TextError:
        return self._text.error((*self._path, *path), message)
