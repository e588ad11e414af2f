"""Soft state: what a gateway's devices said recently, in constant space per device and window.

It can be merged: execution environments that each see some of a gateway's records add up to one that sees all. Losing
it loses no alert, only the windows' values and last-seen times since they were last written.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterable, Mapping
from typing import Optional

import msgspec

from telemetry.alerting.windows import (
    PARTS,
    count_value,
    earlier_parts,
    empty_part,
    key_of,
    merge_parts,
    round_parts,
)
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.conditions import Window
from telemetry.rules.functions import FUNCTIONS, Earlier, Part

#: How often soft state is written at most: what is younger may be lost with the execution environment.
RECENT_EVERY = dt.timedelta(seconds=60)

#: DynamoDB's limit for an item is 400 KB, names and numbers of the item included.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html
_MAX_BYTES = 390_000


class Device(msgspec.Struct, array_like=True):
    """A device's last reading: place, arrival and newest event time (Unix seconds); and its parts by window."""

    site: str
    seen: float
    newest: float
    windows: dict[str, list[Part]] = {}


class Snapshot(msgspec.Struct, array_like=True):
    """Stored form: the devices of a gateway, and the arrival (Unix seconds) and site of its newest record."""

    arrived: float = 0.0
    site: str = ""
    devices: dict[str, Device] = {}


class Recent:
    """One gateway's recent past, as one execution environment knows it."""

    def __init__(self, written: Optional[Snapshot] = None) -> None:
        self._all = written or Snapshot()
        self._own = Snapshot()
        # Each record brings signs of life that nobody asks for until they are written: they are only noted here.
        self._places: dict[str, str] = {}
        self._arrivals: dict[str, float] = {}
        self._earlier: dict[tuple[str, str], Earlier] = {}

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
        """Return what is known of each device."""
        for name, arrived in self._arrivals.items():
            _seen(self._all.devices, name, self._places[name], arrived)
        return self._all.devices

    @property
    def unwritten(self) -> bool:
        """Whether there is something that is not in the last snapshot."""
        return bool(self._own.devices) or self._own.arrived > 0

    def record(self, arrived: float, site: str, seen: Mapping[str, str]) -> None:
        """Note a record's arrival from ``site`` (empty for one without readings); ``seen`` has each device's site."""
        if arrived < self._all.arrived:  # delivered again: only what was not seen since
            seen = {name: place for name, place in seen.items() if self._arrivals.get(name, 0.0) < arrived}
        for snapshot in (self._all, self._own):
            snapshot.arrived = max(snapshot.arrived, arrived)
            snapshot.site = site or snapshot.site
        self._places.update(seen)
        self._arrivals.update(dict.fromkeys(seen, arrived))

    def add(self, reading: Reading, arrived: float, windows: Iterable[Window]) -> bool:
        """Add a reading; return False for one older than the device's newest, which is only a sign of life."""
        ts = reading.ts.timestamp()
        device = _seen(self._all.devices, reading.device_id, reading.site, arrived)
        own = _seen(self._own.devices, reading.device_id, reading.site, arrived)
        if ts <= device.newest:
            return ts == device.newest
        device.newest = own.newest = ts
        for window in windows:
            value = getattr(reading, window.metric)
            if value is not None:
                key, length = key_of(window), window.seconds / PARTS
                count_value(device.windows.setdefault(key, []), ts, length, value)
                count_value(own.windows.setdefault(key, []), ts, length, value)
        return True

    def value(self, window: Window, reading: Reading) -> Optional[float]:
        """Return a function's value at a reading that was added; None until readings cover half of the window."""
        device, key = reading.device_id, key_of(window)
        known = self._all.devices.get(device)
        parts = known.windows.get(key) if known else None
        if not known or not parts:
            return None
        length = window.seconds / PARTS
        now = int(known.newest // length)  # the reading's time
        earlier = self._earlier.get((device, key))
        if earlier is None or earlier.part != now:
            earlier = self._earlier[device, key] = earlier_parts(parts, now, length)
        if not earlier.readings or now - earlier.first < PARTS // 2:
            return None
        current = parts[-1] if parts[-1].index == now else empty_part(now)
        return FUNCTIONS[window.function].value(earlier, current, getattr(reading, window.metric))

    def merged_into(self, written: Snapshot) -> Snapshot:
        """Add what this environment saw since its last snapshot to the newest one written, by any environment."""
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
    """Write compressed JSON, without the windows where a gateway's devices do not fit into an item with them."""
    rounded = {name: _rounded(device) for name, device in snapshot.devices.items()}
    data = zlib.compress(msgspec.json.encode(Snapshot(snapshot.arrived, snapshot.site, rounded)))
    if len(data) > _MAX_BYTES:
        bare = {name: Device(device.site, device.seen, device.newest) for name, device in snapshot.devices.items()}
        data = zlib.compress(msgspec.json.encode(Snapshot(snapshot.arrived, snapshot.site, bare)))
    return data


_decoder = msgspec.json.Decoder(Snapshot)


def decode(data: bytes) -> Snapshot:
    """Read what :func:`encode` wrote."""
    return _decoder.decode(zlib.decompress(data))


def _rounded(device: Device) -> Device:
    windows = {key: round_parts(parts) for key, parts in device.windows.items()}
    return Device(device.site, device.seen, device.newest, windows)


def _seen(devices: dict[str, Device], name: str, site: str, arrived: float) -> Device:
    device = devices.get(name)
    if device is None:
        device = devices[name] = Device(site, arrived, 0.0, {})
    device.site = site
    device.seen = max(device.seen, arrived)
    return device


def _merged(one: Device, other: Device) -> Device:
    newer = one if one.newest >= other.newest else other
    windows = {key: merge_parts(parts, other.windows.get(key, ())) for key, parts in one.windows.items()}
    windows |= {key: parts for key, parts in other.windows.items() if key not in windows}
    return Device(newer.site, max(one.seen, other.seen), newer.newest, windows)
