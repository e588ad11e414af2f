"""The floor: readings that exist already, encoded and written, and nothing else."""

from __future__ import annotations

from pathlib import Path

from benchmarks.simulator.contenders import START, Contender
from benchmarks.simulator.ours import scenario
from simulator.run import simulation
from telemetry.reading.codec import decode_batch, encode_batch
from telemetry.reading.model import Reading

#: Readings that are ready, taken again and again; as many are encoded at once.
_READY = 50_000


def contender() -> Contender:
    """Encodes by msgspec what the simulator has made before."""
    ready: list[Reading] = []
    for record in simulation.records(scenario("calm"), START):
        ready += decode_batch(record.payload).readings
        if len(ready) >= _READY:
            break

    def write(path: Path, rows: int) -> None:
        with path.open("wb", buffering=0) as out:
            for first in range(0, rows, _READY):
                out.write(encode_batch(ready[: min(_READY, rows - first)]))

    return Contender(write, ("msgspec",))
