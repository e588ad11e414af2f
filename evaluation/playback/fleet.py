"""A fleet's alerts as simulated time passes: each device at its one home, wherever it is heard."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator

from evaluation.playback.home import HomePlayback
from lambdas.store.homes import DEVICES_PER_HOME
from lambdas.watchdog.review import SETTLED_AFTER
from telemetry.alerting.evaluate import AlertError, close, hold, release, retire
from telemetry.alerting.heard import Heard
from telemetry.alerting.state import AlertState, Hold, Home
from telemetry.alerting.transitions import HoldKind, Transition
from telemetry.reading.codec import Rejected, decode_batch
from telemetry.reading.model import Reading
from telemetry.rules.rule_set import RuleSet


class Fleet:
    """The homes of the devices and gateways that were heard of."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._homes: dict[Home, HomePlayback] = {}
        self._home_of: dict[str, Home] = {}
        self._assigned: Counter[str] = Counter()
        self._reviewed = rules
        self._review_at: dt.datetime | None = None

    # What happens

    def receive(self, gateway: str, data: bytes, arrived: dt.datetime) -> list[Transition]:
        """Receive a record: each line goes to the home of its device."""
        batch = decode_batch(data, arrived)
        readings: dict[Home, list[Reading]] = {Home(gateway): []}
        rejected: dict[Home, list[Rejected]] = {}
        for reading in batch.readings:
            readings.setdefault(self._home(reading.device_id, gateway), []).append(reading)
        for line in batch.rejected:
            # A device that only rejected lines name has a home where they begin an alert.
            if line.device in self._home_of or (
                line.device and self._rules.refuse(line.device, line.site, line.reason)
            ):
                rejected.setdefault(self._home(line.device, gateway), []).append(line)
        happened, site = list[Transition](), batch.readings[-1].site if batch.readings else ""
        for home in {**readings, **rejected}:
            heard = Heard(gateway, arrived, readings.get(home, []), rejected.get(home, []), site)
            happened += self._at(home).hear(heard)
        return happened

    def tick(self, now: dt.datetime) -> list[Transition]:
        """Run the watchdog at all homes, and a review if rules or registry were edited and are in use everywhere."""
        happened: list[Transition] = []
        if self._review_at and self._review_at <= now:
            happened += self._review(now)
        for home in self._homes.values():
            happened += home.tick(now)
        return happened

    def edit(self, rules: RuleSet, now: dt.datetime) -> None:
        """Put other rules, or another registry, into use."""
        self._rules = rules
        self._review_at = now + SETTLED_AFTER
        for home in self._homes.values():
            home.rules = rules

    def _review(self, now: dt.datetime) -> list[Transition]:
        retired = self._reviewed.registry.devices.keys() - self._rules.registry.devices.keys()
        self._reviewed, self._review_at = self._rules, None
        happened: list[Transition] = []
        for home in self._homes.values():
            happened += home.review(now, [device for device in retired if self._home_of.get(device) == home.home])
        return happened

    # Operators: each raises AlertError where the order cannot be carried out

    def hold(self, device: str, gateway: str, rule: str, order: Hold) -> list[Transition]:
        """Acknowledge, snooze or disable; ``gateway`` is that of an alert about a gateway itself."""
        home = self._of(device, gateway)
        return home.take(hold(self._rules, home.state, device, rule, order))

    def release(
        self, device: str, gateway: str, rule: str, kind: HoldKind, *, who: str, why: str, now: dt.datetime
    ) -> list[Transition]:
        """End a snooze, or enable what was disabled."""
        home = self._of(device, gateway)
        order = home.state.holds.get(device, {}).get(rule)
        if order is None or order.kind != kind:
            raise AlertError(f"{rule} is not {kind} at {device or gateway}")
        return home.take(release(self._rules, home.state, device, rule, who=who, why=why, now=now))

    def close(self, device: str, gateway: str, rule: str, *, who: str, why: str, now: dt.datetime) -> list[Transition]:
        """End an alert."""
        home = self._of(device, gateway)
        return home.take(close(self._rules, home.state, device, rule, who=who, why=why, now=now))

    def retire(self, device: str, *, who: str, why: str, now: dt.datetime) -> list[Transition]:
        """Take a device out of service."""
        home = self._of(device, "")
        happened = home.take(retire(self._rules, home.state, device, who=who, why=why, now=now))
        home.recent.forget(device)
        return happened

    # What is so

    def wake(self) -> dt.datetime | None:
        """Return when the watchdog has something to do next, if nothing else happens before."""
        wakes = (self._review_at, *(home.wake() for home in self._homes.values()))
        return min((wake for wake in wakes if wake), default=None)

    def active(self) -> Iterator[tuple[str, str, str, AlertState, Hold | None]]:
        """Return the active alerts: device, gateway, rule, state, and the hold on it."""
        for home in self._homes.values():
            for device, by_rule in home.state.alerts.items():
                for rule, alert in by_rule.items():
                    held = home.state.holds.get(device, {}).get(rule)
                    yield device, alert.gateway or home.home.gateway, rule, alert, held

    def _home(self, device: str, gateway: str) -> Home:
        """Return the home of a device, which is assigned when it is first heard of."""
        home = self._home_of.get(device)
        if home is None:
            home = self._home_of[device] = Home(gateway, self._assigned[gateway] // DEVICES_PER_HOME)
            self._assigned[gateway] += 1
        return home

    def _at(self, home: Home) -> HomePlayback:
        found = self._homes.get(home)
        if found is None:
            found = self._homes[home] = HomePlayback(self._rules, home)
        return found

    def _of(self, device: str, gateway: str) -> HomePlayback:
        home = self._home_of.get(device) if device else Home(gateway)
        if home is None or home not in self._homes:
            raise AlertError(f"{device or gateway} was not heard of yet")
        return self._homes[home]
