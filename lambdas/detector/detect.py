"""What happens to a batch of stream records: decode, evaluate, commit with an outbox, send, clear the outbox.

The transitions that a record makes are written in one step with the state they lead to. They go to the queue after
that, and out of the outbox after that: a crash in between repeats some, loses none and invents none.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from lambdas.store.items import ItemConflictError
from lambdas.store.recents import Recents
from lambdas.store.states import VersionedState
from telemetry.alerting.evaluate import evaluate
from telemetry.alerting.state import GatewayState, Position
from telemetry.alerting.transitions import Transition
from telemetry.reading.codec import decode_batch
from telemetry.reading.model import Reading
from telemetry.rules.rule_set import RuleSet

#: A record may hold thousands of readings, and what they change has to fit into one item. Cut, they change the same.
_READINGS_PER_COMMIT = 1000

#: How often a record is evaluated anew, because somebody else changed its gateway's state meanwhile.
_ATTEMPTS = 3


class States(Protocol):
    """Where alert states are kept."""

    def load(self, gateways: Iterable[str]) -> dict[str, VersionedState]:
        """The states of these gateways."""

    def commit(
        self,
        state: GatewayState,
        expected_version: int,
        outbox: Sequence[Transition],
        *,
        now: dt.datetime,
        lag: float = 0.0,
    ) -> VersionedState:
        """Write a state and its outbox if its version is still the expected one."""

    def clear_outbox(self, sent: VersionedState) -> VersionedState:
        """Forget an outbox that was sent."""


class Queue(Protocol):
    """Where transitions go."""

    def send(self, transitions: Sequence[Transition]) -> None:
        """Hand all transitions over, or raise."""


class Tally(msgspec.Struct):
    """What one invocation saw and did. ``newest`` is the latest event time of the last readings of its records."""

    records: int = 0
    readings: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    transitions: int = 0
    newest: dt.datetime | None = None


class EarlierRecordFailedError(Exception):
    """A record of the same gateway failed before this one; both wait for the retry, to keep their order."""


class Detection:
    """One invocation's work on its records, gateway by gateway in order."""

    def __init__(
        self,
        *,
        rules: RuleSet,
        states: States,
        recents: Recents,
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
        if rules.soft:
            recents.load(self._current)

    def record(self, gateway: str, data: bytes, position: Position) -> None:
        """Process one stream record; raises if it has to be delivered again."""
        if gateway in self._failed:
            raise EarlierRecordFailedError(f"an earlier record of {gateway} failed in this batch")
        try:
            self._process(gateway, data, position)
        except Exception:
            self._failed.add(gateway)
            raise

    def finish(self) -> None:
        """Write the soft state whose turn it is."""
        if self._rules.soft:
            self._recents.write(self._rules, self._state_of)

    def _state_of(self, gateway: str) -> GatewayState:
        current = self._current.get(gateway)
        return current.state if current else GatewayState(gateway)

    def _process(self, gateway: str, data: bytes, position: Position) -> None:
        batch = decode_batch(data, position.arrived)
        for attempt in range(_ATTEMPTS):
            try:
                self._carry_forward(gateway, batch.readings, position)
                break
            except ItemConflictError:
                # The watchdog or an operator was quicker.
                if attempt == _ATTEMPTS - 1:
                    raise
                self._current |= self._states.load([gateway])
        self.tally.records += 1
        self.tally.readings += len(batch.readings)
        self.tally.rejected.update(line.reason for line in batch.rejected)
        if batch.readings and (self.tally.newest is None or batch.readings[-1].ts > self.tally.newest):
            self.tally.newest = batch.readings[-1].ts

    def _carry_forward(self, gateway: str, readings: list[Reading], position: Position) -> None:
        before = self._current[gateway]
        if before.outbox:
            before = self._send(before)
        if before.state.position and position.is_behind(before.state.position):
            # Delivered again: its readings are in the state already, and so are those that came after them.
            return
        recent = self._recents.of(gateway)
        for start in range(0, max(1, len(readings)), _READINGS_PER_COMMIT):
            before, part = self._current[gateway], readings[start : start + _READINGS_PER_COMMIT]
            state, transitions = evaluate(self._rules, before.state, recent, part, position.arrived)
            if state is not before.state:
                if start + _READINGS_PER_COMMIT >= len(readings):
                    state = msgspec.structs.replace(state, position=position)
                self._commit(before, state, position, transitions)

    def _commit(
        self, before: VersionedState, state: GatewayState, position: Position, transitions: list[Transition]
    ) -> None:
        now = self._clock()
        lag = max(0.0, (now - position.arrived).total_seconds())
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
