"""Strategies for what happens to a home. Few distinct values and times, so that they meet."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hypothesis import strategies as st

from telemetry.reading.model import Reading
from telemetry.rules.rule_set import Rule
from tests.unit.telemetry.alerting.reference_events import (
    HOME,
    ClockTicks,
    Event,
    OperatorCloses,
    OperatorHolds,
    OperatorReleases,
    OperatorRetires,
    RecordArrives,
    Refused,
    RulesAre,
    RulesAreReviewed,
    SilenceIsChecked,
    SoftStateIsLost,
)
from tests.unit.telemetry.alerting.rule_strategies import NAMES, a_rule, kind_of, some_rules

START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
DEVICES = ("one", "two", "three")


@dataclass(frozen=True)
class Line:
    """A reading to come: ``under_way`` from its device's clock to ours, or one of those before once more."""

    device: int
    under_way: int
    temperature: float | None
    battery: float | None
    status: str
    north: bool
    again: int | None


@dataclass(frozen=True)
class Batch:
    """Samples of one device, ``spacing`` apart, the last of them taken ``under_way`` before it is sent."""

    device: int
    spacing: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Sent:
    """A record with lines, or with a batch in an ``order``, and with lines that are rejected."""

    gap: int
    backlog: int
    guest: bool
    lines: tuple[Line, ...]
    refused: tuple[Refused, ...]
    batch: Batch | None
    order: str


@dataclass(frozen=True)
class ClockChanges:
    """From here on a device's clock is this far behind; or its count begins again."""

    gap: int
    device: int
    behind: int
    restarts: bool


@dataclass(frozen=True)
class Watchdog:
    gap: int
    silence: bool
    ahead: int


@dataclass(frozen=True)
class Ordered:
    gap: int
    device: int
    rule: int
    kind: str
    lasts: int


@dataclass(frozen=True)
class Edit:
    gap: int
    rules: tuple[Rule, ...]
    reviewed: bool
    retired: frozenset[str]


@dataclass(frozen=True)
class Lost:
    gap: int


Move = Sent | ClockChanges | Watchdog | Ordered | Edit | Lost

gaps = st.sampled_from([0, 1, 5, 5, 10, 20, 60, 90])
#: All that a line can be, some of it more than once to come more often. One draw of it is far faster than eight.
LINES = [
    Line(*line)
    for line in itertools.product(
        (0, 0, 0, 1, 2),
        (0, 0, 0, 1, 5, 20, 90, -30),
        (30.0, 10.0, 20.0, None),
        (2.0, 3.0, None),
        ("ok", "degraded", "fault"),
        (True, True, True, False),
        (None, None, None, None, 1, 2, 5),
    )
]
lines = st.integers(0, len(LINES) - 1).map(lambda line: LINES[line])
refusals = st.builds(
    Refused,
    st.sampled_from([*DEVICES, "never-accepted"]),
    st.sampled_from(["north", "north", "south", ""]),
    st.sampled_from(["from_future", "from_future", "too_late", "missing_field"]),
)
batches = st.builds(
    Batch,
    device=st.integers(0, 1),
    spacing=st.sampled_from([0, 1, 5, 20, 60]),
    lines=st.lists(lines, min_size=2, max_size=6).map(tuple),
)
sent = st.builds(
    Sent,
    gap=gaps,
    backlog=st.sampled_from([0, 0, 0, 10, 60]),
    guest=st.sampled_from([False, False, True]),
    lines=st.lists(lines, min_size=1, max_size=4).map(tuple) | st.just(()),
    refused=st.just(()) | st.lists(refusals, max_size=2).map(tuple),
    batch=st.none() | batches,
    order=st.sampled_from(["as taken", "as taken", "newest first", "shuffled"]),
)
clocks = st.builds(
    ClockChanges,
    gap=gaps,
    device=st.integers(0, 1),
    behind=st.sampled_from([0, 3 * 3600, 3600, 60, -60, -240]),
    restarts=st.sampled_from([False, False, False, True]),
)
watchdog = st.builds(
    Watchdog, gap=gaps | st.just(300), silence=st.booleans(), ahead=st.sampled_from([0, 0, 0, 0, 7200, -7200])
)
orders = st.builds(
    Ordered,
    gap=gaps,
    device=st.integers(0, 1),
    rule=st.integers(0, 1),
    kind=st.sampled_from(["acknowledged", "snoozed", "disabled", "release", "close", "retire"]),
    lasts=st.sampled_from([10, 60, 300]),
)
#: The soft state is lost now and then; hypothesis would draw from two strategies equally often.
seldom = st.tuples(clocks, st.sampled_from([False] * 5 + [True])).map(
    lambda drawn: Lost(drawn[0].gap) if drawn[1] else drawn[0]
)


def edits(rules: tuple[Rule, ...]) -> st.SearchStrategy[Edit]:
    """A rule goes, comes back or is another from here on, and the watchdog notices or not; or devices are retired."""
    kept = st.lists(st.booleans(), min_size=len(rules), max_size=len(rules)).map(
        lambda keep: tuple(rule for rule, kept in zip(rules, keep, strict=True) if kept)
    )
    changed = st.tuples(*(st.just(rule) | a_rule(rule.name, kind_of(rule)) for rule in rules))
    return st.builds(
        Edit,
        gap=gaps,
        rules=kept | st.just(rules) | changed,
        reviewed=st.booleans(),
        retired=st.sampled_from([frozenset(), frozenset(), frozenset(), frozenset(DEVICES[:1])]),
    )


@st.composite
def histories(draw: st.DrawFn, *, operators: bool = True, rules_change: bool = True) -> list[Event]:
    """What happens to one home, in order."""
    rules = draw(some_rules())
    kinds: list[st.SearchStrategy[Move]] = [sent, sent, sent, sent, sent, watchdog, watchdog, seldom]
    kinds += [orders] if operators else []
    kinds += [edits(rules)] if rules_change else []
    moves = draw(st.lists(st.one_of(kinds), min_size=8, max_size=25))
    return list(Happening(rules).all_of(moves))


@dataclass
class Happening:
    """Makes moves into events: the clock goes on by each one's gap."""

    rules: tuple[Rule, ...]
    now: dt.datetime = START
    arrived: dict[str, dt.datetime] = field(default_factory=dict)
    behind: Counter[str] = field(default_factory=Counter)
    sequences: Counter[str] = field(default_factory=Counter)
    before: list[Reading] = field(default_factory=list)

    def all_of(self, moves: Iterable[Move]) -> Iterator[Event]:
        yield RulesAre(self.rules)
        for move in moves:
            self.now += dt.timedelta(seconds=move.gap)
            yield from self.events_of(move)

    def events_of(self, move: Move) -> Iterator[Event]:
        if isinstance(move, Sent):
            yield self.record(move)
        elif isinstance(move, ClockChanges):
            device = DEVICES[move.device]
            self.behind[device] = move.behind
            if move.restarts:
                self.sequences[device] = 0
        elif isinstance(move, Watchdog):
            now = self.now + dt.timedelta(seconds=move.ahead)
            yield ClockTicks(now)
            if move.silence:
                yield SilenceIsChecked(now)
        elif isinstance(move, Edit):
            yield RulesAre(move.rules)
            if move.reviewed:
                yield RulesAreReviewed(self.now, move.retired)
        elif isinstance(move, Lost):
            yield SoftStateIsLost()
        else:
            yield self.order(move)

    def record(self, move: Sent) -> RecordArrives:
        # A record may be read after the watchdog's tick that came after its arrival, and after one of another gateway
        # that arrived later; never before an earlier one of its own gateway.
        gateway = "other" if move.guest else HOME
        arrived = max(self.arrived.get(gateway, START), self.now - dt.timedelta(seconds=move.backlog))
        self.arrived[gateway] = arrived
        readings = [self.reading(line, arrived) for line in move.lines]
        if move.batch is not None:
            batch = list(self.samples(move.batch, arrived))
            if move.order == "newest first":
                batch.reverse()
            elif move.order == "shuffled":
                batch = [*batch[1::2], *batch[::2]]
            readings = [*readings[:1], *batch, *readings[1:]]
        return RecordArrives(arrived, tuple(readings), move.refused, gateway)

    def samples(self, batch: Batch, arrived: dt.datetime) -> Iterator[Reading]:
        for number, line in enumerate(batch.lines):
            age = (len(batch.lines) - 1 - number) * batch.spacing + max(batch.lines[0].under_way, 0)
            yield self.take(DEVICES[batch.device], line, arrived - dt.timedelta(seconds=age))

    def reading(self, line: Line, arrived: dt.datetime) -> Reading:
        if line.again and len(self.before) >= line.again:
            return self.before[-line.again]
        return self.take(DEVICES[line.device], line, arrived - dt.timedelta(seconds=line.under_way))

    def take(self, device: str, line: Line, taken: dt.datetime) -> Reading:
        """Let a device take a reading at a time of ours."""
        self.sequences[device] += 1
        self.before.append(
            Reading(
                device_id=device,
                site="north" if line.north else "south",
                ts=taken - dt.timedelta(seconds=self.behind[device]),
                seq=self.sequences[device],
                temperature=line.temperature,
                battery=line.battery,
                status=line.status,  # type: ignore[arg-type]
            )
        )
        return self.before[-1]

    def order(self, move: Ordered) -> Event:
        device, rule = DEVICES[move.device], NAMES[move.rule]
        if move.kind == "release":
            return OperatorReleases(device, rule, self.now)
        if move.kind == "close":
            return OperatorCloses(device, rule, self.now)
        if move.kind == "retire":
            return OperatorRetires(device, self.now)
        until = self.now + dt.timedelta(seconds=move.lasts) if move.kind == "snoozed" else None
        return OperatorHolds(device, rule, move.kind, self.now, until)
