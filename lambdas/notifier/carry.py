"""One group brought forward: taken in and looked at in one write, published, settled, and woken again later.

A notification is committed with the change that it tells, in its group's outbox, then published, then taken out. Of
executions that look at a group at the same time only one commits, and only that one publishes; should it die, another
one does when its time is over.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

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

#: How often a change is tried on an item that others change as well, and what full jitter waits between, in seconds.
_MAX_TRIES = 6
_BACKOFF_SECONDS = 0.05

#: Wakes later than this are the watchdog's, which comes every minute.
LONGEST_WAKE_SECONDS = 90

logger = Logger(child=True)


class Tally(msgspec.Struct):
    """What one invocation did: alerts by severity, and those that fired by site.

    ``delays``: for each notification, seconds from its oldest change to its publishing.
    """

    firing: Counter[str] = msgspec.field(default_factory=Counter)
    firing_at: Counter[str] = msgspec.field(default_factory=Counter)
    resolved: Counter[str] = msgspec.field(default_factory=Counter)
    published: int = 0
    delays: list[float] = []


class Committed(NamedTuple):
    """A group as it was and as it is written now; ``ours`` is what this execution has to publish, if anything."""

    before: Group
    after: Group
    stored: Stored
    ours: Outbox | None


class Carrier:
    """What one invocation does to groups and to the sources of inhibition."""

    def __init__(
        self,
        *,
        rules: RuleSet,
        groups: GroupTable,
        queue: TransitionsQueue,
        topic: AlertsTopic,
        clock: Callable[[], dt.datetime],
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._rules = rules
        self._groups = groups
        self._queue = queue
        self._topic = topic
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._inhibitor: Inhibitor | None = None
        self.tally = Tally()

    def remember(self, rule: str, transitions: Sequence[Transition]) -> None:
        """Note which alerts of a source rule fire; before any group is looked at.

        Raises :class:`~lambdas.store.items.ItemConflictError` if others keep changing them.
        """
        key = source_key(rule)
        for _ in self._tries():
            stored = self._groups.load([key])[key]
            before = decode_sources(stored.state) if stored.version else {}
            after = remember(before, transitions, self._clock())
            if after is before:
                return
            try:
                self._groups.commit(key, encode_sources(after), stored.version, None)
            except ItemConflictError:
                continue
            return
        raise ItemConflictError(f"{key} was changed by others {_MAX_TRIES} times in a row")

    def take_in(self, new: Group, transitions: Sequence[Transition], stored: Stored) -> Committed | None:
        """Merge, look and commit in one write; None if that changes nothing.

        ``new`` is the group for when nothing is ``stored`` yet. Raises
        :class:`~lambdas.store.items.ItemConflictError` if others keep changing it.
        """
        for attempt in self._tries():
            if attempt:
                stored = self._groups.load([new.key])[new.key]
            before = decode_group(stored.state) if stored.version else new
            now = self._clock()
            merged, fresh = merge(before, self._rules, transitions, now)
            after = look(merged, self._rules, self._inhibited, now)
            if after is before:
                return None
            try:
                written = self._write(after, stored)
            except ItemConflictError:
                continue
            self._count(fresh)
            return Committed(before, after, written, after.outbox if after.outbox is not merged.outbox else None)
        raise ItemConflictError(f"the group {new.key} was changed by others {_MAX_TRIES} times in a row")

    def follow_up(self, committed: Committed) -> None:
        """Publish what is ours to publish, and have the group looked at again in time.

        What fails here is in the group's outbox and on the index of what is due: the watchdog wakes the group.
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
        """Take the published notification out of its outbox, and leave what others did to the group meanwhile."""
        group, stored = committed.after, committed.stored
        for attempt in self._tries():
            if attempt:
                stored = self._groups.load([group.key])[group.key]
                group = decode_group(stored.state) if stored.version else Group(key=group.key, labels=group.labels)
            after = settled(group, published)
            if after is group:
                return group
            try:
                self._write(after, stored)
            except ItemConflictError:
                continue
            return after
        raise ItemConflictError(f"the group {group.key} was changed by others {_MAX_TRIES} times in a row")

    def _write(self, group: Group, stored: Stored) -> Stored:
        if not group.empty:
            return self._groups.commit(group.key, encode_group(group), stored.version, due_at(group, self._rules))
        if stored.version:
            self._groups.delete(group.key, stored.version)
        return Stored()

    def _wake(self, key: str, due: dt.datetime) -> None:
        """Have the group looked at when it is due, if that is soon; if not, or if it fails, the watchdog sees to it.

        A message that waits for long looks like one that nobody takes: the alarm on the queue's age could not tell.
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

    def _tries(self) -> Iterator[int]:
        for attempt in range(_MAX_TRIES):
            self._sleep(self._chance() * _BACKOFF_SECONDS * (2**attempt - 1))
            yield attempt

    def _count(self, fresh: Sequence[Transition]) -> None:
        for transition in fresh:
            if transition.change in ("firing", "flapping"):
                self.tally.firing[transition.severity] += 1
                self.tally.firing_at[transition.site] += 1
            elif transition.change == "resolved":
                self.tally.resolved[transition.severity] += 1
