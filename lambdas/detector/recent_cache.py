"""Soft state in the detector's memory: windows, newest readings and last-seen times of homes, written once a minute.

Execution environments do not know of each other: each adds what it saw to what is written, so that all of it is there
a minute later.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.detector.residents import Residents
from lambdas.store.items import ItemConflictError, ItemsUnavailableError
from lambdas.store.recent import RecentTable, WrittenRecent
from telemetry.alerting.evaluate import next_silence
from telemetry.alerting.recent import RECENT_EVERY, Recent
from telemetry.alerting.snapshots import Device, Snapshot, merge_devices
from telemetry.alerting.state import GatewayState, Home
from telemetry.rules.rule_set import RuleSet

logger = Logger(child=True)


class _Time(NamedTuple):
    """A moment by two clocks: Unix seconds, which may jump, and seconds that may not pass while Lambda sleeps."""

    unix: float
    monotonic: float

    def is_minute_after(self, other: _Time) -> bool:
        """Return whether a minute has passed by either clock, or the one that may jump has gone back."""
        every = RECENT_EVERY.total_seconds()
        return self.monotonic - other.monotonic >= every or not 0 <= self.unix - other.unix < every


class RecentCache:
    """The soft state of the homes that this execution environment has seen."""

    def __init__(
        self,
        table: RecentTable,
        residents: Residents,
        *,
        clock: Callable[[], dt.datetime],
        monotonic: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._residents = residents
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        self._known: dict[Home, Recent] = {}
        #: What this environment read or wrote last. While nobody else writes, it need not be read again.
        self._written: dict[Home, WrittenRecent] = {}
        self._written_at: dict[Home, _Time] = {}
        #: Homes of which nothing was found: keys that are no gateway's, unless a record says otherwise.
        self._blank: set[Home] = set()

    def load(self, homes: Iterable[Home]) -> None:
        """Read the soft state of ``homes`` that is not in memory. Where that fails, it begins empty."""
        missing = set(homes) - self._known.keys()
        if not missing:
            return
        try:
            written = self._table.load(missing)
        except (ClientError, BotoCoreError, ItemsUnavailableError) as error:
            logger.warning("soft state cannot be read; it begins empty", homes=len(missing), reason=str(error))
            written = {}
        now = self._now()
        for home in missing:
            snapshot = written[home].snapshot if home in written else Snapshot()
            self._known[home] = Recent(snapshot)
            if home in written and written[home].version:
                self._note(home, snapshot, written[home].version)
            else:
                self._blank.add(home)
            # Spread over the minute: otherwise one invocation a minute writes all homes of a cold start.
            ago = self._chance() * RECENT_EVERY.total_seconds()
            self._written_at[home] = _Time(now.unix - ago, now.monotonic - ago)
            self._residents.note(home)
            if snapshot.homes:
                self._residents.note(Home(home.gateway, snapshot.homes - 1))
                self._residents.learn(dict.fromkeys(snapshot.devices, home))

    def of(self, home: Home) -> Recent:
        """Return the soft state of a home."""
        if home not in self._known:
            self._known[home], self._written_at[home] = Recent(), self._now()
        return self._known[home]

    def write(self, rules: RuleSet, state_of: Callable[[Home], GatewayState]) -> int:
        """Write what was last written a minute ago or more; what fails is written with the next minute's.

        Return the number of homes whose windows do not fit into an item: they are not written.
        """
        self._forget_blank()
        now, without_windows = self._now(), 0
        due = [home for home in self._known if self._is_due(home, now)]
        if not due:
            return 0
        self._written_at |= dict.fromkeys(due, now)
        for home in due:
            try:
                without_windows += not self._write(home, rules, state_of(home), now.unix)
            except ItemConflictError:
                continue  # another environment was quicker
            except (ClientError, BotoCoreError, ItemsUnavailableError) as error:
                logger.warning("soft state cannot be written", gateway=home.gateway, reason=str(error))
        return without_windows

    def _forget_blank(self) -> None:
        """Forget the homes of which there is still nothing to know: memory holds no key that is only foreign."""
        for home in self._blank:
            if not self._known[home].unwritten:
                del self._known[home], self._written_at[home]
        self._blank.clear()

    def _is_due(self, home: Home, now: _Time) -> bool:
        return self._known[home].unwritten and now.is_minute_after(self._written_at[home])

    def _now(self) -> _Time:
        return _Time(self._clock().timestamp(), self._monotonic())

    def _write(self, home: Home, rules: RuleSet, state: GatewayState, now: float) -> bool:
        recent, written = self._known[home], self._written.pop(home, None)
        if written and written.snapshot.homes:
            try:
                snapshot = recent.snapshot(now, home.number + 1)
                complete = self._put(home, rules, state, snapshot, written)
            except ItemConflictError:
                pass  # another environment was quicker, the watchdog or an operator
            else:
                recent.settle(snapshot)
                return complete
        written = self._table.load([home])[home]
        snapshot = recent.merged_into(written.snapshot, now, home.number + 1)
        complete = self._put(home, rules, state, snapshot, written)
        self._known[home] = Recent(snapshot)
        return complete

    def _put(self, home: Home, rules: RuleSet, state: GatewayState, snapshot: Snapshot, written: WrittenRecent) -> bool:
        self._check_in(home, rules, state, written.snapshot, snapshot)
        if not home.number:
            snapshot.homes = max(snapshot.homes, self._residents.highest(home.gateway).number + 1)
        complete = self._table.write(home, snapshot, written, next_silence(rules, state, Recent(snapshot)))
        if not complete:
            logger.warning("windows do not fit into an item", gateway=home.gateway, home=home.number)
        self._note(home, snapshot, written.version + 1)
        return complete

    def _note(self, home: Home, snapshot: Snapshot, version: int) -> None:
        # The devices of the one in memory are replaced as readings arrive.
        kept = msgspec.structs.replace(snapshot, devices=dict(snapshot.devices))
        self._written[home] = WrittenRecent(kept, version)

    def _check_in(self, home: Home, rules: RuleSet, state: GatewayState, written: Snapshot, snapshot: Snapshot) -> None:
        """Look up the devices that are not written as at home, and leave out those that are not.

        What was retired meanwhile is no longer known. What a version without homes wrote gets homes.
        """
        newcomers = snapshot.devices.keys() - (written.devices.keys() if written.homes else ())
        if not newcomers:
            return
        legacy = {} if written.homes else written.devices
        for device in newcomers:
            self._residents.forget(device)
        found = self._residents.homes_of(newcomers, {name: snapshot.devices[name].seen for name in newcomers})
        unsettled = sorted(device for device in newcomers if device in legacy and device not in found)
        if unsettled:
            self._residents.assign(unsettled, home.gateway, {*state.alerts, *state.past, *state.holds})
            found = self._residents.homes_of(newcomers)
        moved: dict[Home, dict[str, Device]] = {}
        for device in newcomers:
            if found.get(device) != home:
                left = snapshot.devices.pop(device)
                if device in legacy and device in found and found[device].gateway == home.gateway:
                    moved.setdefault(found[device], {})[device] = left
        self._move(rules, moved)

    def _move(self, rules: RuleSet, moved: dict[Home, dict[str, Device]]) -> None:
        """Bring devices of a version without homes to those that were assigned to them."""
        written = self._table.load(moved) if moved else {}
        for home, devices in moved.items():
            there = written[home].snapshot.devices
            both = {name: merge_devices(there[name], each) for name, each in devices.items() if name in there}
            homes = max(written[home].snapshot.homes, home.number + 1)
            snapshot = msgspec.structs.replace(
                written[home].snapshot, devices={**there, **devices, **both}, homes=homes
            )
            due = next_silence(rules, GatewayState(home.gateway, number=home.number), Recent(snapshot))
            self._table.write(home, snapshot, written[home], due)
