"""Merge transitions into a group, in any order, repeated or not.

Alerts that are over stay for ``FORGET_AFTER``. For that long a firing transition that arrives after its resolved one,
or a transition that is delivered again, is recognised.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Collection
from typing import NamedTuple, Optional

import msgspec

from telemetry.alerting.transitions import Transition
from telemetry.notifying.groups import Group, Member, Overflow, timing
from telemetry.notifying.message import MAX_ALERTS, prominence
from telemetry.rules.rule_set import SEVERITIES, RuleSet

#: Members of a group that are stored one by one. Further alerts are only counted; duplicates make counts inexact.
MAX_MEMBERS = 20_000

#: Retention of an alert that is over: longer than the queue retries a transition.
FORGET_AFTER = dt.timedelta(hours=24)

_RELEASES = frozenset(["unsnoozed", "enabled"])
_MINUTE = dt.timedelta(minutes=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


class Merged(NamedTuple):
    """The group after a merge (the same object if nothing was new), and the transitions that were new."""

    group: Group
    new: list[Transition]


def concerns_groups(transition: Transition) -> bool:
    """Return whether a transition belongs in a group: its alert has fired, and it is not an order without an alert."""
    return bool(transition.alert_id) and transition.status in ("firing", "resolved")


def merge(group: Group, rules: RuleSet, transitions: Collection[Transition], now: dt.datetime) -> Merged:
    """Merge transitions of this group's alerts; ``now`` (UTC) is their arrival."""
    members = _with_room(group.members, len(transitions))
    shown, overflow = dict(group.shown), group.overflow
    new: list[Transition] = []
    unreported: list[dt.datetime] = []
    for transition in transitions:
        known = members.get(transition.alert_id)
        if known and transition.sequence <= known.sequence:
            continue
        new.append(transition)
        if known is None and len(members) >= MAX_MEMBERS:
            overflow = _counted(overflow, transition)
            unreported.append(transition.recorded_at)
            continue
        if known is None and transition.status == "resolved" and overflow.firing:
            overflow = msgspec.structs.replace(overflow, firing=overflow.firing - 1)
        member = members[transition.alert_id] = _member(known, transition, now)
        shown[transition.alert_id] = transition
        if member.news and not member.silenced:
            unreported.append(transition.recorded_at)
    if not new:
        return Merged(group, new)
    merged = msgspec.structs.replace(group, members=members, shown=worth_showing(members, shown), overflow=overflow)
    return Merged(_awaiting(merged, rules, unreported, now) if unreported else merged, new)


def _awaiting(group: Group, rules: RuleSet, happened: Collection[dt.datetime], now: dt.datetime) -> Group:
    """Return the group with unreported changes that happened at these times."""
    oldest = min([*happened, group.oldest] if group.oldest else happened)
    if group.news_at is not None:
        return msgspec.structs.replace(group, oldest=oldest)
    quiet = group.sent_at is None or now - group.sent_at >= timing(rules, group).group_interval
    return msgspec.structs.replace(group, oldest=oldest, news_at=now, burst=0 if quiet else group.burst)


def _member(known: Optional[Member], transition: Transition, now: dt.datetime) -> Member:
    """Return the member after its newest transition, which decides whether it has news."""
    silenced = transition.held in ("snoozed", "disabled")
    released = transition.change in _RELEASES
    notified, notified_severity = (known.notified, known.notified_severity) if known else ("", "")
    muted = known.muted if known else False
    if transition.status == "firing":
        # A snoozed alert is reported when it is released, even if it was reported before.
        news = released or notified != "firing" or transition.severity != notified_severity
    elif notified:
        news = notified == "firing"
    else:
        # It began and ended between two notifications: reported as resolved, unless it was suppressed while it fired.
        news = not (silenced or released or muted)
    return Member(
        alert_id=transition.alert_id,
        sequence=transition.sequence,
        status="firing" if transition.status == "firing" else "resolved",
        severity=transition.severity,
        held=transition.held,
        rule=transition.rule,
        site=transition.site,
        gateway=transition.gateway,
        device=transition.device,
        notified=notified,
        notified_severity=notified_severity,
        news=news,
        muted=muted,
        minute=(now - _EPOCH) // _MINUTE,
        notified_severities=known.notified_severities if known else "",
        notified_at=known.notified_at if known else 0,
    )


def _counted(overflow: Overflow, transition: Transition) -> Overflow:
    if transition.change in ("firing", "flapping"):
        return msgspec.structs.replace(overflow, firing=overflow.firing + 1, fired=overflow.fired + 1)
    if transition.change == "resolved":
        return Overflow(max(0, overflow.firing - 1), overflow.fired, overflow.resolved + 1)
    return overflow


def _with_room(members: dict[str, Member], newcomers: int) -> dict[str, Member]:
    """Drop the members that ended longest ago, as many as new ones need room."""
    surplus = len(members) + newcomers - MAX_MEMBERS
    kept = dict(members)
    if surplus > 0:
        over = [member for member in members.values() if member.over]
        for member in heapq.nsmallest(surplus, over, key=lambda member: member.minute):
            del kept[member.alert_id]
    return kept


def forgotten(members: dict[str, Member], now: dt.datetime) -> dict[str, Member]:
    """Return the members without those that have been over for ``FORGET_AFTER``."""
    return {alert_id: member for alert_id, member in members.items() if not member.over or forget_at(member) > now}


def forget_at(member: Member) -> dt.datetime:
    """Return when an alert that is over may be dropped."""
    return _EPOCH + member.minute * _MINUTE + FORGET_AFTER


def worth_showing(members: dict[str, Member], shown: dict[str, Transition]) -> dict[str, Transition]:
    """Return the transitions that a notification may list: the most prominent changes of each severity, which are
    reported apart, and other firing alerts."""
    news: list[Transition] = []
    others: list[Transition] = []
    for alert_id, transition in shown.items():
        member = members.get(alert_id)
        if member and (member.news or member.status == "firing"):
            (news if member.news else others).append(transition)
    by_severity = [[each for each in news if each.severity == severity] for severity in SEVERITIES]
    kept = [each for changes in (*by_severity, others) for each in _most_prominent(changes)]
    return {transition.alert_id: transition for transition in kept}


def _most_prominent(transitions: list[Transition]) -> list[Transition]:
    return heapq.nsmallest(MAX_ALERTS, transitions, key=prominence)
