"""What one record brought of the devices of a home: readings in the order of each device, and when they were taken."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional, Union

import msgspec

from telemetry.reading.codec import Rejected
from telemetry.reading.model import Reading

#: Returns a reading's device.
device_of = operator.attrgetter("device_id")
_device_order = operator.attrgetter("seq", "ts")
_ZERO = dt.timedelta(0)


class Newest(msgspec.Struct, frozen=True):
    """What is stored of a device's newest reading."""

    ts: dt.datetime
    seq: int
    site: str


def is_late(reading: Reading, newest: Union[Reading, Newest]) -> bool:
    """Return whether a reading is not newer than ``newest``: neither its event time nor its number is higher.

    An earlier event time with a higher number is a clock that was set back; a lower number with a later event time is a
    counter that began again.
    """
    return reading.ts <= newest.ts and reading.seq <= newest.seq


class Sampling(NamedTuple):
    """The times at which a record's readings of one device were taken, by the stream's clock.

    The last reading, whose event time is ``last``, counts as taken when the record arrived, the others as long before
    as the device says, but not before ``earliest``, the arrival of the device's previous record. ``next_batch`` is when
    the device's next record is due.
    """

    arrived: dt.datetime
    last: dt.datetime
    earliest: Optional[dt.datetime]
    next_batch: Optional[dt.datetime]

    def time_of(self, reading: Reading) -> dt.datetime:
        """Return when a reading was taken."""
        taken = self.arrived - max(_ZERO, self.last - reading.ts)
        return max(taken, min(self.earliest, self.arrived)) if self.earliest else taken


class Heard:
    """A record as the devices of one home see it.

    ``gateway`` is the one it was heard through, ``arrived`` when the stream received it (UTC). Readings of a device
    that are not in its order are put into it: by number, then by event time. ``rejected`` are the invalid lines that
    name a device.
    """

    __slots__ = ("_batches", "_samplings", "arrived", "gateway", "readings", "rejected")

    def __init__(
        self, gateway: str, arrived: dt.datetime, readings: Sequence[Reading], rejected: Sequence[Rejected] = ()
    ) -> None:
        self.gateway = gateway
        self.arrived = arrived
        self.readings = readings
        self.rejected = rejected
        self._batches: dict[str, list[Reading]] = {}
        self._samplings: dict[str, Optional[Sampling]] = {}
        if len(set(map(device_of, readings))) < len(readings):
            self._put_in_order()

    def part(self, start: int, stop: int) -> Heard:
        """Return a part of the readings, which keep their order and times; the last part has the rejected lines too."""
        if start == 0 and stop >= len(self.readings):
            return self
        rejected = self.rejected if stop >= len(self.readings) else ()
        some = Heard(self.gateway, self.arrived, (), rejected)
        some.readings = self.readings[start:stop]
        some._batches, some._samplings = self._batches, self._samplings
        return some

    def sampling(
        self, device: str, newest: Union[Reading, Newest, None], seen: Callable[[str], Optional[float]]
    ) -> Optional[Sampling]:
        """Return when the readings of a device were taken; None for a device with one reading, which just arrived.

        ``newest`` is the device's newest reading before the record and ``seen`` returns when it was last heard of
        before (Unix seconds), where they are known. Asked for again, the answer stays the first.
        """
        if device not in self._batches:
            return None
        if device not in self._samplings:
            batch = [reading for reading in self._batches[device] if newest is None or not is_late(reading, newest)]
            previous = seen(device)
            earliest = dt.datetime.fromtimestamp(previous, dt.timezone.utc) if previous else None
            self._samplings[device] = _sampling(self.arrived, batch, earliest)
        return self._samplings[device]

    def _put_in_order(self) -> None:
        batches: dict[str, list[Reading]] = {}
        for reading in self.readings:
            batches.setdefault(reading.device_id, []).append(reading)
        self._batches = {device: batch for device, batch in batches.items() if len(batch) > 1}
        disordered = {device for device, batch in self._batches.items() if any(map(is_late, batch[1:], batch))}
        if disordered:
            for device in disordered:
                self._batches[device].sort(key=_device_order)
            following = {device: iter(self._batches[device]) for device in disordered}
            self.readings = [
                next(following[reading.device_id]) if reading.device_id in disordered else reading
                for reading in self.readings
            ]


def _sampling(arrived: dt.datetime, batch: Sequence[Reading], earliest: Optional[dt.datetime]) -> Optional[Sampling]:
    if len(batch) < 2:
        return None
    spacing = (batch[-1].ts - batch[0].ts) / (len(batch) - 1)
    due = arrived + spacing * (len(batch) + 1) if spacing > _ZERO else None
    return Sampling(arrived, batch[-1].ts, earliest, due)
