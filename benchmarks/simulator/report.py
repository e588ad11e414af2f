"""What the rounds come to: ratios first, since a machine's mood changes the rates of all and the ratios of none."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from benchmarks.measuring import Ratio, ratio, times
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
_Rate = Callable[[Outcome], float]


def report(rows: int, rounds: Sequence[_Round], stream_rows: int, stream_rounds: Sequence[_Round]) -> Report:
    """Sum the rounds up; those of the stream may be none."""
    versions = {"python": platform.python_version()}
    for outcome in (*rounds[0].values(), *(outcome for measured in stream_rounds[:1] for outcome in measured.values())):
        versions |= outcome.versions
    return Report(
        benchmark="simulator",
        unit="readings per second of processor time, to a file; higher is better",
        rows=rows,
        ours=_median(rounds, OURS, _per_core),
        ours_otherwise={name: _median(rounds, name, _per_core) for name in (OURS_FAULTY, OURS_SMALL)},
        peers={name: _median(rounds, name, _per_core) for name in PEERS},
        floor=_median(rounds, FLOOR, _per_core),
        ratios=_ratios(rounds, OURS, (OURS_FAULTY, OURS_SMALL, *PEERS, FLOOR), _per_core),
        by_the_clock={name: _median(rounds, name, _by_the_clock) for name in rounds[0]},
        kinesis=_stream_report(stream_rows, stream_rounds) if stream_rounds else None,
        peak_memory_mb=_peaks(rounds),
        versions=versions,
    )


def _stream_report(rows: int, rounds: Sequence[_Round]) -> StreamReport:
    return StreamReport(
        unit="readings/s by the clock, to a stream of the embedded AWS; higher is better",
        rows=rows,
        ours=_median(rounds, STREAM_OURS, _by_the_clock),
        peers={STREAM_PEER: _median(rounds, STREAM_PEER, _by_the_clock)},
        floor=_median(rounds, STREAM_FLOOR, _by_the_clock),
        ratios=_ratios(rounds, STREAM_OURS, (STREAM_PEER, STREAM_FLOOR), _by_the_clock),
        per_core={name: _median(rounds, name, _per_core) for name in rounds[0]},
        peak_memory_mb=_peaks(rounds),
    )


def _per_core(outcome: Outcome) -> float:
    return outcome.lines / outcome.processor_seconds


def _by_the_clock(outcome: Outcome) -> float:
    return outcome.lines / outcome.seconds


def _median(rounds: Sequence[_Round], name: str, rate: _Rate) -> float:
    return statistics.median(rate(measured[name]) for measured in rounds)


def _ratios(rounds: Sequence[_Round], ours: str, others: Iterable[str], rate: _Rate) -> dict[str, Ratio]:
    return {other: ratio([rate(measured[ours]) / rate(measured[other]) for measured in rounds]) for other in others}


def _peaks(rounds: Sequence[_Round]) -> dict[str, float]:
    return {name: max(measured[name].peak_memory_mb for measured in rounds) for name in rounds[0]}


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
    lines += ["", ", ".join(f"{name} {version}" for name, version in measured.versions.items())]
    return "\n".join(lines) + "\n"
