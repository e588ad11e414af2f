"""A poller of Lambda's event source mapping: reads the topic, calls the function, commits what is done.

https://docs.aws.amazon.com/lambda/latest/dg/with-msk-configure.html
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from local.kafka.batches import Discarded, Outcome, Pending, Settings
from local.kafka.records import Record, Source

#: How long to wait before an invocation that follows a failed one; how long Lambda waits is not documented.
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 1.0

#: How often to check for a stop while no records come.
_IDLE_SECONDS = 0.5

logger = logging.getLogger("kafka bridge")


class Reader(Protocol):
    """A member of the mapping's consumer group."""

    def take(self, most: int, window_seconds: float, idle_seconds: float) -> list[Record]:
        """Return up to ``most`` records of a window, none after an idle time."""

    def wait(self, seconds: float) -> None:
        """Wait without reading."""

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit by partition the offset from which on to read."""

    def close(self) -> None:
        """Leave the group."""


#: Creates a reader that reports the partitions that it loses.
OpenReader = Callable[[Callable[[Collection[int]], None]], Reader]

#: Calls the function with an event.
Function = Callable[[bytes], Outcome]

#: Sends a batch that is given up to the failure destination; returns whether it was accepted.
FailureDestination = Callable[[Discarded], bool]


class EventSource:
    """One poller: one invocation at a time, with records of all the partitions that it was assigned."""

    def __init__(
        self,
        source: Source,
        open_reader: OpenReader,
        function: Function,
        failures: FailureDestination,
        *,
        settings: Settings = Settings(),  # noqa: B008  # it cannot be changed
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._source = source
        self._settings = settings
        self._function = function
        self._failures = failures
        self._pending = Pending(source, settings, clock)
        self._failed_in_a_row = 0
        self._reader = open_reader(self._pending.forget)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Deliver until it is stopped."""
        while not stopped():
            self.turn(stopped)

    def close(self) -> None:
        """Leave the group; what was not done is read again by the next member."""
        self._reader.close()

    def turn(self, stopped: Callable[[], bool]) -> None:
        """Deliver the next batch, and read one first where there is none."""
        batch, given_up = self._pending.next()
        if batch is None and not given_up:
            read = self._reader.take(self._settings.batch_records, self._settings.window_seconds, _IDLE_SECONDS)
            given_up = self._pending.add(read)
        elif batch is not None:
            outcome = self._function(batch.event(self._source))
            given_up += self._pending.settle(batch, outcome)
            self._pace(outcome)
        if self._hand_over(given_up, stopped):
            self._reader.commit(self._pending.done())

    def _pace(self, outcome: Outcome) -> None:
        """Wait after a failure, longer after each that follows."""
        if not (outcome.reason or outcome.error or (outcome.answer or {}).get("batchItemFailures")):
            self._failed_in_a_row = 0
            return
        if outcome.reason and not self._failed_in_a_row:
            logger.warning("the function of %s is not reached: %s", self._source.topic, outcome.reason)
        wait = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(self._failed_in_a_row, 10))
        self._failed_in_a_row += 1
        self._reader.wait(wait)

    def _hand_over(self, given_up: Iterable[Discarded], stopped: Callable[[], bool]) -> bool:
        """Send what is given up to the failure destination until it is accepted; return False if stopped before."""
        for each in given_up:
            while not self._failures(each):
                if stopped():
                    return False
                self._reader.wait(_LONGEST_WAIT_SECONDS)
        return True
