"""Due gateways: timers, silences, and transitions that were left unsent."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from aws_lambda_powertools import Logger

from lambdas.store.items import MAX_KEYS_PER_BATCH_GET, ItemConflictError
from lambdas.store.queue import TransitionsQueue
from lambdas.store.recent import RecentTable, WrittenRecent
from lambdas.store.states import StateTable, VersionedState
from telemetry.alerting.evaluate import Evaluation, advance, next_silence, silent
from telemetry.alerting.recent import Recent
from telemetry.rules.rule_set import RuleSet

#: Gateways at a time: the work is waiting for DynamoDB and SQS.
_THREADS = 8

logger = Logger(child=True)


class Watched(NamedTuple):
    """Counts of one run: gateways looked at, those that failed, and transitions sent."""

    gateways: int = 0
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
        queue: TransitionsQueue,
        now: dt.datetime,
        has_time: Callable[[], bool],
    ) -> None:
        self._rules = rules
        self._states = states
        self._recents = recents
        self._queue = queue
        self._now = now
        self._has_time = has_time

    def watch(self, gateways: Iterable[str]) -> Watched:
        """Carry ``gateways`` forward to now. One that fails, or is not reached in time, is due again next minute."""
        wanted = sorted(set(gateways))
        done: list[int | None] = []
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(wanted), MAX_KEYS_PER_BATCH_GET):
                if not self._has_time():
                    logger.warning("no time left; the others are due again next minute", left=len(wanted) - start)
                    break
                done += self._watch_some(wanted[start : start + MAX_KEYS_PER_BATCH_GET], pool)
        sent = [count for count in done if count is not None]
        return Watched(len(done), len(done) - len(sent), sum(sent))

    def _watch_some(self, gateways: Sequence[str], pool: concurrent.futures.ThreadPoolExecutor) -> list[int | None]:
        states, recents = self._states.load(gateways), self._recents.load(gateways)
        return list(pool.map(lambda gateway: self._watch_one(gateway, states[gateway], recents[gateway]), gateways))

    def _watch_one(self, gateway: str, before: VersionedState, written: WrittenRecent) -> int | None:
        """Return the number of transitions sent; None for a gateway that failed."""
        try:
            return self._carry_forward(gateway, before, written)
        except ItemConflictError:
            # The detector was quicker, and has done what is due itself.
            return 0
        except Exception:  # whatever it is, the other gateways go on
            logger.exception("a gateway is looked at again next minute", gateway=gateway)
            return None

    def _carry_forward(self, gateway: str, before: VersionedState, written: WrittenRecent) -> int:
        sent = len(before.outbox)
        if before.outbox:
            self._queue.send(before.outbox)
            before = self._states.clear_outbox(before)
        recent = Recent(written.snapshot)
        state, transitions = self._evaluate(before, recent)
        if state is not before.state:
            committed = self._states.commit(state, before.version, transitions, now=self._now, lag=before.lag)
            if transitions:
                self._queue.send(transitions)
                self._states.clear_outbox(committed)
        if written.version:
            self._recents.reschedule(gateway, written, next_silence(self._rules, state, recent))
        return sent + len(transitions)

    def _evaluate(self, before: VersionedState, recent: Recent) -> Evaluation:
        """Evaluate timers, then silences. A detector that is behind the stream puts the clock back as far."""
        state, timed = advance(self._rules, before.state, self._now - dt.timedelta(seconds=before.lag))
        state, fallen = silent(self._rules, state, recent, self._now)
        return Evaluation(state, timed + fallen)
