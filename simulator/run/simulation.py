"""A run: a scenario's lines, batched, sent at their time, and counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from math import inf

import msgspec

from simulator.faults.plan import ground_truth, plan_faults
from simulator.faults.truth import InjectedFault
from simulator.fleet.fleet import Fleet
from simulator.models.epoch import MICROSECONDS, microseconds, moment
from simulator.run.manifest import Manifest
from simulator.run.sender import Counts, Sender
from simulator.run.traffic import LONGEST_WAIT, UNPACED_WAIT, Traffic
from simulator.scenario.scenario import LONGEST, Scenario
from simulator.sinks.record import OUTBOX_BYTES, Record
from simulator.sinks.sink import Sink

#: Lines a record holds at most, unless asked otherwise: some 16 kB.
DEFAULT_BATCH = 100

#: How long a run without an end is planned for.
_FOR_EVER = LONGEST

_YEAR = 365.25 * 86_400

#: When the simulated time may begin: ``seq`` counts since 1970, and all that is computed with time has an end.
_EARLIEST, _LATEST = dt.datetime(1970, 1, 2, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario at a time. ``until`` is None for a run without an end; times are UTC.

    ``speed`` is how many simulated seconds pass in a second, 0 for as fast as it goes. ``part`` is (number, of how
    many): which gateways send.
    """

    scenario: Scenario
    since: dt.datetime
    until: dt.datetime | None
    speed: float = 1.0
    batch: int = DEFAULT_BATCH
    part: tuple[int, int] = (0, 1)


def plan(
    scenario: Scenario,
    *,
    readings: int | None = None,
    length: float | None = None,
    start: dt.datetime | None = None,
    speed: float = 1.0,
    batch: int = DEFAULT_BATCH,
) -> Plan:
    """Plan a run of ``readings`` readings, or of ``length`` simulated seconds, or else without an end.

    ``start`` (UTC) is now for a run in real time; for any other so long ago that the simulated time ends when the run
    does (for one that goes as fast as it can: now), because readings of the future are refused.
    """
    if batch < 1 or (readings is not None and readings < 1) or (length is not None and length <= 0):
        raise ValueError("a batch and a run need at least one reading")
    if not 0 <= speed < inf:
        raise ValueError(f"invalid speed {speed:g}: give how many simulated seconds pass in a second")
    now = dt.datetime.now(dt.UTC)
    fleet = Fleet(scenario) if readings is not None else None
    if fleet and readings is not None:
        length = readings / fleet.rate
    if length is not None and length > LONGEST.total_seconds():
        raise ValueError(f"that would take {length / _YEAR:,.1f} years; ten are the most")
    if fleet and readings is not None:
        since = microseconds(start or now)
        length = (fleet.until(since, readings) - since) / MICROSECONDS
    if start is None:
        # What goes slower than real time ends later than that: it begins now.
        ahead = max(0.0, 1 - (1 / speed if speed else 0.0))
        start = now if length is None else now - dt.timedelta(seconds=length * ahead)
    if not _EARLIEST <= start < _LATEST:
        raise ValueError(f"the simulated time begins in {start:%Y}; let it be between {_EARLIEST:%Y} and {_LATEST:%Y}")
    until = None
    if fleet and readings is not None:
        until = moment(fleet.until(microseconds(start), readings))
    elif length is not None:
        until = start + dt.timedelta(seconds=length)
    return Plan(
        scenario=scenario,
        since=start.astimezone(dt.UTC),
        until=until and until.astimezone(dt.UTC),
        speed=speed,
        batch=batch,
    )


def records(scenario: Scenario, start: dt.datetime, batch: int = DEFAULT_BATCH) -> Iterator[Record]:
    """Yield all records of a scenario, in the order of the times when they are sent."""
    planned = plan(scenario, length=scenario.duration, start=start, batch=batch)
    for tracked_records in _Run(planned).traffic.slices():
        yield from (tracked.record for tracked in tracked_records)


def injected_faults(scenario: Scenario, start: dt.datetime) -> list[InjectedFault]:
    """Return the ground truth of a scenario, in the order of time."""
    return _Run(plan(scenario, length=scenario.duration, start=start)).injected_faults


def simulate(
    planned: Plan,
    sink: Sink,
    *,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Counts], None] = lambda _: None,
    on_injected: Callable[[InjectedFault], None] = lambda _: None,
    outbox_bytes: int = OUTBOX_BYTES,
) -> Manifest:
    """Run a plan to its end, or until ``stopped`` says so.

    The same plan gives the same lines, whatever the batch, the speed, the parts and the sink. A run that is stopped
    sends what is held back then, and its manifest says what was sent. ``on_progress`` is called after each delivery,
    ``on_injected`` when a fault is injected, and once more if the run was stopped before its end.

    Raises :class:`~simulator.scenario.scenario.ScenarioError` for a scenario that cannot be used, and what the sink
    raises; but a sink that fails after it has accepted something only ends the run: the manifest says what was refused.
    """
    run = _Run(planned)
    names = [device.id for device in run.fleet.devices]
    sender = Sender(sink, names, on_progress, stopped, since=run.since, speed=planned.speed, most=outbox_bytes)
    coming = iter(run.injected_faults)
    injected: list[InjectedFault] = []
    due = next(coming, None)

    def reach(at: float) -> bool:
        """Wait until that simulated time, and report what is injected until then; False if the run should stop."""
        nonlocal due
        while due and due.since.timestamp() <= at:
            if not sender.wait(due.since.timestamp()):
                return False
            on_injected(due)
            injected.append(due)
            due = next(coming, None)
        return sender.wait(at)

    with sender:
        longest = planned.speed or inf
        tracked_records = (tracked for tracked_records in run.traffic.slices(longest) for tracked in tracked_records)
        for tracked in tracked_records:
            if not reach(tracked.record.at):
                break
            sender.take(tracked)
        else:
            reach(run.until / MICROSECONDS)
        if not sender.going:
            for tracked in run.traffic.rest(microseconds(sender.reached())):
                sender.take(tracked)
        sender.finish()
    ended = moment(run.until) if sender.going else min(moment(run.until), sender.reached())
    for fault in injected:
        if fault.until > ended:
            on_injected(msgspec.structs.replace(fault, until=max(ended, fault.since)))
    return sender.manifest(
        scenario=planned.scenario.name,
        seed=planned.scenario.seed,
        gateways=len(run.fleet.gateways),
        started_at=planned.since,
        ended_at=ended,
    )


class _Run:
    """The fleet, faults and traffic of a plan."""

    def __init__(self, planned: Plan) -> None:
        self.fleet = Fleet(planned.scenario)
        self.since = microseconds(planned.since)
        self.until = microseconds(planned.until or planned.since + _FOR_EVER)
        self._faults = plan_faults(self.fleet, self.since, self.until)
        self.traffic = Traffic(
            self.fleet,
            self._faults,
            self.since,
            self.until,
            batch=planned.batch,
            part=planned.part,
            # By the clock of whoever receives it: an hour in a minute is not sixty times as many records.
            wait=LONGEST_WAIT * max(1.0, planned.speed or UNPACED_WAIT),
        )

    @property
    def injected_faults(self) -> list[InjectedFault]:
        return ground_truth(self.fleet, self._faults)
