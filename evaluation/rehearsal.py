"""Rehearsal: the notifications of a deployment for given records, in simulated time on this machine."""

from __future__ import annotations

import datetime as dt
import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from evaluation.playback import TICK
from lambdas.notifier.dispatcher import LONGEST_WAKE_SECONDS
from pipeline.inbox import Received
from simulator.sinks.record import Record
from telemetry.alerting.evaluate import advance, evaluate, silent
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GatewayState
from telemetry.alerting.transitions import Transition
from telemetry.notifying.dispatch import due_at, look, publications, settled
from telemetry.notifying.groups import Group, Member, group_key, labels_of
from telemetry.notifying.inhibition import Inhibitor, Sources, remember, source_rules
from telemetry.notifying.merge import concerns_groups, merge
from telemetry.reading.codec import decode_batch
from telemetry.rules.rule_set import RuleSet

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

#: How often progress is told, in records.
_OFTEN = 1_000


class Rehearsal(NamedTuple):
    """The notifications in the order in which they would have been published, and every change of every alert."""

    received: list[Received]
    transitions: list[Transition]


def rehearse(
    records: Iterable[Record],
    rules: RuleSet,
    until: dt.datetime,
    on_progress: Callable[[dt.datetime], None] = lambda _: None,
) -> Rehearsal:
    """Play the records, which are in the order of their times, through the rules, and on until ``until`` (UTC).

    A record arrives when it is sent; detector and notifier take no time. As when deployed, the queue wakes a group in
    whole seconds, and the watchdog, at each whole minute, those that are due later than the queue can wait. What the
    watchdog knows of signs of life is up to date here and up to a minute old there, so that alerts of ``no_data`` come
    up to a minute sooner or later there.
    """
    stage = _Stage(rules)
    for number, record in enumerate(records):
        now = dt.datetime.fromtimestamp(record.at, dt.UTC)
        stage.wait(now)
        stage.arrive(record, now)
        if number % _OFTEN == 0:
            on_progress(now)
    stage.wait(until)
    return Rehearsal(stage.received, stage.transitions)


class _Gateway:
    """State of a gateway."""

    __slots__ = ("recent", "state")

    def __init__(self, name: str) -> None:
        self.state = GatewayState(name)
        self.recent = Recent()


class _Stage:
    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._gateways: dict[str, _Gateway] = {}
        self._groups: dict[str, Group] = {}
        self._wakes: list[tuple[dt.datetime, str]] = []
        self._sources: dict[str, Sources] = {rule: {} for rule in source_rules(rules)}
        self._inhibitor: tuple[dt.datetime, Inhibitor] | None = None
        self._next_tick: dt.datetime | None = None
        self.received: list[Received] = []
        self.transitions: list[Transition] = []

    def arrive(self, record: Record, now: dt.datetime) -> None:
        """Give the detector a record."""
        if self._next_tick is None:
            self._next_tick = _whole(now, TICK)
        gateway = self._gateways.get(record.gateway)
        if gateway is None:
            gateway = self._gateways[record.gateway] = _Gateway(record.gateway)
        batch = decode_batch(record.payload, now)
        heard = Heard(record.gateway, now, batch.readings, [line for line in batch.rejected if line.device])
        gateway.state, transitions = evaluate(self._rules, gateway.state, gateway.recent, heard)
        gateway.recent.accept()
        self._notify(transitions, (), now)

    def wait(self, until: dt.datetime) -> None:
        """Do what is due up to then, in order: runs of the watchdog, and looks at groups."""
        while True:
            tick, wake = self._next_tick or until + TICK, self._wakes[0][0] if self._wakes else until + TICK
            now = min(tick, wake)
            if now > until:
                return
            happened: list[Transition] = []
            woken: list[str] = []
            if tick == now:
                self._next_tick = now + TICK
                happened, woken = self._watch(now)
            while self._wakes and self._wakes[0][0] <= now:
                woken.append(heapq.heappop(self._wakes)[1])
            self._notify(happened, woken, now)

    def _watch(self, now: dt.datetime) -> tuple[list[Transition], list[str]]:
        """Run the watchdog: return what happened by the clock, and the groups that are due."""
        happened: list[Transition] = []
        for gateway in self._gateways.values():
            gateway.state, transitions = advance(self._rules, gateway.state, now)
            happened += transitions
            if self._rules.watches_silence:
                gateway.state, transitions = silent(self._rules, gateway.state, gateway.recent, now)
                happened += transitions
        due = {key: due_at(group, self._rules) for key, group in self._groups.items()}
        return happened, [key for key, at in due.items() if at and at <= now]

    def _notify(self, transitions: Sequence[Transition], woken: Sequence[str], now: dt.datetime) -> None:
        """Give the notifier messages: the sources of inhibition first, then each group all that concerns it."""
        self.transitions += transitions
        works: dict[str, tuple[dict[str, str], list[Transition]]] = {}
        for transition in filter(concerns_groups, transitions):
            if transition.rule in self._sources:
                self._sources[transition.rule] = remember(self._sources[transition.rule], [transition], now)
                self._inhibitor = None
            labels = labels_of(self._rules, transition)
            works.setdefault(group_key(labels), (labels, []))[1].append(transition)
        for key in woken:
            if key in self._groups:
                works.setdefault(key, (self._groups[key].labels, []))
        for key, (labels, about) in works.items():
            self._carry(self._groups.get(key) or Group(key=key, labels=labels), about, now)

    def _carry(self, before: Group, transitions: Sequence[Transition], now: dt.datetime) -> None:
        merged, _ = merge(before, self._rules, transitions, now)
        after = look(merged, self._rules, lambda member: self._inhibited(member, now), now)
        if after.outbox:
            self.received += [Received(notification, now) for notification in after.outbox.notifications]
            after = settled(after, publications(after.outbox))
        if after.empty:
            self._groups.pop(after.key, None)
            return
        self._groups[after.key] = after
        due = due_at(after, self._rules)
        if due is not None and due != due_at(before, self._rules):
            seconds = max(0, math.ceil((due - now).total_seconds()))
            if seconds <= LONGEST_WAKE_SECONDS:
                heapq.heappush(self._wakes, (now + dt.timedelta(seconds=seconds), after.key))

    def _inhibited(self, member: Member, now: dt.datetime) -> bool:
        if self._inhibitor is None or self._inhibitor[0] != now:
            sources = [source for by_id in self._sources.values() for source in by_id.values()]
            self._inhibitor = now, Inhibitor(self._rules, sources, now)
        return self._inhibitor[1](member)


def _whole(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    """Return the first multiple of ``step`` that is not before the moment."""
    return _EPOCH + math.ceil((moment - _EPOCH) / step) * step
