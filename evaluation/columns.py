"""Readings as columns, for backtests: runs of one device's readings at one site, and which can change an alert."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from telemetry.alerting.recent import RECENT_EVERY
from telemetry.reading.fields import METRICS
from telemetry.reading.model import STATUSES, Reading

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECONDS = 1_000_000


class Run:
    """Readings of one device at one site, ordered by time; an absent value is NaN."""

    def __init__(
        self,
        device: str,
        site: str,
        *,
        ts: npt.NDArray[np.int64],
        seq: npt.NDArray[np.int64],
        metrics: dict[str, npt.NDArray[np.float64]],
        statuses: npt.NDArray[np.int32],
    ) -> None:
        self.device = device
        self.site = site
        self._ts = ts
        self._seq = seq
        self._metrics = metrics
        self._statuses = statuses
        self._last: tuple[int, Reading] | None = None

    def __len__(self) -> int:
        return len(self._ts)

    def time(self, place: int) -> dt.datetime:
        """Return the event time of a reading (UTC)."""
        return _EPOCH + dt.timedelta(microseconds=int(self._ts[place]))

    def reading(self, place: int) -> Reading:
        """Return a reading as the detector gets it."""
        if self._last is None or self._last[0] != place:
            metrics = {name: float(column[place]) for name, column in self._metrics.items()}
            reading = Reading(
                device_id=self.device,
                site=self.site,
                ts=self.time(place),
                seq=int(self._seq[place]),
                status=STATUSES[self._statuses[place]],
                **{name: value for name, value in metrics.items() if value == value},  # noqa: PLR0124 - not NaN
            )
            self._last = place, reading
        return self._last[1]

    def decisive(
        self,
        ranges: Sequence[tuple[str, float, float]],
        statuses: frozenset[str],
        silence: dt.timedelta | None,
        seen: float,
    ) -> npt.NDArray[np.intp]:
        """Return the places of the readings that can begin an alert, or end a silence of at least ``silence``.

        ``ranges`` and ``statuses`` are those of a :class:`telemetry.rules.rule_set.Watch`: what lies outside may make a
        condition true. ``seen`` is when the device was heard of before (Unix seconds), 0 for never.
        """
        decisive = np.isin(self._statuses, [code for code, status in enumerate(STATUSES) if status in statuses])
        for metric, low, high in ranges:
            values = self._metrics[metric]
            decisive |= (values < low) | (values > high)
        if silence is not None:
            # Heard of for the first time is no silence; anything that is too short for one costs time only.
            before = np.concatenate(([int(seen * _MICROSECONDS) if seen else self._ts[0]], self._ts[:-1]))
            decisive |= (
                self._ts - before >= int((silence + RECENT_EVERY).total_seconds() * _MICROSECONDS) - _MICROSECONDS
            )
        return np.flatnonzero(decisive)


def runs_of(batch: pa.RecordBatch) -> Iterator[Run]:
    """Yield the runs of a batch of :meth:`pipeline.history.History.batches`."""
    if not batch.num_rows:
        return
    devices, sites = (pc.run_end_encode(batch.column(name)) for name in ("device_id", "site"))
    ends = np.union1d(devices.run_ends, sites.run_ends)
    ts, seq = _numbers(batch, "ts"), _numbers(batch, "seq")
    metrics = {name: _numbers(batch, name) for name in METRICS}
    # Not a constant of the module: the first array imports pandas, which takes half a second.
    statuses = pc.index_in(batch.column("status"), pa.array(STATUSES, pa.string())).to_numpy(zero_copy_only=False)
    start = 0
    for end in map(int, ends):
        part = slice(start, end)
        yield Run(
            batch.column("device_id")[start].as_py(),
            batch.column("site")[start].as_py(),
            ts=ts[part],
            seq=seq[part],
            metrics={name: column[part] for name, column in metrics.items()},
            statuses=statuses[part],
        )
        start = end


def _numbers(batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    column: npt.NDArray[Any] = batch.column(name).to_numpy(zero_copy_only=False)
    return column
