"""A replay: the readings of a data set, sent as if its devices took them now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simulator.fleet.lines import DUPLICATE, MALFORMED, as_lines, moments
from simulator.models.epoch import MICROSECONDS, microseconds, moment
from simulator.models.randomness import Places
from simulator.replay.dataset import Dataset
from simulator.run.batches import Rows, TrackedRecord, batched
from simulator.run.manifest import Manifest
from simulator.run.sender import Counts, Sender
from simulator.run.simulation import DEFAULT_BATCH
from simulator.run.traffic import LONGEST_WAIT, UNPACED_WAIT
from simulator.sinks.record import OUTBOX_BYTES
from simulator.sinks.sink import Sink
from telemetry.reading.fields import FIELDS, METRICS

#: Readings that are worked on at once.
_SLICE = 50_000


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A data set at a time: its first reading is taken at ``since``, its last at ``until`` (UTC).

    ``speed`` is how many seconds of the data pass in a second, 0 for as fast as it goes.
    """

    since: dt.datetime
    until: dt.datetime
    speed: float = 1.0
    batch: int = DEFAULT_BATCH


def plan(
    dataset: Dataset,
    *,
    start: dt.datetime | None = None,
    shift: bool = True,
    speed: float = 1.0,
    batch: int = DEFAULT_BATCH,
) -> ReplayPlan:
    """Plan a replay that begins at ``start`` (UTC), or, if not ``shift``, when the data does.

    Without either, the data's time ends when the replay does: now, for one that goes as fast as it can; one in real
    time begins now. A slower one begins now, too, as readings of the future are refused.
    """
    if batch < 1:
        raise ValueError("a batch needs at least one line")
    if speed < 0:
        raise ValueError(f"a speed of {speed:g} would run backwards")
    if start and not shift:
        raise ValueError("a replay either starts at a time or is not shifted; give one of them")
    length = dt.timedelta(microseconds=dataset.last - dataset.first)
    if not shift:
        start = moment(dataset.first)
    elif start is None:
        start = dt.datetime.now(dt.UTC) - length * max(0.0, 1 - (1 / speed if speed else 0))
    start = start.astimezone(dt.UTC)
    try:
        return ReplayPlan(since=start, until=start + length, speed=speed, batch=batch)
    except OverflowError:
        raise ValueError(
            f"a replay of {length.days:,} days from {start:%Y-%m-%d} on ends after the year 9999"
        ) from None


def replay(
    dataset: Dataset,
    planned: ReplayPlan,
    sink: Sink,
    *,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Counts], None] = lambda _: None,
    outbox_bytes: int = OUTBOX_BYTES,
) -> Manifest:
    """Send a data set's readings to the end, or until ``stopped`` says so.

    The same data at the same time gives the same lines, whatever the batch, the speed and the sink. In the manifest,
    ``malformed`` are lines that the contract refuses, ``duplicates`` readings that the data has several times.
    ``on_progress`` is called after each delivery.

    Raises :class:`~simulator.replay.files.DatasetError` where the data cannot be read on, and what the sink raises;
    but a sink that fails after it has accepted something only ends the replay, as in
    :func:`simulator.run.simulation.simulate`.
    """
    since, until = microseconds(planned.since), microseconds(planned.until)
    sender = Sender(sink, dataset.devices, on_progress, stopped, since=since, speed=planned.speed, most=outbox_bytes)
    with sender:
        for tracked_records in _Recording(dataset, planned).tracked_records():
            for tracked in tracked_records:
                if not sender.wait(tracked.record.at):
                    break
                sender.take(tracked)
            if not sender.going:
                break
        sender.finish()
    ended = planned.until if sender.going else min(moment(until), sender.reached())
    return sender.manifest(
        scenario=f"replay of {dataset.source.name}",
        seed=0,
        gateways=len(dataset.gateways),
        started_at=planned.since,
        ended_at=ended,
    )


def first_lines(dataset: Dataset, planned: ReplayPlan, most: int) -> list[bytes]:
    """Return the first lines that a replay would send, in the order of time."""
    recording = _Recording(dataset, planned)
    for batch in dataset.batches(most):
        text, _ = recording.encode(recording.read(batch))
        return text.splitlines(keepends=True)
    return []


#: Readings as columns of the same length: the fields of the contract that there are, ``sender``, ``refused``, ``copy``.
_Columns = dict[str, NDArray[Any]]


def _rows(columns: _Columns, which: NDArray[Any]) -> _Columns:
    return {name: column[which] for name, column in columns.items()}


class _Recording:
    """A data set's readings as records."""

    def __init__(self, dataset: Dataset, planned: ReplayPlan) -> None:
        self._dataset, self._batch = dataset, planned.batch
        self._since, self._until = microseconds(planned.since), microseconds(planned.until)
        self._wait = round(MICROSECONDS * LONGEST_WAIT * (planned.speed or UNPACED_WAIT))
        senders = dataset.senders
        self._device = np.array([sender.device for sender in senders])
        self._gateway = np.array([sender.gateway for sender in senders])
        self._site = np.array([sender.site for sender in senders], dtype=object)
        self._name = np.array(dataset.devices, dtype=object)
        self._filled = [field.name for field in FIELDS if field.required or field.name in dataset.values]
        self._line = msgspec.defstruct("_Line", [(name, Any) for name in self._filled], gc=False)
        # If nothing else counts readings, the time does: a later replay does not repeat the numbers of an earlier one.
        self._next = np.full(len(dataset.devices), max(0, self._since))
        self._held: _Columns = {}

    def tracked_records(self) -> Iterator[list[TrackedRecord]]:
        """Return the records in the order of their times."""
        for batch in self._dataset.batches(_SLICE):
            yield self._ready(self.read(batch), final=False)
        yield self._ready({}, final=True)

    def read(self, batch: pa.RecordBatch) -> _Columns:
        """Return the columns of a batch, with the times of sending and ``seq``; call it in the order of time."""
        columns: _Columns = {name: batch[name].to_numpy(zero_copy_only=False) for name in ("sender", "refused", "copy")}
        columns["ts"] = batch["ts"].to_numpy() - self._dataset.first + self._since
        for name in (*METRICS, "seq", "status"):
            if name in self._dataset.values:
                columns[name] = _column(batch, name)
        if "seq" not in columns:
            columns["seq"] = self._counted(self._device[columns["sender"]])
        return columns

    def _counted(self, device: Places) -> Places:
        """Count the readings of devices, each one more than its device's last."""
        order = np.argsort(device, kind="stable")
        begins = np.flatnonzero(np.diff(device[order], prepend=-1))
        sizes = np.diff(begins, append=len(order))
        number = np.empty(len(device), np.int64)
        number[order] = np.arange(len(order)) - np.repeat(begins, sizes) + self._next[device[order]]
        self._next[device[order[begins]]] += sizes
        return number

    def encode(self, columns: _Columns) -> tuple[bytes, Places]:
        """Return the readings as lines, and where each begins and the last one ends."""
        sender = columns["sender"]
        made: dict[str, list[Any]] = {
            "device_id": self._name[self._device[sender]].tolist(),
            "site": self._site[sender].tolist(),
            "ts": list(moments(columns["ts"])),
            "status": ["ok"] * len(sender),
        }
        made |= {name: columns[name].tolist() for name in self._filled if name in columns and name != "ts"}
        # What was not measured is NaN here, which msgspec writes as null.
        return as_lines(list(map(self._line, *(made[name] for name in self._filled))))

    def _ready(self, new: _Columns, *, final: bool) -> list[TrackedRecord]:
        """Return the records of what is new and was held: all at the end, before it without those that may grow."""
        columns = (
            {name: np.concatenate((self._held[name], new[name])) for name in self._held if new} or new or self._held
        )
        self._held = {}
        if not columns:
            return []
        gateway = self._gateway[columns["sender"]]
        order = np.argsort(gateway, kind="stable")
        columns, gateway = _rows(columns, order), gateway[order]
        tick = (columns["ts"] - self._since) // self._wait
        if not final:
            grows = _grows(gateway, tick, self._batch)
            if grows.any():
                # What comes is put behind it: those of a gateway stay in the order of time.
                self._held = _rows(columns, grows)
            columns, gateway, tick = _rows(columns, ~grows), gateway[~grows], tick[~grows]
            if not len(gateway):
                return []
        text, begins = self.encode(columns)
        # A copy of a malformed line is malformed too.
        copies = columns["copy"] & ~columns["refused"]
        flags = copies * np.uint8(DUPLICATE) | columns["refused"] * np.uint8(MALFORMED)
        due = np.minimum(self._since + (tick + 1) * self._wait, self._until)
        device = self._device[columns["sender"]]
        rows = Rows(text, begins, device, flags, gateway, tick, columns["ts"], due)
        tracked_records = batched(rows, self._dataset.gateways, self._batch)
        tracked_records.sort(key=lambda tracked: (tracked.record.at, tracked.record.gateway))
        return tracked_records


def _column(batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    """Return a field's values; for numbers, with the texts among them that are not numbers."""
    # Numbers of readings are too large for the floats that pyarrow makes of whole numbers where one is missing.
    column: NDArray[Any] = (
        np.array(batch[name].to_pylist(), dtype=object)
        if pa.types.is_integer(batch[name].type) and batch[name].null_count
        else batch[name].to_numpy(zero_copy_only=False)
    )
    if f"{name}_odd" in batch.schema.names:
        odd = batch[f"{name}_odd"]
        rows = np.flatnonzero(odd.is_valid().to_numpy(zero_copy_only=False))
        column = column.astype(object)
        column[rows] = odd.take(pa.array(rows)).to_pylist()
    return column


def _grows(gateway: Places, tick: Places, batch: int) -> NDArray[np.bool_]:
    """Return the rows, in the order of gateways and times, whose record may still grow.

    These are the rows beyond full batches in the last tick so far.
    """
    last = tick == tick.max()
    begins = np.flatnonzero(np.diff(gateway[last], prepend=-1))
    sizes = np.diff(begins, append=np.count_nonzero(last))
    rank = np.arange(sizes.sum()) - np.repeat(begins, sizes)
    grows = np.zeros(len(gateway), np.bool_)
    grows[last] = rank >= np.repeat(sizes // batch * batch, sizes)
    return grows
