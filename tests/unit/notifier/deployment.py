"""The notifier deployed on a fake AWS that fails as planned, with the queue and the watchdog that wake it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from lambdas.notifier.dispatcher import Dispatcher, InParallel, Tally
from lambdas.notifier.notify import Notifier
from lambdas.store.backoff import Backoff
from lambdas.store.groups import GroupTable
from lambdas.store.lake import AlertsLake
from lambdas.store.queue import TransitionsQueue
from lambdas.store.topic import AlertsTopics
from local.memory_aws.faults import Fault, Faults, Killed
from local.memory_aws.messages import SNS, SQS, Firehose
from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import Notification
from telemetry.notifying.queue import Wake, batches, decode_message, encode_message
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from tests.eventsource import Clock
from tests.poison import RefusingPoison
from tests.unit.notifier.samples import MINUTE, NOW, SECOND

#: As the CDK app has it: what failed is seen again after this.
VISIBILITY = dt.timedelta(seconds=181)

RULES = parse_rules("""
inhibit: [{source: gateway-down, target: "*", equal: [gateway]}]
rules:
  - {name: gateway-down, when: no_data(gateway), for: 2m, severity: critical}
  - {name: too-hot, when: temperature > 40, group_wait: 5s, group_interval: 1m, repeat_interval: 6h}
  - {name: too-cold, when: temperature < 0, group_wait: 0s}
""")


NO_WAITS = Backoff(sleep=lambda _: None)


class Deployment:
    """One notifier. Its executions follow each other, but for those that overtake another one in the middle."""

    def __init__(
        self, planned: Mapping[int, Fault] | None = None, rules: RuleSet = RULES, faults: Faults | None = None
    ) -> None:
        self.faults = faults or Faults(planned)
        self.clock = Clock(NOW)
        self.rules = rules
        self.dynamodb = RefusingPoison(self.faults, {"groups": ("group",)})
        self.sqs, self.sns, self.firehose = SQS(self.faults, self.clock), SNS(self.faults), Firehose(self.faults)
        self.tallies: list[Tally] = []
        #: How much the notifier's clock is ahead of all others.
        self.ahead = dt.timedelta(0)
        self.has_time: Callable[[], bool] = lambda: True
        self.in_parallel: InParallel = map

    def execute(self, bodies: Sequence[str]) -> list[str]:
        """One execution; returns what failed. What it had no time for is visible again at once."""
        self.faults.overtake = lambda: self._overtake(bodies)
        groups = GroupTable(
            self.dynamodb,  # type: ignore[arg-type]
            "groups",
            NO_WAITS,
        )
        dispatcher = Dispatcher(
            rules=self.rules,
            groups=groups,
            queue=TransitionsQueue(self.sqs, "url"),  # type: ignore[arg-type]
            topics=AlertsTopics(self.sns, {"programs": "json", "people": "text"}),  # type: ignore[arg-type]
            clock=lambda: self.clock() + self.ahead,
            backoff=NO_WAITS,
            in_parallel=self.in_parallel,
        )
        lake = AlertsLake(self.firehose, "alerts", NO_WAITS)  # type: ignore[arg-type]
        notifier = Notifier(rules=self.rules, groups=groups, lake=lake, dispatcher=dispatcher, has_time=self.has_time)
        try:
            failed, left = notifier.process({str(number): decode_message(body) for number, body in enumerate(bodies)})
        except (Killed, Exception):  # noqa: BLE001 - Lambda answers for the function then
            return list(bodies)
        finally:
            self.tallies.append(dispatcher.tally)
        self.sqs.put_back([bodies[int(number)] for number in sorted(left)], 0)
        return [bodies[int(number)] for number in sorted(failed)]

    def _overtake(self, bodies: Sequence[str]) -> None:
        self.faults.overtake = lambda: None
        self.execute(bodies)

    def send(self, *transitions: Transition) -> None:
        """As the detector does it, which is not the one that fails here."""
        for batch in batches(transitions):
            self.sqs.put_back([encode_message(batch)], 0)

    def run(self, time: dt.timedelta, *, watchdog: bool = True, step: dt.timedelta = SECOND) -> list[Notification]:
        """Let time pass, with the watchdog once a minute; returns what subscribers got meanwhile."""
        got, until, watched = len(self.sns.inbox), self.clock.now + time, self.clock.now
        while True:
            while bodies := self.sqs.receive(100):
                self.sqs.put_back(self.execute(bodies), VISIBILITY.total_seconds())
            if self.clock.now >= until:
                return self.notifications[got:]
            self.clock.now += step
            if watchdog and self.clock.now - watched >= MINUTE:
                watched = self.clock.now
                self._wake_what_is_due()

    def _wake_what_is_due(self) -> None:
        """The watchdog, which is not the one that fails here either."""
        for key, item in self.dynamodb.tables["groups"].items():
            if "due" in item and int(item["due"]["N"]) <= self.clock.now.timestamp():
                self.sqs.put_back([encode_message(Wake(*key))], 0)

    @property
    def notifications(self) -> list[Notification]:
        """All that a subscriber got."""
        return [_notification(message) for message in self.sns.inbox]

    def total(self, of: Callable[[Tally], int]) -> int:
        """A number over all executions."""
        return sum(of(tally) for tally in self.tallies)


def _notification(message: Mapping[str, Any]) -> Notification:
    return msgspec.convert(message, Notification)
