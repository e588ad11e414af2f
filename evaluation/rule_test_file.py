"""Files of rule tests: what devices send, and which alerts that must make. They lie next to the rules.

::

    tests:
      - name: a freezer left open
        interval: 1m                   # between two values; default: 1m
        start: 2026-01-01T00:00:00Z    # of the first; default: this one
        series:
          - device: f1
            site: cold-1               # default: site
            gateway: g1                # default: gateway
            temperature: -20 -18+2x5 _x3 -20x10
            status: okx9 fault         # default: ok
        expect:                        # all that is active at a time
          - at: 4m                     # since the start
            alerts:
              - {rule: freezer-warm, device: f1, status: pending}
          - at: 20m
            alerts: []
        transitions:                   # all that happens, in any order
          - {at: 3m, rule: freezer-warm, device: f1, change: pending}
          - at: 5m
            rule: freezer-warm
            device: f1
            change: firing
            severity: critical
          - {at: 15m, rule: freezer-warm, device: f1, change: resolved}

A test has ``expect``, ``transitions`` or both, and each names everything, no more and no less. An alert or a transition
may be given with its ``severity`` and ``gateway``, which are not compared otherwise. The status of an alert is firing
where none is given. An alert about a gateway itself has no device.

Each reading arrives at the time of its event, those of one gateway and time in one record. The watchdog looks at each
whole minute. A test runs to its last value or the last time it speaks of, whichever is later.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

import msgspec

from evaluation.rule_tests import Item, RuleTest
from evaluation.series import NOTHING, NULL, SeriesError, Value, numbers, statuses
from telemetry.alerting.transitions import Change
from telemetry.reading.fields import METRICS
from telemetry.reading.model import Reading
from telemetry.rules.rule_set import RuleSet, Severity
from telemetry.text.durations import format_duration, parse_duration
from telemetry.text.errors import TextError
from telemetry.text.typed_yaml import convert, explain
from telemetry.text.yaml_text import YamlText

_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_DEFAULTS = {"site": "site", "gateway": "gateway"}
_KEYS = ("device", *_DEFAULTS, *METRICS, "status")


class _Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rule: str
    device: str = ""
    gateway: str | None = None
    severity: Severity | None = None


class _Alert(_Expected, frozen=True, kw_only=True):
    status: Literal["pending", "firing"] = "firing"


class _Change(_Expected, frozen=True, kw_only=True):
    at: str
    change: Change


class _Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: str
    alerts: list[_Alert]


class _Test(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    series: list[dict[str, str | float]]
    interval: str = "1m"
    start: dt.datetime = _START
    expect: list[_Expectation] = []
    transitions: list[_Change] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tests: list[_Test]


class RuleTestError(ValueError):
    """The tests cannot be used; the message says which one, where, and what to write."""


def path_of_tests(rules: Path) -> Path:
    """Return the path of a rules file's tests: ``rules.test.yaml`` for ``rules.yaml``."""
    return rules.with_suffix(f".test{rules.suffix}")


def parse_tests(text: str, rules: RuleSet) -> list[RuleTest]:
    """Parse the tests of ``rules`` in a YAML text; raise :class:`RuleTestError`."""
    try:
        file = convert(YamlText(text), _File)
    except TextError as error:
        raise RuleTestError(f"{error}\n'iot rules test --help' shows how tests are written") from error
    tests = []
    for test in file.tests:
        try:
            tests.append(_test(test, rules))
        except RuleTestError as error:
            raise RuleTestError(f"test {test.name!r}: {error}") from error
    if not tests:
        raise RuleTestError("there are no tests in it; 'iot rules test --help' shows how they are written")
    return tests


def _test(test: _Test, rules: RuleSet) -> RuleTest:
    interval = _duration("interval", test.interval)
    if not interval:
        raise RuleTestError("interval must be more than zero")
    if test.start.tzinfo is None:
        raise RuleTestError(f"start {test.start.isoformat()} needs a time zone: add Z for UTC")
    if not test.expect and test.transitions is None:
        raise RuleTestError("it expects nothing: say what with 'expect' or 'transitions'")
    records: dict[tuple[dt.datetime, str], list[Reading]] = {}
    places: set[tuple[str, str]] = set()
    for number, columns in enumerate(test.series, 1):
        where = f"series {number}"
        names = _named(where, columns)
        gateway = names["gateway"]
        if any(device == names["device"] for device, _ in places):
            raise RuleTestError(f"{where}: device {names['device']!r} has a series already; put them into one")
        places |= {(names["device"], gateway), ("", gateway)}
        for reading in _readings(where, columns, test.start, interval):
            records.setdefault((reading.ts, gateway), []).append(reading)
    if not records:
        raise RuleTestError("its devices send nothing: give a series some values, such as 'temperature: 20x10'")
    expect = [
        (
            _duration("expect", each.at),
            [_item(_duration("expect", each.at), alert, alert.status) for alert in each.alerts],
        )
        for each in test.expect
    ]
    transitions = None
    if test.transitions is not None:
        transitions = [_item(_duration("transitions", each.at), each, each.change) for each in test.transitions]
    for item in [*(item for _, items in expect for item in items), *(transitions or ())]:
        _check_names(item, rules, places)
    return RuleTest(
        name=test.name,
        records=[
            (time, gateway, readings) for (time, gateway), readings in sorted(records.items(), key=lambda r: r[0])
        ],
        start=test.start,
        expect=expect,
        transitions=transitions,
    )


def _named(where: str, columns: dict[str, str | float]) -> dict[str, str]:
    """Return the device, site and gateway of a series."""
    for key in columns:
        if key not in _KEYS:
            raise RuleTestError(f"{where}: there is no {key!r}; there are {', '.join(_KEYS)}")
    if "device" not in columns:
        raise RuleTestError(f"{where}: it needs a device, such as 'device: d1'")
    return _DEFAULTS | {name: str(columns[name]) for name in ("device", *_DEFAULTS) if name in columns}


def _readings(where: str, columns: dict[str, str | float], start: dt.datetime, interval: dt.timedelta) -> list[Reading]:
    names = _named(where, columns)
    values: dict[str, list[Value] | list[str]] = {}
    for name in (*METRICS, "status"):
        try:
            values[name] = (statuses if name == "status" else numbers)(str(columns.get(name, "")))
        except SeriesError as error:
            raise RuleTestError(f"{where}, {name}: {error}") from error
    readings = []
    for step in range(max(map(len, values.values()))):
        now = {name: column[step] for name, column in values.items() if step < len(column) and column[step] != NOTHING}
        if now:
            at = step * interval
            said = {
                "device_id": names["device"],
                "site": names["site"],
                "ts": start + at,
                "seq": step,
                "status": "ok",
                **{name: None if value == NULL else value for name, value in now.items()},
            }
            try:
                readings.append(msgspec.convert(said, Reading))
            except msgspec.ValidationError as error:
                raise RuleTestError(
                    f"{where}, at {format_duration(at)}: no device can send that: {explain(error)}"
                ) from error
    return readings


def _duration(where: str, text: str) -> dt.timedelta:
    try:
        return parse_duration(text)
    except TextError as error:
        raise RuleTestError(f"{where}: {error}") from error


def _item(at: dt.timedelta, expected: _Expected, what: str) -> Item:
    return Item(at, expected.rule, expected.device, expected.gateway or "", what, expected.severity or "")


def _check_names(item: Item, rules: RuleSet, places: set[tuple[str, str]]) -> None:
    """Refuse names that cannot occur: most likely they are misspelt."""
    where = f"at {format_duration(item.at)}"
    if rules.named(item.rule) is None:
        raise RuleTestError(f"{where}: no rule {item.rule!r}; there are {', '.join(rule.name for rule in rules.rules)}")
    if not any(device == item.device and item.gateway in ("", gateway) for device, gateway in places):
        what = f"device {item.device!r}" if item.device else "gateway of its own (an alert of a device names it)"
        raise RuleTestError(
            f"{where}: no series has the {what}" + (f" behind {item.gateway!r}" if item.gateway else "")
        )
