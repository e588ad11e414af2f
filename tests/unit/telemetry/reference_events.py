"""What happens to a gateway, and what is told of it, for the reference model of alerting."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from telemetry.reading.model import Reading
from telemetry.rules.rule_set import Rule


@dataclass(frozen=True)
class RecordArrives:
    """A stream record of the gateway with its readings, in their order."""

    arrived: dt.datetime
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class ClockTicks:
    """The watchdog asks what is due."""

    now: dt.datetime


@dataclass(frozen=True)
class SilenceIsChecked:
    """The watchdog asks who has not been heard of."""

    now: dt.datetime


@dataclass(frozen=True)
class RulesAre:
    """From here on these rules are in force."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class OperatorHolds:
    """``kind`` is acknowledged, snoozed (until a time) or disabled."""

    device: str
    rule: str
    kind: str
    at: dt.datetime
    until: dt.datetime | None = None


@dataclass(frozen=True)
class OperatorReleases:
    """Ends what is held."""

    device: str
    rule: str
    at: dt.datetime


Event = RecordArrives | ClockTicks | SilenceIsChecked | RulesAre | OperatorHolds | OperatorReleases


@dataclass(frozen=True)
class Told:
    """What there is to compare of a transition. ``active_at`` is None, and ``sequence`` 0, where there is no alert."""

    rule: str
    device: str
    active_at: dt.datetime | None
    sequence: int
    change: str
    status: str
    severity: str
    changed_at: dt.datetime | None
    at: dt.datetime
    fired_at: dt.datetime | None
    flapping: bool
    held: str | None
