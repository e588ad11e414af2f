"""Sending records to a sink: each at its time, together if the run is late, and counted."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf

import msgspec
import numpy as np

from simulator.fleet.lines import DUPLICATE, LATE, MALFORMED, REORDERED
from simulator.models.epoch import MICROSECONDS, moment
from simulator.models.randomness import Places
from simulator.run.batches import TrackedRecord
from simulator.run.manifest import DeviceCounts, Manifest
from simulator.sinks.record import OUTBOX_BYTES
from simulator.sinks.sink import Delivery, Sink, SinkError

#: A paced run sleeps no shorter than this, seconds: what happens within it is sent a little late, together.
_GRAIN = 0.01

#: A paced run looks this often, seconds, whether it should stop.
_GLANCE = 0.1

_FLAGS = {"duplicates": DUPLICATE, "malformed": MALFORMED, "late": LATE, "reordered": REORDERED}


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a run: lines that the sink accepted and that were given up, and the simulated time (UTC)."""

    sent: int
    refused: int
    reached: dt.datetime


class Sender:
    """Sends records: together while the run is behind its time, at once if it has to wait.

    ``devices`` are the names of those whose places the records have. The simulated time begins at ``since``
    (microseconds since 1970) and passes at ``speed``, 0 for as fast as it goes; the sink is handed some ``most`` bytes
    at once. It works in a thread of its own while the next records are computed.
    """

    def __init__(
        self,
        sink: Sink,
        devices: Sequence[str],
        on_progress: Callable[[Counts], None],
        stopped: Callable[[], bool],
        *,
        since: int,
        speed: float,
        most: int = OUTBOX_BYTES,
    ) -> None:
        self._sink, self._devices, self._on_progress, self._stopped = sink, devices, on_progress, stopped
        self._since, self._speed, self._most = since / MICROSECONDS, speed, most
        self._outbox: list[TrackedRecord] = []
        self._outbox_bytes = 0
        self._began = time.monotonic()
        self.started_at = dt.datetime.now(dt.UTC)
        # The simulated time (Unix) when last looked; one that is not paced is always late.
        self._time = self._since if speed else inf
        self._latest = self._since
        self.going = True
        self._tally = _Tally(len(devices))
        self._retried, self._refusal = 0, ""
        self._failed = False
        self._pool = ThreadPoolExecutor(1)
        self._under_way: tuple[Future[Delivery], list[TrackedRecord]] | None = None

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def reached(self) -> dt.datetime:
        """Return the simulated time."""
        return moment(round((self._now() if self._speed else self._latest) * MICROSECONDS))

    def _now(self) -> float:
        return self._since + (time.monotonic() - self._began) * self._speed

    def wait(self, until: float) -> bool:
        """Wait until it is that simulated time; False if the run should stop instead."""
        if until > self._time:
            self._time = self._now()
            if until > self._time:
                self._deliver()
                self._sleep(until)
            self.going = self.going and not self._stopped()
        return self.going

    def take(self, tracked: TrackedRecord) -> None:
        """Deliver the record, if not now then with the next ones."""
        self._latest = tracked.record.at
        self._outbox.append(tracked)
        self._outbox_bytes += len(tracked.record.payload)
        if self._outbox_bytes >= self._most:
            self._deliver()

    def finish(self) -> None:
        """Deliver what is left, and wait until that is done."""
        self._deliver()
        self._settle()

    def manifest(
        self, *, scenario: str, seed: int, gateways: int, started_at: dt.datetime, ended_at: dt.datetime
    ) -> Manifest:
        """Return what was sent and what became of it."""
        arrived_from, arrived_to = self.started_at, dt.datetime.now(dt.UTC)
        return Manifest(
            scenario=scenario,
            seed=seed,
            devices=len(self._devices),
            gateways=gateways,
            speed=self._speed,
            started_at=started_at,
            ended_at=ended_at,
            arrived_from=arrived_from,
            arrived_to=arrived_to,
            retried=self._retried,
            refusal=self._refusal,
            by_device=self._tally.by_device(self._devices),
            **{name: self._tally.total(name) for name in DeviceCounts.__struct_fields__},
        )

    def _deliver(self) -> None:
        """Hand over what is ready, when the sink is done with what it has; give it up if the sink has failed."""
        self._settle()
        if self._outbox:
            outbox, self._outbox, self._outbox_bytes = self._outbox, [], 0
            if self._failed:
                self._tally.add(outbox, refused=True)
                return
            self._under_way = self._pool.submit(self._sink.send, [tracked.record for tracked in outbox]), outbox

    def _settle(self) -> None:
        """Count what became of what is under way."""
        if self._under_way is None:
            return
        (future, tracked_records), self._under_way = self._under_way, None
        try:
            delivery = future.result()
        except SinkError as error:
            unsent = tuple(error.unsent) or tuple(tracked.record for tracked in tracked_records)
            if not self._tally.total("sent") and len(unsent) == len(tracked_records):
                raise
            # What was sent before must be accounted for: the run ends as if it had been stopped.
            delivery = Delivery(refused=unsent, reason=str(error))
            self._failed, self.going = True, False
        if delivery.refused:
            refused = set(map(id, delivery.refused))
            self._tally.add([tracked for tracked in tracked_records if id(tracked.record) in refused], refused=True)
            tracked_records = [tracked for tracked in tracked_records if id(tracked.record) not in refused]
        self._tally.add(tracked_records, refused=False)
        self._retried += delivery.retried
        self._refusal = delivery.reason or self._refusal
        self._on_progress(
            Counts(sent=self._tally.total("sent"), refused=self._tally.total("refused"), reached=self.reached())
        )
        self.going = self.going and not self._stopped()

    def _sleep(self, until: float) -> None:
        # Whatever came of it is known before the run goes on.
        self._settle()
        while (left := (until - self._now()) / self._speed + _GRAIN) > _GRAIN and not self._stopped():
            time.sleep(min(left, _GLANCE))
        self._time = self._now()


class _Tally:
    """Lines of each device by outcome."""

    def __init__(self, devices: int) -> None:
        self._counts = {name: np.zeros(devices, np.int64) for name in DeviceCounts.__struct_fields__}

    def add(self, tracked_records: Sequence[TrackedRecord], *, refused: bool) -> None:
        if not tracked_records:
            return
        device = np.concatenate([tracked.device for tracked in tracked_records])
        flags = np.concatenate([tracked.flags for tracked in tracked_records])
        if refused:
            self._count("refused", device)
            return
        self._count("sent", device)
        if flags.any():
            for name, flag in _FLAGS.items():
                self._count(name, device[flags & flag != 0])

    def _count(self, name: str, device: Places) -> None:
        self._counts[name] += np.bincount(device, minlength=len(self._counts[name]))

    def total(self, name: str) -> int:
        return int(self._counts[name].sum())

    def by_device(self, devices: Sequence[str]) -> dict[str, DeviceCounts]:
        rows = zip(*(column.tolist() for column in self._counts.values()), strict=True)
        found = zip(devices, rows, strict=True)
        return {device: DeviceCounts(**dict(zip(self._counts, row, strict=True))) for device, row in found if any(row)}
