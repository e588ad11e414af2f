"""From readings to alerts, as one pure function over the state of one gateway.

The gateway is the unit of order (its id is the partition key), so it is the unit of state too. An alert
is one (device, rule): it fires once when the rule's condition holds and resolves once when the clear
condition holds. Event time decides: a reading at or before an alert's last change is not looked at
again, so a reading that is sent twice changes nothing. A rule that is gone, or no longer
watches a device, takes its alert with it at the device's next reading.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Literal, NamedTuple, Optional

import msgspec

from telemetry.reading import MAX_LATENESS, Reading
from telemetry.rules import Rule, RuleSet

AlertStatus = Literal["firing", "resolved"]


class AlertState(msgspec.Struct, frozen=True):
    """Where one alert stands.

    ``started_at`` is the event time at which it fired, ``changed_at`` and ``changed_seq`` those of the
    reading that last changed it. A resolved alert is kept for as long as a reading may be late, so that
    one delivered again does not fire it again.
    """

    status: AlertStatus
    started_at: dt.datetime
    changed_at: dt.datetime
    changed_seq: int


class Position(msgspec.Struct, frozen=True):
    """Where a record stands in the stream: its sequence number, which grows for a gateway, and its arrival (UTC)."""

    sequence: str
    arrived: dt.datetime

    def is_behind(self, other: Position) -> bool:
        """Whether this record came no later than the other.

        The arrival is asked too, because a stream that is made anew may number its records from below; it is
        approximate, to a minute at the worst.
        """
        return int(self.sequence) <= int(other.sequence) and self.arrived <= other.arrived + dt.timedelta(minutes=1)


class GatewayState(msgspec.Struct, frozen=True):
    """The alerts of one gateway's devices, by device and then by rule. Inactive ones are absent.

    ``position`` is the record that changed them last: what is not after it has been looked at.
    """

    gateway: str
    alerts: dict[str, dict[str, AlertState]] = {}
    position: Optional[Position] = None


class Transition(NamedTuple):
    """An alert that fired or resolved, and the reading that made it."""

    alert_id: str
    rule: Rule
    gateway: str
    reading: Reading
    value: float
    state: AlertState


class Evaluation(NamedTuple):
    """The new state (the same object where nothing changed) and what happened on the way, in order."""

    state: GatewayState
    transitions: list[Transition]


def evaluate(rules: RuleSet, state: GatewayState, readings: Iterable[Reading], now: dt.datetime) -> Evaluation:
    """Carry one gateway's readings through the rules.

    ``now`` (UTC) only bounds how long a resolved alert is remembered.
    """
    # A device's alerts are copied when they change: most records change none, and a gateway remembers many.
    alerts = dict(state.alerts)
    transitions: list[Transition] = []
    forgotten = False
    for reading in sorted(readings, key=_event_order):
        device, watching = reading.device_id, rules.watching(reading.device_id, reading.site)
        known = alerts.get(device, {})
        if known and not known.keys() <= {rule.name for rule in watching}:
            known = alerts[device] = {rule.name: known[rule.name] for rule in watching if rule.name in known}
            forgotten = True
        for rule in watching:
            value = getattr(reading, rule.when.metric)
            if value is None:
                continue
            changed = _step(rule, known.get(rule.name), reading, value)
            if changed:
                known = alerts[device] = {**known, rule.name: changed}
                alert_id = _alert_id(rule.name, state.gateway, device, changed.started_at)
                transitions.append(Transition(alert_id, rule, state.gateway, reading, value, changed))
    if not transitions and not forgotten:
        return Evaluation(state, transitions)
    return Evaluation(msgspec.structs.replace(state, alerts=_remembered(alerts, now)), transitions)


def _event_order(reading: Reading) -> tuple[dt.datetime, int]:
    return reading.ts, reading.seq


def _step(rule: Rule, alert: AlertState | None, reading: Reading, value: float) -> AlertState | None:
    """The alert's next state, or None if this reading does not change it."""
    if alert and _event_order(reading) <= (alert.changed_at, alert.changed_seq):
        return None
    if alert and alert.status == "firing":
        if rule.clear.holds(value):
            return AlertState("resolved", alert.started_at, reading.ts, reading.seq)
        return None
    if rule.when.holds(value):
        return AlertState("firing", reading.ts, reading.ts, reading.seq)
    return None


def _remembered(alerts: dict[str, dict[str, AlertState]], now: dt.datetime) -> dict[str, dict[str, AlertState]]:
    """The alerts without those resolved so long ago that no reading can still come before them."""
    horizon = now - MAX_LATENESS
    kept = {
        device: {
            name: alert for name, alert in by_rule.items() if alert.status == "firing" or alert.changed_at > horizon
        }
        for device, by_rule in alerts.items()
    }
    return {device: by_rule for device, by_rule in kept.items() if by_rule}


def _alert_id(rule: str, gateway: str, device: str, started_at: dt.datetime) -> str:
    """The same id for the same alert however often it is worked out: 80 bits of SHA-256, in hexadecimal."""
    identity = "\0".join((rule, gateway, device, started_at.astimezone(dt.timezone.utc).isoformat()))
    return hashlib.sha256(identity.encode()).hexdigest()[:20]
