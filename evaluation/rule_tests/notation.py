"""The file of a rules file's tests: what devices send, what people do, and what has to come of it.

::

    tests:
      - name: a freezer left open
        start: 2026-01-01T00:00:00Z    # default: this one
        interval: 1m                   # between two values; default: 1m
        series:
          - device: f1
            site: cold-1               # default: site
            gateway: g1                # default: gateway
            temperature: -20 -18+2x5 _x3 -20x10
            status: okx9 fault         # default: ok
        orders:                        # what operators do
          - {at: 6m, order: ack, rule: freezer-warm, device: f1, who: jo, why: on my way}
        edits:                         # of the rules in use
          - {at: 10m, rules: {freezer-warm: {for: 5m}}}
        receivers:                     # subscriptions, with their filter policies
          oncall: {severity: [critical, page]}
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
          - {at: 6m, rule: freezer-warm, device: f1, change: acknowledged}
          - {at: 15m, rule: freezer-warm, device: f1, change: resolved}
        notifications:                 # all that is published
          - at: 5m5s
            state: firing
            alerts: [{rule: freezer-warm, device: f1}]
            attributes: {severity: critical}
            receivers: [oncall]
          - {at: 15m5s, state: resolved, firing: 0, receivers: [oncall]}

A test has ``expect``, ``transitions``, ``notifications`` or several of them. Each names everything, no more and no
less; what an item leaves out is not compared. The status of an alert under ``expect`` is firing where none is given. An
alert about a gateway itself has no device. Times count from the start.

A series can also say how its readings are sent:

::

    device: "f{1..300}"        300 devices that send the same, also in what is expected
    gateway: [g1, g2]          each reading arrives through both
    from: 20m                  when the first value is measured; default: 0s
    interval: 15m              between two of its values; default: the test's
    arrives: 40m               all arrive then, in one record: late ones, a backlog
    delay: 30s                 each arrives that long after it was measured
    batch: 10                  ten values in a record, which arrives with the last of them
    order: newest first        of the readings in a record; default: oldest first
    again: 1m                  each arrives once more, that long after
    clock: -3h                 the device's clock is behind, or ahead: 10m
    seq: 0                     of the first value; default: one more than the device's value before
    rejected: -x3 wrong_type   lines that are refused, in place of readings, with their reason

A device may have several series: it moves, restarts, or sends one reading late. Readings that arrive at the same time
through the same gateway are one record. Lines are decoded as when deployed: what a clock that is far ahead stamps is
refused.

Orders are ack, snooze (with ``for``), unsnooze, disable, enable and close, of a ``rule`` and a ``device`` (or
``gateway``), and retire, of a ``device``. An edit changes keys of ``rules`` by name, adds rules, or removes them with
``null``; ``registry`` adds, changes or removes devices in the same way: ``{f1: {model: freezer}, f2: null}``;
``inhibit`` replaces the file's. A test's own ``registry`` is the one to begin with, in place of ``--registry``.

An expected alert may have ``gateway``, ``severity`` and, under ``expect`` and ``notifications``, ``held``
(acknowledged, snoozed, disabled or none) and ``flapping``. A transition may have ``summary``, ``changed_at`` (its event
time), ``who`` and ``why``; a notification ``reason``, ``state``, ``severity``, ``group``, ``firing``, ``resolved``,
``omitted``, ``summary``, ``alerts``, ``attributes`` and ``receivers``: those of the test that it is delivered to.

At one moment, records come first, then edits, orders, and the watchdog, which looks at each whole minute. A test runs
until its last value or the last time that it mentions, whichever is later; ``until: 5h`` mentions one more.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec

from telemetry.alerting.transitions import Change
from telemetry.notifying.message import Reason, State
from telemetry.rules.rule_set import Severity
from telemetry.text.durations import WholeSeconds

#: When a test starts that does not say.
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

Held = Literal["acknowledged", "snoozed", "disabled", "none"]
OrderKind = Literal["ack", "snooze", "unsnooze", "disable", "enable", "close", "retire"]


class Section(msgspec.Struct, forbid_unknown_fields=True, rename={"snooze_for": "for"}):
    """A mapping of the file."""


class AlertSection(Section, kw_only=True):
    """An alert that is expected."""

    rule: str
    device: str = ""
    gateway: str | None = None
    severity: Severity | None = None


class ActiveSection(AlertSection, kw_only=True):
    """One of the ``alerts`` of ``expect``."""

    status: Literal["pending", "firing"] = "firing"
    held: Held | None = None
    flapping: bool | None = None


class ExpectSection(Section, kw_only=True):
    """One of ``expect``."""

    at: WholeSeconds
    alerts: list[ActiveSection]


class TransitionSection(AlertSection, kw_only=True):
    """One of ``transitions``."""

    at: WholeSeconds
    change: Change
    summary: str | None = None
    changed_at: str | None = None
    who: str | None = None
    why: str | None = None


class NotifiedSection(AlertSection, kw_only=True):
    """One of the ``alerts`` of a notification."""

    status: State | None = None
    summary: str | None = None
    held: Held | None = None
    flapping: bool | None = None


class NotificationSection(Section, kw_only=True):
    """One of ``notifications``."""

    at: WholeSeconds
    reason: Reason | None = None
    state: State | None = None
    severity: Severity | None = None
    group: dict[str, str] | None = None
    firing: int | None = None
    resolved: int | None = None
    omitted: int | None = None
    summary: str | None = None
    alerts: list[NotifiedSection] | None = None
    attributes: dict[str, str | list[str]] | None = None
    receivers: list[str] | None = None


class OrderSection(Section, kw_only=True):
    """One of ``orders``."""

    at: WholeSeconds
    order: OrderKind
    rule: str = ""
    device: str = ""
    gateway: str = ""
    snooze_for: WholeSeconds | None = None
    who: str = "operator"
    why: str = ""


class EditSection(Section, kw_only=True):
    """One of ``edits``: a merge patch, in which null removes."""

    at: WholeSeconds
    rules: dict[str, dict[str, Any] | None] = {}
    inhibit: list[Any] | None = None
    registry: dict[str, dict[str, str] | None] = {}


class CaseSection(Section, kw_only=True):
    """One of ``tests``. The keys of a series are checked where it is read: metrics are the reading's."""

    name: str
    series: list[dict[str, str | float | list[str]]]
    interval: WholeSeconds = "1m"
    start: dt.datetime = START
    until: WholeSeconds | None = None
    registry: dict[str, dict[str, str]] | None = None
    orders: list[OrderSection] = []
    edits: list[EditSection] = []
    receivers: dict[str, dict[str, list[Any]]] = {}
    expect: list[ExpectSection] = []
    transitions: list[TransitionSection] | None = None
    notifications: list[NotificationSection] | None = None


class FileSection(Section, kw_only=True):
    """The whole file."""

    tests: list[CaseSection]
