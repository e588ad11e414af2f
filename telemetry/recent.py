"""Soft state: what a gateway's devices said recently, in constant space per device and window.

A window of time is divided into ``PARTS`` equal parts; of each part only a few sums are kept. They can be
merged: several execution environments that each see some of a gateway's records add up to one that sees all.
Losing it loses no alert, only the statistics and last-seen times since they were last written.
"""

from __future__ import annotations

import datetime as dt
import statistics
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Optional

import msgspec

from telemetry.conditions import Window
from telemetry.reading import MAX_LATENESS, Reading

#: How many parts a window is divided into: its edge is exact to a sixteenth of it.
PARTS = 16

#: How often soft state is written at most: what is younger may be lost with the execution environment.
RECENT_EVERY = dt.timedelta(seconds=60)

#: How many earlier parts with readings ``deviation`` needs.
_MIN_HISTORY = 8

#: DynamoDB's limit for an item is 400 KB, names and numbers of the item included.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html
_MAX_BYTES = 390_000


class Part(msgspec.Struct, array_like=True):
    """The readings of one part of a window. ``moments`` is the sum of their seconds since the part's start."""

    index: int
    count: int
    total: float
    low: float
    high: float
    moments: float
    last: float


class Device(msgspec.Struct, array_like=True):
    """A device's last reading: place, arrival and newest event time (Unix seconds); and its parts by window."""

    site: str
    seen: float
    newest: float
    windows: dict[str, list[Part]] = {}


class Snapshot(msgspec.Struct, array_like=True):
    """What is written: the devices of a gateway; and of its newest record, the arrival (Unix seconds) and a site."""

    arrived: float = 0.0
    site: str = ""
    devices: dict[str, Device] = {}


class Recent:
    """One gateway's recent past, as one execution environment knows it."""

    def __init__(self, written: Optional[Snapshot] = None) -> None:
        self._all = written or Snapshot()
        self._own = Snapshot()

    @property
    def arrived(self) -> float:
        """When the newest record arrived, Unix seconds; 0 before the first."""
        return self._all.arrived

    @property
    def devices(self) -> dict[str, Device]:
        """What is known of each device."""
        return self._all.devices

    @property
    def unwritten(self) -> bool:
        """Whether there is something that is not in the last snapshot."""
        return bool(self._own.devices) or self._own.arrived > 0

    @property
    def site(self) -> str:
        """Where the newest record came from."""
        return self._all.site

    def record(self, arrived: float, site: str, seen: Mapping[str, str]) -> None:
        """A record arrived from ``site`` (empty for one without readings); ``seen`` has the site of each device."""
        for snapshot in (self._all, self._own):
            snapshot.arrived = max(snapshot.arrived, arrived)
            snapshot.site = site or snapshot.site
            for name, place in seen.items():
                _seen(snapshot.devices, name, place, arrived)

    def add(self, reading: Reading, arrived: float, windows: Iterable[Window]) -> bool:
        """Take a reading in; False for one that is older than the device's newest, which only says that it lives."""
        ts = reading.ts.timestamp()
        device = _seen(self._all.devices, reading.device_id, reading.site, arrived)
        own = _seen(self._own.devices, reading.device_id, reading.site, arrived)
        if ts <= device.newest:
            return ts == device.newest
        device.newest = own.newest = ts
        for window in windows:
            value = getattr(reading, window.metric)
            if value is not None:
                for target in (device, own):
                    _count(target.windows.setdefault(_key(window), []), ts, window.seconds / PARTS, value)
        return True

    def value(self, window: Window, reading: Reading) -> Optional[float]:
        """The statistic at a reading that was taken in; None until readings cover half of the window."""
        device = self._all.devices.get(reading.device_id)
        parts = device.windows.get(_key(window)) if device else None
        if not parts:
            return None
        length = window.seconds / PARTS
        now = int(reading.ts.timestamp() // length)
        parts = [part for part in parts if now - PARTS < part.index <= now]
        if not parts or now - parts[0].index < PARTS // 2:
            return None
        if window.function == "deviation":
            measured = getattr(reading, window.metric)
            return None if measured is None else _deviation(measured, [part.last for part in parts if part.index < now])
        return _slope(parts, length) if window.function == "rate" else _STATISTICS[window.function](parts)

    def merged_into(self, written: Snapshot) -> Snapshot:
        """``written`` by whomever, and what this environment saw since its own last snapshot."""
        devices = {
            name: _merged(device, self._own.devices[name]) if name in self._own.devices else device
            for name, device in written.devices.items()
        }
        devices |= {name: device for name, device in self._own.devices.items() if name not in devices}
        arrived = max(written.arrived, self._own.arrived)
        oldest = arrived - MAX_LATENESS.total_seconds()
        return Snapshot(
            arrived,
            self._own.site or written.site,
            {name: device for name, device in devices.items() if device.seen > oldest},
        )


def encode(snapshot: Snapshot) -> bytes:
    """Compressed JSON; without the windows where a gateway has so many devices that they do not fit into an item."""
    data = zlib.compress(msgspec.json.encode(snapshot))
    if len(data) > _MAX_BYTES:
        bare = {name: Device(device.site, device.seen, device.newest) for name, device in snapshot.devices.items()}
        data = zlib.compress(msgspec.json.encode(Snapshot(snapshot.arrived, snapshot.site, bare)))
    return data


_STATISTICS: dict[str, Callable[[list[Part]], float]] = {
    "avg": lambda parts: sum(part.total for part in parts) / sum(part.count for part in parts),
    "min": lambda parts: min(part.low for part in parts),
    "max": lambda parts: max(part.high for part in parts),
}

_decoder = msgspec.json.Decoder(Snapshot)


def decode(data: bytes) -> Snapshot:
    """What :func:`encode` made."""
    return _decoder.decode(zlib.decompress(data))


def _key(window: Window) -> str:
    return f"{window.metric}/{window.seconds}"


def _seen(devices: dict[str, Device], name: str, site: str, arrived: float) -> Device:
    device = devices.get(name)
    if device is None:
        device = devices[name] = Device(site, arrived, 0.0, {})
    device.site = site
    device.seen = max(device.seen, arrived)
    return device


def _count(parts: list[Part], ts: float, length: float, value: float) -> None:
    """Count a value that is newer than all before it."""
    value = round(value, 4)
    index = int(ts // length)
    moment = round(ts - index * length, 3)
    if not parts or parts[-1].index != index:
        if len(parts) >= PARTS:
            del parts[0]
        parts.append(Part(index, 1, value, value, value, moment, value))
        return
    part = parts[-1]
    part.count += 1
    part.total = round(part.total + value, 4)
    part.low = min(part.low, value)
    part.high = max(part.high, value)
    part.moments = round(part.moments + moment, 3)
    part.last = value


def _slope(parts: list[Part], length: float) -> Optional[float]:
    """Change per minute: the least-squares line through the parts' means, each weighted by its readings."""
    base = parts[0].index
    points = [
        (part.count, (part.index - base) * length + part.moments / part.count, part.total / part.count)
        for part in parts
    ]
    weight = sum(count for count, _, _ in points)
    mean_time = sum(count * time for count, time, _ in points) / weight
    mean = sum(count * value for count, _, value in points) / weight
    spread = sum(count * (time - mean_time) ** 2 for count, time, _ in points)
    if spread == 0:
        return None
    return 60 * sum(count * (time - mean_time) * (value - mean) for count, time, value in points) / spread


def _deviation(value: float, history: list[float]) -> Optional[float]:
    """How far ``value`` lies from the median of ``history``, as a modified z-score without its sign.

    0.6745 |x - median| / MAD; where more than half of the history is the same value, the mean absolute deviation
    (times 1.253314) stands in for the MAD; None where there is no spread at all. B. Iglewicz and D. Hoaglin, "How to
    Detect and Handle Outliers", ASQC 1993; https://www.ibm.com/docs/en/cognos-analytics/11.1.0?topic=terms-modified-z-score
    """
    if len(history) < _MIN_HISTORY:
        return None
    median = statistics.median(history)
    distances = [abs(sample - median) for sample in history]
    mad = statistics.median(distances)
    if mad > 0:
        return 0.6745 * abs(value - median) / mad
    mean = sum(distances) / len(distances)
    return abs(value - median) / (1.253314 * mean) if mean > 0 else None


def _merged(one: Device, other: Device) -> Device:
    newer = one if one.newest >= other.newest else other
    windows = {key: _joined(parts, other.windows.get(key, ())) for key, parts in one.windows.items()}
    windows |= {key: parts for key, parts in other.windows.items() if key not in windows}
    return Device(newer.site, max(one.seen, other.seen), newer.newest, windows)


def _joined(some: Iterable[Part], more: Iterable[Part]) -> list[Part]:
    """The parts of two environments, which counted different readings."""
    parts = {part.index: part for part in some}
    for part in more:
        same = parts.get(part.index)
        parts[part.index] = (
            Part(
                part.index,
                same.count + part.count,
                round(same.total + part.total, 4),
                min(same.low, part.low),
                max(same.high, part.high),
                round(same.moments + part.moments, 3),
                part.last,
            )
            if same
            else part
        )
    return [parts[index] for index in sorted(parts)][-PARTS:]
