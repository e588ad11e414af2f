"""From readings to alerts, as pure functions over the state of one gateway.

The gateway is the unit of order (its id is the partition key), so it is the unit of state too. An alert is one
(device, rule): inactive, pending, firing, and inactive again. Its readings are looked at one by one in the order in
which they arrive; one at or before the alert's last change, by event time, is not looked at again. So records may
be cut anywhere, and what is sent twice changes nothing. docs/alerting.md says it in full.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional

from telemetry.alerting.changes import Changes, Moment
from telemetry.alerting.machine import Machine, ValueOf
from telemetry.alerting.recent import RECENT_EVERY, Recent
from telemetry.alerting.state import GATEWAY_ITSELF, GatewayState, Hold
from telemetry.alerting.transitions import Change, Transition
from telemetry.reading.model import Reading
from telemetry.rules.conditions import Window
from telemetry.rules.rule_set import Rule, RuleSet, Watch


class AlertError(ValueError):
    """An operator's order cannot be carried out; the message says why."""


class Evaluation(NamedTuple):
    """The new state (the same object where nothing changed) and what happened on the way, in order."""

    state: GatewayState
    transitions: list[Transition]


def evaluate(
    rules: RuleSet, state: GatewayState, recent: Recent, readings: Sequence[Reading], now: dt.datetime
) -> Evaluation:
    """Carry one record's readings through the rules; ``now`` (UTC) is when the record arrived.

    What is due by then happens before the readings are looked at. ``recent`` takes the readings in.
    """
    machine = Machine(rules, state)
    machine.tick(now)
    if GATEWAY_ITSELF in machine.alerts:
        _withdraw_unwatched(machine, GATEWAY_ITSELF, rules.gateway_rules, Moment(now, now))
        _live(machine, GATEWAY_ITSELF, rules.gateway_rules, now)
    for reading in _readings_to_look_at(rules, machine, readings):
        device = reading.device_id
        watch = rules.watching(device, reading.site)
        if not watch.is_quiet(reading) or device in machine.alerts:
            _look(machine, watch, recent, reading, now)
    if rules.watches_silence:
        # Of all devices: one that moves to where no rule is about its silence is not silent where it was.
        site = readings[-1].site if readings else ""
        recent.record(now.timestamp(), site, dict(map(_device_and_site, readings)))
    return Evaluation(machine.after(now), machine.transitions)


_device_and_site = operator.attrgetter("device_id", "site")


def _readings_to_look_at(rules: RuleSet, machine: Machine, readings: Sequence[Reading]) -> Sequence[Reading]:
    """Select the readings of devices that have an alert, or a reading that is not quiet. Most have neither."""
    if rules.devices_not_quiet is None:
        return readings
    devices = {*machine.alerts, *rules.devices_not_quiet(readings)}
    return [reading for reading in readings if reading.device_id in devices] if devices else ()


def _look(machine: Machine, watch: Watch, recent: Recent, reading: Reading, now: dt.datetime) -> None:
    device = reading.device_id
    value_of: ValueOf = _unknown
    if watch.windows and recent.add(reading, now.timestamp(), watch.windows):
        value_of = functools.partial(recent.value, reading=reading)
    if device in machine.alerts:
        _withdraw_unwatched(machine, device, watch.rules, Moment(now, reading.ts, reading.seq))
        _live(machine, device, watch.no_data, now)
    active = machine.alerts.get(device, {})
    for rule, may_begin in watch.by_readings:
        if rule.name in active or may_begin(reading):
            machine.look(rule, reading, value_of, now)


def _unknown(_: Window) -> None:
    return None


def _withdraw_unwatched(machine: Machine, device: str, rules: Iterable[Rule], moment: Moment) -> None:
    for name in sorted(machine.alerts.get(device, {}).keys() - {rule.name for rule in rules}):
        machine.withdraw(device, name, moment)


def _live(machine: Machine, device: str, rules: Iterable[Rule], now: dt.datetime) -> None:
    for rule in rules:
        machine.live(rule, device, now)


def advance(rules: RuleSet, state: GatewayState, now: dt.datetime) -> Evaluation:
    """Do what is due by the clock, without a reading."""
    machine = Machine(rules, state)
    machine.tick(now)
    return Evaluation(machine.after(now), machine.transitions)


def silent(rules: RuleSet, state: GatewayState, recent: Recent, now: dt.datetime) -> Evaluation:
    """Fire the ``no_data`` rules of devices, and of the gateway itself, that have been silent for long enough.

    What the last ``RECENT_EVERY`` before a silence brought may not have been written, so that much is added.
    """
    machine = Machine(rules, state)
    for rule, device, site, seen in _silences(rules, state, recent):
        if seen + _silent_for(rule) <= now.timestamp():
            machine.fall_silent(rule, device, site, dt.datetime.fromtimestamp(seen, dt.timezone.utc), now)
    return Evaluation(machine.after(now), machine.transitions)


def next_silence(rules: RuleSet, state: GatewayState, recent: Recent) -> Optional[dt.datetime]:
    """When the next ``no_data`` rule fires if nothing more arrives (UTC); None where none can."""
    first: dict[str, float] = {}
    for rule, _, _, seen in _silences(rules, state, recent):
        if seen < first.get(rule.name, math.inf):
            first[rule.name] = seen
    times = [first[rule.name] + _silent_for(rule) for rule in rules.rules if rule.name in first]
    return dt.datetime.fromtimestamp(min(times), dt.timezone.utc) if times else None


def _silent_for(rule: Rule) -> float:
    """Return the seconds from the last known sign of life until the rule fires."""
    return (rule.hold_for + RECENT_EVERY).total_seconds()


def _silences(rules: RuleSet, state: GatewayState, recent: Recent) -> Iterator[tuple[Rule, str, str, float]]:
    """Each ``no_data`` rule that is not known to hold: of what, the site of that, its last sign of life, Unix time."""
    for name, device in recent.devices.items():
        for rule in rules.watching(name, device.site).no_data:
            if name not in state.alerts or not _holds_silent(state, name, rule):
                yield rule, name, device.site, _since(state, name, rule, device.seen)
    for rule in rules.gateway_rules:
        watched = recent.arrived and rule.matches(GATEWAY_ITSELF, recent.site, {})
        if watched and not _holds_silent(state, GATEWAY_ITSELF, rule):
            yield rule, GATEWAY_ITSELF, recent.site, _since(state, GATEWAY_ITSELF, rule, recent.arrived)


def _holds_silent(state: GatewayState, device: str, rule: Rule) -> bool:
    alert = state.alerts.get(device, {}).get(rule.name)
    return alert is not None and alert.clearing_at is None


def _since(state: GatewayState, device: str, rule: Rule, seen: float) -> float:
    """The last sign of life: a reading, or that which the alert knows of, where it was not written yet."""
    for table in (state.alerts, state.past):
        by_rule = table.get(device)
        known = by_rule.get(rule.name) if by_rule else None
        if known:
            seen = max(seen, known.changed_at.timestamp())
    return seen


def hold(rules: RuleSet, state: GatewayState, device: str, rule: str, order: Hold) -> Evaluation:
    """Acknowledge, snooze or disable the alert of a device and rule, active or not.

    An order replaces the one before. Raises :class:`AlertError` for acknowledging what does not fire.
    """
    alert = state.alerts.get(device, {}).get(rule)
    if order.kind == "acknowledged" and (alert is None or alert.status != "firing"):
        raise AlertError(f"{rule} does not fire at {device or state.gateway}: there is nothing to acknowledge")
    changes = Changes(rules, state)
    changes.holds = {**state.holds, device: {**state.holds.get(device, {}), rule: order}}
    changes.note(device, rule, order.kind, Moment(order.at, order.at), who=order.who, why=order.why)
    return Evaluation(changes.after(order.at), changes.transitions)


def release(
    rules: RuleSet, state: GatewayState, device: str, rule: str, *, who: str, why: str, now: dt.datetime
) -> Evaluation:
    """End a snooze or enable what was disabled; raises :class:`AlertError` where there is no such order."""
    order = state.holds.get(device, {}).get(rule)
    if order is None or order.kind == "acknowledged":
        raise AlertError(f"{rule} is neither snoozed nor disabled at {device or state.gateway}")
    changes = Changes(rules, state)
    change: Change = "unsnoozed" if order.kind == "snoozed" else "enabled"
    changes.release(device, rule, change, Moment(now, now), who=who, why=why)
    return Evaluation(changes.after(now), changes.transitions)
