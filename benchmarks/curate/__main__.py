"""``python -m benchmarks.curate``: ours, the peers and the floor on the same data, in one run.

Every contender runs in a process of its own, all of them in turn, several times: what disturbs the machine disturbs
each of them, and a ratio is only taken between neighbours. Whether memory stays flat is told by two runs, one with
ten times the rows.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.curate.contenders import GUESTS, NAMES
from benchmarks.curate.dataset import contents, folder_of, raw_objects
from benchmarks.curate.report import Report, report, table
from benchmarks.curate.trial import Outcome
from benchmarks.measuring import parser, positive, run, show

#: Where the data is kept: to make it takes longer than to curate it.
_KEPT = Path("build/bench")


def main() -> None:
    """Measure, and print a table or, with ``--json``, one object."""
    command = parser("curate", __doc__)
    command.add_argument("--rows", type=positive, default=2_000_000, help="readings in the raw data")
    command.add_argument("--rounds", type=positive, default=3, help="how often each contender curates them")
    chosen = command.parse_args()
    for package in GUESTS:
        if not importlib.util.find_spec(package):
            command.exit(1, f"{command.prog}: {package} is not installed; `make bench` installs it\n")
    measured = measure(chosen.rows, chosen.rounds)
    show(measured, table, as_json=chosen.json)


def measure(rows: int, times: int) -> Report:
    """The benchmark on so many readings, each contender so many times."""
    data = _data(rows)
    for path in raw_objects(data):
        path.read_bytes()  # the first to read it would wait for the disk, and the others not
    rounds = []
    for number in range(1, times + 1):
        _say(f"round {number} of {times}")
        rounds.append({name: _trial(name, data) for name in NAMES})
    return report(rows, rounds)


def _data(rows: int) -> Path:
    folder = folder_of(_KEPT, rows)
    try:
        contents(folder)
    except FileNotFoundError:
        _say(f"making {rows:,} readings in {folder}")
        run("curate.data", str(folder), str(rows))
    return folder


def _trial(name: str, data: Path) -> Outcome:
    with tempfile.TemporaryDirectory() as out:
        outcome = msgspec.json.decode(run("curate.trial", name, str(data), out), type=Outcome)
        run("curate.check", name, str(data), out)
    _say(f"  {name}: {outcome.seconds:.2f} s, {outcome.peak_memory_mb:.0f} MB")
    return outcome


def _say(progress: str) -> None:
    sys.stderr.write(progress + "\n")


if __name__ == "__main__":
    main()
