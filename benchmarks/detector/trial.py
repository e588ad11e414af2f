"""One contender in a process of its own: ``python -m benchmarks.detector.trial NAME EVENTS``. Prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.detector.contenders import BY_KAFKA, Contender, Event, contender
from benchmarks.detector.shape import READINGS_A_RECORD
from benchmarks.detector.streams import of_kafka
from benchmarks.measuring import peak_memory_mb


class Outcome(msgspec.Struct, frozen=True):
    """Readings per second of processor time, the most memory used (MB), and what else there is to tell."""

    rate: float
    peak_memory_mb: float
    told: dict[str, float]


def measure(subject: Contender, events: Path, change: Callable[[Event], Event] = lambda event: event) -> Outcome:
    """Hand over the events of a file, one a line, and time all but the first, which warms up.

    ``change`` makes another kind of event of each, untimed.
    """
    seconds, readings = 0.0, 0
    told: dict[str, float] = {}
    with events.open("rb") as lines:
        for number, line in enumerate(lines):
            event = json.loads(line)  # as Lambda's runtime does before it calls a handler
            records, event = len(event["Records"]), change(event)
            # The machine is shared and no contender waits for anything, so the processor's time is what counts.
            began = time.process_time()
            subject.handle(event)
            if number:
                seconds += time.process_time() - began
                readings += records * READINGS_A_RECORD
            else:
                told = subject.tell()
    told = {name: value - told[name] for name, value in subject.tell().items()}
    return Outcome(readings / seconds, peak_memory_mb(resource.RUSAGE_SELF), told)


if __name__ == "__main__":
    name, out = sys.argv[1], sys.stdout
    measured = measure(contender(name), Path(sys.argv[2]), *([of_kafka] if name in BY_KAFKA else []))
    out.write(msgspec.json.encode(measured).decode())
