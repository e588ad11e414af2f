"""Groups of alerts: which alerts are told together, and what is known of each of them.

An alert's rule, device, site and gateway never change: they decide which group it is in.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from typing import Literal, NamedTuple, Optional

import msgspec

from telemetry.alerting.transitions import HoldKind, Transition
from telemetry.notifying.columns import Columns, columns, rows
from telemetry.notifying.message import Notification
from telemetry.rules.rule_set import RuleSet, Severity

#: What a group takes in storage at most, in bytes: under DynamoDB's 400 KB an item, names and keys included.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_GROUP_BYTES = 390_000

#: A key that is longer, in bytes, is replaced by its hash; DynamoDB takes 2,048.
_MAX_KEY_BYTES = 1_024


class Policy(NamedTuple):
    """How a rule's alerts are grouped, and how long their messages wait."""

    group_by: tuple[str, ...]
    group_wait: dt.timedelta
    group_interval: dt.timedelta
    repeat_interval: dt.timedelta


#: For the alerts of a rule that is gone: what a rule has that says nothing about it.
DEFAULT_POLICY = Policy(("site", "rule"), dt.timedelta(seconds=5), dt.timedelta(minutes=5), dt.timedelta(hours=4))


def policy_of(rules: RuleSet, rule: str) -> Policy:
    """The policy of a rule by its name."""
    found = rules.named(rule)
    if found is None:
        return DEFAULT_POLICY
    return Policy(tuple(found.group_by), found.group_wait, found.group_interval, found.repeat_interval)


def labels_of(rules: RuleSet, alert: Transition | Member) -> dict[str, str]:
    """What the alert's group has in common, by label in alphabetical order.

    The severity is the rule's, not the alert's: an alert that escalates stays in its group.
    """
    return {label: _label(rules, alert, label) for label in sorted(policy_of(rules, alert.rule).group_by)}


def _label(rules: RuleSet, alert: Transition | Member, label: str) -> str:
    if label == "severity":
        rule = rules.named(alert.rule)
        return rule.severity if rule else ""
    return str(getattr(alert, label))


def group_key(labels: dict[str, str]) -> str:
    """A group's key: its labels as JSON, so that a person can read it; the hash of that where it is too long."""
    key = msgspec.json.encode(labels)
    return key.decode() if len(key) <= _MAX_KEY_BYTES else hashlib.sha256(key).hexdigest()


class Member(msgspec.Struct, frozen=True):
    """One alert in a group: where it stands, and what was told of it.

    ``told`` and ``told_severity`` are what the last message about it said, empty where there was none. ``news``: there
    is something to tell as soon as nothing holds it back. ``muted``: it was inhibited before it was ever told.
    ``minute`` is when it changed last, by the clock, in minutes since 1970.
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
    told: Literal["", "firing", "resolved"]
    told_severity: str
    news: bool
    muted: bool
    minute: int

    @property
    def silenced(self) -> bool:
        """Whether an operator wants nothing told about it. The end of what subscribers hold to be firing is told."""
        ending = self.status == "resolved" and self.told == "firing"
        return self.held in ("snoozed", "disabled") and not ending

    @property
    def over(self) -> bool:
        """Whether nothing is left to tell about it, unless an operator releases it."""
        return self.status == "resolved" and (not self.news or self.silenced)


class Overflow(msgspec.Struct, frozen=True):
    """Alerts that are not members: how many fire, and how many fired and resolved since the last message."""

    firing: int = 0
    fired: int = 0
    resolved: int = 0


class Outbox(msgspec.Struct, frozen=True):
    """A notification that is to be published, or may have been.

    ``since`` is when an execution last took it upon itself to publish it. ``oldest`` is when the oldest change that it
    tells happened, by the clock; None for a repetition.
    """

    notification: Notification
    since: dt.datetime
    oldest: Optional[dt.datetime]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The alerts that are told together, and what decides when.

    ``shown`` has the last transitions of those members that a notification would list. ``news_at`` is when the first
    change came that is still to be told, ``oldest`` when the oldest of those happened, ``look_at`` when inhibited news
    are to be looked at again. ``sent_at`` is when the last notification was made, ``burst`` how many followed each
    other without a quiet ``group_interval``, ``number`` how many there were in all.
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

    @property
    def empty(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.members and self.overflow == Overflow() and self.outbox is None


def timing(rules: RuleSet, group: Group) -> Policy:
    """The shortest times among the policies of the group's alerts that are not over."""
    names = {member.rule for member in group.members.values() if not member.over}
    policies = [policy_of(rules, name) for name in sorted(names)] or [DEFAULT_POLICY]
    return Policy(
        tuple(group.labels),
        min(policy.group_wait for policy in policies),
        min(policy.group_interval for policy in policies),
        min(policy.repeat_interval for policy in policies),
    )


_decoder: msgspec.json.Decoder[tuple[Group, Columns]] = msgspec.json.Decoder(tuple[Group, Columns])


def decode_group(data: bytes) -> Group:
    """A group as it was stored."""
    group, packed = _decoder.decode(zlib.decompress(data))
    return msgspec.structs.replace(group, members={member.alert_id: member for member in rows(Member, packed)})


def encode_group(group: Group) -> bytes:
    """The group for storage, in ``MAX_GROUP_BYTES``: 20,000 members take some 350 KB.

    Names that compress badly take more; then as many members as need be are counted only, those that are over first.
    """
    while len(data := _encoded(group)) > MAX_GROUP_BYTES and group.members:
        group = _halved(group)
    return data


def _encoded(group: Group) -> bytes:
    packed = columns(sorted(group.members.values(), key=lambda member: (member.gateway, member.device)))
    return zlib.compress(msgspec.json.encode((msgspec.structs.replace(group, members={}), packed)))


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
