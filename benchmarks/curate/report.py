"""Report of the curation's benchmark: ratios first, because a busy machine changes all rates but few ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.curate.contenders import FLOOR, OURS, PEERS
from benchmarks.curate.trial import Outcome
from benchmarks.measuring import Ratio, Rounds, listed, merged, times, versions


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


def report(rows: int, outcomes: Sequence[_Round]) -> Report:
    """Sum the rounds up."""
    rounds = Rounds(outcomes)

    def rate(outcome: Outcome) -> float:
        return rows / outcome.seconds

    return Report(
        benchmark="curate",
        unit="readings/s, higher is better",
        rows=rows,
        ours=rounds.median(OURS, rate),
        peers=rounds.medians(PEERS, rate),
        floor=rounds.median(FLOOR, rate),
        ratios=rounds.ratios(OURS, (*PEERS, FLOOR), rate),
        peak_memory_mb=rounds.peaks(),
        versions=versions() | merged(outcome.versions for outcome in outcomes[0].values()),
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
    lines += ["", listed(measured.versions)]
    return "\n".join(lines) + "\n"
