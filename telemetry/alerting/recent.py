"""Soft state: what the devices of a home said recently, in constant space per device and window.

It can be merged: execution environments that each see some of the devices' records add up to one that sees all. Losing
it loses no alert, only the windows' values, newest readings and last-seen times since they were last written.

What a record brings is on trial until the record's changes are written: ``accept`` keeps it, ``discard`` forgets it, so
that a record that is evaluated again finds what it found at first.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional, Union

import msgspec

from telemetry.alerting.heard import Heard, Newest, device_of, not_late
from telemetry.alerting.snapshots import Device, Lag, Snapshot, merge_devices
from telemetry.alerting.windows import PARTS, count_value, earlier_parts, empty_part, key_of
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.conditions import Window
from telemetry.rules.functions import FUNCTIONS, Earlier, Part

#: How often soft state is written at most: what is younger may be lost with the execution environment.
RECENT_EVERY = dt.timedelta(seconds=60)


class Recent:
    """The recent past of a home's devices, as one execution environment knows it."""

    def __init__(self, written: Optional[Snapshot] = None) -> None:
        self._all = written or Snapshot()
        # What this environment saw since the snapshot. Each record brings signs of life that nobody asks for until they
        # are written: they are only noted here.
        self._newest: dict[str, Union[Reading, Newest]] = {}
        self._arrivals: dict[str, float] = {}
        self._sites: dict[str, str] = {}
        self._via: dict[str, str] = {}
        self._guests = any(device.via for device in self._all.devices.values())
        self._heard: dict[str, float] = {}
        self._site = ""
        self._windows: dict[str, dict[str, list[Part]]] = {}
        self._retired: set[str] = set()
        self._earlier: dict[tuple[str, str], Earlier] = {}
        # On trial.
        self._trial: Optional[Heard] = None
        self._trial_newest: dict[str, Reading] = {}
        self._trial_windows: dict[tuple[str, str], list[Part]] = {}
        #: The values counted in windows: device, the window's key, event time, the length of its parts, value.
        self._counts: list[tuple[str, str, float, float, float]] = []

    # What is known

    @property
    def arrived(self) -> float:
        """When the newest record of the home's own gateway arrived, Unix seconds; 0 before the first."""
        return max(self._all.arrived, self._heard.get("", 0.0))

    @property
    def site(self) -> str:
        """Where the newest record of the home's own gateway came from."""
        return self._site or self._all.site

    @property
    def homes(self) -> int:
        """Number of homes of the gateway, as written in its first one; 0 in snapshots of older versions."""
        return self._all.homes

    @property
    def devices(self) -> dict[str, Device]:
        """Return what is known of each device."""
        for name, arrived in self._arrivals.items():
            device = self._all.devices.get(name)
            if device is None:
                device = self._all.devices[name] = Device("", 0.0, 0.0)
            self._refresh(name, device, arrived)
        return self._all.devices

    @property
    def unwritten(self) -> bool:
        """Whether there is something that is not in the last snapshot."""
        return bool(self._arrivals or self._heard or self._retired)

    @property
    def heard(self) -> dict[str, float]:
        """Return the arrival of the newest record since the snapshot by gateway; empty for the home's own."""
        return self._heard

    def newest(self, device: str) -> Union[Reading, Newest, None]:
        """Return the device's newest reading, as far as it is known."""
        return self._trial_newest.get(device) or self._newest.get(device) or self._written_newest(device)

    def seen(self, device: str) -> Optional[float]:
        """Return when the device was last heard of before the record on trial, Unix seconds."""
        known = self._all.devices.get(device)
        return self._arrivals.get(device) or (known.seen if known else None)

    def site_of(self, device: str) -> str:
        """Return where the device stands, as far as it is known."""
        newest, known = self._newest.get(device), self._all.devices.get(device)
        if newest:
            return newest.site
        if known and known.newest:
            return known.site
        return self._sites.get(device) or (known.site if known else "")

    def lag(self, via: str, now: float) -> float:
        """Return how far the detector was behind the records of a gateway at the last snapshot, in seconds.

        A lag that ends in the future was measured by a clock that was wrong, and is none.
        """
        known = self._all.lags.get(via)
        return known.seconds if known and known.arrived + known.seconds <= now else 0.0

    # A record on trial

    def begin(self, heard: Heard) -> None:
        """Put a record on trial, in place of another one."""
        self.discard()
        self._trial = heard
        if heard.is_part or heard.rejected:
            heard.settle(self.newest, self.seen)

    def pass_over(self, reading: Reading) -> None:
        """Take in what the record on trial has of a device before the first reading that is looked at: all quiet."""
        device = reading.device_id
        if self._trial and device in self._trial.batches:
            self._trial.sampling(device, self.newest(device), self.seen)
            before = itertools.takewhile(lambda each: each is not reading, self._trial.of(device))
            for newer in not_late(before, self.newest(device)):
                self._trial_newest[device] = newer

    def look(self, reading: Reading, windows: Sequence[Window]) -> None:
        """Take in a reading of the record on trial that is newer than the device's others."""
        device = reading.device_id
        self._trial_newest[device] = reading
        ts = reading.ts.timestamp() if windows else 0.0
        for window in windows:
            value = getattr(reading, window.metric)
            if value is not None:
                key, length = key_of(window), window.seconds / PARTS
                self._counts.append((device, key, ts, length, value))
                count_value(self._parts_on_trial(device, key), ts, length, value)

    def value(self, window: Window, reading: Reading) -> Optional[float]:
        """Return a function's value at a reading that was looked at; None until readings cover half of the window."""
        device, key = reading.device_id, key_of(window)
        parts = self._trial_windows.get((device, key)) or self._parts(device).get(key)
        if not parts:
            return None
        length = window.seconds / PARTS
        now = int(reading.ts.timestamp() // length)
        earlier = self._earlier.get((device, key))
        if earlier is None or earlier.part != now:
            earlier = self._earlier[device, key] = earlier_parts(parts, now, length)
        if not earlier.readings or now - earlier.first < PARTS // 2:
            return None
        current = parts[-1] if parts[-1].index == now else empty_part(now)
        return FUNCTIONS[window.function].value(earlier, current, getattr(reading, window.metric))

    def accept(self, via: str = "") -> None:
        """Keep what the record on trial brought; ``via`` is the gateway it was heard through if not the home's own."""
        heard = self._trial
        if heard is None:
            return
        if not via and not heard.site and not heard.rejected and not self.arrived:
            self._clear()  # the key may be anybody's: without an accepted reading it is not a gateway to watch
            return
        newest, written = self._newest, self._all.devices
        for device, reading in heard.last.items():  # every reading of the stream comes by here
            known = newest.get(device) or (self._written_newest(device) if device in written else None)
            if known is None or reading.ts > known.ts or reading.seq > known.seq:
                newest[device] = reading
            elif len(heard.last) < len(heard.readings):
                # The last of several may be late while one before it is not: the clock was set back in between.
                for newer in not_late(heard.of(device), known):
                    newest[device] = newer
        for (device, key), parts in self._trial_windows.items():
            self._all.devices.setdefault(device, Device("", 0.0, 0.0)).windows[key] = parts
        for device, key, ts, length, value in self._counts:
            count_value(self._windows.setdefault(device, {}).setdefault(key, []), ts, length, value)
        arrived = heard.arrived.timestamp()
        self._hear(arrived, heard.site, map(device_of, heard.readings), via)
        # A name of which no reading was ever accepted may be a damaged one: it is not watched for silence.
        named = [line for line in heard.rejected if self.seen(line.device) is not None]
        if named:
            self._sites.update({line.device: line.site for line in named if line.site})
            self._hear(arrived, "", [line.device for line in named], via)
        self._clear()

    def discard(self) -> None:
        """Forget what the record on trial brought."""
        if self._counts:
            self._earlier.clear()
        self._clear()

    def hear(self, arrived: float, site: str, devices: Mapping[str, str], via: str = "") -> None:
        """Note signs of life: of the gateway at ``site`` (empty for a record without readings), and of devices by site.

        ``arrived`` is in Unix seconds; ``via`` as in :meth:`accept`.
        """
        self._sites.update(devices)
        self._hear(arrived, site, devices, via)

    def _hear(self, arrived: float, site: str, devices: Iterable[str], via: str) -> None:
        seen = dict.fromkeys(devices, arrived)
        if self._heard and arrived < max(self._heard.values()):
            seen = {name: arrived for name in seen if self._arrivals.get(name, 0.0) <= arrived}
        self._heard[via] = max(arrived, self._heard.get(via, 0.0))
        if not via:
            self._site = site or self._site
        self._arrivals.update(seen)
        if via or self._via or self._guests:
            self._via.update(dict.fromkeys(seen, via))
        if self._retired:
            self._retired.difference_update(seen)

    def forget(self, device: str) -> None:
        """Forget a device that was retired, or that is at home elsewhere."""
        self._retired.add(device)
        self._all.devices.pop(device, None)
        for table in (self._newest, self._arrivals, self._sites, self._via, self._windows):
            table.pop(device, None)

    # To be written

    def merged_into(self, written: Snapshot, now: float, homes: int = 1) -> Snapshot:
        """Add what this environment saw since its last snapshot to the newest one written, by any environment.

        ``now`` is when, in Unix seconds: how far this environment is behind is measured by it.
        """
        devices = {name: device for name, device in written.devices.items() if name not in self._retired}
        for name, arrived in self._arrivals.items():
            before = devices.get(name)
            own = Device("", 0.0, 0.0, self._windows.get(name, {}))
            self._refresh(name, own, arrived, before)
            devices[name] = merge_devices(before, own) if before else own
        return self._snapshot(written, devices, now, homes)

    def snapshot(self, now: float, homes: int = 1) -> Snapshot:
        """Return all that is known, to be written by the environment that wrote last; arguments as above."""
        return self._snapshot(self._all, self.devices, now, homes)

    def settle(self, written: Snapshot) -> None:
        """Note that all that is known was written."""
        self._all = written
        self._guests = any(device.via for device in written.devices.values())
        self._newest = {name: newest for name, newest in self._newest.items() if name in written.devices}
        self._arrivals, self._sites, self._via, self._heard, self._windows = {}, {}, {}, {}, {}
        self._retired = set()

    def _snapshot(self, written: Snapshot, devices: Mapping[str, Device], now: float, homes: int) -> Snapshot:
        lags = {via: Lag(arrived, max(0.0, now - arrived)) for via, arrived in self._heard.items()}
        newest = max([written.arrived, *self._heard.values()])
        oldest = newest - MAX_LATENESS.total_seconds()
        return Snapshot(
            max(written.arrived, self._heard.get("", 0.0)),
            self._site or written.site,
            {name: device for name, device in devices.items() if device.seen > oldest},
            max(written.homes, homes),
            {via: lag for via, lag in {**written.lags, **lags}.items() if lag.arrived > oldest},
        )

    def _refresh(self, name: str, device: Device, arrived: float, before: Optional[Device] = None) -> None:
        """Bring what is known of a device up to what was heard since."""
        device.seen = max(device.seen, arrived)
        device.site = self.site_of(name) or device.site
        device.via = self._via.get(name, before.via if before else device.via)
        newest = self._newest.get(name)
        if newest is not None:
            device.newest, device.seq = newest.ts.timestamp(), newest.seq

    def _written_newest(self, device: str) -> Optional[Newest]:
        known = self._all.devices.get(device)
        if known is None or not known.newest:
            return None
        return Newest(dt.datetime.fromtimestamp(known.newest, dt.timezone.utc), known.seq, known.site)

    def _parts(self, device: str) -> Mapping[str, list[Part]]:
        known = self._all.devices.get(device)
        return known.windows if known else {}

    def _parts_on_trial(self, device: str, key: str) -> list[Part]:
        parts = self._trial_windows.get((device, key))
        if parts is None:
            parts = list(self._parts(device).get(key, ()))
            if parts:
                parts[-1] = msgspec.structs.replace(parts[-1])
            self._trial_windows[device, key] = parts
        return parts

    def _clear(self) -> None:
        self._trial = None
        if self._trial_newest:
            self._trial_newest = {}
        if self._counts:
            self._trial_windows, self._counts = {}, []
