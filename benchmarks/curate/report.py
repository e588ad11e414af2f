"""What the rounds come to: ratios first, since a machine's mood changes the rates of all and the ratios of none."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.curate.contenders import FLOOR, OURS, PEERS
from benchmarks.curate.trial import Outcome
from benchmarks.measuring import Ratio, ratio, times


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The benchmark's figures: rates are medians of the rounds in ``unit``, memory the most of any round in MB.

    ``ratios`` are ours over each other's.
    """

    benchmark: str
    unit: str
    rows: int
    ours: float
    peers: dict[str, float]
    floor: float
    ratios: dict[str, Ratio]
    peak_memory_mb: dict[str, float]
    versions: dict[str, str]


_Round = Mapping[str, Outcome]


def report(rows: int, rounds: Sequence[_Round]) -> Report:
    """Sum the rounds up."""

    def rate(name: str) -> float:
        return statistics.median(rows / measured[name].seconds for measured in rounds)

    versions = {"python": platform.python_version()}
    for outcome in rounds[0].values():
        versions |= outcome.versions
    return Report(
        benchmark="curate",
        unit="readings/s, higher is better",
        rows=rows,
        ours=rate(OURS),
        peers={name: rate(name) for name in PEERS},
        floor=rate(FLOOR),
        ratios={
            other: ratio([measured[other].seconds / measured[OURS].seconds for measured in rounds])
            for other in (*PEERS, FLOOR)
        },
        peak_memory_mb={name: max(measured[name].peak_memory_mb for measured in rounds) for name in rounds[0]},
        versions=versions,
    )


def table(measured: Report) -> str:
    """The report for a person."""
    rates = {OURS: measured.ours, **measured.peers, FLOOR: measured.floor}
    lines = [
        f"curate, {measured.rows:,} readings",
        "",
        f"{'':10}{'ours is':>11}{'at best':>9}{'readings/s':>12}{'peak MB':>9}",
    ]
    for name, rate in rates.items():
        lines.append(f"{name:10}{times(measured.ratios, name)}{rate:>12,.0f}{measured.peak_memory_mb[name]:>9.0f}")
    lines += ["", ", ".join(f"{name} {version}" for name, version in measured.versions.items())]
    return "\n".join(lines) + "\n"
