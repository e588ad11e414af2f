"""Dispatch: when a group's next notification is due, and what it says.

The first change of a group is reported after ``group_wait``. While changes continue, each notification waits twice as
long as the one before, up to ``group_interval``. Alerts that still fire and are not suppressed are reported again
``repeat_interval`` after the last notification.

A notification enters the group's outbox in the same write as the group's change, and leaves it once it is published.
After a crash it is published again unchanged, before anything new.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Collection
from typing import Optional

import msgspec

from telemetry.notifying.groups import Group, Member, Outbox, Overflow, Policy, policy_of, timing
from telemetry.notifying.merge import forget_at, forgotten, worth_showing
from telemetry.notifying.message import (
    MAX_ALERTS,
    MAX_NAMES,
    Notification,
    Reason,
    headline,
    notified,
    prominence,
)
from telemetry.rules.rule_set import SEVERITIES, RuleSet, Severity

#: Time that an execution has to publish a notification of the outbox before another one does.
OUTBOX_PATIENCE = dt.timedelta(seconds=60)

#: Interval of checks whether inhibited changes may be reported.
LOOK_EVERY = dt.timedelta(minutes=1)

_SECOND = dt.timedelta(seconds=1)
_MAX_DOUBLINGS = 20

Inhibited = Callable[[Member], bool]


def due_at(group: Group, rules: RuleSet) -> Optional[dt.datetime]:
    """Return when to look at the group next; None if only a transition can change it."""
    if group.outbox:
        return group.outbox.since + OUTBOX_PATIENCE
    policy = timing(rules, group)
    moments = [forget_at(member) for member in group.members.values() if member.over]
    if group.look_at:
        moments.append(group.look_at)
    if group.news_at:
        moments.append(group.news_at + _wait(policy, group.burst))
    elif group.sent_at and (group.overflow.firing or any(map(_repeatable, group.members.values()))):
        moments.append(group.sent_at + policy.repeat_interval)
    return min(moments, default=None)


def _wait(policy: Policy, burst: int) -> dt.timedelta:
    if burst == 0:
        return policy.group_wait
    doubled: dt.timedelta = max(policy.group_wait, _SECOND) * 2 ** min(burst, _MAX_DOUBLINGS)
    return min(doubled, max(policy.group_wait, policy.group_interval))


def _repeatable(member: Member) -> bool:
    return member.status == "firing" and member.notified == "firing" and member.held is None


def look(group: Group, rules: RuleSet, inhibited: Inhibited, now: dt.datetime) -> Group:
    """Do what is due at ``now``. The result may have a notification in its outbox, or be the same object.

    A notification that is already in the outbox comes first: this execution claims it from one that did not publish it
    in time, and the group stays as it is.
    """
    due = due_at(group, rules)
    if due is None or due > now:
        return group
    if group.outbox:
        return msgspec.structs.replace(group, outbox=msgspec.structs.replace(group.outbox, since=now))
    policy = timing(rules, group)
    news_due = group.news_at is not None and group.news_at + _wait(policy, group.burst) <= now
    looking = group.look_at is not None and group.look_at <= now
    repeat_due = group.news_at is None and group.sent_at is not None and group.sent_at + policy.repeat_interval <= now
    looked = _tidied(group, rules, now)
    if news_due or looking:
        looked = _report_news(looked, inhibited, now)
    if repeat_due and not looked.outbox:
        looked = _repeat(looked, inhibited, now)
    return looked


def settled(group: Group, notification_id: str) -> Group:
    """Return the group after this notification was published; the same object if another execution removed it."""
    if group.outbox and group.outbox.notification.notification_id == notification_id:
        return msgspec.structs.replace(group, outbox=None)
    return group


def _tidied(group: Group, rules: RuleSet, now: dt.datetime) -> Group:
    """Drop members that ended long ago, and members that belong to another group since the rules were edited.

    The latter are not repeated any more; the group that they belong to now reports their end.
    """
    members = forgotten(group.members, now)
    elsewhere = {name for name in {member.rule for member in members.values()} if _left(group, rules, name)}
    if elsewhere:
        members = {key: member for key, member in members.items() if member.news or member.rule not in elsewhere}
    if len(members) == len(group.members):
        return group
    return _showing(msgspec.structs.replace(group, members=members))


def _left(group: Group, rules: RuleSet, name: str) -> bool:
    rule = rules.named(name)
    labels = set(policy_of(rules, name).group_by)
    severity = group.labels.get("severity")
    return labels != group.labels.keys() or (severity is not None and rule is not None and rule.severity != severity)


def _report_news(group: Group, inhibited: Inhibited, now: dt.datetime) -> Group:
    """Report all news of the group, except what an operator or another alert suppresses."""
    waiting = [member for member in group.members.values() if member.news and not member.silenced]
    muted = [member for member in waiting if inhibited(member)]
    kept_back = {member.alert_id for member in muted}
    about = [member for member in waiting if member.alert_id not in kept_back]
    members = dict(group.members)
    for member in muted:
        if not member.notified:
            # It ended before it could be reported: nobody needs to hear of it.
            members[member.alert_id] = msgspec.structs.replace(member, muted=True, news=member.status == "firing")
    for member in about:
        members[member.alert_id] = msgspec.structs.replace(
            member, notified=member.status, notified_severity=member.severity, news=False
        )
    looked = msgspec.structs.replace(
        group,
        members=members,
        news_at=None,
        oldest=None,
        look_at=now + LOOK_EVERY if any(members[alert_id].news for alert_id in kept_back) else None,
    )
    if not about and not group.overflow.fired and not group.overflow.resolved:
        return _showing(looked)
    known_to_fire = any(member.notified == "firing" for member in group.members.values())
    firing = [
        member
        for member in group.members.values()
        if member.status == "firing" and not member.silenced and not inhibited(member)
    ]
    notification = _notification(group, "update" if known_to_fire else "new", about, firing, now)
    return _showing(
        msgspec.structs.replace(
            looked,
            overflow=Overflow(firing=group.overflow.firing),
            sent_at=now,
            burst=group.burst + 1,
            number=group.number + 1,
            outbox=Outbox(notification, now, group.oldest),
        )
    )


def _repeat(group: Group, inhibited: Inhibited, now: dt.datetime) -> Group:
    """Report again what fires and is neither suppressed nor inhibited, if anything."""
    firing = [member for member in group.members.values() if _repeatable(member) and not inhibited(member)]
    if not any(member.status == "firing" for member in group.members.values()):
        # Alerts that are only counted may have ended unnoticed: do not let them fire for ever.
        return msgspec.structs.replace(group, overflow=Overflow()) if group.overflow != Overflow() else group
    if not firing:
        return group
    repeated = _notification(group, "repeat", firing, firing, now)
    return msgspec.structs.replace(
        group, sent_at=now, burst=0, number=group.number + 1, outbox=Outbox(repeated, now, None)
    )


def _showing(group: Group) -> Group:
    return msgspec.structs.replace(group, shown=worth_showing(group.members, group.shown))


def _notification(
    group: Group, reason: Reason, about: Collection[Member], firing: Collection[Member], now: dt.datetime
) -> Notification:
    """Return the notification about some members of a group in which ``firing`` fire and are not suppressed."""
    overflow = group.overflow if reason != "repeat" else Overflow(firing=group.overflow.firing)
    listed = sorted((group.shown[m.alert_id] for m in about if m.alert_id in group.shown), key=prominence)[:MAX_ALERTS]
    firing_count = len(firing) + overflow.firing
    resolved_count = sum(member.status == "resolved" for member in about) + overflow.resolved
    at_least = overflow != Overflow()
    labelled = about or firing or group.members.values()
    return Notification(
        notification_id=_notification_id(group, reason, about, firing_count, resolved_count),
        reason=reason,
        state="firing" if firing_count else "resolved",
        severity=_highest(firing or labelled),
        group=group.labels,
        firing=firing_count,
        resolved=resolved_count,
        at_least=at_least,
        summary=headline(group.labels, firing_count, resolved_count, at_least, listed),
        rules=sorted({member.rule for member in labelled})[:MAX_NAMES],
        sites=sorted({member.site for member in labelled})[:MAX_NAMES],
        alerts=[notified(transition) for transition in listed],
        omitted=len(about) + overflow.fired + overflow.resolved - len(listed),
        published_at=now,
    )


def _highest(members: Collection[Member]) -> Severity:
    return max((member.severity for member in members), key=SEVERITIES.index, default=SEVERITIES[0])


def _notification_id(group: Group, reason: Reason, about: Collection[Member], firing: int, resolved: int) -> str:
    """Return an id: 80 bits of SHA-256, hexadecimal, equal for equal content. Each repetition has its own number."""
    changes = sorted((member.alert_id, member.sequence) for member in about)
    identity = msgspec.json.encode((group.key, group.number, reason, changes, firing, resolved))
    return hashlib.sha256(identity).hexdigest()[:20]
