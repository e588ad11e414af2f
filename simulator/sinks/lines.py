"""The sinks that write JSON lines: standard output, and a file."""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from simulator.sinks.destination import Destination, Part, SinkUrl
from simulator.sinks.record import Record
from simulator.sinks.sink import Delivery

#: Zlib's fastest: a simulator should wait for its disk, not for its compressor.
_COMPRESSION = 1


@dataclass(frozen=True)
class StandardOutput(Destination):
    """The process's standard output."""

    schemes: ClassVar = ("stdout",)
    usage: ClassVar = "stdout"
    help: ClassVar = "JSON lines on standard output."

    @classmethod
    def from_url(cls, url: SinkUrl) -> StandardOutput:
        """Read the URL, which is the scheme alone."""
        if url.rest:
            raise ValueError("standard output has no name")
        return cls()

    @contextlib.contextmanager
    def open(self, _part: Part = (0, 1)) -> Iterator[LineSink]:
        """Open standard output, unbuffered unless someone has replaced it."""
        yield LineSink(cast("BinaryIO", getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)))


@dataclass(frozen=True)
class LinesFile(Destination):
    """A file of JSON lines; of a run in several parts, one per part with the part's number in its name."""

    path: Path

    schemes: ClassVar = ("file",)
    usage: ClassVar = "file:PATH"
    help: ClassVar = "JSON lines in a file, compressed if it ends in .gz."

    @classmethod
    def from_url(cls, url: SinkUrl) -> LinesFile:
        """Read the URL: everything after ``file:`` or ``file://`` is the path."""
        path = url.rest.removeprefix("//")
        if not path:
            raise ValueError("the path is missing")
        return cls(Path(path))

    @contextlib.contextmanager
    def open(self, part: Part = (0, 1)) -> Iterator[LineSink]:
        """Open the file."""
        path = self._of_part(part)
        try:
            with open_lines(path) as out:
                yield LineSink(out)
        except OSError as error:
            error.filename = error.filename or str(path)
            raise

    def _of_part(self, part: Part) -> Path:
        number, parts = part
        if parts == 1:
            return self.path
        name, dot, rest = self.path.name.partition(".")
        return self.path.with_name(f"{name}-{number + 1}{dot}{rest}")


class LineSink:
    """Writes the lines of every record to an open file or pipe, where a reader sees them at once.

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
