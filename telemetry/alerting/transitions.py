"""Transition of an alert: the record that goes from the detector to the queue, the notifier and the lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal, Optional, Union

import msgspec

from telemetry.rules.rule_set import Severity

AlertStatus = Literal["pending", "firing", "resolved", "inactive"]
Change = Literal[
    "pending",
    "inactive",
    "firing",
    "resolved",
    "escalated",
    "severity",
    "flapping",
    "acknowledged",
    "snoozed",
    "unsnoozed",
    "disabled",
    "enabled",
]
HoldKind = Literal["acknowledged", "snoozed", "disabled"]


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one alert, with the alert as it was right after it.

    ``(alert_id, sequence)`` identifies it, and the sequence grows within an alert: what is repeated or overtaken
    on the way is known by it. A hold put on a device that has no alert has an empty ``alert_id`` and sequence 0.
    ``active_at``, ``fired_at`` and ``changed_at`` are event times (the clock's where it decided); ``recorded_at``
    is by the clock: the arrival of the record, or the watchdog's or operator's now.
    ``who`` and ``why`` are the operator's.
    """

    alert_id: str
    sequence: int
    change: Change
    status: AlertStatus
    rule: str
    severity: Severity
    device: str
    site: str
    gateway: str
    held: Optional[HoldKind]
    flapping: bool
    metric: str
    value: Optional[float]
    threshold: Optional[float]
    condition: str
    summary: str
    runbook: str
    active_at: dt.datetime
    fired_at: Optional[dt.datetime]
    changed_at: dt.datetime
    recorded_at: dt.datetime
    who: str = ""
    why: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Transition])


def encode_transitions(transitions: Sequence[Transition]) -> bytes:
    """The transitions as one JSON array."""
    return _encoder.encode(transitions)


def decode_transitions(data: Union[str, bytes]) -> list[Transition]:
    """The transitions of a JSON array; raises :class:`msgspec.ValidationError` for anything else."""
    return _decoder.decode(data)
