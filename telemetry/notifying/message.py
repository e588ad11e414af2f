"""The notification that subscribers receive: JSON for programs, text for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional

import msgspec

from telemetry.alerting.transitions import HoldKind, Transition
from telemetry.notifying.queue import json_text
from telemetry.rules.rule_set import SEVERITIES, Severity

#: Largest number of alerts that a notification lists, and of rules and sites that one is about.
MAX_ALERTS = 100
MAX_NAMES = 100

#: Largest text, bytes: SNS sends no longer one to a phone.
#: https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html
MAX_TEXT_BYTES = 1_600

#: Longest line of a text, characters. Of a name or summary without an end, the beginning says enough.
_MAX_LINE = 240

Reason = Literal["new", "update", "repeat"]
State = Literal["firing", "resolved"]

#: The topics that a notification is published to: JSON for programs, text for people.
Audience = Literal["programs", "people"]
AUDIENCES: tuple[Audience, ...] = ("programs", "people")


class NotifiedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a notification, as its last transition left it. ``value`` is in the unit of ``metric``.

    ``alert_id`` is the same from the alert's firing to its end, and ``sequence`` grows with each change of it.
    ``active_at`` is when the condition first held, ``fired_at`` when it had held long enough, ``resolved_at`` when the
    alert was over, ``changed_at`` when it last changed: event times, or the clock's where the clock decided. The alert
    of a gateway as a whole has an empty ``device``. ``who`` and ``why`` are the operator's where a person ended the
    alert: closed it, or retired its device; else they are empty.
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
    who: str = ""
    why: str = ""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """News of a group of alerts, or a reminder that some still fire. Times are RFC 3339, UTC.

    ``notification_id`` is the same for a notification that is published twice. ``reason`` is ``new`` where nothing of
    the group was known to fire, ``update`` where something was, ``repeat`` where nothing changed. ``severity`` is the
    highest of the alerts that this notification is about. ``severities`` are all that they were reported with, then or
    now: alerts of a group that differ in them are in notifications of their own. ``state`` is firing while any alert of
    the group with the same severities, rules and sites fires that is not snoozed, disabled or inhibited; ``firing`` is
    how many do, ``resolved`` how many of these ended since the last notification, both only estimates where
    ``at_least`` is true. ``alerts`` are the ones that this notification is about, those that fire and the most severe
    first, without the ``omitted`` others; ``reports`` says whether they fire or ended, or that there are both.
    ``rules`` and ``sites`` are those of all it is about. ``published_at`` is when it was made to be handed to SNS.
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
    severities: list[Severity] = []
    reports: list[State] = []

    def attributes(self) -> dict[str, list[str]]:
        """Return the attributes that a subscription's filter policy can match, each with one or more values."""
        attributes: dict[str, list[str]] = {
            "severity": [*(self.severities or [self.severity])],
            "state": [*(self.reports or [self.state])],
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
        return "".join(char if " " <= char <= "~" else "?" for char in self._title())[:99]

    def text(self) -> str:
        """The notification for people: an e-mail's body, or a text message, with as many alerts as that may hold."""
        lines = [_line(alert) for alert in self.alerts]
        while True:
            text = "\n".join(_short(_printable(line)) for line in self._lines(lines))
            if len(text.encode()) <= MAX_TEXT_BYTES or not lines:
                return text
            lines.pop()

    def _title(self) -> str:
        repeated = ", still" if self.reason == "repeat" else ""
        return f"[{'/'.join(self.reports or [self.state]).upper()}{repeated}] {self.severity}: {self.summary}"

    def _lines(self, alerts: Sequence[str]) -> list[str]:
        others = self.omitted + len(self.alerts) - len(alerts)
        runbooks = list(dict.fromkeys(alert.runbook for alert in self.alerts[: len(alerts)] if alert.runbook))
        firing, resolved = counted(self.firing, self.at_least), counted(self.resolved, self.at_least)
        return [
            self._title(),
            "",
            *alerts,
            *([f"and {others:,} more: iot alerts list"] if others else []),
            "",
            f"Group: {describe(self.group)}: {firing} firing, {resolved} resolved",
            *([f"Runbook: {', '.join(runbooks)}"] if runbooks else []),
            f"Notification: {self.notification_id} ({self.reason})",
        ]

    def shortened(self) -> Notification:
        """The same with half of its alerts, for one that is too long to be sent."""
        kept = self.alerts[: len(self.alerts) // 2]
        return msgspec.structs.replace(self, alerts=kept, omitted=self.omitted + len(self.alerts) - len(kept))


def notified(transition: Transition) -> NotifiedAlert:
    """The alert as the transition left it."""
    shared: dict[str, Any] = {
        name: _utc(getattr(transition, name))
        for name in NotifiedAlert.__struct_fields__
        if name in Transition.__struct_fields__
    }
    if transition.change != "resolved":
        # Who holds an alert, and why, is the operators' business.
        shared |= {"who": "", "why": ""}
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
    notes += [f"ended by {alert.who}: {alert.why}"] if alert.who else []
    what = alert.summary or f"{alert.rule} at {alert.device or alert.gateway}"
    return f"{alert.status.upper()} {alert.severity}: {what} ({', '.join(notes)})"


def _utc(value: Any) -> Any:
    return value.astimezone(dt.timezone.utc) if isinstance(value, dt.datetime) else value


def _when(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _short(line: str) -> str:
    return line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 1]}\N{HORIZONTAL ELLIPSIS}"


def _printable(text: str) -> str:
    """``text`` without the control characters that a device may have put into its name, and SQS refuses."""
    return "".join(char if char.isprintable() else "?" for char in text)
