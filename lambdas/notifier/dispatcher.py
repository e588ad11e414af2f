"""The dispatch of notifications: merge transitions into groups, publish what is due, schedule the next wake-up.

A notification is committed with the change that it reports, in its group's outbox, then published, then removed. Of
executions that look at a group at the same time only one commits, and only that one publishes; should it die, another
one does when its time is over.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.store.backoff import BACKOFF, TRIES, Backoff
from lambdas.store.groups import GroupTable, Stored
from lambdas.store.items import ItemConflictError
from lambdas.store.queue import TransitionsQueue
from lambdas.store.topic import AlertsTopic
from telemetry.alerting.transitions import Transition
from telemetry.notifying.dispatch import due_at, look, settled
from telemetry.notifying.groups import Group, Member, Outbox, decode_group, encode_group
from telemetry.notifying.inhibition import Inhibitor, decode_sources, encode_sources, remember, source_key, source_rules
from telemetry.notifying.merge import merge
from telemetry.rules.rule_set import RuleSet

#: The first wait before a change is tried again because others have changed the item, in seconds.
_CONFLICT_BACKOFF = 0.1

#: The longest wake-up that the notifier schedules by itself. Later ones are the watchdog's, which runs every minute.
LONGEST_WAKE_SECONDS = 90

T = TypeVar("T")

logger = Logger(child=True)


class Tally(msgspec.Struct):
    """Counts of one invocation: alerts by severity, and those that fired by site.

    ``delays``: for each notification, seconds from its oldest change to its publishing.
    """

    firing: Counter[str] = msgspec.field(default_factory=Counter)
    firing_at: Counter[str] = msgspec.field(default_factory=Counter)
    resolved: Counter[str] = msgspec.field(default_factory=Counter)
    published: int = 0
    delays: list[float] = []


class Committed(NamedTuple):
    """A group before and after a write; ``ours`` is what this execution has to publish, if anything."""

    before: Group
    after: Group
    stored: Stored
    ours: Outbox | None


class Dispatcher:
    """One invocation's changes of groups and of the sources of inhibition."""

    def __init__(
        self,
        *,
        rules: RuleSet,
        groups: GroupTable,
        queue: TransitionsQueue,
        topic: AlertsTopic,
        clock: Callable[[], dt.datetime],
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._rules = rules
        self._groups = groups
        self._queue = queue
        self._topic = topic
        self._clock = clock
        self._backoff = backoff
        self._inhibitor: Inhibitor | None = None
        self.tally = Tally()

    def record_source(self, rule: str, transitions: Sequence[Transition]) -> None:
        """Record which alerts of a source rule fire; before any group is looked at.

        Raises :class:`~lambdas.store.items.ItemConflictError` if others keep changing them.
        """
        key = source_key(rule)

        def change(stored: Stored) -> None:
            before = decode_sources(stored.state) if stored.version else {}
            after = remember(before, transitions, self._clock())
            if after is not before:
                self._groups.commit(key, encode_sources(after), stored.version, None)

        self._change(key, None, change)

    def update_group(self, new: Group, transitions: Sequence[Transition], stored: Stored) -> Committed | None:
        """Merge transitions into a group, and what is then due into its outbox, in one write; None if nothing changes.

        ``new`` is the group for when nothing is ``stored`` yet. Raises
        :class:`~lambdas.store.items.ItemConflictError` if others keep changing it.
        """

        def change(stored: Stored) -> Committed | None:
            before = decode_group(stored.state) if stored.version else new
            now = self._clock()
            merged, fresh = merge(before, self._rules, transitions, now)
            after = look(merged, self._rules, self._inhibited, now)
            if after is before:
                return None
            written = self._write(after, stored)
            self._count(fresh)
            return Committed(before, after, written, after.outbox if after.outbox is not merged.outbox else None)

        return self._change(new.key, stored, change)

    def publish(self, committed: Committed) -> None:
        """Publish what is ours to publish, and schedule the group's next wake-up.

        What fails here is in the group's outbox and in the index of due items: the watchdog wakes the group.
        """
        group = committed.after
        if committed.ours:
            self._topic.publish(committed.ours.notification)
            self.tally.published += 1
            if committed.ours.oldest:
                self.tally.delays.append((self._clock() - committed.ours.oldest).total_seconds())
            group = self._settle(committed, committed.ours.notification.notification_id)
        due = due_at(group, self._rules)
        if due is not None and due != due_at(committed.before, self._rules):
            self._wake(group.key, due)

    def _settle(self, committed: Committed, published: str) -> Group:
        """Remove the published notification from the outbox; return the group as others may have changed it since."""
        ours = committed.after

        def change(stored: Stored) -> Group:
            if stored is committed.stored:
                group = ours
            else:
                group = decode_group(stored.state) if stored.version else Group(key=ours.key, labels=ours.labels)
            after = settled(group, published)
            if after is not group:
                self._write(after, stored)
            return after

        return self._change(ours.key, committed.stored, change)

    def _change(self, key: str, stored: Stored | None, change: Callable[[Stored], T]) -> T:
        """Apply a change to an item; where others were quicker, to what they have made of it."""
        for _ in self._backoff.tries(_CONFLICT_BACKOFF):
            try:
                return change(stored if stored is not None else self._groups.load([key])[key])
            except ItemConflictError:
                stored = None
        raise ItemConflictError(f"{key} was changed by others {TRIES} times in a row")

    def _write(self, group: Group, stored: Stored) -> Stored:
        if not group.empty:
            return self._groups.commit(group.key, encode_group(group), stored.version, due_at(group, self._rules))
        if stored.version:
            self._groups.delete(group.key, stored.version)
        return Stored()

    def _wake(self, key: str, due: dt.datetime) -> None:
        """Schedule a wake-up of the group, if it is due soon; if not, or if that fails, the watchdog wakes it.

        A message that waits for long looks like one that nobody receives: the alarm on the queue's age could not tell.
        """
        delay = max(0, math.ceil((due - self._clock()).total_seconds()))
        if delay > LONGEST_WAKE_SECONDS:
            return
        try:
            self._queue.wake(key, delay)
        except (ClientError, BotoCoreError):
            logger.warning("the watchdog has to wake a group", group=key, exc_info=True)

    def _inhibited(self, member: Member) -> bool:
        if self._inhibitor is None:
            inhibitions = self._rules.inhibitions
            keys = [source_key(rule) for rule in source_rules(self._rules)]
            stored = self._groups.load(keys) if keys else {}
            sources = [s for item in stored.values() if item.version for s in decode_sources(item.state).values()]
            self._inhibitor = Inhibitor(inhibitions, sources)
        return self._inhibitor(member)

    def _count(self, fresh: Sequence[Transition]) -> None:
        for transition in fresh:
            if transition.change in ("firing", "flapping"):
                self.tally.firing[transition.severity] += 1
                self.tally.firing_at[transition.site] += 1
            elif transition.change == "resolved":
                self.tally.resolved[transition.severity] += 1
