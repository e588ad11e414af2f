"""One contender in a process of its own: ``python -m benchmarks.detector.trial NAME EVENTS``. Prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.detector.contenders import Contender, contender
from benchmarks.detector.shape import READINGS_A_RECORD
from benchmarks.measuring import peak_memory_mb


class Outcome(msgspec.Struct, frozen=True):
    """Readings per second of processor time, the most memory used (MB), and what else there is to tell."""

    rate: float
    peak_memory_mb: float
    told: dict[str, float]


def measure(subject: Contender, events: Path) -> Outcome:
    """Hand over the events of a file, one a line, and time all but the first, which warms up."""
    seconds, readings = 0.0, 0
    told: dict[str, float] = {}
    with events.open("rb") as lines:
        for number, line in enumerate(lines):
            event = json.loads(line)  # as Lambda's runtime does before it calls a handler
            # The machine is shared and no contender waits for anything, so the processor's time is what counts.
            began = time.process_time()
            subject.handle(event)
            if number:
                seconds += time.process_time() - began
                readings += len(event["Records"]) * READINGS_A_RECORD
            else:
                told = subject.tell()
    told = {name: value - told[name] for name, value in subject.tell().items()}
    return Outcome(readings / seconds, peak_memory_mb(resource.RUSAGE_SELF), told)


if __name__ == "__main__":
    out = sys.stdout
    out.write(msgspec.json.encode(measure(contender(sys.argv[1]), Path(sys.argv[2]))).decode())
