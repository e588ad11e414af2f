"""Dispatch: when a group's next notifications are due, and what they say.

The first change of a group is reported after ``group_wait``. While changes continue, each report waits twice as long as
the one before, up to ``group_interval``. An alert that still fires and is not suppressed is reported again
``repeat_interval`` after the last notification about it, however busy its group is.

Notifications enter the group's outbox in the same write as the group's change, and leave it once they are published.
After a crash they are published again unchanged, before anything new.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple, Optional

import msgspec

from telemetry.notifying.compose import Report, compose
from telemetry.notifying.groups import Group, Member, Outbox, Overflow, Policy, policy_of, timing
from telemetry.notifying.merge import forget_at, forgotten, worth_showing
from telemetry.notifying.message import AUDIENCES, Audience, Notification
from telemetry.rules.rule_set import RuleSet

#: Time that an execution has to publish the notifications of the outbox before another one does.
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
    repetitions = _repeat_at(group, policy)
    # One that is due and inhibited waits for the next look: a group that stays due would be woken without end.
    moments += [max(at, group.look_at) for at in repetitions] if group.look_at else repetitions
    return min(moments, default=None)


def _repeat_at(group: Group, policy: Policy) -> list[dt.datetime]:
    """Return when the first of the group's alerts is due for repetition, if any is."""
    repeatable = [_notified_at(member, group) for member in group.members.values() if _repeatable(member)]
    if repeatable:
        return [_moment(min(repeatable)) + policy.repeat_interval]
    return [group.sent_at + policy.repeat_interval] if group.sent_at and group.overflow.firing else []


def _notified_at(member: Member, group: Group) -> int:
    return member.notified_at or (_seconds(group.sent_at) if group.sent_at else 0)


def _seconds(moment: dt.datetime) -> int:
    return math.ceil(moment.timestamp())


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.timezone.utc)


def _wait(policy: Policy, burst: int) -> dt.timedelta:
    if burst == 0:
        return policy.group_wait
    doubled: dt.timedelta = max(policy.group_wait, _SECOND) * 2 ** min(burst, _MAX_DOUBLINGS)
    return min(doubled, max(policy.group_wait, policy.group_interval))


def _repeatable(member: Member) -> bool:
    return member.status == "firing" and member.notified == "firing" and member.held is None


def clamped(group: Group, now: dt.datetime) -> Group:
    """Return the group without times after ``now``; the same object if there are none.

    An execution whose clock was ahead wrote them. Nothing waits until that clock was right: its waits begin now.
    """
    changes: dict[str, object] = {
        name: now for name in ("news_at", "sent_at") if (moment := getattr(group, name)) and moment > now
    }
    if group.look_at and group.look_at > now + LOOK_EVERY:
        changes["look_at"] = now + LOOK_EVERY
    if group.outbox and group.outbox.since > now:
        changes["outbox"] = msgspec.structs.replace(group.outbox, since=now)
    latest = _seconds(now)
    if any(member.notified_at > latest or member.minute * 60 > latest for member in group.members.values()):
        changes["members"] = {
            alert_id: msgspec.structs.replace(
                member, notified_at=min(member.notified_at, latest), minute=min(member.minute, latest // 60)
            )
            for alert_id, member in group.members.items()
        }
    return msgspec.structs.replace(group, **changes) if changes else group


def look(group: Group, rules: RuleSet, inhibited: Inhibited, now: dt.datetime) -> Group:
    """Do what is due at ``now``. The result may have notifications in its outbox, or be the same object.

    Notifications that are already in the outbox come first: this execution claims them from one that did not publish
    them in time, and the group stays as it is.
    """
    due = due_at(group, rules)
    if due is None or due > now:
        return group
    if group.outbox:
        return msgspec.structs.replace(group, outbox=msgspec.structs.replace(group.outbox, since=now))
    policy = timing(rules, group)
    news_due = group.news_at is not None and group.news_at + _wait(policy, group.burst) <= now
    looking = group.look_at is not None and group.look_at <= now
    repeat_due = any(at <= now for at in _repeat_at(group, policy))
    looked, notifications = _tidied(group, rules, now), list[Notification]()
    if news_due or looking:
        looked, notifications = _report_news(looked, inhibited, now)
    if repeat_due:
        looked, repetitions = _repeat(looked, policy.repeat_interval, inhibited, now)
        notifications += repetitions
    if not notifications:
        return looked
    oldest = group.oldest if any(notification.reason != "repeat" for notification in notifications) else None
    return msgspec.structs.replace(
        looked, number=group.number + 1, outbox=Outbox(now, oldest, notifications=notifications)
    )


class Publication(NamedTuple):
    """A notification for one of the topics."""

    notification: Notification
    audience: Audience

    @property
    def key(self) -> tuple[str, str]:
        """Identity of a notification in a group's outbox."""
        return self.notification.notification_id, self.audience


def publications(outbox: Outbox) -> list[Publication]:
    """Return what of an outbox is still to be published."""
    every = [Publication(notification, audience) for notification in outbox.notifications for audience in AUDIENCES]
    return [each for each in every if each.key not in outbox.published]


def settled(group: Group, published: Iterable[Publication]) -> Group:
    """Return the group after publications; what a topic refused stays in the outbox.

    The same object if another execution removed them.
    """
    if group.outbox is None:
        return group
    waiting = publications(group.outbox)
    done = {each.key for each in published} & {each.key for each in waiting}
    if not done:
        return group
    if len(done) == len(waiting):
        return msgspec.structs.replace(group, outbox=None)
    every = [*group.outbox.published, *sorted(done)]
    return msgspec.structs.replace(group, outbox=msgspec.structs.replace(group.outbox, published=every))


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


def _report_news(group: Group, inhibited: Inhibited, now: dt.datetime) -> tuple[Group, list[Notification]]:
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
            member,
            notified=member.status,
            notified_severity=member.severity,
            news=False,
            notified_severities=" ".join(member.severities),
            notified_at=_seconds(now),
        )
    looked = msgspec.structs.replace(
        group,
        members=members,
        news_at=None,
        oldest=None,
        look_at=now + LOOK_EVERY if any(members[alert_id].news for alert_id in kept_back) else None,
    )
    if not about and not group.overflow.fired and not group.overflow.resolved:
        return _showing(looked), []
    known_to_fire = any(member.notified == "firing" for member in group.members.values())
    firing = [
        member
        for member in group.members.values()
        if member.status == "firing" and not member.silenced and not inhibited(member)
    ]
    report = Report(group, "update" if known_to_fire else "new", about, firing, group.overflow, now)
    looked = msgspec.structs.replace(
        looked, overflow=Overflow(firing=group.overflow.firing), sent_at=now, burst=group.burst + 1
    )
    return _showing(looked), compose(report)


def _repeat(
    group: Group, interval: dt.timedelta, inhibited: Inhibited, now: dt.datetime
) -> tuple[Group, list[Notification]]:
    """Report again what fires and is neither suppressed nor inhibited, if anything is due.

    What is due soon comes with it: in a busy group, where alerts were reported one after another, reminders of each by
    itself would never end.
    """
    if not any(member.status == "firing" for member in group.members.values()):
        # Alerts that are only counted may have ended unnoticed: do not let them fire for ever.
        overflow = Overflow()
        return (msgspec.structs.replace(group, overflow=overflow) if group.overflow != overflow else group), []
    repeatable = list(filter(_repeatable, group.members.values()))
    waited = {member.alert_id: now - _moment(_notified_at(member, group)) for member in repeatable}
    candidates = [member for member in repeatable if not inhibited(member)]
    if not any(waited[member.alert_id] >= interval for member in candidates):
        due = any(time >= interval for time in waited.values())
        return (msgspec.structs.replace(group, look_at=now + LOOK_EVERY) if due else group), []
    firing = [member for member in candidates if waited[member.alert_id] >= interval / 2]
    again = {member.alert_id: msgspec.structs.replace(member, notified_at=_seconds(now)) for member in firing}
    report = Report(group, "repeat", firing, candidates, Overflow(firing=group.overflow.firing), now)
    return msgspec.structs.replace(group, members={**group.members, **again}), compose(report)


def _showing(group: Group) -> Group:
    return msgspec.structs.replace(group, shown=worth_showing(group.members, group.shown))
