"""Detection in a batch of stream records: decode, evaluate, commit with an outbox, send, clear the outbox.

The transitions that a record causes are written in one step with the state they lead to. Then they are sent to the
queue, and then removed from the outbox: a crash in between repeats some, loses none and invents none.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
from aws_lambda_powertools import Logger

from lambdas.detector.recent_cache import RecentCache
from lambdas.detector.records import Record
from lambdas.store.items import ItemConflictError
from lambdas.store.states import VersionedState
from telemetry.alerting.evaluate import evaluate
from telemetry.alerting.heard import Heard
from telemetry.alerting.state import GatewayState
from telemetry.alerting.transitions import Transition
from telemetry.reading.codec import decode_batch
from telemetry.rules.rule_set import RuleSet

#: A record may hold thousands of readings, and what they change has to fit into one item. Evaluated in parts, they
#: change the same.
_READINGS_PER_COMMIT = 1000

#: How often a record is evaluated while others change its gateway's state.
_ATTEMPTS = 3

logger = Logger(child=True)


class States(Protocol):
    """The table of alert states."""

    def load(self, gateways: Iterable[str]) -> dict[str, VersionedState]:
        """Return the states of these gateways."""

    def commit(
        self,
        state: GatewayState,
        expected_version: int,
        outbox: Sequence[Transition],
        *,
        now: dt.datetime,
        lag: float = 0.0,
    ) -> VersionedState:
        """Write a state and its outbox if the stored version is still the expected one."""

    def clear_outbox(self, sent: VersionedState) -> VersionedState:
        """Remove an outbox that was sent."""


class Queue(Protocol):
    """The queue of transitions."""

    def send(self, transitions: Sequence[Transition]) -> None:
        """Send all transitions, or raise."""


class Tally(msgspec.Struct):
    """Counts of one invocation. ``newest`` is the latest event time of the last readings of its records."""

    records: int = 0
    readings: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    transitions: int = 0
    newest: dt.datetime | None = None


class EarlierRecordFailedError(Exception):
    """A record of the same gateway failed before this one; both are delivered again, in order."""


class Detection:
    """One invocation: its records, in order per gateway."""

    def __init__(
        self,
        *,
        rules: RuleSet,
        states: States,
        recents: RecentCache,
        queue: Queue,
        gateways: Iterable[str],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._rules = rules
        self._states = states
        self._recents = recents
        self._queue = queue
        self._clock = clock
        self._current = states.load(gateways)
        self._failed: set[str] = set()
        self.tally = Tally()
        if rules.needs_recent:
            recents.load(self._current)

    def process(self, records: Iterable[Record]) -> list[Record]:
        """Process records and write the soft state that is due; return the records to deliver again."""
        failed = [record for record in records if not self._is_processed(record)]
        if self._rules.needs_recent:
            self._recents.write(self._rules, self._state_of)
        return failed

    def _is_processed(self, record: Record) -> bool:
        try:
            self.record(record)
        except EarlierRecordFailedError:
            return False
        except Exception:  # whatever it is, the other gateways' records go on
            position = record.position
            logger.exception(
                "a record has to be delivered again",
                gateway=record.gateway,
                shard=position.shard,
                sequence=position.sequence,
            )
            return False
        return True

    def record(self, record: Record) -> None:
        """Process one record; raises if it has to be delivered again."""
        if record.gateway in self._failed:
            raise EarlierRecordFailedError(f"an earlier record of {record.gateway} failed in this batch")
        try:
            self._process(record)
        except Exception:
            self._failed.add(record.gateway)
            raise

    def _state_of(self, gateway: str) -> GatewayState:
        current = self._current.get(gateway)
        return current.state if current else GatewayState(gateway)

    def _process(self, record: Record) -> None:
        batch = decode_batch(record.data, record.arrived)
        named = [line for line in batch.rejected if line.device]
        heard = Heard(record.gateway, record.arrived, batch.readings, named)
        for attempt in range(_ATTEMPTS):
            try:
                self._evaluate(record, heard)
                break
            except ItemConflictError:
                # The watchdog or an operator was quicker.
                if attempt == _ATTEMPTS - 1:
                    raise
                self._current |= self._states.load([record.gateway])
        self.tally.records += 1
        self.tally.readings += len(batch.readings)
        self.tally.rejected.update(line.reason for line in batch.rejected)
        if batch.readings and (self.tally.newest is None or batch.readings[-1].ts > self.tally.newest):
            self.tally.newest = batch.readings[-1].ts

    def _evaluate(self, record: Record, heard: Heard) -> None:
        before = self._current[record.gateway]
        if before.outbox:
            before = self._send(before)
        if before.state.position and record.position.is_behind(before.state.position):
            # Delivered again: its readings are in the state already, and so are those that came after them.
            return
        recent = self._recents.of(record.gateway)
        for start in range(0, max(1, len(heard.readings)), _READINGS_PER_COMMIT):
            before, stop = self._current[record.gateway], start + _READINGS_PER_COMMIT
            state, transitions = evaluate(self._rules, before.state, recent, heard.part(start, stop))
            if state is not before.state:
                if stop >= len(heard.readings):
                    state = state.at(record.gateway, record.position)
                self._commit(before, state, record.arrived, transitions)
            recent.accept()

    def _commit(
        self, before: VersionedState, state: GatewayState, arrived: dt.datetime, transitions: list[Transition]
    ) -> None:
        now = self._clock()
        lag = max(0.0, (now - arrived).total_seconds())
        committed = self._states.commit(state, before.version, transitions, now=now, lag=lag)
        self._current[state.gateway] = committed
        if transitions:
            self._send(committed)
            self.tally.transitions += len(transitions)

    def _send(self, committed: VersionedState) -> VersionedState:
        self._queue.send(committed.outbox)
        cleared = self._states.clear_outbox(committed)
        self._current[committed.state.gateway] = cleared
        return cleared
