"""``python -m benchmarks.detector``: ours, the peers and the floor on the same data, in one run.

Every contender runs in a process of its own, all of them in turn, several times: what disturbs the machine disturbs
each of them, and a ratio is only taken between neighbours.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.detector.cold_import import cold_imports
from benchmarks.detector.contenders import NAMES
from benchmarks.detector.report import Report, report, table
from benchmarks.detector.shape import shape
from benchmarks.detector.trial import Outcome


def main() -> None:
    """Measure, and print a table or, with ``--json``, one object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detector", description=__doc__)
    parser.add_argument("--rows", type=_positive, default=200_000, help="readings each contender is measured on")
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    chosen = parser.parse_args()
    measured = measure(chosen.rows, chosen.rounds)
    sys.stdout.write(msgspec.json.encode(measured).decode() + "\n" if chosen.json else table(measured))


def measure(rows: int, times: int) -> Report:
    """The benchmark on so many readings or what fills the last event, each contender so many times."""
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        _run("data", str(events), str(rows))
        rounds = [{name: _trial(name, events) for name in NAMES} for _ in range(times)]
    return report(shape(rows).rows, rounds, cold_imports(times))


def _trial(name: str, events: Path) -> Outcome:
    return msgspec.json.decode(_run("trial", name, str(events)), type=Outcome)


def _run(module: str, *arguments: str) -> bytes:
    command = [sys.executable, "-m", f"benchmarks.detector.{module}", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    main()
