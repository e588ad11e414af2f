"""From readings to alerts, as pure functions over the state of one home.

An alert is one (device, rule): inactive, pending, firing, and inactive again. A device has one home, wherever it is
heard. Its readings are looked at one by one in the order in which its records arrive, and in the device's own order
within a record; a reading that is not newer than the device's newest, or than the alert's last change, is not looked
at. So what is sent twice changes nothing. docs/alerting.md says it in full.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, Optional

import msgspec

from telemetry.alerting.changes import Changes, Moment, Step
from telemetry.alerting.heard import Heard, Known, Sampling, is_late
from telemetry.alerting.machine import Machine, Silence, ValueOf
from telemetry.alerting.recent import RECENT_EVERY, Recent
from telemetry.alerting.state import GATEWAY_ITSELF, AlertState, GatewayState, Hold
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


def evaluate(rules: RuleSet, state: GatewayState, recent: Recent, heard: Heard) -> Evaluation:
    """Carry what a record brought through the rules.

    What is due by its arrival happens before it is looked at. ``recent`` has the record on trial: the caller accepts it
    once the new state is written, or discards it.
    """
    now = heard.arrived
    machine = Machine(rules, state, heard.gateway)
    if heard.is_first:
        machine.tick(now)
    if heard.gateway == state.gateway and GATEWAY_ITSELF in machine.alerts:
        _withdraw_unwatched(machine, GATEWAY_ITSELF, rules.gateway_rules, Moment(now, now))
        _live(machine, GATEWAY_ITSELF, rules.gateway_rules, now)
    recent.begin(heard)
    looked_at: set[str] = set()
    for reading in _readings_to_look_at(rules, machine, heard.readings):
        device = reading.device_id
        watch = rules.watching(device, reading.site)
        if device in looked_at or device in machine.alerts or not watch.is_quiet(reading):
            if device not in looked_at:
                looked_at.add(device)
                recent.pass_over(reading)
            _look(machine, watch, recent, reading, heard)
    for line in heard.rejected:
        site = line.site or recent.site_of(line.device)
        watch = rules.watching(line.device, site)
        _live(machine, line.device, watch.no_data, now)
        for rule in watch.rejected if heard.refuses(line.device) else ():
            if rule.rejects(line.reason):
                machine.refuse(rule, line.device, site, now)
    return Evaluation(machine.after(now), machine.transitions)


def _readings_to_look_at(rules: RuleSet, machine: Machine, readings: Sequence[Reading]) -> Sequence[Reading]:
    """Select the readings of devices that have an alert, or a reading that is not quiet. Most have neither."""
    if rules.devices_not_quiet is None:
        return readings
    devices = {*machine.alerts, *rules.devices_not_quiet(readings)}
    return [reading for reading in readings if reading.device_id in devices] if devices else ()


def _look(machine: Machine, watch: Watch, recent: Recent, reading: Reading, heard: Heard) -> None:
    device, now = reading.device_id, heard.arrived
    newest = recent.newest(device)
    sampling = heard.sampling(device, newest, recent.seen)
    if newest is not None and is_late(reading, newest):
        return
    recent.look(reading, watch.windows)
    value_of: ValueOf = functools.partial(recent.value, reading=reading) if watch.windows else _unknown
    moment = Moment(now, reading.ts, reading.seq)
    if sampling:
        moment = moment._replace(taken=sampling.time_of(reading), next_batch=sampling.next_batch)
    if device in machine.alerts:
        moment = moment._replace(step=_step(moment, reading, newest, sampling, recent.seen(device)))
        _withdraw_unwatched(machine, device, watch.rules, moment)
        _live(machine, device, (*watch.no_data, *watch.rejected), now)
    active = machine.alerts.get(device, {})
    for rule, may_begin in watch.by_readings:
        if rule.name in active or may_begin(reading):
            machine.look(rule, reading, value_of, moment)


def _step(
    moment: Moment, reading: Reading, before: Known, sampling: Optional[Sampling], seen: Optional[float]
) -> Optional[Step]:
    """Return the time since the reading ``before``; ``seen`` is when the device's record before arrived (Unix time)."""
    if sampling is None:
        taken = dt.datetime.fromtimestamp(seen, dt.timezone.utc) if seen else None
    else:
        taken = sampling.earliest if reading is sampling.first or before is None else sampling.time_of(before)
    return Step(moment.ts - before.ts, moment.since - taken) if before and taken else None


def _unknown(_: Window) -> None:
    return None


def _withdraw_unwatched(machine: Machine, device: str, rules: Iterable[Rule], moment: Moment) -> None:
    for name in sorted(machine.alerts.get(device, {}).keys() - {rule.name for rule in rules}):
        machine.withdraw(device, name, moment)


def _live(machine: Machine, device: str, rules: Iterable[Rule], now: dt.datetime) -> None:
    for rule in rules:
        machine.live(rule, device, now)


def advance(rules: RuleSet, state: GatewayState, now: dt.datetime, most: Optional[int] = None) -> Evaluation:
    """Do what is due by the clock, without a reading; stop after ``most`` transitions."""
    machine = Machine(rules, state)
    machine.tick(now, most)
    return Evaluation(machine.after(now), machine.transitions)


def silent(
    rules: RuleSet, state: GatewayState, recent: Recent, now: dt.datetime, most: Optional[int] = None
) -> Evaluation:
    """Fire the ``no_data`` rules of devices, and of the gateway itself, that have been silent for long enough.

    What the last ``RECENT_EVERY`` before a silence brought may not have been written, so that much is added; and what
    the detector has not read yet, by its lag. Stops after ``most`` transitions.
    """
    machine = Machine(rules, state)
    machine.believe_past(now)
    state = msgspec.structs.replace(state, past=machine.past)
    for silence in _silences(rules, state, recent):
        if most is not None and len(machine.transitions) >= most:
            break
        if silence.since + _silent_for(silence.rule) <= now.timestamp() - recent.lag(silence.via, now.timestamp()):
            machine.fall_silent(silence, now)
    return Evaluation(machine.after(now), machine.transitions)


def next_silence(rules: RuleSet, state: GatewayState, recent: Recent) -> Optional[dt.datetime]:
    """When the next ``no_data`` rule fires if nothing more arrives (UTC); None where none can."""
    first: dict[str, float] = {}
    for silence in _silences(rules, state, recent):
        if silence.since < first.get(silence.rule.name, math.inf):
            first[silence.rule.name] = silence.since
    times = [first[rule.name] + _silent_for(rule) for rule in rules.rules if rule.name in first]
    return dt.datetime.fromtimestamp(min(times), dt.timezone.utc) if times else None


def _silent_for(rule: Rule) -> float:
    """Return the seconds from the last known sign of life until the rule fires."""
    return (rule.hold_for + RECENT_EVERY).total_seconds()


def _silences(rules: RuleSet, state: GatewayState, recent: Recent) -> Iterator[Silence]:
    """Yield each ``no_data`` rule that is not known to hold."""
    if not rules.watches_silence:
        return
    for name, device in recent.devices.items():
        for rule in rules.watching(name, device.site).no_data:
            if name not in state.alerts or not _holds_silent(state, name, rule):
                yield Silence(rule, name, device.site, _since(state, name, rule, device.seen), device.via)
    for rule in rules.gateway_rules:
        watched = not state.number and recent.arrived and rule.matches(GATEWAY_ITSELF, recent.site, {})
        if watched and not _holds_silent(state, GATEWAY_ITSELF, rule):
            since = _since(state, GATEWAY_ITSELF, rule, recent.arrived)
            yield Silence(rule, GATEWAY_ITSELF, recent.site, since)


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


def review(
    rules: RuleSet,
    state: GatewayState,
    now: dt.datetime,
    *,
    retired: Collection[str] = (),
    reason: str = "the device was retired",
    most: Optional[int] = None,
) -> Evaluation:
    """Bring alerts up to rules and registry that were edited, without a reading.

    End the alerts that no rule watches any more and, for ``reason``, those of ``retired`` devices; give the others the
    severity that their rule has now. Stops after ``most`` transitions.
    """
    machine, moment = Machine(rules, state), Moment(now, now)
    for device, name, alert in _active(state):
        if most is not None and len(machine.transitions) >= most:
            break
        rule = rules.named(name)
        if device in retired:
            machine.withdraw(device, name, moment, reason)
        elif rule is None or rule not in _watching(rules, device, alert.site):
            machine.withdraw(device, name, moment)
        else:
            machine.rate(rule, device, alert, moment)
    for device in retired:
        if device not in machine.alerts and (device in machine.past or device in machine.holds):
            machine.forget(device)
    return Evaluation(machine.after(now), machine.transitions)


def _active(state: GatewayState) -> Iterator[tuple[str, str, AlertState]]:
    return ((device, name, alert) for device, by_rule in state.alerts.items() for name, alert in by_rule.items())


def _watching(rules: RuleSet, device: str, site: str) -> tuple[Rule, ...]:
    if device != GATEWAY_ITSELF:
        return rules.watching(device, site).rules
    return tuple(rule for rule in rules.gateway_rules if rule.matches(device, site, {}))


def hold(rules: RuleSet, state: GatewayState, device: str, rule: str, order: Hold) -> Evaluation:
    """Acknowledge, snooze or disable the alert of a device and rule, active or not.

    An order replaces the one before, but what is disabled stays so when it is acknowledged. Raises
    :class:`AlertError` for acknowledging what does not fire.
    """
    alert = state.alerts.get(device, {}).get(rule)
    if order.kind == "acknowledged" and (alert is None or alert.status != "firing"):
        raise AlertError(f"{rule} does not fire at {device or state.gateway}: there is nothing to acknowledge")
    changes = Changes(rules, state)
    before = state.holds.get(device, {}).get(rule)
    if order.kind != "acknowledged" or before is None or before.kind != "disabled":
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


def close(
    rules: RuleSet, state: GatewayState, device: str, rule: str, *, who: str, why: str, now: dt.datetime
) -> Evaluation:
    """End an alert whatever its readings say; raises :class:`AlertError` where none is active.

    It begins again with a newer reading for which its condition holds. Silence counts from now on.
    """
    if rule not in state.alerts.get(device, {}):
        raise AlertError(f"{rule} is not active at {device or state.gateway}: there is nothing to close")
    changes = Changes(rules, state)
    changes.withdraw(device, rule, Moment(now, now), f"closed by {who}", who=who, why=why)
    return Evaluation(changes.after(now), changes.transitions)


def retire(rules: RuleSet, state: GatewayState, device: str, *, who: str, why: str, now: dt.datetime) -> Evaluation:
    """End all alerts of a device that is taken out of service, and forget it."""
    changes = Changes(rules, state)
    for name in sorted(state.alerts.get(device, {})):
        changes.withdraw(device, name, Moment(now, now), f"the device was retired by {who}", who=who, why=why)
    changes.forget(device)
    return Evaluation(changes.after(now), changes.transitions)
