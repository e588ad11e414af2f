"""Sets of registered devices that rules match, fast for hundreds of rules and tens of thousands of devices."""

from __future__ import annotations

import bisect
import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

from telemetry.registry.devices import interval_of
from telemetry.registry.registry import Registry
from telemetry.rules.rule_set import Rule

#: A set of devices: bit n stands for the n-th device of the registry.
DeviceSet = int

#: The part of a glob before its first special character.
_PREFIX = re.compile(r"[^*?\[]*")

#: The last of all characters.
_LAST = chr(0x10FFFF)


class Slow(NamedTuple):
    """Devices that report too seldom: how many, and one that reports least often with its interval in seconds."""

    devices: int
    example: str
    interval: float


class Registered:
    """The devices of a registry. Each glob, and each limit of intervals, is looked up once."""

    def __init__(self, registry: Registry) -> None:
        self._names = list(registry.devices)
        self._everyone = (1 << len(self._names)) - 1
        self._registry = registry
        self._columns: dict[str, _Column] = {}
        self._by_glob: dict[tuple[str, str], DeviceSet] = {}
        found = ((interval_of(device), place) for place, device in enumerate(registry.devices.values()))
        self._intervals = sorted((interval, place) for interval, place in found if interval is not None)
        self._by_interval: dict[float, DeviceSet] = {}

    def matching(self, rule: Rule) -> DeviceSet:
        """Return the devices that a rule matches."""
        devices = self._everyone
        for key, glob in globs_of(rule):
            devices &= self.having(key, glob)
        return devices

    def having(self, key: str, glob: str) -> DeviceSet:
        """Return the devices whose name (``device``), site or attribute is like a glob."""
        if glob == "*":
            return self._everyone
        found = self._by_glob.get((key, glob))
        if found is None:
            found = self._by_glob[key, glob] = self._set_of(self._column(key).places_of(glob))
        return found

    def values_of(self, key: str) -> Sequence[str]:
        """Return the values that devices have, sorted."""
        return self._column(key).values

    def slow(self, devices: DeviceSet, interval: float) -> Optional[Slow]:
        """Return those of the devices that report every ``interval`` seconds or less often; None if there are none."""
        start = bisect.bisect_left(self._intervals, (interval,))
        if interval not in self._by_interval:
            self._by_interval[interval] = self._set_of(place for _, place in self._intervals[start:])
        slow = devices & self._by_interval[interval]
        if not slow:
            return None
        longest, place = next(pair for pair in reversed(self._intervals) if slow >> pair[1] & 1)
        return Slow(count(slow), self._names[place], longest)

    def _column(self, key: str) -> _Column:
        if key not in self._columns:
            devices = self._registry.devices.values()
            if key == "device":
                values = self._names
            else:
                values = [device.site if key == "site" else device.attributes[key] for device in devices]
            self._columns[key] = _Column(values)
        return self._columns[key]

    def _set_of(self, places: Iterable[int]) -> DeviceSet:
        bits = bytearray(len(self._names) // 8 + 1)
        for place in places:
            bits[place >> 3] |= 1 << (place & 7)
        return int.from_bytes(bits, "little")


class _Column:
    """One property of the devices: its values, sorted, and who has each."""

    def __init__(self, values: Iterable[str]) -> None:
        self._places: dict[str, list[int]] = {}
        for place, value in enumerate(values):
            self._places.setdefault(value, []).append(place)
        self.values = sorted(self._places)

    def places_of(self, glob: str) -> Iterable[int]:
        prefix = _PREFIX.match(glob)[0]  # type: ignore[index]
        start, end = bisect.bisect_left(self.values, prefix), bisect.bisect_left(self.values, prefix + _LAST)
        for value in filter(re.compile(fnmatch.translate(glob)).match, self.values[start:end]):
            yield from self._places[value]


def globs_of(rule: Rule) -> tuple[tuple[str, str], ...]:
    """Return what a rule matches by: ``device``, ``site`` and the names of attributes, each with a glob."""
    return (("device", rule.device), ("site", rule.site), *rule.attributes)


def count(devices: DeviceSet) -> int:
    """Return the number of devices in a set."""
    return bin(devices).count("1")
