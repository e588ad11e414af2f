"""Notification of a batch of the queue's messages: to the lake, into the groups, and what is due to the topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.notifier.dispatcher import Dispatcher, Update
from lambdas.store.groups import GroupTable
from lambdas.store.items import MAX_KEYS_PER_BATCH_GET
from lambdas.store.lake import AlertsLake, LakeError
from telemetry.alerting.transitions import Transition
from telemetry.notifying.groups import Group, group_key, labels_of
from telemetry.notifying.inhibition import source_rules
from telemetry.notifying.merge import concerns_groups
from telemetry.notifying.queue import Batch, Wake
from telemetry.rules.rule_set import SEVERITIES, RuleSet

Messages = Mapping[str, Batch | Wake]

logger = Logger(child=True)


class Again(NamedTuple):
    """The ids of messages to deliver again: what failed, and what there was no time for."""

    failed: set[str]
    unreached: set[str]


class _Work(msgspec.Struct):
    """An invocation's transitions for one item of the table, and the ids of the messages that they came in."""

    labels: dict[str, str] = {}
    transitions: list[Transition] = []
    batches: set[str] = msgspec.field(default_factory=set)
    wakes: set[str] = msgspec.field(default_factory=set)

    def add(self, message_id: str, transition: Transition) -> None:
        self.transitions.append(transition)
        self.batches.add(message_id)

    @property
    def rank(self) -> int:
        """The place in the order in which groups have their turn: what is due, then the most severe."""
        return min(
            (-SEVERITIES.index(transition.severity) for transition in self.transitions), default=-len(SEVERITIES)
        )


class Notifier:
    """One invocation: its messages, all of a group's together. ``has_time`` says whether there is time for more."""

    def __init__(
        self,
        *,
        rules: RuleSet,
        groups: GroupTable,
        lake: AlertsLake,
        dispatcher: Dispatcher,
        has_time: Callable[[], bool] = lambda: True,
    ) -> None:
        self._rules = rules
        self._groups = groups
        self._lake = lake
        self._dispatcher = dispatcher
        self._has_time = has_time

    def process(self, messages: Messages) -> Again:
        """Process messages by their ids; return the ids of those to deliver again.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if the groups cannot be read.
        """
        failed = self._to_lake(messages)
        # The sources first: groups that are due now must not report what they inhibit.
        for rule, work in self._by_source(messages).items():
            failed |= self._record_source(rule, work)
        works = sorted(self._by_group(messages).items(), key=lambda item: item[1].rank)
        for start in range(0, len(works), MAX_KEYS_PER_BATCH_GET):
            if not self._has_time():
                left = [work for _, work in works[start:]]
                logger.warning("no time left; the other groups are for the next execution", groups=len(left))
                return Again(failed, {message_id for work in left for message_id in work.batches | work.wakes} - failed)
            failed |= self._dispatch(dict(works[start : start + MAX_KEYS_PER_BATCH_GET]))
        return Again(failed, set())

    def _to_lake(self, messages: Messages) -> set[str]:
        """Write to the lake. It never blocks notifications: if a write fails, SQS delivers the messages again."""
        batches = {message_id: message for message_id, message in messages.items() if isinstance(message, Batch)}
        try:
            self._lake.put([transition for batch in batches.values() for transition in batch.transitions])
        except (LakeError, ClientError, BotoCoreError):
            logger.exception("the transitions could not be written to the lake; they are delivered again")
            return set(batches)
        return set()

    def _by_source(self, messages: Messages) -> dict[str, _Work]:
        sources = set(source_rules(self._rules))
        works: dict[str, _Work] = {}
        for message_id, transition in _transitions(messages):
            if transition.rule in sources:
                works.setdefault(transition.rule, _Work()).add(message_id, transition)
        return works

    def _by_group(self, messages: Messages) -> dict[str, _Work]:
        works: dict[str, _Work] = {}
        for message_id, transition in _transitions(messages):
            labels = labels_of(self._rules, transition)
            works.setdefault(group_key(labels), _Work(labels)).add(message_id, transition)
        for message_id, message in messages.items():
            if isinstance(message, Wake):
                works.setdefault(message.group, _Work()).wakes.add(message_id)
        return works

    def _record_source(self, rule: str, work: _Work) -> set[str]:
        try:
            self._dispatcher.record_source(rule, work.transitions)
        except Exception:  # whatever it is, the groups go on
            logger.exception("a source of inhibition could not be written; its messages are delivered again", rule=rule)
            return work.batches
        return set()

    def _dispatch(self, works: Mapping[str, _Work]) -> set[str]:
        """Merge and publish; return the ids of the messages to deliver again."""
        stored = self._groups.load(works)
        failed = self._dispatcher.dispatch(
            [
                Update(Group(key=key, labels=work.labels), work.transitions, stored[key], bool(work.wakes))
                for key, work in works.items()
            ]
        )
        again: set[str] = set()
        for key in failed.unwritten:
            again |= works[key].batches | works[key].wakes
        for key in failed.unpublished:
            # The transitions are merged, and the notifications are in the group's outbox.
            again |= works[key].wakes
        return again


def _transitions(messages: Messages) -> Iterator[tuple[str, Transition]]:
    for message_id, message in messages.items():
        if isinstance(message, Batch):
            yield from ((message_id, t) for t in message.transitions if concerns_groups(t))
