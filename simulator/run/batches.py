"""Lines to records: one record is a batch of one gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.models.randomness import Places
from simulator.sinks.record import MAX_RECORD_BYTES, Record

_MICROSECONDS = 1_000_000


class TrackedRecord(NamedTuple):
    """A record, and for each of its lines the device (its place in the fleet) and the flags, for counting."""

    record: Record
    device: Places
    flags: NDArray[np.uint8]


class Rows(NamedTuple):
    """Lines to be batched, those of a gateway together and in their order.

    ``text`` are the lines, ``begins`` where each begins, and where the last one ends. ``sent`` is when each is passed
    on; a gateway sends those of a ``tick`` (any number) when it is ``due``, or sooner if a batch is full. Times are in
    microseconds since 1970.
    """

    text: bytes
    begins: Places
    device: Places
    flags: NDArray[np.uint8]
    gateway: Places
    tick: Places
    sent: Places
    due: Places


def batched(rows: Rows, gateways: Sequence[str], most: int) -> list[TrackedRecord]:
    """Cut rows into records of at most ``most`` lines, and of :data:`MAX_RECORD_BYTES` unless one line is longer."""
    gateway, tick = rows.gateway, rows.tick
    fresh = np.flatnonzero((np.diff(gateway, prepend=-1) != 0) | (np.diff(tick, prepend=tick[:1] - 1) != 0))
    # Each gateway's tick is cut into batches.
    rank = np.arange(len(gateway)) - np.repeat(fresh, np.diff(fresh, append=len(gateway)))
    cuts = np.flatnonzero(rank % most == 0)
    ends = np.append(cuts[1:], len(gateway))
    at = np.where(ends - cuts == most, rows.sent[ends - 1], rows.due[cuts]) / _MICROSECONDS
    first, end = _fitting(rows.begins, cuts, ends)
    at = at[np.searchsorted(cuts, first, "right") - 1]
    # A record may be no more than a few lines, so what is done for each of them is done in as little Python as can be.
    places, lines = gateway[first].tolist(), (end - first).tolist()
    spans, bounds = list(zip(first.tolist(), end.tolist(), strict=True)), rows.begins.tolist()
    payloads = [rows.text[bounds[a] : bounds[b]] for a, b in spans]
    names = [gateways[place] for place in places]
    records = map(Record._make, zip(names, payloads, lines, at.tolist(), strict=True))
    devices, flags = ([column[a:b] for a, b in spans] for column in (rows.device, rows.flags))
    return list(map(TrackedRecord._make, zip(records, devices, flags, strict=True)))


def _fitting(begins: Places, first: Places, end: Places) -> tuple[Places, Places]:
    """Halve spans of rows until each fits a record; a single row stays."""
    while (large := (begins[end] - begins[first] > MAX_RECORD_BYTES) & (end - first > 1)).any():
        first = np.sort(np.append(first, (first + end)[large] // 2))
        end = np.append(first[1:], end[-1])
    return first, end
