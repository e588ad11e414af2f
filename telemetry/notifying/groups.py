"""Groups of alerts: which alerts share a notification, and the state of each member.

An alert's rule, device, site and gateway never change: they decide its group.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, Optional, TypeVar

import msgspec

from telemetry.alerting.transitions import HoldKind, Transition
from telemetry.notifying.message import Notification
from telemetry.rules.rule_set import SEVERITIES, RuleSet, Severity

#: Largest stored group, bytes: under DynamoDB's limit of 400 KB per item, which includes names and keys.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_GROUP_BYTES = 390_000

#: A longer key, bytes, is replaced by its hash. DynamoDB's limit is 2,048.
_MAX_KEY_BYTES = 1_024


class Policy(NamedTuple):
    """Grouping of a rule's alerts, and the waits of their notifications."""

    group_by: tuple[str, ...]
    group_wait: dt.timedelta
    group_interval: dt.timedelta
    repeat_interval: dt.timedelta


#: Policy for the alerts of a deleted rule: the defaults of a rule.
DEFAULT_POLICY = Policy(("site", "rule"), dt.timedelta(seconds=5), dt.timedelta(minutes=5), dt.timedelta(hours=4))


def policy_of(rules: RuleSet, rule: str) -> Policy:
    """Return the policy of the rule ``rule``."""
    found = rules.named(rule)
    if found is None:
        return DEFAULT_POLICY
    return Policy(tuple(found.group_by), found.group_wait, found.group_interval, found.repeat_interval)


def labels_of(rules: RuleSet, alert: Transition | Member) -> dict[str, str]:
    """Return the labels of the alert's group, in alphabetical order.

    The severity is the rule's, not the alert's: an alert that escalates stays in its group.
    """
    return {label: _label(rules, alert, label) for label in sorted(policy_of(rules, alert.rule).group_by)}


def _label(rules: RuleSet, alert: Transition | Member, label: str) -> str:
    if label == "severity":
        rule = rules.named(alert.rule)
        return rule.severity if rule else ""
    return str(getattr(alert, label))


def group_key(labels: dict[str, str]) -> str:
    """Return a group's key: its labels as JSON, readable by a person, or their hash if that is too long."""
    key = msgspec.json.encode(labels)
    return key.decode() if len(key) <= _MAX_KEY_BYTES else hashlib.sha256(key).hexdigest()


class Member(msgspec.Struct, frozen=True):
    """One alert of a group: its status, and what subscribers know of it. Stored by position: append new fields.

    ``notified`` and ``notified_severity`` are its status and severity in the last notification, empty before the first.
    ``news``: a change has yet to be reported. ``muted``: it was inhibited before its first notification. ``minute`` is
    the time of its last change by the clock, in minutes since 1970. ``notified_severities`` are all severities with
    which it was reported, separated by spaces, and ``notified_at`` is the time of the last notification about it, in
    seconds since 1970; both are empty in what an earlier version stored.
    """

    alert_id: str
    sequence: int
    status: Literal["firing", "resolved"]
    severity: Severity
    held: Optional[HoldKind]
    rule: str
    site: str
    gateway: str
    device: str
    notified: Literal["", "firing", "resolved"]
    notified_severity: str
    news: bool
    muted: bool
    minute: int
    notified_severities: str = ""
    notified_at: int = 0

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The severities of messages about it: those it was reported with, and while it fires, the one that it has.

        So whoever was notified of an alert, under any severity, is notified of its end; and an end notifies nobody who
        was not.
        """
        known = set((self.notified_severities or self.notified_severity).split())
        if self.status == "firing" or not known:
            known.add(self.severity)
        return tuple(severity for severity in SEVERITIES if severity in known)

    @property
    def silenced(self) -> bool:
        """Whether an operator suppresses it. The end of an alert that subscribers know as firing is always reported."""
        ending = self.status == "resolved" and self.notified == "firing"
        return self.held in ("snoozed", "disabled") and not ending

    @property
    def over(self) -> bool:
        """Whether nothing about it is left to report, unless an operator releases it."""
        return self.status == "resolved" and (not self.news or self.silenced)


class Overflow(msgspec.Struct, frozen=True):
    """Counts of alerts that are not members: firing now, and fired and resolved since the last notification."""

    firing: int = 0
    fired: int = 0
    resolved: int = 0


class Outbox(msgspec.Struct, frozen=True):
    """Notifications that are about to be published, or may have been.

    ``since`` is when an execution last claimed them for publishing. ``oldest`` is the time, by the clock, of the oldest
    change in them; None for repetitions. ``published`` names what a topic has accepted already, where another one
    refused. ``notification`` is only there in what is stored: the first of them, all that the version before knows.
    """

    since: dt.datetime
    oldest: Optional[dt.datetime]
    notifications: list[Notification] = []
    published: list[tuple[str, str]] = []
    notification: Optional[Notification] = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that share notifications, and the times that decide when the next one is due.

    ``shown`` holds the last transitions of the members that a notification would list. ``news_at`` is the arrival of
    the first unreported change, ``oldest`` the time of the oldest of them, ``look_at`` when to check inhibited changes
    again. ``sent_at`` is the time of the last report of changes, ``burst`` the number of them without a quiet
    ``group_interval`` between them, ``number`` the number of all reports and repetitions. ``more`` is only there in
    what is stored: the members' fields after the first ``_FIRST_FIELDS``.
    """

    key: str
    labels: dict[str, str]
    members: dict[str, Member] = {}
    shown: dict[str, Transition] = {}
    overflow: Overflow = Overflow()
    news_at: Optional[dt.datetime] = None
    oldest: Optional[dt.datetime] = None
    look_at: Optional[dt.datetime] = None
    sent_at: Optional[dt.datetime] = None
    burst: int = 0
    number: int = 0
    outbox: Optional[Outbox] = None
    more: Columns = []

    @property
    def empty(self) -> bool:
        """Whether the group holds nothing worth storing."""
        return not self.members and self.overflow == Overflow() and self.outbox is None


def timing(rules: RuleSet, group: Group) -> Policy:
    """Return the shortest times among the policies of the group's alerts that are not over."""
    names = {member.rule for member in group.members.values() if not member.over}
    policies = [policy_of(rules, name) for name in sorted(names)] or [DEFAULT_POLICY]
    return Policy(
        tuple(group.labels),
        min(policy.group_wait for policy in policies),
        min(policy.group_interval for policy in policies),
        min(policy.repeat_interval for policy in policies),
    )


_S = TypeVar("_S", bound=msgspec.Struct)

#: Structs of one type, column by column: equal values stand side by side, which compresses better.
Columns = list[list[Any]]


def columns(structs: Iterable[_S]) -> Columns:
    """Return structs of one type as one list per field."""
    return [list(column) for column in zip(*map(msgspec.structs.astuple, structs))]


def rows(kind: type[_S], packed: Sequence[Sequence[Any]]) -> list[_S]:
    """Return the structs of type ``kind`` that :func:`columns` packed."""
    return [kind(*row) for row in zip(*packed)]


#: The fields of a member that the version before knows: one may go back to it, and it takes no others.
_FIRST_FIELDS = 14

_decoder: msgspec.json.Decoder[tuple[Group, Columns]] = msgspec.json.Decoder(tuple[Group, Columns])


def decode_group(data: bytes) -> Group:
    """Return a stored group."""
    group, packed = _decoder.decode(zlib.decompress(data))
    outbox = group.outbox
    if outbox and outbox.notification:
        every = [outbox.notification, *outbox.notifications]
        outbox = msgspec.structs.replace(outbox, notifications=every, notification=None)
    members = {member.alert_id: member for member in rows(Member, [*packed, *group.more])}
    return msgspec.structs.replace(group, members=members, outbox=outbox, more=[])


def encode_group(group: Group) -> bytes:
    """Return the group for storage, in at most ``MAX_GROUP_BYTES``: 20,000 members take some 350 KB.

    If names compress badly, surplus members are only counted from then on, those that are over first.
    """
    while len(data := _encoded(group)) > MAX_GROUP_BYTES and group.members:
        group = _halved(group)
    return data


def _encoded(group: Group) -> bytes:
    packed = columns(sorted(group.members.values(), key=lambda member: (member.gateway, member.device)))
    outbox = group.outbox
    if outbox:
        first, *others = outbox.notifications
        outbox = msgspec.structs.replace(outbox, notification=first, notifications=others)
    stored = msgspec.structs.replace(group, members={}, outbox=outbox, more=packed[_FIRST_FIELDS:])
    return zlib.compress(msgspec.json.encode((stored, packed[:_FIRST_FIELDS])))


def _halved(group: Group) -> Group:
    ranked = sorted(group.members.values(), key=lambda member: (member.over, not member.news, -member.minute))
    kept, dropped = ranked[: len(ranked) // 2], ranked[len(ranked) // 2 :]
    overflow = group.overflow
    firing = [member for member in dropped if member.status == "firing"]
    return msgspec.structs.replace(
        group,
        members={member.alert_id: member for member in kept},
        overflow=Overflow(
            overflow.firing + len(firing),
            overflow.fired + sum(member.news for member in firing),
            overflow.resolved + sum(member.news for member in dropped if member.status == "resolved"),
        ),
    )
