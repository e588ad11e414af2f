"""Running a test of alert rules: play back what happens, and compare what comes of it with what is expected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from evaluation.playback.pipeline import PipelinePlayback
from evaluation.rule_tests.notation import OrderSection
from evaluation.rule_tests.outcome import Item, Outcome, Row, compare
from evaluation.rule_tests.receivers import Policy, accepts
from evaluation.rule_tests.sending import Arrival
from pipeline.inbox import Received
from telemetry.alerting.evaluate import AlertError
from telemetry.alerting.state import Hold
from telemetry.alerting.transitions import HoldKind, Transition
from telemetry.notifying.message import NotifiedAlert, describe
from telemetry.rules.rule_set import RuleSet
from telemetry.text.durations import parse_duration

_HOLDS: dict[str, HoldKind] = {"ack": "acknowledged", "snooze": "snoozed", "disable": "disabled"}
_RELEASES: dict[str, HoldKind] = {"unsnooze": "snoozed", "enable": "disabled"}


class Order(msgspec.Struct, frozen=True):
    """An order of the file, about one device."""

    at: dt.timedelta
    section: OrderSection
    device: str

    def give(self, pipeline: PipelinePlayback, now: dt.datetime) -> list[Transition]:
        """Carry it out; raises :class:`AlertError` where that cannot be done."""
        fleet, order = pipeline.fleet, self.section
        gateway, said = order.gateway, {"who": order.who, "why": order.why}
        if order.order in _HOLDS:
            until = now + parse_duration(order.snooze_for) if order.snooze_for else None
            held = Hold(_HOLDS[order.order], order.who, order.why, now, until)
            return fleet.hold(self.device, gateway, order.rule, held)
        if order.order in _RELEASES:
            return fleet.release(self.device, gateway, order.rule, _RELEASES[order.order], **said, now=now)
        if order.order == "close":
            return fleet.close(self.device, gateway, order.rule, **said, now=now)
        return fleet.retire(self.device, **said, now=now)


class RuleTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test, read and checked against the rules it tests.

    ``records`` are at least one, in order of time. ``edits`` are the rules in use from a time on. ``expect`` has the
    active alerts by time since ``start``. None stands for what is not compared.
    """

    name: str
    rules: RuleSet
    start: dt.datetime
    records: list[Arrival]
    orders: list[Order]
    edits: list[tuple[dt.timedelta, RuleSet]]
    receivers: Mapping[str, Policy]
    until: dt.timedelta
    expect: list[tuple[dt.timedelta, list[Item]]]
    transitions: list[Item] | None
    notifications: list[Item] | None

    def run(self) -> Outcome:
        """Play back and compare."""
        pipeline = PipelinePlayback(self.rules)
        rows: list[Row] = []
        for now, is_check, act in self._timeline(pipeline, rows):
            pipeline.wait(now if is_check else now - dt.datetime.resolution)
            act()
        pipeline.wait(self.end)
        if self.transitions is not None:
            rows += compare("transition", self.transitions, list(map(self._transition, pipeline.transitions)))
        if self.notifications is not None:
            rows += compare("notification", self.notifications, list(map(self._notification, pipeline.received)))
        return Outcome(self.name, rows)

    def _timeline(
        self, pipeline: PipelinePlayback, rows: list[Row]
    ) -> Iterable[tuple[dt.datetime, bool, Callable[[], None]]]:
        """Return what happens, in order, and the checks of what is active."""
        start = self.start
        acts: list[tuple[dt.datetime, bool, Callable[[], None]]] = [
            *((each.at, False, partial(pipeline.arrive, each.gateway, each.data, each.at)) for each in self.records),
            *((start + at, False, partial(pipeline.edit, rules, start + at)) for at, rules in self.edits),
            *((start + each.at, False, partial(self._give, each, pipeline, rows)) for each in self.orders),
            *((start + at, True, partial(self._check, at, items, pipeline, rows)) for at, items in self.expect),
        ]
        return sorted(acts, key=lambda act: act[:2])

    @property
    def end(self) -> dt.datetime:
        """When the test ends."""
        items = [item for _, some in self.expect for item in some]
        items += [*(self.transitions or ()), *(self.notifications or ())]
        times = [self.until, *(item.at for item in items), *(at for at, _ in self.expect)]
        times += [*(order.at for order in self.orders), *(at for at, _ in self.edits)]
        return max(self.records[-1].at, self.start + max(times))

    def _give(self, order: Order, pipeline: PipelinePlayback, rows: list[Row]) -> None:
        now = self.start + order.at
        try:
            pipeline.happen(order.give(pipeline, now), now)
        except AlertError as error:
            said = order.section
            expected = Item(order.at, (said.order, said.rule, order.device or said.gateway), {})
            rows.append(Row("order", order.at, expected, Item(order.at, (str(error),), {})))

    def _check(self, at: dt.timedelta, items: list[Item], pipeline: PipelinePlayback, rows: list[Row]) -> None:
        rows += compare("alert", items, self._active(pipeline, at))

    # What was seen

    def _active(self, pipeline: PipelinePlayback, at: dt.timedelta) -> list[Item]:
        return [
            Item(
                at,
                (rule, device),
                {
                    "status": alert.status,
                    "severity": alert.severity,
                    "gateway": gateway,
                    "held": hold.kind if hold else "none",
                    "flapping": alert.flapping,
                },
            )
            for device, gateway, rule, alert, hold in pipeline.fleet.active()
        ]

    def _transition(self, transition: Transition) -> Item:
        facts = {name: getattr(transition, name) for name in ("change", "severity", "gateway", "summary", "who", "why")}
        return Item(
            transition.recorded_at - self.start,
            (transition.rule, transition.device),
            facts | {"changed_at": transition.changed_at - self.start},
        )

    def _notification(self, received: Received) -> Item:
        told = received.notification
        names = ("reason", "state", "severity", "firing", "resolved", "omitted", "summary")
        attributes = told.attributes()
        facts: dict[str, Any] = {name: getattr(told, name) for name in names}
        facts |= {
            "group": describe(dict(sorted(told.group.items()))),
            "alerts": list(map(_notified, told.alerts)),
            "attributes": {name: frozenset(values) for name, values in attributes.items()},
            "receivers": frozenset(name for name, policy in self.receivers.items() if accepts(policy, attributes)),
        }
        return Item(received.received_at - self.start, (), facts)


def _notified(alert: NotifiedAlert) -> Item:
    facts = {name: getattr(alert, name) for name in ("status", "severity", "gateway", "summary", "flapping")}
    return Item(dt.timedelta(), (alert.rule, alert.device), facts | {"held": alert.held or "none"})
