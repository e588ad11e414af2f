"""Aims of the measurements, and whether they are reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.report.results import Benchmark, Demo, Results, Scored
from evaluation.scoring import MOST_NOTIFICATIONS, WANTED

#: The curation: times as fast as pandas at least, times the floor's time at most.
_PANDAS, _CURATE_FLOOR = 5.0, 1.3

#: The simulator: readings/s/core into a file, and the part of a bare loop's rate to a stream.
_SIMULATED, _STREAM_FLOOR = 500_000, 0.9


class Held(NamedTuple):
    """A figure beside what it should be. ``name`` is of the measurement that it comes from."""

    what: str
    measured: str
    aim: str
    met: bool
    name: str


def held(found: Results) -> list[Held]:
    """All of them, as far as they were measured."""
    aims: list[Held] = []
    if found.curate:
        name, benchmark = list(found.curate.items())[-1]
        aims += _curated(name, benchmark)
    if found.simulator:
        aims += _simulated(found.simulator)
    for name, demo in found.demos.items():
        aims += _shown(name, demo)
    if found.scores:
        aims.append(_scored(found.scores))
    return aims


def _curated(name: str, benchmark: Benchmark) -> Iterator[Held]:
    size = f"curation of {benchmark.rows:,} readings"
    if pandas := benchmark.ratios.get("pandas"):
        yield Held(
            f"{size}, beside pandas", f"{pandas.median:.1f} times as fast", f"at least {_PANDAS:g} times",
            pandas.median >= _PANDAS, name,
        )  # fmt: skip
    if floor := benchmark.ratios.get("floor"):
        slower = 1 / floor.median
        yield Held(
            f"{size}, beside a bare DuckDB", f"{slower:.1f} times its time", f"at most {_CURATE_FLOOR:g} times",
            slower <= _CURATE_FLOOR, name,
        )  # fmt: skip


def _simulated(benchmark: Benchmark) -> Iterator[Held]:
    yield Held(
        f"simulator, {benchmark.rows:,} readings into a file",
        f"{benchmark.ours / 1e6:.2f} M readings/s/core",
        f"at least {_SIMULATED / 1e6:g} M",
        benchmark.ours >= _SIMULATED,
        "simulator",
    )
    if benchmark.kinesis and (floor := benchmark.kinesis.ratios.get("ready records")):
        yield Held(
            "simulator to a stream, beside a loop over records made before", f"{floor.median:.2f} times its rate",
            f"at least {_STREAM_FLOOR:g} times", floor.median >= _STREAM_FLOOR, "simulator",
        )  # fmt: skip


def _shown(name: str, demo: Demo) -> Iterator[Held]:
    accounted = demo.curated + demo.duplicates + demo.quarantined
    yield Held(
        f"readings of {name} accounted for", f"{accounted:,} of {demo.sent:,}, {demo.lost:,} lost", "all",
        accounted == demo.sent and not demo.lost, name,
    )  # fmt: skip
    good = (
        demo.precision >= WANTED
        and demo.recall >= WANTED
        and demo.notifications_per_fault <= MOST_NOTIFICATIONS
    )  # fmt: skip
    yield Held(
        f"alerts of {name}: precision, recall, notifications per fault",
        f"{demo.precision:.2f}, {demo.recall:.2f}, {demo.notifications_per_fault:.2f}",
        f"at least {WANTED:g}, {WANTED:g}; at most {MOST_NOTIFICATIONS:g}", good, name,
    )  # fmt: skip


def _scored(scores: list[Scored]) -> Held:
    good = sum(score.good for score in scores)
    return Held(
        f"rehearsed scenarios with precision and recall of {WANTED:g}, {MOST_NOTIFICATIONS:g} notification per fault",
        f"{good} of {len(scores)}", "all", good == len(scores), "scores",
    )  # fmt: skip
