"""Strategies for rules. Few distinct values and times, so that they meet."""

from __future__ import annotations

import datetime as dt
import functools
import itertools

import msgspec
from hypothesis import strategies as st

from telemetry.rules.condition_parser import parse_condition
from telemetry.rules.conditions import Rejected, negate
from telemetry.rules.rule_set import Escalation, Flapping, Rule

NAMES = ("a", "b", "c", "d")
#: When a rule fires, and when it clears; None is the opposite.
CONDITIONS = (
    ("temperature > 25", None),
    ("temperature > 25", "temperature < 15"),
    ("battery <= 2", "battery >= 3"),
    ("status == fault", None),
    ("status != ok", "status == ok"),
    ("temperature > 25 and battery <= 2", None),
    ("temperature > 25 or status == fault", None),
    ("temperature >= 30 or battery < 3", "temperature < 15"),
    ("(temperature < 15 or status != ok) and battery >= 2", "status == ok"),
)
NO_DATA = ("no_data", "no_data(gateway)")
REJECTED = ("rejected", "rejected(from_future)", "rejected(from_future, too_late)")
#: Conditions that arrivals decide.
ARRIVALS = (*NO_DATA, *NO_DATA, *REJECTED)


def seconds(*choices: int) -> list[dt.timedelta]:
    return [dt.timedelta(seconds=choice) for choice in choices]


@functools.cache
def conditions(when: str, clear: str | None):
    parsed = parse_condition(when)
    if when in ARRIVALS:
        return parsed, parsed
    return parsed, parse_condition(clear) if clear else negate(parsed)


FAULT = Rule(
    name="fault",
    when=parse_condition("status == fault"),
    clear=parse_condition("status != fault"),
    hold_for=dt.timedelta(0),
    keep_firing_for=dt.timedelta(0),
    severity="warning",
    escalate=None,
    summary="{device_id} {value}",
    runbook="",
    device="*",
    site="*",
    repeat_interval=dt.timedelta(hours=4),
    group_wait=dt.timedelta(seconds=5),
    group_interval=dt.timedelta(minutes=5),
    group_by=("site", "rule"),
    flapping=Flapping(changes=6, window=dt.timedelta(minutes=30)),
)

SETTINGS = list(
    itertools.product(
        seconds(0, 0, 10, 60),
        seconds(0, 0, 10, 60),
        (None, *(Escalation(after, "page") for after in seconds(5, 60))),
        ("*", "*", "north"),
        (1, 2, 3, 6),
        seconds(20, 90, 1800),
        ("warning", "warning", "critical"),
    )
)

#: What decides a rule: it stays so when the rule is edited. Another kind of rule has another name.
KINDS = ("readings", "readings", "readings", "silence", "silence", "rejections")


def kind_of(rule: Rule) -> str:
    return "silence" if rule.no_data else "rejections" if isinstance(rule.when, Rejected) else "readings"


def texts(kind: str) -> st.SearchStrategy[tuple[str, str | None]]:
    if kind == "readings":
        return st.sampled_from(CONDITIONS)
    return st.tuples(st.sampled_from(NO_DATA if kind == "silence" else REJECTED), st.none())


@st.composite
def a_rule(draw: st.DrawFn, name: str, kind: str | None = None) -> Rule:
    kind = kind or draw(st.sampled_from(KINDS))
    when, clear = conditions(*draw(texts(kind)))
    hold_for, keep_firing_for, escalate, site, changes, window, severity = draw(st.sampled_from(SETTINGS))
    return msgspec.structs.replace(
        FAULT,
        name=name,
        when=when,
        clear=clear,
        hold_for=dt.timedelta(seconds=60) if kind == "silence" else hold_for,
        keep_firing_for=keep_firing_for,
        escalate=escalate,
        severity=severity,
        site=site,
        flapping=Flapping(changes, window),
    )


@st.composite
def some_rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    return tuple(draw(a_rule(name)) for name in NAMES[: draw(st.integers(1, 4))])
