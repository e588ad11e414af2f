"""A run: the fleet's lines, batched, sent at their time, and counted."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from math import inf

import msgspec

from simulator.batches import Batcher, Record
from simulator.disturbances import Disturbances
from simulator.faults import Fault, plan_faults
from simulator.fleet import Fleet, FleetConfig
from simulator.sinks import Delivery, Sink, SinkError
from simulator.traffic import traffic

#: Readings a record holds at most, unless asked otherwise: some 15 kB.
DEFAULT_BATCH = 100

#: Records that are ready go to the sink together up to this size, bytes.
_OUTBOX_BYTES = 1024 * 1024

#: A paced run sleeps no shorter than this, seconds: what happens within it is sent a little late, together.
_GRAIN = 0.01

#: A paced run looks this often, seconds, whether it should stop.
_GLANCE = 0.1


class Mischief(msgspec.Struct, frozen=True, kw_only=True):
    """How much goes wrong in a run: devices that break a rule, lines that are no readings, lines sent again."""

    faults: int = 0
    malformed: int = 0
    duplicates: int = 0

    def __post_init__(self) -> None:
        if min(self.faults, self.malformed, self.duplicates) < 0:
            raise ValueError("faults, malformed lines and duplicates cannot be fewer than none")

    def __bool__(self) -> bool:
        return any((self.faults, self.malformed, self.duplicates))


class Counts(msgspec.Struct, kw_only=True):
    """Lines by what became of them.

    ``sent`` are those the sink accepted, ``duplicates`` and ``malformed`` those of them that are no new
    reading. ``refused`` were given up, ``refusal`` says why; ``retried`` counts records sent again.
    """

    sent: int = 0
    duplicates: int = 0
    malformed: int = 0
    refused: int = 0
    retried: int = 0
    refusal: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent, and the alerts it must lead to. Counts are in lines, times are UTC.

    ``sent`` are the lines the sink accepted (``accepted`` says the same), of which ``duplicates`` and
    ``malformed`` are no new readings; ``refused`` were given up, ``refusal`` says why. ``retried`` counts
    records sent again. No reading's event time lies outside ``started_at`` and ``ended_at``, and nothing
    of a paced run that starts now is sent outside them.
    """

    seed: int
    devices: int
    gateways: int
    started_at: dt.datetime
    ended_at: dt.datetime
    sent: int
    accepted: int
    refused: int
    malformed: int
    duplicates: int
    retried: int
    refusal: str
    faults: tuple[Fault, ...]


def simulate(
    config: FleetConfig,
    sink: Sink,
    *,
    readings: int | None = None,
    batch: int = DEFAULT_BATCH,
    mischief: Mischief | None = None,
    start: dt.datetime | None = None,
    paced: bool = True,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Counts], None] = lambda _: None,
) -> Manifest:
    """Run a fleet until it has taken so many ``readings``, or for ever, or until ``stopped`` says so.

    ``batch`` is the most lines in a record. ``start`` (UTC) is the event time of the beginning: now; for a
    run that is not paced, so long ago that it ends now. The same configuration, mischief, number of
    readings and start give the same lines, whatever the batch, the pace and the sink.

    A run that is stopped sends what its devices have reported so far, and its manifest says what was sent.
    ``on_progress`` is called after each delivery.

    Raises ValueError for settings that do not fit together, and what the sink raises; but a sink that fails
    after it has accepted something only ends the run: the manifest says what was refused.
    """
    mischief = mischief or Mischief()
    if batch < 1 or (readings is not None and readings < 1):
        raise ValueError("a batch and a run need at least one reading")
    if readings is None and mischief:
        raise ValueError("faults, malformed lines and duplicates need a run with an end: say how long it is")
    start = start.astimezone(dt.UTC) if start else _beginning(config, readings, paced=paced)
    fleet = Fleet(config, start)
    planned = plan_faults(fleet, mischief.faults, readings or 0)
    disturbances = Disturbances(config, readings or 0, mischief.malformed, mischief.duplicates)
    lines = traffic(fleet, [plan.override for plan in planned], disturbances, readings)

    batcher = Batcher(batch)
    courier = _Courier(sink, on_progress, stopped, paced=paced)
    last = 0.0
    for at, gateway, line in lines:
        while batcher.deadline <= at and courier.wait(batcher.deadline):
            courier.take(batcher.due())
        if not courier.wait(at):
            break
        last = at
        if full := batcher.add(at, gateway, line):
            courier.take(full)
    courier.take(batcher.rest())
    courier.deliver()

    reached = start + dt.timedelta(seconds=last)
    counts = courier.counts
    return Manifest(
        seed=config.seed,
        devices=config.devices,
        gateways=config.gateways,
        started_at=start,
        ended_at=start + dt.timedelta(seconds=courier.elapsed()) if paced else reached,
        sent=counts.sent,
        accepted=counts.sent,
        refused=counts.refused,
        malformed=counts.malformed,
        duplicates=counts.duplicates,
        retried=counts.retried,
        refusal=counts.refusal,
        faults=tuple(fault for plan in planned if (fault := plan.as_of(reached))),
    )


def _beginning(config: FleetConfig, readings: int | None, *, paced: bool) -> dt.datetime:
    now = dt.datetime.now(dt.UTC)
    return now if paced or readings is None else now - dt.timedelta(seconds=readings / config.rate)


class _Courier:
    """Carries records to the sink: together while the run is behind its time, at once where it has to wait."""

    def __init__(
        self, sink: Sink, on_progress: Callable[[Counts], None], stopped: Callable[[], bool], *, paced: bool
    ) -> None:
        self._sink, self._on_progress, self._stopped = sink, on_progress, stopped
        self._outbox: list[Record] = []
        self._outbox_bytes = 0
        self._began = time.monotonic()
        # How old the run was when last looked; one that is not paced is always old enough.
        self._age = 0.0 if paced else inf
        self._going = True
        self.counts = Counts()

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def wait(self, until: float) -> bool:
        """Wait until the run is so many seconds old; False if it should stop instead."""
        if until > self._age:
            self._age = self.elapsed()
            if until > self._age:
                self.deliver()
                self._sleep(until + _GRAIN)
            self._going = self._going and not self._stopped()
        return self._going

    def take(self, records: list[Record]) -> None:
        """Deliver the records, if not now then with the next ones."""
        if records:
            self._outbox += records
            self._outbox_bytes += sum(len(record.payload) for record in records)
            if self._outbox_bytes >= _OUTBOX_BYTES:
                self.deliver()

    def deliver(self) -> None:
        """Hand over what is ready and count what became of it."""
        if not self._outbox:
            return
        outbox, self._outbox, self._outbox_bytes = self._outbox, [], 0
        try:
            delivery = self._sink.send(outbox)
        except SinkError as error:
            if not self.counts.sent and len(error.unsent) == len(outbox):
                raise
            # What was sent before must be accounted for: the run ends as if it had been stopped.
            delivery = Delivery(refused=tuple(error.unsent), reason=str(error))
            self._going = False
        refused = set(map(id, delivery.refused))
        counts = self.counts
        counts.retried += delivery.retried
        counts.refusal = delivery.reason or counts.refusal
        for record in outbox:
            if id(record) in refused:
                counts.refused += record.lines
            else:
                counts.sent += record.lines
                counts.duplicates += record.duplicates
                counts.malformed += record.malformed
        self._on_progress(counts)
        self._going = self._going and not self._stopped()

    def _sleep(self, until: float) -> None:
        while (left := until - self.elapsed()) > 0 and not self._stopped():
            time.sleep(min(left, _GLANCE))
        self._age = self.elapsed()
