"""One contender in a process of its own: ``python -m benchmarks.simulator.trial NAME ROWS``. Prints JSON."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import msgspec

from benchmarks.measuring import peak_memory_mb
from benchmarks.simulator.contenders import Contender, contender

_CHUNK = 1 << 20


class Outcome(msgspec.Struct, frozen=True):
    """Lines written, the time that took, and peak memory (MB).

    ``seconds`` by the clock, and ``processor_seconds`` of all threads, the system's work for them included.
    """

    lines: int
    seconds: float
    processor_seconds: float
    peak_memory_mb: float
    versions: dict[str, str] = {}


def measure(subject: Contender, path: Path, rows: int) -> Outcome:
    """Write once, from nothing to the file closed."""
    began, processor = time.perf_counter(), time.process_time()
    subject.write(path, rows)
    processor = time.process_time() - processor
    seconds = time.perf_counter() - began
    peak = peak_memory_mb(resource.RUSAGE_SELF)
    return Outcome(_lines(path), seconds, processor, peak, {name: metadata.version(name) for name in subject.packages})


def _lines(path: Path) -> int:
    with path.open("rb") as written:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: written.read(_CHUNK), b""))


if __name__ == "__main__":
    out = sys.stdout
    with tempfile.TemporaryDirectory() as folder:
        outcome = measure(contender(sys.argv[1]), Path(folder) / "lines.jsonl", int(sys.argv[2]))
    out.write(msgspec.json.encode(outcome).decode())
