"""Output of the measurements, as far as the report reads it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from evaluation.scoring import Figures


class Ratio(msgspec.Struct, frozen=True):
    """Our rate over another's in the same round: the median of the rounds and the best of them."""

    median: float
    best: float


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Ours, the peers' and the floor's in ``unit``; ``ratios`` are ours over each other's; memory is in MB."""

    unit: str
    rows: int
    ours: float
    peers: dict[str, float]
    floor: float
    ratios: dict[str, Ratio]
    peak_memory_mb: dict[str, float]


class Benchmark(Rates, frozen=True, kw_only=True):
    """One object of ``python -m benchmarks.<name> --json``; what only one of them has is empty for the others."""

    benchmark: str
    versions: dict[str, str]
    ours_with_windows: float | None = None
    ratios_with_windows: dict[str, Ratio] = {}
    cold_import_seconds: dict[str, float] = {}
    ours_otherwise: dict[str, float] = {}
    kinesis: Rates | None = None


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One of the list that ``iot score --json`` prints."""

    name: str
    good: bool
    faults: int = msgspec.field(name="incidents")
    messages: int
    total: Figures


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """``summary.json`` of ``iot demo``; latencies in ms, from sending a reading to the inbox."""

    sent: int
    raw: int
    curated: int
    duplicates: int
    quarantined: int
    lost: int
    alerts: int
    notifications: int
    precision: float
    recall: float
    notifications_per_fault: float = msgspec.field(name="notifications_an_incident")
    alert_latencies_ms: list[float]
    seconds: dict[str, float]


class Prices(msgspec.Struct, frozen=True):
    """Where and when list prices were looked up."""

    region: str
    looked_up: str


class PlannedFleet(msgspec.Struct, frozen=True):
    """The fleet of a plan."""

    interval_seconds: float


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """Output of ``iot plan --json``: US dollars a month by variant, ours first."""

    devices: int
    usd: dict[str, float]
    prices: Prices
    fleet: PlannedFleet


class Results(NamedTuple):
    """All results by subject; by the name of the measurement if there are several.

    In ascending order: ``curate`` by readings, ``costs`` by devices.
    """

    detector: Benchmark | None
    simulator: Benchmark | None
    curate: dict[str, Benchmark]
    scores: list[Scored]
    demos: dict[str, Demo]
    costs: dict[str, Planned]

    @property
    def latencies(self) -> list[float]:
        """Return the latencies of the alerts of all demos, in seconds, in ascending order."""
        return sorted(ms / 1000 for demo in self.demos.values() for ms in demo.alert_latencies_ms)
