"""Lines to stream records: one record is a batch of one gateway.

Works by event time alone, so the records are the same at any pace.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import NamedTuple

from simulator.traffic import Line
from telemetry.codec import encode_batch
from telemetry.reading import Reading

#: The most bytes in a record. Kinesis takes more, but what Firehose reads from the stream may not be larger:
#: https://docs.aws.amazon.com/firehose/latest/dev/limits.html
MAX_RECORD_BYTES = 1_000 * 1024

#: A line waits at most this many seconds for its batch to fill, so that no alert is held back.
LONGEST_WAIT = 1.0


class Record(NamedTuple):
    """A gateway's batch, and how many lines it has in all and of each kind that is no new reading."""

    gateway: str
    payload: bytes
    lines: int
    duplicates: int
    malformed: int


class Batcher:
    """Gathers each gateway's lines until ``most`` are there or the first has waited long enough."""

    def __init__(self, most: int) -> None:
        self._most = most
        # In the order of their first lines, so the first is always the next to be due.
        self._waiting: OrderedDict[str, tuple[float, list[Line]]] = OrderedDict()
        #: When the next batch is due, full or not: seconds after the start; infinite if nothing waits.
        self.deadline = inf

    def add(self, at: float, gateway: str, line: Line) -> list[Record]:
        """Take a line sent at ``at`` seconds; returns its batch's records if that is full now."""
        batch = self._waiting.get(gateway)
        if batch is None:
            batch = self._waiting[gateway] = (at, [])
            self.deadline = min(self.deadline, at + LONGEST_WAIT)
        lines = batch[1]
        lines.append(line)
        return self._take(gateway) if len(lines) >= self._most else []

    def due(self) -> list[Record]:
        """The records of the batch whose deadline comes next."""
        return self._take(next(iter(self._waiting)))

    def rest(self) -> list[Record]:
        """All that waits, due or not."""
        return [record for gateway in list(self._waiting) for record in self._take(gateway)]

    def _take(self, gateway: str) -> list[Record]:
        _, lines = self._waiting.pop(gateway)
        self.deadline = next(iter(self._waiting.values()))[0] + LONGEST_WAIT if self._waiting else inf
        return _records(gateway, lines)


def _records(gateway: str, lines: list[Line]) -> list[Record]:
    """One record, or more where it would be too large."""
    payload, extras = _encode(lines)
    if len(payload) > MAX_RECORD_BYTES and len(lines) > 1:
        half = len(lines) // 2
        return _records(gateway, lines[:half]) + _records(gateway, lines[half:])
    return [Record(gateway, payload, len(lines), extras.count("duplicate"), extras.count("malformed"))]


def _encode(lines: list[Line]) -> tuple[bytes, list[str]]:
    """The batch, and the kind of each line in it that is no new reading."""
    readings = [line for line in lines if isinstance(line, Reading)]
    if len(readings) == len(lines):
        return encode_batch(readings), []
    payload = b"".join(encode_batch([line]) if isinstance(line, Reading) else line.encoded for line in lines)
    return payload, [line.kind for line in lines if not isinstance(line, Reading)]
