"""Changes of one home by the clock, written in pieces that fit into an item, each sent before the next one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from lambdas.store.items import ItemTooLargeError
from lambdas.store.queue import TransitionsQueue
from lambdas.store.states import StateTable, VersionedState
from telemetry.alerting.evaluate import Evaluation
from telemetry.alerting.state import GatewayState

#: Transitions that are written at once; fewer where they do not fit next to the state.
_MOST = 1000

#: What happens to a state; it stops after a number of transitions, and goes on where it is called again.
Decision = Callable[[GatewayState, int], Evaluation]


class Commits:
    """Writes changes of homes, with their outbox, and sends them."""

    def __init__(self, states: StateTable, queue: TransitionsQueue, now: dt.datetime) -> None:
        self._states = states
        self._queue = queue
        self._now = now

    def settled(self, found: VersionedState) -> VersionedState:
        """Send what somebody left unsent; return the state without it."""
        if not found.outbox:
            return found
        self._queue.send(found.outbox)
        return self._states.clear_outbox(found)

    def in_pieces(self, before: VersionedState, decide: Decision) -> tuple[VersionedState, int]:
        """Carry a state on until nothing more is decided; return it with the number of transitions that were sent.

        Raises :class:`~lambdas.store.items.ItemConflictError` where somebody else has changed it, and
        :class:`~lambdas.store.items.ItemTooLargeError` where not even one change fits into its item.
        """
        most, sent = _MOST, 0
        while True:
            state, transitions = decide(before.state, most)
            if state is before.state:
                return before, sent
            try:
                committed = self._states.commit(state, before.version, transitions, now=self._now, lag=before.lag)
            except ItemTooLargeError:
                if most == 1:
                    raise
                most = max(1, most // 4)
                continue
            before = self.settled(committed)
            sent += len(transitions)
            if len(transitions) < most:
                return before, sent
