"""One contender in a process of its own: ``python -m benchmarks.curate.trial NAME DATA OUT``. Prints JSON."""

from __future__ import annotations

import resource
import sys
import time
from importlib import metadata
from pathlib import Path

import msgspec

from benchmarks.curate.contenders import Contender, contender

#: Bytes in a unit of ``ru_maxrss``, which macOS counts in bytes and Linux in kibibytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Outcome(msgspec.Struct, frozen=True):
    """How long the curation took by the clock, the most memory used (MB), and the versions of what it was done with."""

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
    return Outcome(seconds, _peak_memory() / 1e6, versions)


def _peak_memory() -> int:
    """This process's and its largest child's that has ended: Spark works in a Java virtual machine beside Python."""
    of = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(who).ru_maxrss for who in of) * _RSS_UNIT


if __name__ == "__main__":
    out = sys.stdout
    out.write(msgspec.json.encode(measure(contender(sys.argv[1]), *map(Path, sys.argv[2:]))).decode())
