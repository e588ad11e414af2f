"""A group brought forward as the notifier does it, without AWS: time passes, transitions come, messages go out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from telemetry.alerting.transitions import Transition
from telemetry.notifying.dispatch import clamped, due_at, look, publications, settled
from telemetry.notifying.groups import Group, Member, decode_group, encode_group, group_key, labels_of
from telemetry.notifying.merge import merge
from telemetry.notifying.message import Notification
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from tests.unit.notifier.samples import NOW, firing

RULES = parse_rules("""
rules:
  - {name: too-hot, when: temperature > 40, severity: warning,
     group_wait: 5s, group_interval: 1m, repeat_interval: 1h}
""")


class Desk:
    """One group of alerts, published as soon as it is due."""

    def __init__(self, rules: RuleSet = RULES, now: dt.datetime = NOW, alert: Transition | None = None) -> None:
        """Create the desk of the group that an alert belongs to."""
        self.rules = rules
        self.now = now
        labels = labels_of(rules, alert or firing())
        self.group = Group(key=group_key(labels), labels=labels)
        self.sent: list[Notification] = []
        self.inhibited: Callable[[Member], bool] = lambda _: False

    def take(self, *transitions: Transition) -> list[Transition]:
        """Merge; returns what was new."""
        self.group, new = merge(self.group, self.rules, transitions, self.now)
        self.look()
        return new

    def look(self) -> None:
        """What a wake-up does; through storage, as between two invocations."""
        stored = clamped(decode_group(encode_group(self.group)), self.now)
        self.group = look(stored, self.rules, self.inhibited, self.now)
        if self.group.outbox:
            self.sent += self.group.outbox.notifications
            self.group = settled(self.group, publications(self.group.outbox))

    def wait(self, time: dt.timedelta) -> list[Notification]:
        """Let time pass, with a wake-up whenever one is due; returns what was sent meanwhile."""
        until, sent = self.now + time, len(self.sent)
        while (due := due_at(self.group, self.rules)) is not None and due <= until:
            self.now = max(self.now, due)
            before = self.group
            self.look()
            if self.group == before:
                break
        self.now = until
        return self.sent[sent:]
