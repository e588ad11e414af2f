"""Running a test of alert rules: play back what devices send, and compare what comes of it with what is expected."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from evaluation.playback import Playback
from telemetry.alerting.transitions import Transition
from telemetry.reading.model import Reading
from telemetry.rules.rule_set import RuleSet


class Item(NamedTuple):
    """An alert that is active ``at`` a time, or a transition then; ``what`` is its status or change.

    Of an expected one, an empty gateway or severity stands for any.
    """

    at: dt.timedelta
    rule: str
    device: str
    gateway: str
    what: str
    severity: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.rule, self.device or self.gateway, self.what, self.severity) if part)

    def allows(self, seen: Item) -> bool:
        """Return whether ``seen`` is what this one expects."""
        return all(mine in ("", other) for mine, other in zip(self[3:], seen[3:], strict=True)) and self[:3] == seen[:3]


class Row(NamedTuple):
    """Expected and seen at one time; None if there is nothing."""

    kind: Literal["alert", "transition"]
    at: dt.timedelta
    expected: Item | None
    seen: Item | None

    @property
    def agrees(self) -> bool:
        """Whether what was seen is what was expected."""
        return bool(self.expected and self.seen and self.expected.allows(self.seen))


class Outcome(NamedTuple):
    """A test that was run, with all that it compared."""

    name: str
    rows: list[Row]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return all(row.agrees for row in self.rows)


class RuleTest(msgspec.Struct, frozen=True):
    """One test, read and checked against the rules it tests.

    ``records`` are at least one, in order of time: when, from which gateway, what. ``expect`` has the active alerts by
    time since ``start``.
    """

    name: str
    start: dt.datetime
    records: list[tuple[dt.datetime, str, list[Reading]]]
    expect: list[tuple[dt.timedelta, list[Item]]]
    transitions: list[Item] | None

    def run(self, rules: RuleSet) -> Outcome:
        """Play the records back and compare; the rules are those the test was read with."""
        gateways = {gateway: Playback(rules, gateway) for _, gateway, _ in self.records}
        happened: list[Transition] = []
        rows: list[Row] = []
        checks: list[tuple[dt.timedelta, list[Item] | None]] = sorted(self.expect, key=lambda check: check[0])
        ends = [self.records[-1][0] - self.start, *(at for at, _ in checks), *(i.at for i in self.transitions or ())]
        waiting = deque(self.records)
        for at, expected in [*checks, (max(ends), None)]:
            now = self.start + at
            while waiting and waiting[0][0] <= now:
                time, gateway, readings = waiting.popleft()
                happened += gateways[gateway].receive(readings, time)
            for playback in gateways.values():
                happened += playback.wait(now)
            if expected is not None:
                rows += compare("alert", expected, list(_active(gateways.values(), at)))
        if self.transitions is not None:
            rows += compare("transition", self.transitions, [self._item(transition) for transition in happened])
        return Outcome(self.name, rows)

    def _item(self, transition: Transition) -> Item:
        return Item(
            transition.recorded_at - self.start,
            transition.rule,
            transition.device,
            transition.gateway,
            transition.change,
            transition.severity,
        )


def _active(gateways: Iterable[Playback], at: dt.timedelta) -> Iterable[Item]:
    for playback in gateways:
        for device, by_rule in playback.state.alerts.items():
            for rule, alert in by_rule.items():
                yield Item(at, rule, device, playback.state.gateway, alert.status, alert.severity)


def compare(kind: Literal["alert", "transition"], expected: Sequence[Item], seen: Sequence[Item]) -> list[Row]:
    """Pair each with its like, by time: first what agrees, then what is of the same rule and device, then the rest."""
    rest, rows = list(seen), []
    wanted = list(expected)
    for fits in (Item.allows, lambda one, other: one[:3] == other[:3]):
        for item in list(wanted):
            match = next((other for other in rest if fits(item, other)), None)
            if match is not None:
                wanted.remove(item)
                rest.remove(match)
                rows.append(Row(kind, item.at, item, match))
    rows += [Row(kind, item.at, item, None) for item in wanted]
    rows += [Row(kind, item.at, None, item) for item in rest]
    return sorted(rows, key=lambda row: row.at)
