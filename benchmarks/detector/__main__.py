"""``python -m benchmarks.detector``: ours, the peers and the floor on the same data, in one run.

Every contender runs in a process of its own, all of them in turn, several times: what disturbs the machine disturbs
each of them, and a ratio is only taken between neighbours.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from benchmarks.detector.cold_import import cold_imports
from benchmarks.detector.contenders import NAMES
from benchmarks.detector.report import Report, report, table
from benchmarks.detector.shape import shape
from benchmarks.detector.trial import Outcome
from benchmarks.measuring import parser, positive, run, show


def main() -> None:
    """Measure, and print a table or, with ``--json``, one object."""
    command = parser("detector", __doc__)
    command.add_argument("--rows", type=positive, default=200_000, help="readings each contender is measured on")
    command.add_argument("--rounds", type=positive, default=5, help="how often each runs")
    chosen = command.parse_args()
    measured = measure(chosen.rows, chosen.rounds)
    show(measured, table, as_json=chosen.json)


def measure(rows: int, times: int) -> Report:
    """The benchmark on so many readings or what fills the last event, each contender so many times."""
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.jsonl"
        run("detector.data", str(events), str(rows))
        rounds = [{name: _trial(name, events) for name in NAMES} for _ in range(times)]
    return report(shape(rows).rows, rounds, cold_imports(times))


def _trial(name: str, events: Path) -> Outcome:
    return msgspec.json.decode(run("detector.trial", name, str(events)), type=Outcome)


if __name__ == "__main__":
    main()
