"""Whether the alerts that a simulation must lead to were told, and how fast."""

from __future__ import annotations

import datetime as dt
import math

import msgspec

from pipeline.inbox import Received
from simulator.run import Manifest


class Latency(msgspec.Struct):
    """From a reading's event time to the notification in the inbox, in milliseconds; its group's wait is part of it."""

    p50: float
    p95: float
    max: float


#: An alert's change as both the ground truth and a notification tell it: device, rule, status, event time.
Change = tuple[str, str, str, dt.datetime]


def expected(manifest: Manifest) -> list[Change]:
    """What the simulation must lead to."""
    changes: list[Change] = []
    for fault in manifest.faults:
        changes.append((fault.device, fault.rule, "firing", fault.since))
        if fault.until:
            changes.append((fault.device, fault.rule, "resolved", fault.until))
    return sorted(changes)


def told(received: list[Received]) -> dict[tuple[str, str], Change]:
    """What arrived, by alert and status: what is told twice, which at-least-once allows, counts once.

    An alert that fired and ended while its group waited is told once, as resolved, with the time when it fired.
    """
    changes: dict[tuple[str, str], Change] = {}
    for alert in (alert for notification, _ in received for alert in notification.alerts):
        for status, moment in (("firing", alert.fired_at), ("resolved", alert.resolved_at)):
            if moment:
                changes[alert.alert_id, status] = (alert.device, alert.rule, status, moment)
    return changes


def latency(received: list[Received]) -> Latency:
    """How long each change took to be told for the first time."""
    first: dict[tuple[str, str], float] = {}
    for notification in received:
        for alert in notification.notification.alerts:
            first.setdefault((alert.alert_id, alert.status), notification.latency_ms(alert))
    ordered = sorted(first.values()) or [math.nan]
    return Latency(p50=_quantile(ordered, 0.5), p95=_quantile(ordered, 0.95), max=_quantile(ordered, 1))


def _quantile(ordered: list[float], q: float) -> float:
    """The smallest value that at least the share ``q`` of all does not exceed (nearest rank)."""
    return round(ordered[max(0, math.ceil(q * len(ordered)) - 1)], 1)
