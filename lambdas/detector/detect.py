"""Detection in a batch of stream records: decode, evaluate, commit with an outbox, send, clear the outbox.

The devices of a record may be at home in several states: each home is evaluated with what is about its devices. The
transitions that a record causes are written in one step with the state they lead to. Then they are sent to the queue,
and then removed from the outbox: a crash in between repeats some, loses none and invents none.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from aws_lambda_powertools import Logger

from lambdas.detector.recent_cache import RecentCache
from lambdas.detector.records import Record
from lambdas.detector.residents import Residents
from lambdas.store.items import ItemConflictError, ItemTooLargeError
from lambdas.store.states import VersionedState
from telemetry.alerting.evaluate import evaluate
from telemetry.alerting.heard import Heard
from telemetry.alerting.snapshots import Lag
from telemetry.alerting.state import GatewayState, Home
from telemetry.alerting.transitions import Transition
from telemetry.reading.codec import Batch, Rejected, decode_batch
from telemetry.reading.model import Reading
from telemetry.rules.rule_set import RuleSet

#: A record may hold thousands of readings, and what they change has to fit into one item. Evaluated in parts, they
#: change the same. What does not fit is evaluated in smaller parts.
_READINGS_PER_COMMIT = 1000

#: How often a record is evaluated while others change the state: the detector of another gateway that hears the same
#: devices, the watchdog, operators.
_ATTEMPTS = 5

_device_of = operator.attrgetter("device_id")

logger = Logger(child=True)


class States(Protocol):
    """The table of alert states."""

    def load(self, homes: Iterable[Home]) -> dict[Home, VersionedState]:
        """Return the states of these homes."""

    def commit(
        self,
        state: GatewayState,
        expected_version: int,
        outbox: Sequence[Transition],
        *,
        now: dt.datetime,
        lag: Lag,
    ) -> VersionedState:
        """Write a state and its outbox if the stored version is still the expected one."""

    def clear_outbox(self, sent: VersionedState) -> VersionedState:
        """Remove an outbox that was sent."""


class Queue(Protocol):
    """The queue of transitions."""

    def send(self, transitions: Sequence[Transition]) -> None:
        """Send all transitions, or raise."""


class Tally(msgspec.Struct):
    """Counts of one invocation.

    ``newest`` is the latest event time of the last readings of its records, ``windows_dropped`` the homes whose windows
    did not fit into an item.
    """

    records: int = 0
    readings: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    transitions: int = 0
    windows_dropped: int = 0
    newest: dt.datetime | None = None


class EarlierRecordFailedError(Exception):
    """A record of the same gateway failed before this one; both are delivered again, in order."""


class Detection:
    """One invocation: its records, in order per gateway."""

    def __init__(
        self,
        *,
        rules: RuleSet,
        states: States,
        recents: RecentCache,
        residents: Residents,
        queue: Queue,
        gateways: Iterable[str],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._rules = rules
        self._states = states
        self._recents = recents
        self._residents = residents
        self._queue = queue
        self._clock = clock
        self._current: dict[Home, VersionedState] = {}
        self._failed: set[str] = set()
        self._records: Sequence[Record] = ()
        self._strangers: set[str] | None = None
        self.tally = Tally()
        self._load(map(Home, gateways))

    def process(self, records: Sequence[Record]) -> list[Record]:
        """Process records and write the soft state that is due; return the records to deliver again."""
        self._records = records
        failed = [record for record in records if not self._is_processed(record)]
        self.tally.windows_dropped = self._recents.write(self._rules, self._state_of)
        return failed

    def _is_processed(self, record: Record) -> bool:
        try:
            self.record(record)
        except EarlierRecordFailedError:
            return False
        except Exception:  # whatever it is, the other gateways' records go on
            position = record.position
            logger.exception(
                "a record has to be delivered again",
                gateway=record.gateway,
                shard=position.shard,
                sequence=position.sequence,
            )
            return False
        return True

    def record(self, record: Record) -> None:
        """Process one record; raises if it has to be delivered again."""
        if record.gateway in self._failed:
            raise EarlierRecordFailedError(f"an earlier record of {record.gateway} failed in this batch")
        try:
            self._process(record)
        except Exception:
            self._failed.add(record.gateway)
            raise

    def _state_of(self, home: Home) -> GatewayState:
        self._load([home])
        return self._current[home].state

    def _load(self, homes: Iterable[Home]) -> None:
        missing = set(homes) - self._current.keys()
        if missing:
            self._current |= self._states.load(missing)
            self._recents.load(missing)

    def _process(self, record: Record) -> None:
        batch = decode_batch(record.data, record.arrived, keep_lines=False)
        for home, heard in self._by_home(record, batch).items():
            self._evaluate(record, home, heard)
        self.tally.records += 1
        self.tally.readings += len(batch.readings)
        self.tally.rejected.update(line.reason for line in batch.rejected)
        if batch.readings and (self.tally.newest is None or batch.readings[-1].ts > self.tally.newest):
            self.tally.newest = batch.readings[-1].ts

    def _by_home(self, record: Record, batch: Batch) -> Mapping[Home, Heard]:
        """Return what a record brings by the home of its devices; the gateway's first home is always there."""
        own = Home(record.gateway)
        named = [line for line in batch.rejected if line.device] if batch.rejected else []
        heard = Heard(record.gateway, record.arrived, batch.readings, named)
        if self._residents.are_at(own, heard.last) and self._residents.are_at(own, [line.device for line in named]):
            return {own: heard}
        homes = self._homes_of(batch.readings, named, own)
        self._load(homes.values())
        readings: dict[Home, list[Reading]] = {own: []}
        rejected: dict[Home, list[Rejected]] = {}
        for reading in batch.readings:
            readings.setdefault(homes[reading.device_id], []).append(reading)
        for line in named:
            if line.device in homes:
                readings.setdefault(homes[line.device], [])
                rejected.setdefault(homes[line.device], []).append(line)
        return {
            home: Heard(record.gateway, record.arrived, some, rejected.get(home, ()), heard.site)
            for home, some in readings.items()
        }

    def _homes_of(self, readings: Iterable[Reading], named: Iterable[Rejected], own: Home) -> Mapping[str, Home]:
        """Return the homes of devices; those that are new get one of their gateway's, in the order of the record.

        A device that only rejected lines name gets a home where they begin an alert, and has none otherwise: the lines
        may be anybody's, and their names too many to remember.
        """
        devices = dict.fromkeys([*map(_device_of, readings), *(line.device for line in named)])
        wanted = {*map(_device_of, readings)}
        wanted |= {line.device for line in named if self._rules.refuse(line.device, line.site, line.reason)}
        strangers = self._look_up_strangers() if named else set()
        homes = self._residents.homes_of([name for name in devices if name in wanted or name not in strangers])
        new = [name for name in devices if name in wanted and name not in homes]
        if not new:
            return homes
        self._load([own, self._residents.highest(own.gateway)])
        first = self._current[own].state
        self._residents.assign(new, own.gateway, {*first.alerts, *first.past, *first.holds})
        strangers.difference_update(new)
        return {**homes, **self._residents.homes_of(new)}

    def _look_up_strangers(self) -> set[str]:
        """Return the devices that rejected lines name and that have no home.

        They are looked up once for all records: where others write into the stream, every line may name another one.
        """
        if self._strangers is None:
            batches = (decode_batch(record.data, record.arrived, keep_lines=False) for record in self._records)
            names = {line.device for batch in batches for line in batch.rejected if line.device}
            self._strangers = names - self._residents.homes_of(names).keys()
        return self._strangers

    def _evaluate(self, record: Record, home: Home, heard: Heard) -> None:
        recent, via = self._recents.of(home), "" if home.gateway == record.gateway else record.gateway
        start, size, end = 0, _READINGS_PER_COMMIT, max(1, len(heard.readings))
        changed, conflicts = False, 0
        while start < end:
            self._load([home])
            before = self._sent(self._current[home])
            position = before.state.position_of(record.gateway)
            if position and record.position.is_behind(position):
                # Delivered again: its readings are in the state already, and so are those that came after them.
                recent.begin(heard)
                recent.accept(via)
                return
            try:
                state, transitions = evaluate(self._rules, before.state, recent, heard.part(start, start + size))
                if (changed or state is not before.state) and start + size >= end:
                    state = state.at(record.gateway, record.position)
                committed = self._committed(before, state, transitions, record.arrived)
            except ItemConflictError:
                # Another detector, the watchdog or an operator was quicker.
                recent.discard()
                conflicts += 1
                if conflicts == _ATTEMPTS:
                    raise
                self._current |= self._states.load([home])
                continue
            except ItemTooLargeError:
                recent.discard()
                if size == 1:
                    raise
                size = max(1, size // 4)
                continue
            except Exception:
                # It may be written although the answer was lost: other gateways' records must not see what was before.
                recent.discard()
                self._current.pop(home, None)
                raise
            recent.accept(via)
            changed = changed or committed is not before
            self._sent(committed)
            start += size

    def _committed(
        self, before: VersionedState, state: GatewayState, transitions: list[Transition], arrived: dt.datetime
    ) -> VersionedState:
        """Write a state that has changed, with what happened."""
        if state is before.state:
            return before
        lag = Lag(arrived.timestamp(), max(0.0, (self._clock() - arrived).total_seconds()))
        committed = self._states.commit(state, before.version, transitions, now=arrived, lag=lag)
        self._current[state.home] = committed
        self.tally.transitions += len(transitions)
        return committed

    def _sent(self, committed: VersionedState) -> VersionedState:
        """Send what is in the outbox; return the state without it."""
        if not committed.outbox:
            return committed
        self._queue.send(committed.outbox)
        cleared = self._states.clear_outbox(committed)
        self._current[committed.state.home] = cleared
        return cleared
