"""What happens to a batch of stream records: decode, evaluate, publish, then commit.

Publishing comes before committing: a crash between the two repeats notifications under the same
``alert_id`` and never loses one.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from lambdas.detector.states import VersionedState
from telemetry.alerting import Evaluation, GatewayState, Position, evaluate
from telemetry.codec import decode_batch
from telemetry.message import AlertMessage, alert_message
from telemetry.reading import Reading
from telemetry.rules import RuleSet


class States(Protocol):
    """Where alert states are kept."""

    def load(self, gateways: Iterable[str]) -> dict[str, VersionedState]:
        """The states of these gateways."""

    def commit(self, state: GatewayState, expected_version: int) -> VersionedState:
        """Write a state if its version is still the expected one."""


class Alerts(Protocol):
    """Where alert messages go."""

    def publish(self, messages: Sequence[AlertMessage]) -> None:
        """Hand all messages over, or raise."""


class Tally(msgspec.Struct):
    """What one invocation saw and did. ``newest`` is the latest event time among its readings."""

    records: int = 0
    readings: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    firing: Counter[str] = msgspec.field(default_factory=Counter)
    resolved: Counter[str] = msgspec.field(default_factory=Counter)
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
        alerts: Alerts,
        gateways: Iterable[str],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._rules = rules
        self._states = states
        self._alerts = alerts
        self._clock = clock
        self._current = states.load(gateways)
        self._failed: set[str] = set()
        self.tally = Tally()

    def record(self, gateway: str, data: bytes, position: Position) -> None:
        """Process one stream record; raises if it has to be delivered again."""
        if gateway in self._failed:
            raise EarlierRecordFailedError(f"an earlier record of {gateway} failed in this batch")
        try:
            self._process(gateway, data, position)
        except Exception:
            self._failed.add(gateway)
            raise

    def _evaluate(self, state: GatewayState, readings: list[Reading], position: Position) -> Evaluation:
        if state.position and position.is_behind(state.position):
            # Delivered again: its readings are in the state already, and so are those that came after them.
            return Evaluation(state, [])
        return evaluate(self._rules, state, readings, position.arrived)

    def _process(self, gateway: str, data: bytes, position: Position) -> None:
        batch = decode_batch(data, position.arrived)
        before = self._current[gateway]
        state, transitions = self._evaluate(before.state, batch.readings, position)
        if transitions:
            published_at = self._clock()
            self._alerts.publish([alert_message(transition, published_at) for transition in transitions])
        if state is not before.state:
            reached = msgspec.structs.replace(state, position=position)
            self._current[gateway] = self._states.commit(reached, before.version)
        self.tally.records += 1
        self.tally.readings += len(batch.readings)
        self.tally.rejected.update(line.reason for line in batch.rejected)
        for transition in transitions:
            counter = self.tally.firing if transition.state.status == "firing" else self.tally.resolved
            counter[transition.rule.severity] += 1
        moments = [reading.ts for reading in batch.readings]
        self.tally.newest = max([*moments, self.tally.newest] if self.tally.newest else moments, default=None)
