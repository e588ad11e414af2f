"""Composing notifications: the messages of one report of a group."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from telemetry.notifying.audience import Part, Severities, parts
from telemetry.notifying.groups import Group, Member, Overflow
from telemetry.notifying.message import MAX_ALERTS, Notification, Reason, State, headline, notified, prominence
from telemetry.rules.rule_set import SEVERITIES


class Report(NamedTuple):
    """A report about some members of a group, in which ``firing`` fire and are not suppressed."""

    group: Group
    reason: Reason
    about: Collection[Member]
    firing: Collection[Member]
    overflow: Overflow
    now: dt.datetime

    def severities(self, member: Member) -> Severities:
        """Return the severities of messages about an alert; a reminder is for those whom it concerns now."""
        return (member.severity,) if self.reason == "repeat" else member.severities


def compose(report: Report) -> list[Notification]:
    """Return the notifications of a report, the most severe first.

    Alerts that are only counted have no attributes: their numbers go with the first.
    """
    split = parts(report.about, report.severities)
    if not split:
        known = parts(report.firing or report.group.members.values(), report.severities)
        split = [(known or [Part(SEVERITIES[:1], (), (), [])])[0]._replace(members=[])]
    firing = Counter((report.severities(member), member.rule, member.site) for member in report.firing)
    return [
        _notification(
            report,
            part,
            sum(firing[combination] for combination in part.combinations),
            report.overflow if number == 0 else Overflow(),
        )
        for number, part in enumerate(split)
    ]


def _notification(report: Report, part: Part, firing: int, overflow: Overflow) -> Notification:
    group, about = report.group, part.members
    listed = sorted((group.shown[m.alert_id] for m in about if m.alert_id in group.shown), key=prominence)[:MAX_ALERTS]
    firing += overflow.firing
    resolved = sum(member.status == "resolved" for member in about) + overflow.resolved
    at_least = report.overflow != Overflow()
    return Notification(
        notification_id=_notification_id(report, part, firing, resolved),
        reason=report.reason,
        state="firing" if firing else "resolved",
        severity=max((member.severity for member in about), key=SEVERITIES.index, default=part.severities[-1]),
        group=group.labels,
        firing=firing,
        resolved=resolved,
        at_least=at_least,
        summary=headline(group.labels, firing, resolved, at_least, listed),
        rules=list(part.rules),
        sites=list(part.sites),
        alerts=[notified(transition) for transition in listed],
        omitted=len(about) + overflow.fired + overflow.resolved - len(listed),
        published_at=report.now,
        severities=list(part.severities),
        reports=_reports(len(about) + overflow.fired + overflow.resolved - resolved, resolved),
    )


def _reports(fired: int, resolved: int) -> list[State]:
    reports: dict[State, int] = {"firing": fired, "resolved": resolved}
    return [state for state, count in reports.items() if count]


def _notification_id(report: Report, part: Part, firing: int, resolved: int) -> str:
    """Return an id: 80 bits of SHA-256, hexadecimal, equal for equal content. Each repetition has its own number."""
    group = report.group
    changes = sorted((member.alert_id, member.sequence) for member in part.members)
    identity = msgspec.json.encode((group.key, group.number, report.reason, changes, firing, resolved))
    return hashlib.sha256(identity).hexdigest()[:20]
