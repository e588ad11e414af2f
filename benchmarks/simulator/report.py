"""Report of the simulator's benchmark: ratios first, because a busy machine changes all rates but few ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.measuring import Ratio, Rounds, listed, merged, times, versions
from benchmarks.simulator.contenders import FLOOR, OURS, OURS_FAULTY, OURS_SMALL, PEERS
from benchmarks.simulator.putters import STREAM_FLOOR, STREAM_NAMES, STREAM_OURS, STREAM_PEER
from benchmarks.simulator.trial import Outcome


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """The same of putting on a stream of the embedded AWS, whose answers are waited for: by the clock.

    ``floor`` is a loop over records that are ready; ``per_core`` the readings per second of the client's processor
    time, all that is left to compare where the machine has no processor to spare.
    """

    unit: str
    rows: int
    ours: float
    peers: dict[str, float]
    floor: float
    ratios: dict[str, Ratio]
    per_core: dict[str, float]
    peak_memory_mb: dict[str, float]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The benchmark's figures: rates are medians of the rounds in ``unit``, memory the most of any round in MB.

    ``ratios`` are ours over each other's, ``ours_otherwise`` ours with more to do, ``by_the_clock`` all rates in
    readings/s, ``kinesis`` None where that was not measured.
    """

    benchmark: str
    unit: str
    rows: int
    ours: float
    ours_otherwise: dict[str, float]
    peers: dict[str, float]
    floor: float
    ratios: dict[str, Ratio]
    by_the_clock: dict[str, float]
    kinesis: StreamReport | None
    peak_memory_mb: dict[str, float]
    versions: dict[str, str]


_Round = Mapping[str, Outcome]


def report(rows: int, outcomes: Sequence[_Round], stream_rows: int, stream_outcomes: Sequence[_Round]) -> Report:
    """Sum the rounds up; those of the stream may be none."""
    rounds = Rounds(outcomes)
    first = (*outcomes[0].values(), *(outcome for measured in stream_outcomes[:1] for outcome in measured.values()))
    return Report(
        benchmark="simulator",
        unit="readings per second of processor time, to a file; higher is better",
        rows=rows,
        ours=rounds.median(OURS, _per_core),
        ours_otherwise=rounds.medians((OURS_FAULTY, OURS_SMALL), _per_core),
        peers=rounds.medians(PEERS, _per_core),
        floor=rounds.median(FLOOR, _per_core),
        ratios=rounds.ratios(OURS, (OURS_FAULTY, OURS_SMALL, *PEERS, FLOOR), _per_core),
        by_the_clock=rounds.medians(outcomes[0], _by_the_clock),
        kinesis=_stream_report(stream_rows, stream_outcomes) if stream_outcomes else None,
        peak_memory_mb=rounds.peaks(),
        versions=versions() | merged(outcome.versions for outcome in first),
    )


def _stream_report(rows: int, outcomes: Sequence[_Round]) -> StreamReport:
    rounds = Rounds(outcomes)
    return StreamReport(
        unit="readings/s by the clock, to a stream of the embedded AWS; higher is better",
        rows=rows,
        ours=rounds.median(STREAM_OURS, _by_the_clock),
        peers=rounds.medians((STREAM_PEER,), _by_the_clock),
        floor=rounds.median(STREAM_FLOOR, _by_the_clock),
        ratios=rounds.ratios(STREAM_OURS, (STREAM_PEER, STREAM_FLOOR), _by_the_clock),
        per_core=rounds.medians(outcomes[0], _per_core),
        peak_memory_mb=rounds.peaks(),
    )


def _per_core(outcome: Outcome) -> float:
    return outcome.lines / outcome.processor_seconds


def _by_the_clock(outcome: Outcome) -> float:
    return outcome.lines / outcome.seconds


_WIDTH = max(map(len, STREAM_NAMES))


def table(measured: Report) -> str:
    """The report for a person."""
    rates = {OURS: measured.ours, **measured.ours_otherwise, **measured.peers, FLOOR: measured.floor}
    columns = f"{'':{_WIDTH}}{'ours is':>11}{'at best':>9}{'readings/s/core':>17}{'readings/s':>12}{'peak MB':>9}"
    lines = [
        f"simulator, {measured.rows:,} readings to a file",
        "",
        columns,
    ]
    for name, rate in rates.items():
        lines.append(
            f"{name:{_WIDTH}}{times(measured.ratios, name)}{rate:>17,.0f}{measured.by_the_clock[name]:>12,.0f}"
            f"{measured.peak_memory_mb[name]:>9.0f}"
        )
    if stream := measured.kinesis:
        lines += [
            "",
            f"{stream.rows:,} readings to a Kinesis stream of the embedded AWS",
            "",
            columns,
        ]
        for name, rate in {STREAM_OURS: stream.ours, **stream.peers, STREAM_FLOOR: stream.floor}.items():
            lines.append(
                f"{name:{_WIDTH}}{times(stream.ratios, name)}{stream.per_core[name]:>17,.0f}{rate:>12,.0f}"
                f"{stream.peak_memory_mb[name]:>9.0f}"
            )
    lines += ["", listed(measured.versions)]
    return "\n".join(lines) + "\n"
