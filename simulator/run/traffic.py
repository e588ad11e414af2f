"""All records of a run in the order of time.

Time is cut into slices, of each of which all lines are computed at once. Where the cuts are changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from simulator.faults import effects
from simulator.faults.plan import PlannedFault
from simulator.fleet.fleet import Fleet
from simulator.fleet.lines import DUPLICATE, MALFORMED, REORDERED, Encoder, Lines, joined
from simulator.models.devices import Measured, verdicts
from simulator.models.epoch import MICROSECONDS
from simulator.models.randomness import Places, keys, uniform
from simulator.run.batches import Rows, TrackedRecord, batched

#: A gateway sends what it has this often, seconds, each at a moment of its own: so long a line waits at most for its
#: batch to fill, and no alert is held back longer.
LONGEST_WAIT = 1

#: The same of a run that goes as fast as it can, where nobody waits.
UNPACED_WAIT = 60

#: Readings computed at once where nobody waits for them: enough for numpy, and little enough for the caches.
_SLICE = 50_000

#: No slice is longer than this, in seconds.
_LONGEST_SLICE = 86_400


class Traffic:
    """The records of a fleet between two times (microseconds since 1970), up to ``batch`` lines each.

    Gateways send every ``wait`` seconds. ``part`` is (number, of how many): only the gateways of that part send, each
    in one of the parts.
    """

    def __init__(
        self,
        fleet: Fleet,
        faults: Sequence[PlannedFault],
        since: int,
        until: int,
        *,
        batch: int,
        part: tuple[int, int] = (0, 1),
        wait: float = LONGEST_WAIT,
    ) -> None:
        self._fleet, self._faults = fleet, faults
        self._since, self._until, self._batch = since, until, batch
        self._tick = round(wait * MICROSECONDS)
        number, parts = part
        #: Which gateways send in this part, and the devices that they may hear.
        self._sending = np.arange(len(fleet.gateways)) % parts == number
        rerouted = effects.rerouted(faults, len(fleet.devices))
        self._rerouted = bool(rerouted.any())
        self._mine = self._sending[fleet.gateway] | rerouted
        self._offset = (uniform(keys(fleet.scenario.seed, "gateway", len(fleet.gateways))) * self._tick).astype(
            np.int64
        )
        # What another gateway may send is computed before that gateway's tick ends, whichever it is.
        self._shift = np.where(rerouted, self._tick, self._offset[fleet.gateway])
        self._encoder = Encoder([device.id for device in fleet.devices], [device.site for device in fleet.devices])
        self._disorderly = effects.disorderly(faults)
        # Two lines of a gateway that are sent at the same moment stand in the same order, however time is cut.
        self._mixed = self._disorderly or effects.repeating(faults)
        self._restarted = effects.restarted(faults)
        self._newest = np.full(len(fleet.devices), -1)
        self._waiting: list[Lines] = []

    def slices(self, longest: float = _LONGEST_SLICE) -> Iterator[list[TrackedRecord]]:
        """Return the records in the order of their times, those of a slice of time together.

        No slice is longer than so many seconds, unless gateways wait longer.
        """
        rate = self._fleet.rate * self._mine.mean() if self._mine.any() else 1.0
        ticks = max(1, int(min(longest, _LONGEST_SLICE, _SLICE / rate) * MICROSECONDS / self._tick))
        held: list[TrackedRecord] = []
        # Gateways' ticks end up to a tick after those of the clock.
        first, last = self._since // self._tick - 1, -(-self._until // self._tick)
        for begin in range(first, last + 1, ticks):
            end = begin + ticks
            final = end > last
            tracked_records = held + self._records(self._lines(begin, end), end, final=final)
            tracked_records.sort(key=_in_order)
            limit = end * self._tick / MICROSECONDS
            out = len(tracked_records) if final else bisect_left(tracked_records, limit, key=attrgetter("record.at"))
            held = tracked_records[out:]
            yield tracked_records[:out]

    def rest(self, stopped: int) -> list[TrackedRecord]:
        """Return what was taken before a run is stopped (microseconds since 1970) and held back beyond the last slice.

        It is sent then.
        """
        self._until = min(self._until, stopped)
        self._waiting = [lines.rows(lines.taken < self._until) for lines in self._waiting]
        return sorted(self._records([], self._until // self._tick, final=True), key=_in_order)

    def _lines(self, begin: int, end: int) -> list[Lines]:
        """Return what is taken in the ticks [begin, end) of each device's gateway, with the faults' effects."""
        since = np.clip(begin * self._tick + self._shift, self._since, self._until)
        until = np.where(self._mine, np.clip(end * self._tick + self._shift, self._since, self._until), since)
        device, seq = self._fleet.reports(since, until)
        if not len(device):
            return []
        taken = self._fleet.taken_at(device, seq)
        measured = self._fleet.measure(device, taken)._asdict()
        effects.spoil_values(self._faults, device, seq, taken, measured)
        zeros = np.zeros(len(device), np.uint8)
        lines = Lines(
            device=device,
            gateway=self._fleet.gateway[device],
            seq=seq,
            taken=taken,
            shown=taken.copy(),
            sent=taken.copy(),
            **measured,
            status=self._verdicts(device, Measured(**measured)),
            flags=zeros,
            damage=np.full(len(device), -1, np.int8),
            padding=zeros.astype(np.int32),
        )
        return [effects.disturb(self._faults, lines)]

    def _verdicts(self, device: Places, measured: Measured) -> NDArray[np.int8]:
        parts = [
            verdicts(cohort.model, Measured(*(column[first:end] for column in measured)))
            for cohort, first, end in self._fleet.by_cohort(device)
        ]
        return np.concatenate(parts)

    def _records(self, new: list[Lines], end: int, *, final: bool) -> list[TrackedRecord]:
        """Return the records of what is sent before the end of the tick, and all there is if nothing comes after it."""
        parts = self._waiting + new
        self._waiting = []
        if not parts:
            return []
        lines = joined(parts)
        # What is held back beyond the end of the run is sent then.
        np.minimum(lines.sent, self._until, out=lines.sent)
        tick = (lines.sent - self._offset[lines.gateway]) // self._tick
        if not final and (later := tick >= end).any():
            self._waiting = [lines.rows(later)]
            lines, tick = lines.rows(~later), tick[~later]
        if self._mixed:
            order = np.lexsort((lines.device, lines.seq, lines.sent, lines.gateway))
        else:
            order = np.lexsort((lines.sent, lines.gateway))
        lines, tick = lines.rows(order), tick[order]
        if self._disorderly:
            self._mark_overtaken(lines, tick)
        if self._rerouted:
            # Only now: what another part sends may have overtaken a line, or have been overtaken by it.
            mine = self._sending[lines.gateway]
            lines, tick = lines.rows(mine), tick[mine]
        return self._cut(lines, tick) if len(tick) else []

    def _mark_overtaken(self, lines: Lines, tick: Places) -> None:
        """Flag the readings that arrive after a younger one of their device."""
        rows = np.flatnonzero(lines.flags & (DUPLICATE | MALFORMED) == 0)
        if self._rerouted:
            # Gateways send what they have at the end of a tick, each at a moment of its own.
            due = tick * self._tick + self._offset[lines.gateway]
            rows = rows[np.lexsort((lines.sent[rows], due[rows], lines.device[rows]))]
        else:
            rows = rows[np.argsort(lines.device[rows], kind="stable")]
        device, seq = lines.device[rows], lines.seq[rows]
        if not len(rows):
            return
        # One running maximum for all devices: each device's numbers are lifted above those of the device before.
        begins = np.flatnonzero(np.diff(device, prepend=-1))
        segment = np.cumsum(np.diff(device, prepend=-1) != 0) - 1
        newest = self._newest[device]
        low = int(min(seq.min(), newest.min()))
        lift = segment * (int(max(seq.max(), newest.max())) - low + 2)
        lifted = seq - low + lift
        start = newest - low + lift
        # Before a device's first one stands what it has sent in earlier slices.
        before = np.concatenate(([-1], lifted[:-1]))
        before[begins] = start[begins]
        overtaken = np.maximum.accumulate(before) > lifted
        lines.flags[rows[overtaken]] |= REORDERED
        np.maximum.at(self._newest, device, seq)

    def _cut(self, lines: Lines, tick: Places) -> list[TrackedRecord]:
        """Return lines in the order of gateways and times as records."""
        if self._restarted:
            effects.renumber(self._restarted, lines)
        text, begins = self._encoder.encode(lines)
        due = np.minimum((tick + 1) * self._tick + self._offset[lines.gateway], self._until)
        rows = Rows(text, begins, lines.device, lines.flags, lines.gateway, tick, lines.sent, due)
        return batched(rows, self._fleet.gateways, self._batch)


#: What records are ordered by.
_in_order = attrgetter("record.at", "record.gateway")
