"""The order of a device's readings and the time of its samples, in the fewest words, for the reference model."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from telemetry.reading.model import Reading
from tests.unit.telemetry.alerting.reference_events import RecordArrives

#: The contract's CLOCK_GRACE: what a reading may be under way before the clock decides without it.
GRACE = dt.timedelta(seconds=15)

NOTHING = dt.timedelta(0)
LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class Look:
    """A reading that is looked at: not late, taken at ``sampled`` by the stream's clock.

    ``next_batch`` is when the device's next batch should be here, LONG_AGO for a device that sends no batches.
    ``before`` is the device's newest reading before this one: its time, and when it was taken by the stream's clock.
    """

    reading: Reading
    arrived: dt.datetime
    sampled: dt.datetime
    next_batch: dt.datetime
    before: tuple[dt.datetime, dt.datetime] | None


def is_late(reading: Reading, newest: tuple[dt.datetime, int] | None) -> bool:
    """Whether both the device's clock and its count say that the reading is not newer."""
    return newest is not None and reading.ts <= newest[0] and reading.seq <= newest[1]


def identity(reading: Reading) -> tuple[dt.datetime, int]:
    return reading.ts, reading.seq


def readings_of(record: RecordArrives, device: str) -> list[Reading]:
    """The device's readings of a record, in the order of the device."""
    as_sent = [one for one in record.readings if one.device_id == device]
    if any(is_late(later, identity(earlier)) for earlier, later in itertools.pairwise(as_sent)):
        return sorted(as_sent, key=lambda one: (one.seq, one.ts))
    return as_sent


@dataclass
class Hearing:
    """What is known of a device besides its alerts: when and where it was last heard of, and its newest reading."""

    at: dt.datetime | None = None
    site: str = ""
    gateway: str = ""
    newest: tuple[dt.datetime, int] | None = None

    def looks(self, record: RecordArrives, device: str) -> list[Look]:
        """The device's readings of a record that are to be looked at, in its order; they are the newest then."""
        readings = readings_of(record, device)
        previous, looks = self.at or LONG_AGO, []
        # Reading of the text: of when the newest reading came, only the last sign of life of its device is known.
        before = None if self.newest is None else (self.newest[0], previous)
        fresh = list(self.fresh(readings))
        for one in fresh:
            # Reading of the text: what other gateways brought before may have arrived after this record.
            age = max(NOTHING, readings[-1].ts - one.ts)
            sampled = min(record.arrived, max(previous, record.arrived - age))
            looks.append(Look(one, record.arrived, sampled, next_batch(fresh, record.arrived), before))
            before = (one.ts, sampled)
        return looks

    def fresh(self, readings: list[Reading]) -> Iterator[Reading]:
        for one in readings:
            if not is_late(one, self.newest):
                self.newest, self.site = identity(one), one.site
                yield one

    def hears(self, record: RecordArrives, device: str) -> None:
        """Any line that names the device is a sign of life, a late reading too.

        Reading of the text: what is rejected is no sign of a device of which no reading was ever accepted.
        """
        readings = readings_of(record, device)
        refused = [one for one in record.refused if one.device == device]
        if not readings and (not refused or self.at is None):
            return
        # Reading of the text: of records that come through two gateways, the one that arrived last says which it is.
        if self.at is None or record.arrived >= self.at:
            self.at, self.gateway = record.arrived, record.gateway
        # Reading of the text: what is rejected says where a device is as long as no reading does.
        for line in refused:
            if self.newest is None:
                self.site = line.site or self.site


def next_batch(fresh: list[Reading], arrived: dt.datetime) -> dt.datetime:
    if len(fresh) < 2 or fresh[-1].ts <= fresh[0].ts:
        return LONG_AGO
    spacing = (fresh[-1].ts - fresh[0].ts) / (len(fresh) - 1)
    return arrived + len(fresh) * spacing + spacing + GRACE
