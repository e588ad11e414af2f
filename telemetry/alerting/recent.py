"""Soft state: what a gateway's devices said recently, in constant space per device and window.

A window of time is divided into ``PARTS`` equal parts; of each part only a few sums are kept. They can be
merged: several execution environments that each see some of a gateway's records add up to one that sees all.
Losing it loses no alert, only the statistics and last-seen times since they were last written.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import statistics
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Optional

import msgspec

from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.conditions import Window

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


class _Earlier(NamedTuple):
    """The parts of a window before ``part``, added up; times are seconds from the beginning of that one."""

    part: int
    first: int
    readings: int
    total: float
    low: float
    high: float
    times: float
    squares: float
    products: float
    samples: list[float]


class Recent:
    """One gateway's recent past, as one execution environment knows it."""

    def __init__(self, written: Optional[Snapshot] = None) -> None:
        self._all = written or Snapshot()
        self._own = Snapshot()
        # Each record brings signs of life that nobody asks for until they are written: they are only noted here.
        self._places: dict[str, str] = {}
        self._arrivals: dict[str, float] = {}
        self._earlier: dict[tuple[str, str], _Earlier] = {}

    @property
    def arrived(self) -> float:
        """When the newest record arrived, Unix seconds; 0 before the first."""
        return self._all.arrived

    @property
    def site(self) -> str:
        """Where the newest record came from."""
        return self._all.site

    @property
    def devices(self) -> dict[str, Device]:
        """What is known of each device."""
        for name, arrived in self._arrivals.items():
            _seen(self._all.devices, name, self._places[name], arrived)
        return self._all.devices

    @property
    def unwritten(self) -> bool:
        """Whether there is something that is not in the last snapshot."""
        return bool(self._own.devices) or self._own.arrived > 0

    def record(self, arrived: float, site: str, seen: Mapping[str, str]) -> None:
        """A record arrived from ``site`` (empty for one without readings); ``seen`` has the site of each device."""
        if arrived < self._all.arrived:  # delivered again: only what was not seen since
            seen = {name: place for name, place in seen.items() if self._arrivals.get(name, 0.0) < arrived}
        for snapshot in (self._all, self._own):
            snapshot.arrived = max(snapshot.arrived, arrived)
            snapshot.site = site or snapshot.site
        self._places.update(seen)
        self._arrivals.update(dict.fromkeys(seen, arrived))

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
                key, length = _key(window), window.seconds / PARTS
                _count(device.windows.setdefault(key, []), ts, length, value)
                _count(own.windows.setdefault(key, []), ts, length, value)
        return True

    def value(self, window: Window, reading: Reading) -> Optional[float]:
        """The statistic at a reading that was taken in; None until readings cover half of the window."""
        device, key = reading.device_id, _key(window)
        known = self._all.devices.get(device)
        parts = known.windows.get(key) if known else None
        if not parts:
            return None
        length = window.seconds / PARTS
        now = int(reading.ts.timestamp() // length)
        earlier = self._earlier.get((device, key))
        if earlier is None or earlier.part != now:
            earlier = self._earlier[device, key] = _added_up(parts, now, length)
        if not earlier.readings or now - earlier.first < PARTS // 2:
            return None
        if window.function == "deviation":
            measured = getattr(reading, window.metric)
            return None if measured is None else _deviation(measured, earlier.samples)
        current = parts[-1] if parts[-1].index == now else Part(now, 0, 0.0, math.inf, -math.inf, 0.0, 0.0)
        return _STATISTICS[window.function](earlier, current)

    def merged_into(self, written: Snapshot) -> Snapshot:
        """``written`` by whomever, and what this environment saw since its own last snapshot."""
        devices = written.devices | {
            name: _merged(written.devices[name], own) if name in written.devices else own
            for name, own in self._own.devices.items()
        }
        for name, arrived in self._arrivals.items():
            known = devices.get(name)
            if known is None:
                devices[name] = Device(self._places[name], arrived, 0.0, {})
            elif arrived > known.seen:
                devices[name] = Device(self._places[name], arrived, known.newest, known.windows)
        arrived = max(written.arrived, self._own.arrived)
        oldest = arrived - MAX_LATENESS.total_seconds()
        return Snapshot(
            arrived,
            self._own.site or written.site,
            {name: device for name, device in devices.items() if device.seen > oldest},
        )


def encode(snapshot: Snapshot) -> bytes:
    """Compressed JSON; without the windows where a gateway has so many devices that they do not fit into an item."""
    rounded = {name: _rounded(device) for name, device in snapshot.devices.items()}
    data = zlib.compress(msgspec.json.encode(Snapshot(snapshot.arrived, snapshot.site, rounded)))
    if len(data) > _MAX_BYTES:
        bare = {name: Device(device.site, device.seen, device.newest) for name, device in snapshot.devices.items()}
        data = zlib.compress(msgspec.json.encode(Snapshot(snapshot.arrived, snapshot.site, bare)))
    return data


_decoder = msgspec.json.Decoder(Snapshot)


def decode(data: bytes) -> Snapshot:
    """What :func:`encode` made."""
    return _decoder.decode(zlib.decompress(data))


def _rounded(device: Device) -> Device:
    """The device for storage: four decimals are more than a sensor has."""
    if not device.windows:
        return device
    windows = {
        key: [
            Part(
                part.index,
                part.count,
                round(part.total, 4),
                round(part.low, 4),
                round(part.high, 4),
                round(part.moments, 3),
                round(part.last, 4),
            )
            for part in parts
        ]
        for key, parts in device.windows.items()
    }
    return Device(device.site, device.seen, device.newest, windows)


@functools.lru_cache(maxsize=1024)
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
    index = int(ts // length)
    moment = ts - index * length
    if parts and parts[-1].index == index:
        part = parts[-1]
        part.count += 1
        part.total += value
        part.moments += moment
        part.last = value
        if value < part.low:
            part.low = value
        elif value > part.high:
            part.high = value
    else:
        if len(parts) >= PARTS:
            del parts[0]
        parts.append(Part(index, 1, value, value, value, moment, value))


def _added_up(parts: list[Part], now: int, length: float) -> _Earlier:
    """The parts of the window that ends in the part ``now``, without that one."""
    count, total, low, high, times, squares, products = 0, 0.0, math.inf, -math.inf, 0.0, 0.0, 0.0
    first, samples = now, []
    for part in parts:
        if now - PARTS < part.index < now:
            first = min(first, part.index)
            time = (part.index - now) * length + part.moments / part.count
            count += part.count
            total += part.total
            low, high = min(low, part.low), max(high, part.high)
            times += part.count * time
            squares += part.count * time * time
            products += part.total * time
            samples.append(part.last)
    return _Earlier(now, first, count, total, low, high, times, squares, products, samples)


def _average(earlier: _Earlier, current: Part) -> float:
    return (earlier.total + current.total) / (earlier.readings + current.count)


def _slope(earlier: _Earlier, current: Part) -> Optional[float]:
    """Change per minute: the least-squares line through the parts' means, each weighted by its readings."""
    time = current.moments / current.count if current.count else 0.0
    count = earlier.readings + current.count
    times, total = earlier.times + current.moments, earlier.total + current.total
    spread = earlier.squares + current.count * time * time - times * times / count
    if spread <= 0:
        return None
    return 60 * (earlier.products + current.total * time - times * total / count) / spread


_STATISTICS: dict[str, Callable[[_Earlier, Part], Optional[float]]] = {
    "rate": _slope,
    "avg": _average,
    "min": lambda earlier, current: min(earlier.low, current.low),
    "max": lambda earlier, current: max(earlier.high, current.high),
}


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
                same.total + part.total,
                min(same.low, part.low),
                max(same.high, part.high),
                same.moments + part.moments,
                part.last,
            )
            if same
            else part
        )
    return [parts[index] for index in sorted(parts)][-PARTS:]
