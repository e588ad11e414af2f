"""The interface of sinks: what a run hands over, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from simulator.sinks.record import Record


class SinkError(Exception):
    """A sink cannot go on; the message is one line for a person: what, where, what to do.

    ``unsent`` are the records of the call that were not delivered: all of them, if it does not say.
    """

    unsent: Sequence[Record] = ()


class Delivery(NamedTuple):
    """The outcome of a call: how many records were sent again, and those given up, with the last reason."""

    retried: int = 0
    refused: tuple[Record, ...] = ()
    reason: str = ""


class Sink(Protocol):
    """Accepts records; what is not refused is delivered, and each gateway's records stay in order."""

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Deliver the records. Raises :class:`SinkError` or OSError if nothing more can be delivered."""
        ...
