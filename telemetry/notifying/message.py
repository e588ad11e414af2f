"""The notification that subscribers receive: JSON for programs, text for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional

import msgspec

from telemetry.alerting.transitions import HoldKind, Transition
from telemetry.notifying.queue import json_text
from telemetry.rules.rule_set import SEVERITIES, Severity

#: Largest number of alerts, and of rules and sites, that a notification lists.
MAX_ALERTS = 100
MAX_NAMES = 100

Reason = Literal["new", "update", "repeat"]
State = Literal["firing", "resolved"]


class NotifiedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a notification, as its last transition left it. ``value`` is in the unit of ``metric``.

    ``alert_id`` is the same from the alert's firing to its end, and ``sequence`` grows with each change of it.
    ``active_at`` is when the condition first held, ``fired_at`` when it had held long enough, ``resolved_at`` when the
    alert was over, ``changed_at`` when it last changed: event times, or the clock's where the clock decided. The alert
    of a gateway as a whole has an empty ``device``.
    """

    alert_id: str
    sequence: int
    status: State
    flapping: bool
    held: Optional[HoldKind]
    rule: str
    severity: Severity
    device: str
    site: str
    gateway: str
    metric: str
    value: Optional[float]
    threshold: Optional[float]
    condition: str
    summary: str
    runbook: str
    active_at: dt.datetime
    fired_at: Optional[dt.datetime]
    resolved_at: Optional[dt.datetime]
    changed_at: dt.datetime


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """News of a group of alerts, or a reminder that some still fire. Times are RFC 3339, UTC.

    ``notification_id`` is the same for a notification that is published twice. ``reason`` is ``new`` where nothing of
    the group was known to fire, ``update`` where something was, ``repeat`` where nothing changed. ``state`` is firing
    while any alert of the group fires that is not snoozed, disabled or inhibited; ``firing`` is how many do,
    ``resolved`` how many ended since the last notification, both only estimates where ``at_least`` is true.
    ``severity`` is the highest of those that fire, or else of those that ended. ``alerts`` are the ones that this
    notification is about, those that fire and the most severe first, without the ``omitted`` others; ``rules`` and
    ``sites`` are those of all it is about, up to a hundred. ``published_at`` is when it was made to be handed to SNS.
    """

    notification_id: str
    reason: Reason
    state: State
    severity: Severity
    group: dict[str, str]
    firing: int
    resolved: int
    at_least: bool
    summary: str
    rules: list[str]
    sites: list[str]
    alerts: list[NotifiedAlert]
    omitted: int
    published_at: dt.datetime

    def attributes(self) -> dict[str, list[str]]:
        """Return the attributes that a subscription's filter policy can match, each with one or more values."""
        attributes: dict[str, list[str]] = {
            "severity": [self.severity],
            "state": [self.state],
            "rule": [_printable(rule) for rule in self.rules if rule],
            "site": [_printable(site) for site in self.sites if site],
        }
        return {name: values for name, values in attributes.items() if values}

    def json(self) -> str:
        """The notification for programs."""
        return json_text(self)

    def subject(self) -> str:
        """The e-mail's subject: one line of printable ASCII, less than 100 characters, as SNS requires.

        https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
        """
        repeated = ", still" if self.reason == "repeat" else ""
        line = f"[{self.state.upper()}{repeated}] {self.severity}: {self.summary}"
        return "".join(char if " " <= char <= "~" else "?" for char in line)[:99]

    def text(self) -> str:
        """The e-mail's body."""
        several = [f"and {self.omitted:,} more", ""] if self.omitted else [""]
        runbooks = list(dict.fromkeys(alert.runbook for alert in self.alerts if alert.runbook))
        lines = [
            self.summary,
            "",
            f"Severity:      {self.severity}",
            f"Group:         {describe(self.group)}",
            f"Firing:        {counted(self.firing, self.at_least)}",
            f"Resolved:      {counted(self.resolved, self.at_least)} since the last message",
            "",
            *map(_line, self.alerts),
            *several,
            f"Runbook:       {', '.join(runbooks) or '-'}",
            f"Notification:  {self.notification_id} ({self.reason})",
        ]
        return "\n".join(map(_printable, lines))

    def shortened(self) -> Notification:
        """The same with half of its alerts and names, for one that is too long to be sent."""
        kept = self.alerts[: len(self.alerts) // 2]
        return msgspec.structs.replace(
            self,
            alerts=kept,
            omitted=self.omitted + len(self.alerts) - len(kept),
            rules=self.rules[: max(1, len(self.rules) // 2)],
            sites=self.sites[: max(1, len(self.sites) // 2)],
        )


def notified(transition: Transition) -> NotifiedAlert:
    """The alert as the transition left it."""
    shared: dict[str, Any] = {
        name: _utc(getattr(transition, name))
        for name in NotifiedAlert.__struct_fields__
        if name in Transition.__struct_fields__
    }
    return NotifiedAlert(**shared, resolved_at=shared["changed_at"] if transition.status == "resolved" else None)


def prominence(transition: Transition) -> tuple[bool, int, dt.datetime, str, str]:
    """Return the sort key of a list of alerts: firing first, then the most severe, then the oldest."""
    since = transition.fired_at or transition.active_at
    return (
        transition.status != "firing",
        -SEVERITIES.index(transition.severity),
        since,
        transition.device,
        transition.alert_id,
    )


def headline(group: Mapping[str, str], firing: int, resolved: int, at_least: bool, about: Sequence[Transition]) -> str:
    """One line on a notification: what its alert says if it is about one only, or else the counts and the group."""
    if len(about) == 1 and firing + resolved == 1 and about[0].summary:
        return about[0].summary
    counts = [f"{counted(firing, at_least)} firing"] if firing else []
    counts += [f"{counted(resolved, at_least)} resolved"] if resolved else []
    return f"{', '.join(counts)}: {describe(group)}"


def describe(group: Mapping[str, str]) -> str:
    """A group in words."""
    return ", ".join(f"{label} {value or '-'}" for label, value in group.items()) or "all alerts"


def counted(number: int, at_least: bool) -> str:
    """A number of alerts in words."""
    return f"at least {number:,}" if at_least and number else f"{number:,}"


def _line(alert: NotifiedAlert) -> str:
    began = alert.fired_at or alert.active_at
    notes = (
        [f"since {_when(began)}"] if alert.resolved_at is None else [f"{_when(began)} to {_when(alert.resolved_at)}"]
    )
    notes += ["flapping"] if alert.flapping else []
    notes += [alert.held] if alert.held else []
    what = alert.summary or f"{alert.rule} at {alert.device or alert.gateway}"
    return f"{alert.status.upper()} {alert.severity}: {what} ({', '.join(notes)})"


def _utc(value: Any) -> Any:
    return value.astimezone(dt.timezone.utc) if isinstance(value, dt.datetime) else value


def _when(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _printable(text: str) -> str:
    """``text`` without the control characters that a device may have put into its name, and SQS refuses."""
    return "".join(char if char.isprintable() else "?" for char in text)
