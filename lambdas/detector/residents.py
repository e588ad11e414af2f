"""Homes of devices in the detector's memory, and the assignment of homes to devices that are new."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from lambdas.store.homes import DEVICES_PER_HOME, HomeTable
from telemetry.alerting.state import Home

_NONE: frozenset[str] = frozenset()


class Residents:
    """The devices whose homes this execution environment knows. A device never moves, so none is looked up twice."""

    def __init__(self, table: HomeTable) -> None:
        self._table = table
        self._home_of: dict[str, Home] = {}
        self._at: dict[Home, set[str]] = {}
        self._highest: dict[str, int] = {}

    def are_at(self, home: Home, devices: Iterable[str]) -> bool:
        """Return whether all ``devices`` are known to be at ``home``; every record asks, and most are."""
        return self._at.get(home, _NONE).issuperset(devices)

    def homes_of(self, devices: Collection[str], seen: Mapping[str, float] | None = None) -> Mapping[str, Home]:
        """Return the homes of ``devices`` by device; one that is new is left out. ``seen`` is as for the table."""
        unknown = [device for device in devices if device not in self._home_of]
        if unknown:
            self.learn(self._table.find(unknown, seen))
        return {device: self._home_of[device] for device in devices if device in self._home_of}

    def highest(self, gateway: str) -> Home:
        """Return the last of a gateway's homes, which takes in new devices."""
        return Home(gateway, self._highest.get(gateway, 0))

    def assign(self, devices: Iterable[str], gateway: str, settled: Collection[str]) -> None:
        """Assign homes of a gateway to new devices, in order; those ``settled`` in its first home stay there."""
        home, wanted = self.highest(gateway), dict[str, Home]()
        room = DEVICES_PER_HOME - len(self._at.get(home, ()))
        for device in devices:
            if device in settled:
                wanted[device] = Home(gateway)
                continue
            if room <= 0:
                home, room = Home(gateway, home.number + 1), DEVICES_PER_HOME
            wanted[device], room = home, room - 1
        self.learn(self._table.claim(wanted))

    def learn(self, homes: Mapping[str, Home]) -> None:
        """Note the homes of devices."""
        for device, home in homes.items():
            self._home_of[device] = home
            self._at.setdefault(home, set()).add(device)
            self.note(home)

    def note(self, home: Home) -> None:
        """Note that a gateway has a home."""
        if home.number > self._highest.get(home.gateway, 0):
            self._highest[home.gateway] = home.number

    def forget(self, device: str) -> None:
        """Forget the home of a device, which was retired."""
        home = self._home_of.pop(device, None)
        if home:
            self._at[home].discard(device)
