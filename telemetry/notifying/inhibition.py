"""Inhibition: alerts that are not reported while another one explains them, and for some time after it."""

from __future__ import annotations

import datetime as dt
import fnmatch
import heapq
import math
import zlib
from collections.abc import Iterable

import msgspec

from telemetry.alerting.transitions import Transition
from telemetry.notifying.groups import Columns, Member, columns, rows
from telemetry.notifying.merge import FORGET_AFTER, MAX_MEMBERS
from telemetry.rules.rule_set import Inhibition, RuleSet

_KEY_PREFIX = "inhibit:"

#: Time after a silence rule's ``for`` until its alerts are there: last-seen times are a minute old at most, the
#: watchdog runs each minute, and the end of a source is known to the minute.
SETTLING = dt.timedelta(minutes=3)

_MINUTE = dt.timedelta(minutes=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


class Source(msgspec.Struct, frozen=True):
    """One alert that may inhibit others; ``minute`` is its last change by the clock, in minutes since 1970."""

    alert_id: str
    sequence: int
    firing: bool
    rule: str
    site: str
    gateway: str
    device: str
    severity: str
    minute: int


#: The alerts of one source rule, by their id.
Sources = dict[str, Source]


def source_key(rule: str) -> str:
    """Return the key of a source rule's alerts in the table of groups; no group has such a key."""
    return _KEY_PREFIX + rule


def source_rules(rules: RuleSet) -> list[str]:
    """Return the names of the rules whose alerts may inhibit others."""
    globs = {inhibition.source for inhibition in rules.inhibitions}
    return [rule.name for rule in rules.rules if any(fnmatch.fnmatchcase(rule.name, glob) for glob in globs)]


def remember(sources: Sources, transitions: Iterable[Transition], now: dt.datetime) -> Sources:
    """Return the sources after their transitions, in any order, repeated or not; the same object if none is new."""
    minute = (now - _EPOCH) // _MINUTE
    known = dict(sources)
    new = False
    for transition in transitions:
        before = known.get(transition.alert_id)
        if before and transition.sequence <= before.sequence:
            continue
        new = True
        known[transition.alert_id] = Source(
            transition.alert_id,
            transition.sequence,
            transition.status == "firing",
            transition.rule,
            transition.site,
            transition.gateway,
            transition.device,
            transition.severity,
            minute,
        )
    return _remembered(known, minute) if new else sources


def _remembered(sources: Sources, minute: int) -> Sources:
    """Drop the sources that ended long ago, and those beyond the limit of a group's members."""
    kept = [s for s in sources.values() if s.firing or (minute - s.minute) * _MINUTE < FORGET_AFTER]
    kept = heapq.nlargest(MAX_MEMBERS, kept, key=lambda source: (source.firing, source.minute))
    return {source.alert_id: source for source in kept}


def encode_sources(sources: Sources) -> bytes:
    """Return the sources for storage, packed like a group's members."""
    return zlib.compress(msgspec.json.encode(columns(sources.values())))


def decode_sources(data: bytes) -> Sources:
    """Return stored sources."""
    packed = msgspec.json.decode(zlib.decompress(data), type=Columns)
    return {source.alert_id: source for source in rows(Source, packed)}


class Inhibitor:
    """Predicate: whether a source alert that fires, or fired not long ago, inhibits an alert.

    An alert about silence is inhibited for some time after the end of its source: until its device would be called
    silent if it had said nothing since. A gateway that was down is back with the first of its devices that reports; the
    others are not silent because they report later. Only an end of which subscribers wait is not held back by that.

    Two alerts that are each other's source and target do not inhibit each other, and no alert inhibits itself: neither
    would ever be reported. Alertmanager has the same exception.
    https://prometheus.io/docs/alerting/latest/configuration/#inhibition-related-settings
    """

    def __init__(self, rules: RuleSet, sources: Iterable[Source], now: dt.datetime) -> None:
        self._rules = rules
        self._minute = (now - _EPOCH) // _MINUTE
        known = list(sources)
        self._indexes = [_Index(inhibition, known, self._minute) for inhibition in rules.inhibitions]

    def __call__(self, member: Member) -> bool:
        """Return whether a source alert explains this one."""
        ending = member.status == "resolved" and member.notified == "firing"
        since = self._minute if ending else self._minute - self._outlasting(member.rule)
        return any(index.inhibits(member, since) for index in self._indexes)

    def _outlasting(self, name: str) -> int:
        """Return the minutes for which an inhibition of a rule's alerts outlasts its source."""
        rule = self._rules.named(name)
        return math.ceil((rule.hold_for + SETTLING) / _MINUTE) if rule and rule.no_data else 0


class _Index:
    """One inhibition: until which minute the sources with some labels inhibit, and those that are not targets."""

    def __init__(self, inhibition: Inhibition, sources: Iterable[Source], minute: int) -> None:
        self._inhibition = inhibition
        self._any: dict[tuple[str, ...], int] = {}
        self._no_targets: dict[tuple[str, ...], int] = {}
        for source in sources:
            # An end in the future was written by an execution whose clock was ahead: when it was, nobody knows.
            if fnmatch.fnmatchcase(source.rule, inhibition.source) and (source.firing or source.minute <= minute):
                self._add(source, minute + 1 if source.firing else source.minute)

    def _add(self, source: Source, until: int) -> None:
        labels = self._labels(source)
        self._any[labels] = max(until, self._any.get(labels, 0))
        if not fnmatch.fnmatchcase(source.rule, self._inhibition.target):
            self._no_targets[labels] = max(until, self._no_targets.get(labels, 0))

    def inhibits(self, member: Member, since: int) -> bool:
        """Return whether a source fires, or has fired after the minute ``since``."""
        if not self._any or not fnmatch.fnmatchcase(member.rule, self._inhibition.target):
            return False
        explaining = self._no_targets if fnmatch.fnmatchcase(member.rule, self._inhibition.source) else self._any
        return explaining.get(self._labels(member), 0) > since

    def _labels(self, alert: Source | Member) -> tuple[str, ...]:
        return tuple(getattr(alert, label) for label in self._inhibition.equal)
