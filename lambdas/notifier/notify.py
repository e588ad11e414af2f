"""What happens to a batch of the queue's messages: to the lake, into the groups, and what is due to the topic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.notifier.carry import Carrier
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
    """What an invocation brings to one item of the table, and the ids of the messages that it came in."""

    labels: dict[str, str] = {}
    transitions: list[Transition] = []
    batches: set[str] = msgspec.field(default_factory=set)
    wakes: set[str] = msgspec.field(default_factory=set)

    def add(self, message_id: str, transition: Transition) -> None:
        self.transitions.append(transition)
        self.batches.add(message_id)


class Notifier:
    """One invocation's work on its messages, all of a group's together."""

    def __init__(self, *, rules: RuleSet, groups: GroupTable, lake: AlertsLake, carrier: Carrier) -> None:
        self._rules = rules
        self._groups = groups
        self._lake = lake
        self._carrier = carrier

    def process(self, messages: Messages) -> set[str]:
        """Process messages by their ids; returns the ids of those that have to be delivered again.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if the groups cannot be read.
        """
        failed = self._to_lake(messages)
        # The sources first: what they inhibit must not be told by the groups that are due now.
        for rule, work in self._by_source(messages).items():
            failed |= self._remember(rule, work)
        groups = self._by_group(messages)
        stored = self._groups.load(groups)
        for key, work in groups.items():
            failed |= self._carry(key, work, stored[key])
        return failed

    def _to_lake(self, messages: Messages) -> set[str]:
        """Nobody waits for the lake: if it takes nothing, alerts are told all the same and the messages come again."""
        batches = {message_id: message for message_id, message in messages.items() if isinstance(message, Batch)}
        try:
            self._lake.put([transition for batch in batches.values() for transition in batch.transitions])
        except (LakeError, ClientError, BotoCoreError):
            logger.exception("the lake does not take the transitions; they are delivered again")
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

    def _remember(self, rule: str, work: _Work) -> set[str]:
        try:
            self._carrier.remember(rule, work.transitions)
        except Exception:  # whatever it is, the groups go on
            logger.exception("a source of inhibition could not be written; its messages are delivered again", rule=rule)
            return work.batches
        return set()

    def _carry(self, key: str, work: _Work, stored: Stored) -> set[str]:
        """Bring a group forward; returns the ids of the messages to deliver again."""
        try:
            committed = self._carrier.take_in(Group(key=key, labels=work.labels), work.transitions, stored)
        except Exception:  # whatever it is, the other groups go on
            logger.exception("a group could not be written; its messages are delivered again", group=key)
            return work.batches | work.wakes
        try:
            if committed:
                self._carrier.follow_up(committed)
        except Exception:  # as above
            # The group has taken the transitions in, and what it has to tell is in its outbox.
            logger.exception("a notification was not published; it is published again in a minute", group=key)
            return work.wakes
        return set()


def _transitions(messages: Messages) -> Iterator[tuple[str, Transition]]:
    for message_id, message in messages.items():
        if isinstance(message, Batch):
            yield from ((message_id, t) for t in message.transitions if concerns_groups(t))
