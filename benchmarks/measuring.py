"""What the benchmarks share: their command lines, processes of their own, peak memory, and our rate over another's."""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

#: Bytes in a unit of ``ru_maxrss``, which macOS counts in bytes and Linux in kibibytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Ratio(msgspec.Struct, frozen=True):
    """Our rate over another's in the same round: the median of the rounds and the best of them."""

    median: float
    best: float


def ratio(values: Sequence[float]) -> Ratio:
    """The ratio of the rounds' ratios."""
    return Ratio(statistics.median(values), max(values))


def times(ratios: Mapping[str, Ratio], name: str) -> str:
    """Two columns of a table: the ratio to the contender of that name, or nothing where there is none."""
    found = ratios.get(name)
    return f"{found.median:>10.2f}x{found.best:>8.2f}x" if found else " " * 20


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """The command line of ``python -m benchmarks.<module>``, still without ``--rows`` and ``--rounds``."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=description)
    made.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return made


def positive(text: str) -> int:
    """A number of rows or rounds."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def run(module: str, *arguments: str) -> bytes:
    """What a module of the benchmarks prints, in a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def peak_memory_mb(*processes: int) -> float:
    """The most memory used (MB), added up over :mod:`resource`'s ``RUSAGE_SELF`` and, if given, ``RUSAGE_CHILDREN``."""
    return sum(resource.getrusage(who).ru_maxrss for who in processes) * _RSS_UNIT / 1e6
