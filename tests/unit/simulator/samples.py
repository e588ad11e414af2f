"""Scenarios to try things on, what a run of one sends, and a sink that keeps it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, NamedTuple

from hypothesis import strategies as st

from simulator.faults.plan import PlannedFault, plan_faults
from simulator.fleet.fleet import Fleet
from simulator.models.epoch import MICROSECONDS, microseconds
from simulator.models.sites import Site
from simulator.run.batches import TrackedRecord
from simulator.run.traffic import LONGEST_WAIT, Traffic
from simulator.scenario.faults import (
    BatteryDying,
    ClockSkew,
    Drift,
    Duplicate,
    Fault,
    Flapping,
    GatewayDown,
    HeardTwice,
    Late,
    Malformed,
    Noise,
    Oversize,
    Reorder,
    Restart,
    Silence,
    SiteOutage,
    Spike,
    Step,
    Stuck,
    Uploads,
    Wander,
)
from simulator.scenario.scenario import Group, Scenario
from simulator.sinks.record import Record
from simulator.sinks.sink import Delivery
from telemetry.reading.codec import decode_batch
from telemetry.reading.fields import METRICS
from telemetry.reading.model import Reading

#: A Monday.
START = dt.datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=dt.UTC)

SITES = (
    Site(name="north", timezone="Europe/Oslo", latitude=59.9, longitude=10.8, gateways=3),
    Site(name="south", timezone="Europe/Rome", latitude=41.9, longitude=12.5, gateways=2),
)


def scenario(*given: Fault, **more: Any) -> Scenario:
    """A small fleet at two sites, for two minutes."""
    usual: dict[str, Any] = {
        "name": "sample",
        "seed": 5,
        "length": "2m",
        "interval": "2s",
        "sites": SITES,
        "devices": (Group(model="indoor", count=12), Group(model="freezer", count=8)),
        "faults": given,
    }
    return Scenario(**(usual | more))


class Line(NamedTuple):
    """A line as it arrives; ``reading`` is None if it is none."""

    device: str
    gateway: str
    at: float
    text: bytes
    flags: int
    reading: Reading | None
    reason: str


def injected(made: Scenario, start: dt.datetime = START, length: float | None = None) -> list[PlannedFault]:
    since = microseconds(start)
    return plan_faults(Fleet(made), since, since + round((length or made.duration) * MICROSECONDS))


def traffic(
    made: Scenario,
    *,
    start: dt.datetime = START,
    length: float | None = None,
    batch: int = 100,
    part: tuple[int, int] = (0, 1),
    wait: float = LONGEST_WAIT,
) -> Traffic:
    since = microseconds(start)
    until = since + round((length or made.duration) * MICROSECONDS)
    return Traffic(Fleet(made), injected(made, start, length), since, until, batch=batch, part=part, wait=wait)


def tracked_records(made: Scenario, longest: float = inf, **more: Any) -> list[TrackedRecord]:
    return [tracked for some in traffic(made, **more).slices(longest) for tracked in some]


def lines_of(made: Scenario, sent: Sequence[TrackedRecord]) -> list[Line]:
    devices = Fleet(made).devices
    found = []
    for tracked in sent:
        record = tracked.record
        texts = record.payload.splitlines(keepends=True)
        assert len(texts) == record.lines == len(tracked.device) == len(tracked.flags)
        arrived = dt.datetime.fromtimestamp(record.at, dt.UTC)
        for text, place, flags in zip(texts, tracked.device.tolist(), tracked.flags.tolist(), strict=True):
            readings, rejected = decode_batch(text, arrived)
            reading, reason = (readings[0], "") if readings else (None, rejected[0].reason)
            found.append(Line(devices[place].id, record.gateway, record.at, text, flags, reading, reason))
    return found


def lines(made: Scenario, **more: Any) -> list[Line]:
    return lines_of(made, tracked_records(made, **more))


def readings(made: Scenario, **more: Any) -> dict[tuple[str, int], Reading]:
    """The readings that arrive, by device and number."""
    found = [line.reading for line in lines(made, **more) if line.reading]
    return {(reading.device_id, reading.seq): reading for reading in found}


def by_gateway(sent: Sequence[TrackedRecord]) -> dict[str, bytes]:
    """Each gateway's lines, in their order."""
    return lines_by_gateway(tracked.record for tracked in sent)


def lines_by_gateway(records: Iterable[Record]) -> dict[str, bytes]:
    """Each gateway's lines, in their order."""
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    for record in records:
        found[record.gateway].append(record.payload)
    return {gateway: b"".join(payloads) for gateway, payloads in found.items()}


class MemorySink:
    """Keeps the records it accepts; refuses those of a gateway, if told to."""

    def __init__(self, refuses: str = "") -> None:
        self._refuses = refuses
        self.records: list[Record] = []

    def send(self, records: Sequence[Record], /) -> Delivery:
        refused = tuple(record for record in records if record.gateway == self._refuses)
        self.records += [record for record in records if record.gateway != self._refuses]
        return Delivery(retried=len(refused), refused=refused, reason="not today" if refused else "")

    def lines(self) -> dict[str, bytes]:
        return lines_by_gateway(self.records)

    def text(self) -> bytes:
        return b"".join(record.payload for record in self.records)


_spans = st.integers(1, 40).map("{}s".format)
_chances = st.floats(0.05, 1)
_whom = {
    "start": st.integers(0, 50).map("{}s".format),
    "duration": _spans,
    "sites": st.sampled_from([("*",), ("site-0",)]),
}
_everywhere = _whom | {"sites": st.just(("*",))}
_metrics = st.sampled_from(METRICS)
_errors = {"metric": _metrics, "size": st.floats(-60, 60)}

_kinds: list[st.SearchStrategy[Fault]] = [
    st.builds(Spike, chance=_chances, **_errors, **_whom),
    st.builds(Step, **_errors, **_whom),
    st.builds(Drift, metric=_metrics, per_hour=st.floats(-5_000, 5_000), **_whom),
    st.builds(Stuck, metric=_metrics, **_whom),
    st.builds(Noise, metric=_metrics, size=st.floats(0.1, 50), **_whom),
    st.builds(Flapping, period=_spans, **_errors, **_whom),
    st.builds(BatteryDying, to=st.floats(0, 3), **_whom),
    st.builds(Duplicate, chance=_chances, within=st.sampled_from(["0s", "300ms", "20s"]), **_whom),
    st.builds(Late, chance=_chances, delay=_spans, **_whom),
    st.builds(Reorder, chance=_chances, within=_spans, **_whom),
    st.builds(ClockSkew, ahead=st.floats(-200, 200), **_whom),
    st.builds(Malformed, chance=_chances, **_whom),
    st.builds(Oversize, chance=_chances, bytes=st.integers(1, 3_000), **_whom),
    st.builds(GatewayDown, backlog=st.just(True), count=st.just(1), **_whom),
    st.builds(SiteOutage, backlog=st.just(True), **_whom),
    st.builds(Uploads, every=_spans, newest_first=st.booleans(), **_whom),
]
#: Lines that come through other gateways, and readings that are no readings or have the numbers of others.
_routes: list[st.SearchStrategy[Fault]] = [
    st.builds(Wander, every=st.none() | _spans, to=st.sampled_from(["*", "*-gw-0[12]"]), **_everywhere),
    st.builds(HeardTwice, chance=_chances, within=st.sampled_from(["0s", "300ms", "20s"]), **_everywhere),
]
_restarts: list[st.SearchStrategy[Fault]] = [
    st.builds(Restart, counter=st.sampled_from(["flash", "ram"]), **_whom),
]
_losses: list[st.SearchStrategy[Fault]] = [
    st.builds(Silence, share=st.floats(0.1, 0.9), **_whom),
    st.builds(GatewayDown, count=st.just(1), **_whom),
    st.builds(SiteOutage, **_whom),
]


@st.composite
def scenarios(
    draw: st.DrawFn,
    *,
    losses: bool = True,
    routes: bool = True,
    restarts: bool = True,
    kinds: Sequence[st.SearchStrategy[Fault]] | None = None,
) -> Scenario:
    """Any fleet, and up to six faults of any kind; with ``losses``, some of which lines are never sent."""
    chosen = [*_kinds, *(_losses if losses else []), *(_routes if routes else []), *(_restarts if restarts else [])]
    chosen = chosen if kinds is None else list(kinds)
    models = st.sampled_from(["indoor", "outdoor", "freezer", "greenhouse"])
    intervals = st.sampled_from([None, "300ms", "1s", "7s", "35s"])
    groups = st.builds(Group, model=models, count=st.integers(1, 6), interval=intervals)
    sites = [
        Site(name=f"site-{n}", gateways=draw(st.integers(1 if n else 2, 3)), timezone=zone)
        for n, zone in enumerate(["UTC", "Asia/Kolkata", "America/Chicago"][: draw(st.integers(1, 3))])
    ]
    made: Scenario = Scenario(
        name="drawn",
        seed=draw(st.integers(0, 2**63 - 1)),
        length=draw(st.integers(52, 75).map("{}s".format)),
        interval="2s",
        sites=tuple(sites),
        devices=tuple(draw(st.lists(groups, min_size=1, max_size=3))),
        faults=tuple(draw(st.lists(st.one_of(chosen), max_size=6))) if chosen else (),
    )
    return made
