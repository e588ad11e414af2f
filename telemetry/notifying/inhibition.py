"""Inhibition: alerts that are not reported while another one explains them."""

from __future__ import annotations

import datetime as dt
import fnmatch
import heapq
import zlib
from collections.abc import Collection, Iterable

import msgspec

from telemetry.alerting.transitions import Transition
from telemetry.notifying.groups import Columns, Member, columns, rows
from telemetry.notifying.merge import FORGET_AFTER, MAX_MEMBERS
from telemetry.rules.rule_set import Inhibition, RuleSet

_KEY_PREFIX = "inhibit:"
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
    """Predicate: whether a firing source alert inhibits an alert.

    Two alerts that are each other's source and target do not inhibit each other, and no alert inhibits itself: neither
    would ever be reported. Alertmanager has the same exception.
    https://prometheus.io/docs/alerting/latest/configuration/#inhibition-related-settings
    """

    def __init__(self, inhibitions: Collection[Inhibition], sources: Iterable[Source]) -> None:
        firing = [source for source in sources if source.firing]
        self._indexes = [_Index(inhibition, firing) for inhibition in inhibitions]

    def __call__(self, member: Member) -> bool:
        """Return whether a firing source alert explains this one."""
        return any(index.inhibits(member) for index in self._indexes)


class _Index:
    """One inhibition: the labels of its firing sources, and of those sources that are not targets themselves."""

    def __init__(self, inhibition: Inhibition, sources: Iterable[Source]) -> None:
        self._inhibition = inhibition
        self._any: set[tuple[str, ...]] = set()
        self._no_targets: set[tuple[str, ...]] = set()
        for source in sources:
            if fnmatch.fnmatchcase(source.rule, inhibition.source):
                self._any.add(self._labels(source))
                if not fnmatch.fnmatchcase(source.rule, inhibition.target):
                    self._no_targets.add(self._labels(source))

    def inhibits(self, member: Member) -> bool:
        if not self._any or not fnmatch.fnmatchcase(member.rule, self._inhibition.target):
            return False
        explaining = self._no_targets if fnmatch.fnmatchcase(member.rule, self._inhibition.source) else self._any
        return self._labels(member) in explaining

    def _labels(self, alert: Source | Member) -> tuple[str, ...]:
        return tuple(getattr(alert, label) for label in self._inhibition.equal)
