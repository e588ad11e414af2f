"""Hard state: the alerts of a home's devices, and the records that changed them last. Written at every change."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Literal, NamedTuple, Optional

import msgspec

from telemetry.alerting.transitions import HoldKind
from telemetry.reading.model import MAX_LATENESS
from telemetry.rules.rule_set import Severity

#: The device of an alert about a gateway itself. No reading has it: an identifier is not empty.
GATEWAY_ITSELF = ""

#: The ``changed_seq`` of an alert that arrivals decide: no reading is late for it.
BY_ARRIVAL = -1


class Home(NamedTuple):
    """Where a device's alerts and recent past are kept, wherever it is heard: one of its first gateway's homes.

    A gateway has as many homes as its devices need, numbered from 0.
    """

    gateway: str
    number: int = 0


class AlertState(msgspec.Struct, frozen=True, array_like=True):
    """One active alert.

    ``active_at`` is when its condition first held, ``fired_at`` when it fired, ``clearing_at`` since when the clear
    condition has held (with ``keep_firing_for``): event times. ``since`` is when pending or clearing began and
    ``fired_since`` when it fired, by the stream's clock; None in states written by older versions.
    (``changed_at``, ``changed_seq``) is the reading that changed it last: a reading that is not newer is not looked at
    again. In an alert that arrivals decide, ``changed_at`` is the last arrival that it knows of. ``timer`` is when the
    clock ends pending or clearing and ``escalates_at`` when it raises the severity, if no reading does so before.
    ``leaf`` is the comparison of the condition, counted from 0, that held when it began or fired, and ``value`` what it
    compared. ``changes`` are its recent firings and resolutions, and those of the alerts before it, for as long as they
    count for flapping.
    ``gateway`` is the one through which the device was heard when it began; empty for the home's. ``rated`` is the
    rule's severity as last seen.
    """

    status: Literal["pending", "firing"]
    alert_id: str
    sequence: int
    severity: Severity
    site: str
    active_at: dt.datetime
    changed_at: dt.datetime
    changed_seq: int
    value: Optional[float] = None
    leaf: int = 0
    fired_at: Optional[dt.datetime] = None
    clearing_at: Optional[dt.datetime] = None
    timer: Optional[dt.datetime] = None
    escalates_at: Optional[dt.datetime] = None
    flapping: bool = False
    changes: tuple[dt.datetime, ...] = ()
    gateway: str = ""
    rated: str = ""
    since: Optional[dt.datetime] = None
    fired_since: Optional[dt.datetime] = None


class PastAlert(msgspec.Struct, frozen=True, array_like=True):
    """Trace of an alert that ended, so that readings delivered again do not start it again."""

    changed_at: dt.datetime
    changed_seq: int
    changes: tuple[dt.datetime, ...] = ()


class Hold(msgspec.Struct, frozen=True):
    """An operator's order on an alert: who, why and when, and for a snooze until when (UTC)."""

    kind: HoldKind
    who: str
    why: str
    at: dt.datetime
    until: Optional[dt.datetime] = None


class Position(msgspec.Struct, frozen=True):
    """The place of a record in the stream, and when the stream received it (UTC).

    ``sequence`` is its number in ``shard``: a shard of Kinesis, a partition of Kafka. States written before shards were
    kept have none; the records of all shards of Kinesis are then compared by their sequence numbers alone.
    """

    sequence: str
    arrived: dt.datetime
    shard: str = ""

    def is_behind(self, other: Position) -> bool:
        """Whether this record is not after the other one in the same shard.

        Records of different shards have no order, so neither is behind the other: a gateway's key may move to another
        shard. The arrival is compared too, because a stream that is deleted and created again may number its records
        from below; it is approximate, to a minute at the worst.
        """
        same = self.shard == other.shard or (not other.shard and self.shard.startswith("shardId-"))
        return (
            same
            and int(self.sequence) <= int(other.sequence)
            and self.arrived <= other.arrived + dt.timedelta(minutes=1)
        )


class GatewayState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The alerts of the devices of one home: by device, then by rule.

    ``alerts`` are the active ones, ``past`` those that ended not long ago; ``holds`` are the operators'. ``due`` is
    when the clock next changes something, ``position`` the record that changed the state last: what is not after it
    has been looked at. ``positions`` are the same of other gateways through which the devices were heard.
    ``swept_at`` is when past alerts were last forgotten.
    """

    gateway: str
    alerts: dict[str, dict[str, AlertState]] = {}
    past: dict[str, dict[str, PastAlert]] = {}
    holds: dict[str, dict[str, Hold]] = {}
    due: Optional[dt.datetime] = None
    position: Optional[Position] = None
    swept_at: Optional[dt.datetime] = None
    number: int = 0
    positions: dict[str, Position] = {}

    @property
    def home(self) -> Home:
        """The home of the devices."""
        return Home(self.gateway, self.number)

    def position_of(self, gateway: str) -> Optional[Position]:
        """Return the last record that changed the state among those heard through ``gateway``."""
        return self.position if gateway == self.gateway else self.positions.get(gateway)

    def at(self, gateway: str, position: Position) -> GatewayState:
        """Return the state as changed by this record of ``gateway``."""
        if gateway == self.gateway:
            return msgspec.structs.replace(self, position=position)
        horizon = position.arrived - MAX_LATENESS
        kept = {name: other for name, other in self.positions.items() if other.arrived > horizon}
        return msgspec.structs.replace(self, positions={**kept, gateway: position})


def alert_id(rule: str, device: str, active_at: dt.datetime, seq: int) -> str:
    """The same id for the same alert however often it is worked out: 80 bits of SHA-256, in hexadecimal.

    ``device`` is the gateway's name for an alert about a gateway itself. ``active_at`` and ``seq`` are those of the
    reading that began it: a device may measure twice in one moment.
    """
    identity = "\0".join((rule, device, active_at.astimezone(dt.timezone.utc).isoformat(), str(seq)))
    return hashlib.sha256(identity.encode()).hexdigest()[:20]
