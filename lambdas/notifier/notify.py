"""Notification of a batch of the queue's messages: to the lake, into the groups, and what is due to the topic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.notifier.dispatcher import Dispatcher
from lambdas.store.groups import GroupTable, Stored
from lambdas.store.lake import AlertsLake, LakeError
from telemetry.alerting.transitions import Transition
from telemetry.notifying.groups import Group, group_key, labels_of
from telemetry.notifying.inhibition import source_rules
from telemetry.notifying.merge import concerns_groups
from telemetry.notifying.queue import Batch, Wake
from telemetry.rules.rule_set import RuleSet

Messages = Mapping[str, Batch | Wake]

logger = Logger(child=True)


class _Work(msgspec.Struct):
    """An invocation's transitions for one item of the table, and the ids of the messages that they came in."""

    labels: dict[str, str] = {}
    transitions: list[Transition] = []
    batches: set[str] = msgspec.field(default_factory=set)
    wakes: set[str] = msgspec.field(default_factory=set)

    def add(self, message_id: str, transition: Transition) -> None:
        self.transitions.append(transition)
        self.batches.add(message_id)


class Notifier:
    """One invocation: its messages, all of a group's together."""

    def __init__(self, *, rules: RuleSet, groups: GroupTable, lake: AlertsLake, dispatcher: Dispatcher) -> None:
        self._rules = rules
        self._groups = groups
        self._lake = lake
        self._dispatcher = dispatcher

    def process(self, messages: Messages) -> set[str]:
        """Process messages by their ids; return the ids of those to deliver again.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if the groups cannot be read.
        """
        failed = self._to_lake(messages)
        # The sources first: groups that are due now must not report what they inhibit.
        for rule, work in self._by_source(messages).items():
            failed |= self._record_source(rule, work)
        groups = self._by_group(messages)
        stored = self._groups.load(groups)
        for key, work in groups.items():
            failed |= self._dispatch(key, work, stored[key])
        return failed

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

    def _dispatch(self, key: str, work: _Work, stored: Stored) -> set[str]:
        """Merge and publish; return the ids of the messages to deliver again."""
        try:
            committed = self._dispatcher.update_group(Group(key=key, labels=work.labels), work.transitions, stored)
        except Exception:  # whatever it is, the other groups go on
            logger.exception("a group could not be written; its messages are delivered again", group=key)
            return work.batches | work.wakes
        try:
            if committed:
                self._dispatcher.publish(committed)
        except Exception:  # as above
            # The transitions are merged, and the notification is in the group's outbox.
            logger.exception("a notification was not published; it is published again in a minute", group=key)
            return work.wakes
        return set()


def _transitions(messages: Messages) -> Iterator[tuple[str, Transition]]:
    for message_id, message in messages.items():
        if isinstance(message, Batch):
            yield from ((message_id, t) for t in message.transitions if concerns_groups(t))
