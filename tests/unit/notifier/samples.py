"""Transitions as the detector makes them, for tests of what comes after it."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import msgspec

from telemetry.alerting.transitions import Transition

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)


def firing(device: str = "d1", *, rule: str = "too-hot", at: dt.datetime = NOW, **fields: Any) -> Transition:
    """The first transition of an alert, a second after its reading."""
    site, gateway = fields.pop("site", "s1"), fields.pop("gateway", "gw")
    identity = f"{rule} {gateway} {device} {at}"
    usual: dict[str, Any] = {
        "alert_id": hashlib.sha256(identity.encode()).hexdigest()[:20],
        "sequence": 1,
        "change": "firing",
        "status": "firing",
        "severity": "warning",
        "held": None,
        "flapping": False,
        "metric": "temperature",
        "value": 41.5,
        "threshold": 40.0,
        "condition": "temperature > 40",
        "summary": f"{device} at 41.5 °C",
        "runbook": "docs/hot.md",
        "active_at": at - SECOND,
        "fired_at": at - SECOND,
        "changed_at": at - SECOND,
        "recorded_at": at,
    }
    return Transition(rule=rule, device=device, site=site, gateway=gateway, **{**usual, **fields})


def then(before: Transition, change: str, *, after: dt.timedelta = MINUTE, **fields: Any) -> Transition:
    """The next transition of the same alert."""
    released = change in ("unsnoozed", "enabled")
    held = change if change in ("acknowledged", "snoozed", "disabled") else None if released else before.held
    usual: dict[str, Any] = {
        "sequence": before.sequence + 1,
        "change": change,
        "status": "resolved" if change == "resolved" else before.status,
        "held": None if change == "resolved" and held == "acknowledged" else held,
        "changed_at": before.changed_at + after,
        "recorded_at": before.recorded_at + after,
    }
    return msgspec.structs.replace(before, **{**usual, **fields})
