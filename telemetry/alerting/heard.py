"""Records as the devices of a home see them: readings in the order of each device, and when they were taken."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional, Union

import msgspec

from telemetry.reading.codec import Rejected
from telemetry.reading.model import Reading

#: Returns a reading's device.
device_of = operator.attrgetter("device_id")
_device_order = operator.attrgetter("seq", "ts")
_ZERO = dt.timedelta(0)


class Newest(msgspec.Struct, frozen=True):
    """Stored part of a device's newest reading."""

    ts: dt.datetime
    seq: int
    site: str


def is_late(reading: Reading, newest: Union[Reading, Newest]) -> bool:
    """Return whether a reading is not newer than ``newest``: neither its event time nor its number is higher.

    An earlier event time with a higher number is a clock that was set back; a lower number with a later event time is a
    counter that began again.
    """
    return reading.ts <= newest.ts and reading.seq <= newest.seq


#: A device's newest reading, or what is stored of it.
Known = Union[Reading, Newest, None]


class Sampling(NamedTuple):
    """The times at which a record's readings of one device were taken, by the stream's clock.

    The last reading, whose event time is ``last``, counts as taken when the record arrived, the others as long before
    as the device says, but not before ``earliest``, the arrival of the device's previous record. ``next_batch`` is when
    the device's next record is due.
    """

    arrived: dt.datetime
    first: Reading
    last: dt.datetime
    earliest: Optional[dt.datetime]
    next_batch: Optional[dt.datetime]

    def time_of(self, reading: Union[Reading, Newest]) -> dt.datetime:
        """Return when a reading was taken."""
        taken = self.arrived - max(_ZERO, self.last - reading.ts)
        return max(taken, min(self.earliest, self.arrived)) if self.earliest else taken


class Heard:
    """A record as the devices of one home see it.

    ``gateway`` is the one it was heard through, ``arrived`` when the stream received it (UTC). Readings of a device
    that are not in its order are put into it: by number, then by event time. ``rejected`` are the invalid lines that
    name a device. ``site`` is where the record's last reading comes from, which may be of a device at home elsewhere.
    """

    __slots__ = (
        "_batches",
        "_refused",
        "_samplings",
        "_whole",
        "arrived",
        "gateway",
        "is_first",
        "last",
        "readings",
        "rejected",
        "site",
    )

    def __init__(
        self,
        gateway: str,
        arrived: dt.datetime,
        readings: Sequence[Reading],
        rejected: Sequence[Rejected] = (),
        site: str = "",
    ) -> None:
        self.gateway = gateway
        self.arrived = arrived
        self.readings = readings
        self.rejected = rejected
        self.site = site or (readings[-1].site if readings else "")
        #: Whether the record begins here: the clock has not done yet what is due by its arrival.
        self.is_first = True
        self._whole: Optional[Heard] = None
        self._refused: dict[str, bool] = {}
        self._batches: Optional[Mapping[str, Sequence[Reading]]] = None
        self._samplings: dict[str, Optional[Sampling]] = {}
        #: The last reading of each device, in its order.
        self.last = _last(readings)
        if len(self.last) == len(readings):
            self._batches = {}
        elif not _are_in_order(readings):
            self.readings = _in_order(readings)
            self.last = _last(self.readings)

    @property
    def is_part(self) -> bool:
        """Whether this is not the whole record."""
        return self._whole is not None

    def part(self, start: int, stop: int) -> Heard:
        """Return a part of the readings, which keep their order and times; the last part has the rejected lines too."""
        if start == 0 and stop >= len(self.readings):
            return self
        rejected = self.rejected if stop >= len(self.readings) else ()
        some = Heard(self.gateway, self.arrived, (), rejected, self.site)
        some.readings, some.is_first = self.readings[start:stop], start == 0
        some.last = _last(some.readings)
        some._whole = self
        some._batches, some._samplings, some._refused = self.batches, self._samplings, self._refused
        return some

    @property
    def batches(self) -> Mapping[str, Sequence[Reading]]:
        """The readings of each device that has several in the whole record."""
        if self._batches is None:
            grouped: dict[str, list[Reading]] = {}
            for reading in self.readings:
                grouped.setdefault(reading.device_id, []).append(reading)
            self._batches = {device: batch for device, batch in grouped.items() if len(batch) > 1}
        return self._batches

    def of(self, device: str) -> Iterator[Reading]:
        """Return the readings of a device, in this part of the record."""
        return (reading for reading in self.readings if reading.device_id == device)

    def sampling(self, device: str, newest: Known, seen: Callable[[str], Optional[float]]) -> Optional[Sampling]:
        """Return when the readings of a device were taken; None for a device with one reading, which just arrived.

        ``newest`` is the device's newest reading before the record and ``seen`` returns when it was last heard of
        before (Unix seconds), where they are known. Asked for again, the answer stays the first.
        """
        if device not in self.batches:
            return None
        if device not in self._samplings:
            batch = list(not_late(self.batches[device], newest))
            previous = seen(device)
            earliest = dt.datetime.fromtimestamp(previous, dt.timezone.utc) if previous else None
            self._samplings[device] = _sampling(self.arrived, batch, earliest)
        return self._samplings[device]

    def settle(self, newest: Callable[[str], Known], seen: Callable[[str], Optional[float]]) -> None:
        """Compare the whole record with what was known before it: each part of it is known before the next."""
        if self._whole is not None:
            self._whole.settle(newest, seen)
            return
        for device in self.batches:
            self.sampling(device, newest(device), seen)
        named = {line.device for line in self.rejected} - self._refused.keys()
        known = {device: newest(device) for device in named}
        own = [reading for reading in self.readings if reading.device_id in named] if named else ()
        accepted = {reading.device_id for reading in own if _is_news(reading, known[reading.device_id])}
        for device in named:
            self._refused[device] = device not in accepted and (seen(device) or 0.0) < self.arrived.timestamp()

    def refuses(self, device: str) -> bool:
        """Return whether a device's rejected lines give reason for an alert.

        They do not if the whole record has a reading of the device that is not late, or if it is delivered again.
        """
        return self._refused.get(device, False)


def _last(readings: Sequence[Reading]) -> dict[str, Reading]:
    return dict(zip(map(device_of, readings), readings))


def _are_in_order(readings: Sequence[Reading]) -> bool:
    """Return whether no reading is late relative to the one of its device before it."""
    last: dict[str, Reading] = {}
    for reading in readings:
        device = reading.device_id
        if device in last:
            before = last[device]
            if reading.ts <= before.ts and reading.seq <= before.seq:  # is_late, which every reading comes by here
                return False
        last[device] = reading
    return True


def _in_order(readings: Sequence[Reading]) -> list[Reading]:
    """Put the readings of those devices into order that are not; the devices keep their places."""
    batches: dict[str, list[Reading]] = {}
    for reading in readings:
        batches.setdefault(reading.device_id, []).append(reading)
    for batch in batches.values():
        if any(map(is_late, batch[1:], batch)):
            batch.sort(key=_device_order)
    following = {device: iter(batch) for device, batch in batches.items()}
    return [next(following[reading.device_id]) for reading in readings]


def _is_news(reading: Reading, newest: Known) -> bool:
    return newest is None or not is_late(reading, newest)


def not_late(readings: Iterable[Reading], newest: Known) -> Iterator[Reading]:
    """Select the readings of one device that are not late, each relative to the one selected before."""
    for reading in readings:
        if _is_news(reading, newest):
            newest = reading
            yield reading


def _sampling(arrived: dt.datetime, batch: Sequence[Reading], earliest: Optional[dt.datetime]) -> Optional[Sampling]:
    if not batch:
        return None
    spacing = (batch[-1].ts - batch[0].ts) / max(1, len(batch) - 1)
    due = arrived + spacing * (len(batch) + 1) if spacing > _ZERO else None
    return Sampling(arrived, batch[0], batch[-1].ts, earliest, due)
