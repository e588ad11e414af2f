"""The benchmarks' harness: command lines, contenders in processes of their own, rounds, and what these come to."""

from __future__ import annotations

import argparse
import importlib
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any, Generic, Protocol, TypeVar

import msgspec

#: Bytes in a unit of ``ru_maxrss``, which macOS counts in bytes and Linux in kibibytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Ratio(msgspec.Struct, frozen=True):
    """Our rate over another's in the same round: the median of the rounds and the best of them."""

    median: float
    best: float


class Measured(Protocol):
    """The outcome of one contender in one round."""

    @property
    def peak_memory_mb(self) -> float:
        """The most memory used."""
        ...


Outcome = TypeVar("Outcome", bound=Measured)


class Rounds(Generic[Outcome]):
    """The outcomes of all contenders by name, round by round."""

    def __init__(self, outcomes: Sequence[Mapping[str, Outcome]]) -> None:
        self.outcomes = outcomes

    def median(self, name: str, rate: Callable[[Outcome], float]) -> float:
        """Return the contender's median rate."""
        return statistics.median(rate(measured[name]) for measured in self.outcomes)

    def medians(self, names: Iterable[str], rate: Callable[[Outcome], float]) -> dict[str, float]:
        """Return the median rates of contenders."""
        return {name: self.median(name, rate) for name in names}

    def ratios(self, ours: str, others: Iterable[str], rate: Callable[[Outcome], float]) -> dict[str, Ratio]:
        """Return our rate over each other's."""
        found = {
            other: [rate(measured[ours]) / rate(measured[other]) for measured in self.outcomes] for other in others
        }
        return {other: Ratio(statistics.median(values), max(values)) for other, values in found.items()}

    def peaks(self) -> dict[str, float]:
        """Return the most memory that each contender used in any round (MB)."""
        return {name: max(measured[name].peak_memory_mb for measured in self.outcomes) for name in self.outcomes[0]}


def contender(benchmark: str, makers: Mapping[str, str], name: str) -> Any:
    """Make the contender of this name, of its ``module:function``. Only its module is imported: memory is measured."""
    module, _, maker = makers[name].partition(":")
    return getattr(importlib.import_module(f"benchmarks.{benchmark}.{module}"), maker)()


def versions(*packages: str) -> dict[str, str]:
    """Return Python's version and those of packages."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def merged(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the versions that contenders told."""
    return {name: version for each in found for name, version in each.items()}


def listed(found: Mapping[str, str]) -> str:
    """Write versions in one line."""
    return ", ".join(f"{name} {version}" for name, version in found.items())


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


def show(measured: msgspec.Struct, table: Callable[[Any], str], *, as_json: bool) -> None:
    """Print the report as one JSON object or as a table."""
    sys.stdout.write(msgspec.json.encode(measured).decode() + "\n" if as_json else table(measured))


def run(module: str, *arguments: str) -> bytes:
    """Run a module of the benchmarks in its own process; return its output."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def peak_memory_mb(*processes: int) -> float:
    """The most memory used (MB), added up over :mod:`resource`'s ``RUSAGE_SELF`` and, if given, ``RUSAGE_CHILDREN``."""
    return sum(resource.getrusage(who).ru_maxrss for who in processes) * _RSS_UNIT / 1e6
