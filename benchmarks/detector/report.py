"""Report of the detector's benchmark: ratios first, because a busy machine changes all rates but few ratios."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.detector.contenders import (
    DECODERS,
    FLOOR,
    KAFKA_DECODER,
    KINESIS_DECODER,
    OURS,
    OURS_BY_KAFKA,
    OURS_WITH_WINDOWS,
    PEERS,
)
from benchmarks.detector.trial import Outcome
from benchmarks.measuring import Ratio, Rounds, listed, times, versions

_PACKAGES = ("msgspec", "pydantic", "aws-lambda-powertools", "boto3")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The benchmark's figures: rates are medians of the rounds in ``unit``, memory the most of any round in MB.

    ``ratios`` are ours over each other's; ``ratios_with_windows`` the same of ours with two window rules more.
    ``ours_by_kafka`` is ours on the same records in events of Kafka, and ``decoders`` are the decoders of both kinds of
    event on their own; ``ratio_by_kafka`` and ``ratio_of_decoders`` are Kafka's rate over that of Kinesis.
    ``aws_share`` is the part of our time that went into the clients in memory.
    """

    benchmark: str
    unit: str
    rows: int
    ours: float
    ours_with_windows: float
    ours_by_kafka: float
    decoders: dict[str, float]
    peers: dict[str, float]
    floor: float
    ratios: dict[str, Ratio]
    ratios_with_windows: dict[str, Ratio]
    ratio_by_kafka: Ratio
    ratio_of_decoders: Ratio
    transitions: int
    aws_share: float
    peak_memory_mb: dict[str, float]
    cold_import_seconds: dict[str, float]
    versions: dict[str, str]


_Round = Mapping[str, Outcome]


def report(rows: int, outcomes: Sequence[_Round], cold_import_seconds: dict[str, float]) -> Report:
    """Sum the rounds up."""
    rounds = Rounds(outcomes)

    def aws_share(measured: _Round) -> float:
        return measured[OURS].told["aws_seconds"] * measured[OURS].rate / rows

    return Report(
        benchmark="detector",
        unit="readings per second of processor time; higher is better",
        rows=rows,
        ours=rounds.median(OURS, _rate),
        ours_with_windows=rounds.median(OURS_WITH_WINDOWS, _rate),
        ours_by_kafka=rounds.median(OURS_BY_KAFKA, _rate),
        decoders=rounds.medians(DECODERS, _rate),
        peers=rounds.medians(PEERS, _rate),
        floor=rounds.median(FLOOR, _rate),
        ratios=rounds.ratios(OURS, (*PEERS, FLOOR), _rate),
        ratios_with_windows=rounds.ratios(OURS_WITH_WINDOWS, (*PEERS, FLOOR), _rate),
        ratio_by_kafka=rounds.ratios(OURS_BY_KAFKA, (OURS,), _rate)[OURS],
        ratio_of_decoders=rounds.ratios(KAFKA_DECODER, (KINESIS_DECODER,), _rate)[KINESIS_DECODER],
        transitions=int(outcomes[0][OURS].told["transitions"]),
        aws_share=statistics.median(map(aws_share, outcomes)),
        peak_memory_mb=rounds.peaks(),
        cold_import_seconds=cold_import_seconds,
        versions=versions(*_PACKAGES),
    )


def _rate(outcome: Outcome) -> float:
    return outcome.rate


def _ratio(found: Ratio) -> str:
    return f"{found.median:.2f}x (at best {found.best:.2f}x)"


def table(measured: Report) -> str:
    """The report for a person."""
    rates = {
        OURS: measured.ours,
        OURS_BY_KAFKA: measured.ours_by_kafka,
        OURS_WITH_WINDOWS: measured.ours_with_windows,
        **measured.peers,
        FLOOR: measured.floor,
        **measured.decoders,
    }
    lines = [
        f"detector, {measured.rows:,} readings, {measured.transitions:,} transitions",
        "",
        f"{'':24}{'ours is':>11}{'at best':>9}{'+ windows':>11}{'at best':>9}{'readings/s':>12}{'peak MB':>9}",
    ]
    for name, rate in rates.items():
        lines.append(
            f"{name:24}{times(measured.ratios, name)}{times(measured.ratios_with_windows, name)}"
            f"{rate:>12,.0f}{measured.peak_memory_mb[name]:>9.0f}"
        )
    lines += [
        "",
        f"readings/s are of processor time; of ours, {measured.aws_share:.1%} went into the AWS in memory",
        f"Kafka over Kinesis: ours {_ratio(measured.ratio_by_kafka)}, decoder {_ratio(measured.ratio_of_decoders)}",
        "",
        "cold import, seconds",
        *(f"{name:34}{seconds:>10.3f}" for name, seconds in measured.cold_import_seconds.items()),
        "",
        listed(measured.versions),
    ]
    return "\n".join(lines) + "\n"
