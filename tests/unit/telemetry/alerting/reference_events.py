"""What happens to a home and its devices, and what is reported, for the reference model of alerting."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from telemetry.reading.model import Reading
from telemetry.rules.rule_set import Rule

#: The gateway of the home. Its devices may be heard through others too.
HOME = "gw"


@dataclass(frozen=True)
class Refused:
    """A line that is not a valid reading, but names its device. The site may be missing."""

    device: str
    site: str
    reason: str


@dataclass(frozen=True)
class RecordArrives:
    """A stream record of a gateway with its readings and its rejected lines, each in their order."""

    arrived: dt.datetime
    readings: tuple[Reading, ...]
    refused: tuple[Refused, ...] = ()
    gateway: str = HOME


@dataclass(frozen=True)
class SoftStateIsLost:
    """When devices were last heard of, and their newest readings, is not known from here on."""


@dataclass(frozen=True)
class ClockTicks:
    """The watchdog does what is due; its clock may be wrong."""

    now: dt.datetime


@dataclass(frozen=True)
class SilenceIsChecked:
    """The watchdog looks for devices that have not been heard of; its clock may be wrong."""

    now: dt.datetime


@dataclass(frozen=True)
class RulesAre:
    """From here on these rules are in force."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class RulesAreReviewed:
    """The watchdog compares the alerts with the rules, and with the devices that are retired."""

    now: dt.datetime
    retired: frozenset[str] = frozenset()


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


@dataclass(frozen=True)
class OperatorCloses:
    """Ends an alert."""

    device: str
    rule: str
    at: dt.datetime


@dataclass(frozen=True)
class OperatorRetires:
    """Takes a device out of service."""

    device: str
    at: dt.datetime


Order = OperatorHolds | OperatorReleases | OperatorCloses | OperatorRetires
Event = RecordArrives | SoftStateIsLost | ClockTicks | SilenceIsChecked | RulesAre | RulesAreReviewed | Order


@dataclass(frozen=True)
class Told:
    """What there is to compare of a transition. ``active_at`` is None, and ``sequence`` 0, where there is no alert."""

    rule: str
    device: str
    gateway: str
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
    who: str
