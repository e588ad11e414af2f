"""Traffic of a fleet: number and size of its records, and what billing rounds up."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from pipeline.errors import PipelineError
from planning.prices import SHARD_BYTES, SHARD_RECORDS, blocks
from simulator.run.traffic import LONGEST_WAIT
from simulator.sinks.record import MAX_RECORD_BYTES
from telemetry.reading.model import MAX_LATENESS
from telemetry.text.durations import MAX_DURATION, format_duration

#: The raw zone must hold the hour of the latest reading, as ``raw_retention_days`` of the stacks does.
_SHORTEST_RETENTION = MAX_LATENESS + dt.timedelta(days=2)

_SECOND = dt.timedelta(seconds=1)

#: Upper limit: a later notification is of no use as an alert.
_LONGEST_COLLECT = dt.timedelta(minutes=15)

#: A day on which one device in a hundred alerts once.
_DEVICES_AN_ALERT = 100

#: How full a part of the stream is planned, a shard or a partition. Gateways do not spread evenly over them. A shard's
#: consumers read at most twice as fast as it may be written: they catch up after an outage only if it is not full.
PART_FILLED = 0.5


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet to plan for. Raises :class:`PipelineError` for what cannot be.

    ``reading_bytes`` is a JSON line with its newline; a gateway sends what its devices said every ``collect``.
    ``retention`` is how long raw objects are kept, and in the plan the curated ones too. ``alerts_per_day`` unset: one
    for each hundred devices.
    """

    devices: int = 1_000
    interval: dt.timedelta = dt.timedelta(seconds=10)
    reading_bytes: int = 180
    retention: dt.timedelta = dt.timedelta(days=365)
    devices_per_gateway: int = 100
    collect: dt.timedelta = dt.timedelta(seconds=LONGEST_WAIT)
    alerts_per_day: float | None = None
    queries_per_day: int = 50

    def __post_init__(self) -> None:
        shortest, longest = format_duration(_SHORTEST_RETENTION), format_duration(_LONGEST_COLLECT)
        if min(self.devices, self.devices_per_gateway) < 1:
            raise PipelineError("devices: a fleet has one at least, and a gateway too")
        if not 1 <= self.reading_bytes <= MAX_RECORD_BYTES:
            raise PipelineError(f"bytes: a reading has 1 to {MAX_RECORD_BYTES:,}, not {self.reading_bytes:,}")
        if not _SECOND <= self.interval <= MAX_DURATION:
            raise PipelineError(f"interval: 1s at least, not {format_duration(self.interval)}")
        if not _SECOND <= self.collect <= _LONGEST_COLLECT:
            raise PipelineError(
                f"collect: 1s to {longest}, as alerts wait that long, not {format_duration(self.collect)}"
            )
        if self.retention < _SHORTEST_RETENTION:
            raise PipelineError(
                f"retention: {shortest} at least, as readings may be {MAX_LATENESS.days} days late, not "
                f"{format_duration(self.retention)}"
            )
        if (self.alerts_per_day or 0) < 0 or self.queries_per_day < 0:
            raise PipelineError("alerts and queries a day: 0 at least")

    @property
    def alerts(self) -> float:
        """Alerts a day."""
        return self.devices / _DEVICES_AN_ALERT if self.alerts_per_day is None else self.alerts_per_day

    @property
    def readings(self) -> float:
        """Readings a second of the whole fleet."""
        return self.devices / self.interval.total_seconds()

    @property
    def gateways(self) -> list[tuple[int, int]]:
        """Return numbers of gateways and their devices: full ones, and one with the remainder."""
        full, rest = divmod(self.devices, self.devices_per_gateway)
        return [(count, size) for count, size in ((full, self.devices_per_gateway), (1, rest)) if count and size]


class Flow(NamedTuple):
    """Records on their way: of each size (bytes) so many a second."""

    sizes: tuple[tuple[float, int], ...]

    @property
    def records(self) -> float:
        """Records a second."""
        return sum(rate for rate, _ in self.sizes)

    @property
    def payload(self) -> float:
        """Bytes a second."""
        return sum(rate * size for rate, size in self.sizes)

    def blocks(self, block: int) -> float:
        """Blocks of so many bytes a second, each record rounded up to whole ones."""
        return sum(rate * blocks(size, block) for rate, size in self.sizes)

    @property
    def shards(self) -> int:
        """Return the number of shards, each as full as planned."""
        needed = max(self.records / SHARD_RECORDS, self.payload / SHARD_BYTES) / PART_FILLED
        # Rounding errors must not add a shard.
        return max(1, math.ceil(needed - 1e-9))


def batched(fleet: Fleet) -> Flow:
    """Return a record for all that a gateway's devices said since its last: as the pipeline wants it.

    The devices of a gateway report evenly over the interval, so that there are as many readings in each ``collect``,
    or one more. Where there are none, nothing is sent.
    """
    return Flow(tuple(_batches(fleet)))


def _batches(fleet: Fleet) -> Iterator[tuple[float, int]]:
    ticks = 1 / fleet.collect.total_seconds()
    most = MAX_RECORD_BYTES // fleet.reading_bytes
    for gateways, devices in fleet.gateways:
        mean = devices * fleet.collect / fleet.interval
        fewer = math.floor(mean)
        for readings, share in ((fewer, 1 - (mean - fewer)), (fewer + 1, mean - fewer)):
            full, rest = divmod(readings, most)
            for count, lines in ((full, most), (1, rest)):
                if share and count and lines:
                    yield gateways * ticks * share * count, lines * fleet.reading_bytes


def one_by_one(fleet: Fleet) -> Flow:
    """Return a record for each reading."""
    return Flow(((fleet.readings, fleet.reading_bytes),))
