"""When a group is to be looked at, and what is told of it then.

The first change of a group is told after ``group_wait``. While changes go on coming, each next notification waits
twice as long as the one before, up to ``group_interval``. What still fires and is not held is told again
``repeat_interval`` after the last notification.

A notification is put into the group's outbox with the change that it makes, and taken out once it was published: what
a crash leaves there is published again as it was, before anything new is told.
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

#: How long the execution that put a notification into the outbox has to publish it, before another one does.
OUTBOX_PATIENCE = dt.timedelta(seconds=60)

#: How often inhibited news are looked at again.
LOOK_EVERY = dt.timedelta(minutes=1)

_SECOND = dt.timedelta(seconds=1)
_MAX_DOUBLINGS = 20

Inhibited = Callable[[Member], bool]


def due_at(group: Group, rules: RuleSet) -> Optional[dt.datetime]:
    """When the group is to be looked at next; None for one that only a transition can change."""
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
    return member.status == "firing" and member.told == "firing" and member.held is None


def look(group: Group, rules: RuleSet, inhibited: Inhibited, now: dt.datetime) -> Group:
    """The group after what is due at ``now``: perhaps with a notification in its outbox, perhaps the same object.

    A notification that is in the outbox already comes first: the group stays as it is, but is taken over from an
    execution that had its time to publish it.
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
        looked = _tell_news(looked, inhibited, now)
    if repeat_due and not looked.outbox:
        looked = _repeat(looked, inhibited, now)
    return looked


def settled(group: Group, notification_id: str) -> Group:
    """The group once this notification was published; the same object if another execution took it out before."""
    if group.outbox and group.outbox.notification.notification_id == notification_id:
        return msgspec.structs.replace(group, outbox=None)
    return group


def _tidied(group: Group, rules: RuleSet, now: dt.datetime) -> Group:
    """The group without what is over for long, and without what is grouped otherwise since the rules were edited.

    The latter is not repeated any more; its end is told by the group that it would be in now.
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


def _tell_news(group: Group, inhibited: Inhibited, now: dt.datetime) -> Group:
    """The group with all its news told, but for those that an operator or another alert holds back."""
    waiting = [member for member in group.members.values() if member.news and not member.silenced]
    muted = [member for member in waiting if inhibited(member)]
    kept_back = {member.alert_id for member in muted}
    about = [member for member in waiting if member.alert_id not in kept_back]
    members = dict(group.members)
    for member in muted:
        if not member.told:
            # Over before it could be told: nobody needs to hear of it any more.
            members[member.alert_id] = msgspec.structs.replace(member, muted=True, news=member.status == "firing")
    for member in about:
        members[member.alert_id] = msgspec.structs.replace(
            member, told=member.status, told_severity=member.severity, news=False
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
    known_to_fire = any(member.told == "firing" for member in group.members.values())
    firing = [
        member
        for member in group.members.values()
        if member.status == "firing" and not member.silenced and not inhibited(member)
    ]
    told = _notification(group, "update" if known_to_fire else "new", about, firing, now)
    return _showing(
        msgspec.structs.replace(
            looked,
            overflow=Overflow(firing=group.overflow.firing),
            sent_at=now,
            burst=group.burst + 1,
            number=group.number + 1,
            outbox=Outbox(told, now, group.oldest),
        )
    )


def _repeat(group: Group, inhibited: Inhibited, now: dt.datetime) -> Group:
    """The group with a reminder of what fires and is neither held nor inhibited, if anything is so."""
    firing = [member for member in group.members.values() if _repeatable(member) and not inhibited(member)]
    if not any(member.status == "firing" for member in group.members.values()):
        # What was only counted may have ended unnoticed: it does not fire for ever.
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
    """The notification about some members, of a group in which ``firing`` fire and are not held back."""
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
    """The same for the same content: 80 bits of SHA-256, in hexadecimal. A repetition has a number of its own."""
    changes = sorted((member.alert_id, member.sequence) for member in about)
    identity = msgspec.json.encode((group.key, group.number, reason, changes, firing, resolved))
    return hashlib.sha256(identity).hexdigest()[:20]
