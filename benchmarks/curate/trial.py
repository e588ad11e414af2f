"""One contender in a process of its own: ``python -m benchmarks.curate.trial NAME DATA OUT``. Prints JSON."""

from __future__ import annotations

import resource
import sys
import time
from importlib import metadata
from pathlib import Path

import msgspec

from benchmarks.curate.contenders import Contender, contender
from benchmarks.measuring import peak_memory_mb


class Outcome(msgspec.Struct, frozen=True):
    """Wall-clock seconds of the curation, peak memory (MB), and the versions of its packages."""

    seconds: float
    peak_memory_mb: float
    versions: dict[str, str]


def measure(subject: Contender, data: Path, out: Path) -> Outcome:
    """Curate once, from the first object opened to the last file written."""
    # By the clock: unlike the processor's time, it tells who uses all processors.
    began = time.perf_counter()
    subject.curate(data, out)
    seconds = time.perf_counter() - began
    subject.close()
    versions = {name: metadata.version(name) for name in subject.packages}
    # And its largest child's that has ended: Spark works in a Java virtual machine beside Python.
    peak = peak_memory_mb(resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return Outcome(seconds, peak, versions)


if __name__ == "__main__":
    out = sys.stdout
    out.write(msgspec.json.encode(measure(contender(sys.argv[1]), *map(Path, sys.argv[2:]))).decode())
