"""Where records go, as the run sees it; and the sinks that write lines to a file or a pipe."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

from simulator.sinks.batches import Record

#: Zlib's fastest: a simulator should wait for its disk, not for its compressor.
_COMPRESSION = 1


class SinkError(Exception):
    """A sink cannot go on; the message is one line for a person: what, where, what to do.

    ``unsent`` are the records of the call that were not delivered: all of them, if it does not say.
    """

    unsent: Sequence[Record] = ()


class Delivery(NamedTuple):
    """What became of records: how many were sent again, and those given up, with the last reason."""

    retried: int = 0
    refused: tuple[Record, ...] = ()
    reason: str = ""


class Sink(Protocol):
    """Takes records; what is not refused is accepted, and each gateway's records stay in order."""

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Deliver the records. Raises :class:`SinkError` or OSError if nothing more can be delivered."""
        ...


class LineSink:
    """Writes the lines of every record to an open file or pipe, where whoever reads it sees them at once.

    Give it an unbuffered one: a signal that comes while Python's buffered writer waits for a full pipe makes
    it lose a buffer of bytes (seen in CPython 3.11), and Ctrl-C must not cost lines.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Write all lines."""
        rest = memoryview(b"".join(record.payload for record in records))
        while rest:
            rest = rest[self._out.write(rest) :]
        self._out.flush()
        return Delivery()


def open_lines(path: Path) -> BinaryIO:
    """Open a file for JSON lines, compressed if its name ends in ``.gz``. Raises OSError."""
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "wb", compresslevel=_COMPRESSION))
    return cast("BinaryIO", path.open("wb", buffering=0))


def standard_output() -> BinaryIO:
    """Standard output, unbuffered unless someone has replaced it."""
    return cast("BinaryIO", getattr(sys.stdout.buffer, "raw", sys.stdout.buffer))
