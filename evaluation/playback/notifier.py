"""The notifier as simulated time passes: groups, sources of inhibition, and wake-ups. It takes no time itself."""

from __future__ import annotations

import datetime as dt
import heapq
import math
from collections.abc import Iterable, Sequence

from lambdas.notifier.dispatcher import LONGEST_WAKE_SECONDS
from pipeline.inbox import Received
from telemetry.alerting.transitions import Transition
from telemetry.notifying.dispatch import due_at, look, publications, settled
from telemetry.notifying.groups import Group, Member, group_key, labels_of
from telemetry.notifying.inhibition import Inhibitor, Sources, remember, source_rules
from telemetry.notifying.merge import concerns_groups, merge
from telemetry.rules.rule_set import RuleSet


class NotifierPlayback:
    """The groups of alerts, and what was published, in order."""

    def __init__(self, rules: RuleSet) -> None:
        self._groups: dict[str, Group] = {}
        self._sources: dict[str, Sources] = {}
        self._inhibitor: tuple[dt.datetime, Inhibitor] | None = None
        self._wakes: list[tuple[dt.datetime, str]] = []
        self.received: list[Received] = []
        self.edit(rules)

    def edit(self, rules: RuleSet) -> None:
        """Put other rules into use."""
        self._rules = rules
        self._source_rules = frozenset(source_rules(rules))

    def notify(self, transitions: Sequence[Transition], woken: Sequence[str], now: dt.datetime) -> None:
        """Receive messages: the sources of inhibition first, then each group all that concerns it."""
        if not transitions and not woken:
            return
        self._inhibitor = None
        works: dict[str, tuple[dict[str, str], list[Transition]]] = {}
        for transition in filter(concerns_groups, transitions):
            if transition.rule in self._source_rules:
                self._sources[transition.rule] = remember(self._sources.get(transition.rule, {}), [transition], now)
            labels = labels_of(self._rules, transition)
            works.setdefault(group_key(labels), (labels, []))[1].append(transition)
        for key in woken:
            if key in self._groups:
                works.setdefault(key, (self._groups[key].labels, []))
        for key, (labels, about) in works.items():
            before = self._groups.get(key) or Group(key=key, labels=labels)
            self._carry(before, about, now, is_woken=key in woken)

    def next_wake(self) -> dt.datetime | None:
        """Return when the queue wakes a group next."""
        return self._wakes[0][0] if self._wakes else None

    def woken(self, now: dt.datetime) -> list[str]:
        """Take the groups that the queue wakes by now."""
        keys = []
        while self._wakes and self._wakes[0][0] <= now:
            keys.append(heapq.heappop(self._wakes)[1])
        return keys

    def due(self, now: dt.datetime) -> list[str]:
        """Return the groups that are due, which the watchdog wakes."""
        return [key for key, at in self._dues() if at <= now]

    def next_due(self) -> dt.datetime | None:
        """Return when a group is due next."""
        return min((at for _, at in self._dues()), default=None)

    def _dues(self) -> Iterable[tuple[str, dt.datetime]]:
        return [(key, at) for key, group in self._groups.items() if (at := due_at(group, self._rules))]

    def _carry(self, before: Group, transitions: Sequence[Transition], now: dt.datetime, *, is_woken: bool) -> None:
        merged, _ = merge(before, self._rules, transitions, now)
        after = look(merged, self._rules, lambda member: self._inhibited(member, now), now)
        if after.outbox:
            self.received += [Received(notification, now) for notification in after.outbox.notifications]
            after = settled(after, publications(after.outbox))
        if after.empty:
            self._groups.pop(after.key, None)
            return
        self._groups[after.key] = after
        due, waiting = due_at(after, self._rules), after.news_at is not None
        if due is not None and (due != due_at(before, self._rules) or (waiting and is_woken)):
            seconds = max(0, math.ceil((due - now).total_seconds()))
            # News that wait for longer are woken by one message after the other.
            if waiting or seconds <= LONGEST_WAKE_SECONDS:
                wake = now + dt.timedelta(seconds=min(seconds, LONGEST_WAKE_SECONDS))
                heapq.heappush(self._wakes, (wake, after.key))

    def _inhibited(self, member: Member, now: dt.datetime) -> bool:
        if self._inhibitor is None or self._inhibitor[0] != now:
            known = (by_id for rule, by_id in self._sources.items() if rule in self._source_rules)
            sources = [source for by_id in known for source in by_id.values()]
            self._inhibitor = now, Inhibitor(self._rules, sources, now)
        return self._inhibitor[1](member)
