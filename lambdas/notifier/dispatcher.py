"""The dispatch of notifications: merge transitions into groups, publish what is due, schedule the next wake-up.

Notifications are committed with the change that they report, in their group's outbox, then published, then removed. Of
executions that look at a group at the same time only one commits, and only that one publishes; should it die, another
one does when its time is over.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from aws_lambda_powertools import Logger

from lambdas.store.backoff import BACKOFF, TRIES, Backoff
from lambdas.store.groups import GroupTable, Stored
from lambdas.store.items import ItemConflictError
from lambdas.store.queue import TransitionsQueue
from lambdas.store.topic import AlertsTopics
from telemetry.alerting.transitions import Transition
from telemetry.notifying.dispatch import OUTBOX_PATIENCE, Publication, clamped, due_at, look, publications, settled
from telemetry.notifying.groups import Group, Member, decode_group, encode_group
from telemetry.notifying.inhibition import Inhibitor, decode_sources, encode_sources, remember, source_key, source_rules
from telemetry.notifying.merge import merge
from telemetry.rules.rule_set import RuleSet

#: The first wait before a change is tried again because others have changed the item, in seconds.
_CONFLICT_BACKOFF = 0.1

#: The longest wake-up that the notifier schedules by itself. Later ones are the watchdog's, which runs every minute.
LONGEST_WAKE_SECONDS = 90

_SECOND = dt.timedelta(seconds=1)

A = TypeVar("A")
T = TypeVar("T")

logger = Logger(child=True)


class InParallel(Protocol):
    """Calls a function for each item and returns the results in the items' order, as ``map`` does."""

    def __call__(self, function: Callable[[A], T], items: Iterable[A], /) -> Iterable[T]:
        """Call ``function`` for ``items``."""


class Tally(msgspec.Struct):
    """Counts of one invocation: alerts by severity, and those that fired by site.

    ``delays``: for each group's report, seconds from its oldest change to its publishing.
    """

    firing: Counter[str] = msgspec.field(default_factory=Counter)
    firing_at: Counter[str] = msgspec.field(default_factory=Counter)
    resolved: Counter[str] = msgspec.field(default_factory=Counter)
    published: int = 0
    delays: list[float] = []

    def count(self, fresh: Iterable[Transition]) -> None:
        """Count transitions that were not known before."""
        for transition in fresh:
            if transition.change in ("firing", "flapping"):
                self.firing[transition.severity] += 1
                self.firing_at[transition.site] += 1
            elif transition.change == "resolved":
                self.resolved[transition.severity] += 1


class Update(NamedTuple):
    """Work on one group: its transitions, and what is stored of it; ``woken`` if it was due to be looked at.

    ``new`` is the group for when nothing is stored yet.
    """

    new: Group
    transitions: Sequence[Transition]
    stored: Stored
    woken: bool


class Committed(NamedTuple):
    """An update that was written, or that changed nothing: the group before and after it.

    ``ours`` is what this execution has to publish; ``fresh`` are the transitions that were not known before.
    """

    update: Update
    before: Group
    after: Group
    stored: Stored
    ours: Sequence[Publication] = ()
    fresh: Sequence[Transition] = ()


class Failed(NamedTuple):
    """The keys of groups that could not be written, and of those whose notifications were not all published."""

    unwritten: set[str]
    unpublished: set[str]


class Dispatcher:
    """One invocation's changes of groups and of the sources of inhibition."""

    def __init__(
        self,
        *,
        rules: RuleSet,
        groups: GroupTable,
        queue: TransitionsQueue,
        topics: AlertsTopics,
        clock: Callable[[], dt.datetime],
        backoff: Backoff = BACKOFF,
        in_parallel: InParallel = map,
    ) -> None:
        self._rules = rules
        self._groups = groups
        self._queue = queue
        self._topics = topics
        self._clock = clock
        self._backoff = backoff
        self._in_parallel = in_parallel
        self._inhibitor: Inhibitor | None = None
        self._loading = threading.Lock()
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

    def dispatch(self, updates: Sequence[Update]) -> Failed:
        """Write groups, publish what is then due, and schedule their next wake-ups; return what failed.

        What is not published is in its group's outbox. The queue wakes the group in a minute, or the watchdog does.
        """
        written = list(self._in_parallel(self._try_to_write, updates))
        committed = [each for each in written if each]
        for each in committed:
            self.tally.count(each.fresh)
        requests = list(self._topics.requests([ours for each in committed for ours in each.ours]))
        accepted = {each.key for some in self._in_parallel(self._topics.publish, requests) for each in some}
        self.tally.published += len({notification_id for notification_id, _ in accepted})

        def settle(each: Committed) -> Group | None:
            return self._try_to_settle(each, [ours for ours in each.ours if ours.key in accepted])

        after = list(self._in_parallel(settle, committed))
        self._wake(zip(committed, after, strict=True))
        return Failed(
            {update.new.key for update, each in zip(updates, written, strict=True) if each is None},
            {each.after.key for each, group in zip(committed, after, strict=True) if group is None},
        )

    def _try_to_write(self, update: Update) -> Committed | None:
        """Merge transitions into a group, and what is then due into its outbox, in one write; None if that fails."""

        def change(stored: Stored) -> Committed:
            before = decode_group(stored.state) if stored.version else update.new
            now = self._clock()
            merged, fresh = merge(clamped(before, now), self._rules, update.transitions, now)
            after = look(merged, self._rules, self._inhibited, now)
            if after is before:
                return Committed(update, before, before, stored)
            written = self._write(after, stored)
            ours = publications(after.outbox) if after.outbox and after.outbox is not merged.outbox else ()
            return Committed(update, before, after, written, ours, fresh)

        try:
            return self._change(update.new.key, update.stored, change)
        except Exception:  # whatever it is, the other groups go on
            logger.exception("a group could not be written; its messages are delivered again", group=update.new.key)
            return None

    def _try_to_settle(self, committed: Committed, published: Sequence[Publication]) -> Group | None:
        """Remove what was published from the outbox; return the group as others may have changed it since.

        None if anything is left to publish: it is published again in a minute.
        """
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

        if not committed.ours:
            return ours
        try:
            group = self._change(ours.key, committed.stored, change) if published else ours
        except Exception:  # as above
            logger.exception("a notification was published, and is published again in a minute", group=ours.key)
            return None
        if len(published) < len(committed.ours):
            return None
        if ours.outbox and ours.outbox.oldest:
            self.tally.delays.append((self._clock() - ours.outbox.oldest).total_seconds())
        return group

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

    def _wake(self, dispatched: Iterable[tuple[Committed, Group | None]]) -> None:
        """Schedule wake-ups of groups; where that fails, the watchdog wakes them."""
        delays = {each.after.key: self._delay(each, group) for each, group in dispatched}
        try:
            self._queue.wake({key: delay for key, delay in delays.items() if delay is not None})
        except Exception:  # whatever it is, the watchdog comes
            logger.warning("the watchdog has to wake groups", exc_info=True)

    def _delay(self, committed: Committed, group: Group | None) -> int | None:
        """Return the seconds to the group's next wake-up; None where none is needed, or it is the watchdog's.

        News that wait have a wake-up on its way: its delay is relative, so that it comes in time although our clock was
        wrong when we wrote when the group is due. Other wake-ups that are due later are the watchdog's: a
        message that waits for long looks like one that nobody receives, and the alarm on the queue's age cannot tell.
        """
        if group is None:
            return OUTBOX_PATIENCE // _SECOND
        due = due_at(group, self._rules)
        waiting = group.news_at is not None and group.outbox is None
        if due is None or (due == due_at(committed.before, self._rules) and not (waiting and committed.update.woken)):
            return None
        seconds = max(0, math.ceil((due - self._clock()).total_seconds()))
        return min(seconds, LONGEST_WAKE_SECONDS) if waiting or seconds <= LONGEST_WAKE_SECONDS else None

    def _inhibited(self, member: Member) -> bool:
        with self._loading:
            if self._inhibitor is None:
                keys = [source_key(rule) for rule in source_rules(self._rules)]
                stored = self._groups.load(keys) if keys else {}
                sources = [s for item in stored.values() if item.version for s in decode_sources(item.state).values()]
                self._inhibitor = Inhibitor(self._rules, sources, self._clock())
        return self._inhibitor(member)
