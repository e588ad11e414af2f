"""Due homes: timers, silences, and transitions that were left unsent."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from aws_lambda_powertools import Logger

from lambdas.store.homes import HomeTable
from lambdas.store.items import MAX_KEYS_PER_BATCH_GET, ItemConflictError
from lambdas.store.recent import RecentTable, WrittenRecent
from lambdas.store.states import StateTable, VersionedState
from lambdas.watchdog.commits import Commits
from lambdas.watchdog.review import NOT_AT_HOME
from telemetry.alerting.evaluate import Evaluation, advance, next_silence, review, silent
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GATEWAY_ITSELF, GatewayState, Home
from telemetry.rules.rule_set import RuleSet

#: Homes at a time: the work is waiting for DynamoDB and SQS.
_THREADS = 8

logger = Logger(child=True)


class Watched(NamedTuple):
    """Counts of one run: homes looked at, those that failed, and transitions sent."""

    homes: int = 0
    failed: int = 0
    transitions: int = 0


class Watchdog:
    """One run."""

    def __init__(
        self,
        *,
        rules: RuleSet,
        states: StateTable,
        recents: RecentTable,
        homes: HomeTable,
        commits: Commits,
        now: dt.datetime,
        has_time: Callable[[], bool],
    ) -> None:
        self._rules = rules
        self._states = states
        self._recents = recents
        self._homes = homes
        self._commits = commits
        self._now = now
        self._has_time = has_time

    def watch(self, homes: Iterable[Home]) -> Watched:
        """Carry ``homes`` forward to now. One that fails, or is not reached in time, is due again next minute."""
        wanted = sorted(set(homes))
        done: list[int | None] = []
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(wanted), MAX_KEYS_PER_BATCH_GET):
                if not self._has_time():
                    logger.warning("no time left; the others are due again next minute", left=len(wanted) - start)
                    break
                done += self._watch_some(wanted[start : start + MAX_KEYS_PER_BATCH_GET], pool)
        sent = [count for count in done if count is not None]
        return Watched(len(done), len(done) - len(sent), sum(sent))

    def _watch_some(self, homes: Sequence[Home], pool: concurrent.futures.ThreadPoolExecutor) -> list[int | None]:
        states, recents = self._states.load(homes), self._recents.load(homes)
        return list(pool.map(lambda home: self._watch_one(home, states[home], recents[home]), homes))

    def _watch_one(self, home: Home, before: VersionedState, written: WrittenRecent) -> int | None:
        """Return the number of transitions sent; None for a home that failed."""
        try:
            return self._carry_forward(home, before, written)
        except ItemConflictError:
            # The detector was quicker, and has done what is due itself.
            return 0
        except Exception:  # whatever it is, the other homes go on
            logger.exception("a home is looked at again next minute", gateway=home.gateway, home=home.number)
            return None

    def _carry_forward(self, home: Home, before: VersionedState, written: WrittenRecent) -> int:
        unsent, recent = len(before.outbox), Recent(written.snapshot)
        before = self._commits.settled(before)
        # A detector that is behind the stream puts the clock back as far.
        clock = self._now - before.behind(self._now)
        before, timed = self._commits.in_pieces(before, lambda state, most: advance(self._rules, state, clock, most))
        strangers = self._strangers(home, before.state, recent)
        before, ended = self._commits.in_pieces(before, lambda state, most: self._without(strangers, state, most))
        before, fallen = self._commits.in_pieces(
            before, lambda state, most: silent(self._rules, state, recent, self._now, most)
        )
        due = next_silence(self._rules, before.state, recent)
        if strangers:
            snapshot = recent.merged_into(written.snapshot, self._now.timestamp(), written.snapshot.homes)
            self._recents.write(home, snapshot, written, due)
        elif written.version:
            self._recents.reschedule(home, written, due)
        return unsent + timed + ended + fallen

    def _strangers(self, home: Home, state: GatewayState, recent: Recent) -> set[str]:
        """Forget the devices that would be silent here but are at home elsewhere, or were retired; return them.

        What a version without homes wrote may have no home yet.
        """
        fallen = {transition.device for transition in silent(self._rules, state, recent, self._now).transitions}
        fallen.discard(GATEWAY_ITSELF)
        found = self._homes.find(fallen, {device: recent.devices[device].seen for device in fallen})
        strangers = {device for device in fallen if (found[device] != home if device in found else recent.homes)}
        for device in strangers:
            recent.forget(device)
        return strangers

    def _without(self, strangers: set[str], state: GatewayState, most: int) -> Evaluation:
        if not strangers:
            return Evaluation(state, [])
        return review(self._rules, state, self._now, retired=strangers, reason=NOT_AT_HOME, most=most)
