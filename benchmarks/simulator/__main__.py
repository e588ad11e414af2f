"""``python -m benchmarks.simulator``: ours, the peers and the floor, to a file and to a stream, in one run.

Every contender runs in a process of its own, all of them in turn, several times: what disturbs the machine disturbs
each of them, and a ratio is only taken between neighbours.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

import local.emulator
from benchmarks.measuring import parser, positive, run, show
from benchmarks.simulator.contenders import NAMES
from benchmarks.simulator.putters import STREAM_NAMES
from benchmarks.simulator.report import report, table
from benchmarks.simulator.trial import Outcome
from local.endpoint import LocalError, enter

_Rounds = list[dict[str, Outcome]]


def main() -> None:
    """Measure, and print a table or, with ``--json``, one object."""
    command = parser("simulator", __doc__)
    command.add_argument("--rows", type=positive, default=1_000_000, help="readings that each writes to a file")
    command.add_argument("--rounds", type=positive, default=5, help="how often each does")
    command.add_argument("--kinesis-rows", type=positive, default=500_000, help="readings to put on a stream")
    command.add_argument(
        "--kinesis",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether to start the embedded AWS, which `make setup` installs, for a stream",
    )
    chosen = command.parse_args()
    rounds = to_file(chosen.rows, chosen.rounds)
    try:
        streamed = to_stream(chosen.kinesis_rows, chosen.rounds) if chosen.kinesis else []
    except LocalError as error:
        command.exit(1, f"{command.prog}: {error}\n")
    measured = report(chosen.rows, rounds, chosen.kinesis_rows, streamed)
    show(measured, table, as_json=chosen.json)


def to_file(rows: int, times: int) -> _Rounds:
    """The rounds in which each contender writes so many readings to a file."""
    return [{name: _outcome("trial", name, str(rows)) for name in NAMES} for _ in range(times)]


def to_stream(rows: int, times: int) -> _Rounds:
    """The rounds in which each puts so many readings on a stream of an embedded AWS of their own."""
    with tempfile.TemporaryDirectory() as folder, _emulator(Path(folder) / "aws"):
        return stream_rounds(rows, times, Path(folder) / "ready")


def stream_rounds(rows: int, times: int, ready: Path) -> _Rounds:
    """The same at ``AWS_ENDPOINT_URL``; requests that are ready go into the file."""
    run("simulator.ready", str(ready), str(rows))
    return [
        {name: _outcome("stream_trial", name, str(rows), str(ready)) for name in STREAM_NAMES} for _ in range(times)
    ]


@contextmanager
def _emulator(home: Path) -> Iterator[None]:
    """An embedded AWS on a free port, to which this process and its children are turned."""
    try:
        enter(local.emulator.start(home=home).endpoint)
        yield
    finally:
        local.emulator.stop(home)


def _outcome(module: str, *arguments: str) -> Outcome:
    return msgspec.json.decode(run(f"simulator.{module}", *arguments), type=Outcome)


if __name__ == "__main__":
    main()
