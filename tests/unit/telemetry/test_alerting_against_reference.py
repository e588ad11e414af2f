"""Random rules and histories: the alert state machine tells what the slow, obvious reference model tells."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from telemetry.alerting.evaluate import Evaluation, advance, evaluate, hold, next_silence, release, silent
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GatewayState, Hold, Position
from telemetry.alerting.transitions import Transition
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.condition_parser import parse_condition
from telemetry.rules.conditions import negate
from telemetry.rules.rule_set import Escalation, Flapping, Rule, RuleSet
from tests.unit.telemetry.reference_alerting import ReferenceGateway
from tests.unit.telemetry.reference_events import (
    ClockTicks,
    Event,
    OperatorHolds,
    OperatorReleases,
    RecordArrives,
    RulesAre,
    SilenceIsChecked,
    Told,
)

START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
EMPTY = GatewayState("gw")
EXAMPLES = 80

# What may happen. Few distinct values and times, so that they meet.

NAMES = ("a", "b", "c", "d")
DEVICES = ("one", "two", "three")
#: When a fires, and when it clears; None is the opposite.
CONDITIONS = (
    ("temperature > 25", None),
    ("temperature > 25", "temperature < 15"),
    ("battery <= 2", "battery >= 3"),
    ("status == fault", None),
    ("status != ok", "status == ok"),
    ("temperature > 25 and battery <= 2", None),
    ("temperature > 25 or status == fault", None),
    ("temperature >= 30 or battery < 3", "temperature < 15"),
    ("(temperature < 15 or status != ok) and battery >= 2", "status == ok"),
)
NO_DATA = ("no_data", "no_data(gateway)")


def seconds(*choices: int) -> list[dt.timedelta]:
    return [dt.timedelta(seconds=choice) for choice in choices]


@functools.cache
def conditions(when: str, clear: str | None):
    parsed = parse_condition(when)
    if when in NO_DATA:
        return parsed, parsed
    return parsed, parse_condition(clear) if clear else negate(parsed)


FAULT = Rule(
    name="fault",
    when=parse_condition("status == fault"),
    clear=parse_condition("status != fault"),
    hold_for=dt.timedelta(0),
    keep_firing_for=dt.timedelta(0),
    severity="warning",
    escalate=None,
    summary="{device_id} {value}",
    runbook="",
    device="*",
    site="*",
    repeat_interval=dt.timedelta(hours=4),
    group_wait=dt.timedelta(seconds=5),
    group_interval=dt.timedelta(minutes=5),
    group_by=("site", "rule"),
    flapping=Flapping(changes=6, window=dt.timedelta(minutes=30)),
)


SETTINGS = list(
    itertools.product(
        seconds(0, 0, 10, 60),
        seconds(0, 0, 10, 60),
        (None, *(Escalation(after, "page") for after in seconds(5, 60))),
        ("*", "*", "north"),
        (1, 2, 3, 6),
        seconds(20, 90, 1800),
    )
)


@st.composite
def a_rule(draw: st.DrawFn, name: str, no_data: bool | None = None) -> Rule:
    about_silence = draw(st.integers(0, 3)) == 0 if no_data is None else no_data
    texts = st.tuples(st.sampled_from(NO_DATA), st.none()) if about_silence else st.sampled_from(CONDITIONS)
    when, clear = conditions(*draw(texts))
    hold_for, keep_firing_for, escalate, site, changes, window = draw(st.sampled_from(SETTINGS))
    return msgspec.structs.replace(
        FAULT,
        name=name,
        when=when,
        clear=clear,
        hold_for=dt.timedelta(seconds=60) if about_silence else hold_for,
        keep_firing_for=keep_firing_for,
        escalate=escalate,
        site="*" if about_silence else site,
        flapping=Flapping(changes, window),
    )


@st.composite
def some_rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    return tuple(draw(a_rule(name)) for name in NAMES[: draw(st.integers(1, 4))])


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
class Sent:
    gap: int
    backlog: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Watchdog:
    gap: int
    silence: bool


@dataclass(frozen=True)
class Order:
    gap: int
    device: int
    rule: int
    kind: str
    lasts: int


@dataclass(frozen=True)
class Edit:
    gap: int
    rules: tuple[Rule, ...]


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
sent = st.builds(
    Sent,
    gap=gaps,
    backlog=st.sampled_from([0, 0, 0, 10, 60]),
    lines=st.lists(st.integers(0, len(LINES) - 1).map(lambda line: LINES[line]), max_size=4).map(tuple),
)
watchdog = st.builds(Watchdog, gap=gaps | st.just(300), silence=st.booleans())
orders = st.builds(
    Order,
    gap=gaps,
    device=st.integers(0, 1),
    rule=st.integers(0, 1),
    kind=st.sampled_from(["acknowledged", "snoozed", "disabled", "release"]),
    lasts=st.sampled_from([10, 60, 300]),
)


def edits(rules: tuple[Rule, ...]) -> st.SearchStrategy[Edit]:
    """A rule goes, comes back or is another from here on."""
    kept = st.lists(st.booleans(), min_size=len(rules), max_size=len(rules)).map(
        lambda keep: tuple(rule for rule, kept in zip(rules, keep, strict=True) if kept)
    )
    changed = st.tuples(*(st.just(rule) | a_rule(rule.name, no_data=rule.no_data is not None) for rule in rules))
    return st.builds(Edit, gap=gaps, rules=kept | st.just(rules) | changed)


@st.composite
def histories(draw: st.DrawFn, *, operators: bool = True, rules_change: bool = True) -> list[Event]:
    """What happens to one gateway, in order."""
    rules = draw(some_rules())
    kinds: list[st.SearchStrategy[Sent | Watchdog | Order | Edit]] = [sent, sent, sent, watchdog]
    kinds += [orders] if operators else []
    kinds += [edits(rules)] if rules_change else []
    moves = draw(st.lists(st.one_of(kinds), min_size=5, max_size=25))
    return list(Happening(rules).all_of(moves))


@dataclass
class Happening:
    """Makes moves into events: the clock goes on by each one's gap."""

    rules: tuple[Rule, ...]
    now: dt.datetime = START
    arrived: dt.datetime = START
    sequences: Counter[str] = field(default_factory=Counter)
    before: list[Reading] = field(default_factory=list)

    def all_of(self, moves: Iterable[Sent | Watchdog | Order | Edit]) -> Iterable[Event]:
        yield RulesAre(self.rules)
        for move in moves:
            self.now += dt.timedelta(seconds=move.gap)
            yield from self.events_of(move)

    def events_of(self, move: Sent | Watchdog | Order | Edit) -> Iterable[Event]:
        if isinstance(move, Sent):
            # A record may be read after the watchdog's tick that came after its arrival, never before an earlier one.
            self.arrived = max(self.arrived, self.now - dt.timedelta(seconds=move.backlog))
            yield RecordArrives(self.arrived, tuple(self.reading(line) for line in move.lines))
        elif isinstance(move, Watchdog):
            yield ClockTicks(self.now)
            if move.silence:
                yield SilenceIsChecked(self.now)
        elif isinstance(move, Edit):
            yield RulesAre(move.rules)
        elif move.kind == "release":
            yield OperatorReleases(DEVICES[move.device], NAMES[move.rule], self.now)
        else:
            until = self.now + dt.timedelta(seconds=move.lasts) if move.kind == "snoozed" else None
            yield OperatorHolds(DEVICES[move.device], NAMES[move.rule], move.kind, self.now, until)

    def reading(self, line: Line) -> Reading:
        if line.again and len(self.before) >= line.again:
            return self.before[-line.again]
        device = DEVICES[line.device]
        self.sequences[device] += 1
        self.before.append(
            Reading(
                device_id=device,
                site="north" if line.north else "south",
                ts=self.arrived - dt.timedelta(seconds=line.under_way),
                seq=self.sequences[device],
                temperature=line.temperature,
                battery=line.battery,
                status=line.status,  # type: ignore[arg-type]
            )
        )
        return self.before[-1]


# The state machine behind what surrounds it in production.

BetweenSteps = Callable[[GatewayState], GatewayState]


def unchanged(state: GatewayState) -> GatewayState:
    return state


_decoder = msgspec.json.Decoder(GatewayState)


def through_json(state: GatewayState) -> GatewayState:
    return _decoder.decode(msgspec.json.encode(state))


@dataclass
class Gateway:
    """One gateway's state and everything it told, with records numbered as the stream numbers them."""

    between: BetweenSteps = unchanged
    state: GatewayState = EMPTY
    recent: Recent = field(default_factory=Recent)
    rules: RuleSet = field(default_factory=lambda: RuleSet(()))
    records: int = 0
    told: list[Transition] = field(default_factory=list)

    def all_of(self, events: Iterable[Event]) -> Gateway:
        for one in events:
            self.happens(one)
        return self

    def happens(self, one: Event) -> None:
        if isinstance(one, RulesAre):
            self.rules = RuleSet(one.rules)
        elif isinstance(one, RecordArrives):
            self.records += 1
            self.record(self.records, one)
        elif isinstance(one, ClockTicks):
            self.tick(one.now)
        elif isinstance(one, SilenceIsChecked):
            self.take(silent(self.rules, self.state, self.recent, one.now))
        else:
            self.order(one)

    def record(self, number: int, one: RecordArrives) -> None:
        """As the detector does: what is not after the state's position has been looked at."""
        self.arrives(one)
        position = Position(str(number), one.arrived)
        if self.state.position is None or not position.is_behind(self.state.position):
            heard = Heard(self.state.gateway, one.arrived, one.readings)
            self.take(evaluate(self.rules, self.state, self.recent, heard), position)
            self.recent.accept()

    def arrives(self, one: RecordArrives) -> None:
        """What was last heard of whom is known exactly, whether or not a rule asks for it at that time."""
        sites = {reading.device_id: reading.site for reading in one.readings}
        self.recent.hear(one.arrived.timestamp(), one.readings[-1].site if one.readings else "", sites)

    def tick(self, now: dt.datetime) -> None:
        due = self.state.due
        evaluation = advance(self.rules, self.state, now)
        assert (due is not None and due <= now) or not evaluation.transitions, "the watchdog would not have looked"
        self.take(evaluation)
        assert self.state.due is None or self.state.due > now, "the watchdog would look again at once"

    def order(self, one: OperatorHolds | OperatorReleases) -> None:
        if isinstance(one, OperatorReleases):
            self.take(release(self.rules, self.state, one.device, one.rule, who="me", why="", now=one.at))
        else:
            order = Hold(kind=one.kind, who="me", why="", at=one.at, until=one.until)  # type: ignore[arg-type]
            self.take(hold(self.rules, self.state, one.device, one.rule, order))

    def take(self, evaluation: Evaluation, position: Position | None = None) -> None:
        self.told += evaluation.transitions
        if evaluation.state is self.state:
            assert not evaluation.transitions, "what was told is not in the state"
            return
        state = msgspec.structs.replace(evaluation.state, position=position) if position else evaluation.state
        self.state = self.between(state)


def as_told(transition: Transition) -> Told:
    alert = bool(transition.alert_id)
    return Told(
        rule=transition.rule,
        device=transition.device,
        active_at=transition.active_at if alert else None,
        sequence=transition.sequence,
        change=transition.change,
        status=transition.status,
        severity=transition.severity if alert else "",
        changed_at=transition.changed_at if alert else None,
        at=transition.recorded_at,
        fired_at=transition.fired_at if alert else None,
        flapping=transition.flapping,
        held=transition.held,
    )


def by_alert(told: Iterable[Told]) -> list[Told]:
    """In the order of each alert; alerts of different devices and rules have no order among them."""
    return sorted(told, key=lambda one: (one.device, one.rule))


def possible(events: Sequence[Event]) -> list[Event]:
    """Without the orders an operator would be refused: to release nothing, to acknowledge what does not fire."""
    done: list[Event] = []
    for one in events:
        if isinstance(one, OperatorHolds | OperatorReleases):
            story = ReferenceGateway(done).story(one.device, one.rule)
            if isinstance(one, OperatorReleases) and story.held not in ("snoozed", "disabled"):
                continue
            if isinstance(one, OperatorHolds) and one.kind == "acknowledged" and story.status != "firing":
                continue
        done.append(one)
    return done


@settings(max_examples=2 * EXAMPLES)
@given(histories(operators=False, rules_change=False))
def test_should_tell_what_the_reference_tells_of_readings_and_the_clock(events) -> None:
    told = by_alert(as_told(one) for one in Gateway().all_of(events).told)
    assert told == ReferenceGateway(events).transitions()
    for change in {one.change for one in told}:
        event(change)


@settings(max_examples=2 * EXAMPLES)
@given(histories(operators=False))
def test_should_tell_what_the_reference_tells_when_rules_change(events) -> None:
    told = by_alert(as_told(one) for one in Gateway().all_of(events).told)
    assert told == ReferenceGateway(events).transitions()


@settings(max_examples=2 * EXAMPLES)
@given(histories().map(possible))
def test_should_tell_what_the_reference_tells_with_operators_at_work(events) -> None:
    told = by_alert(as_told(one) for one in Gateway().all_of(events).told)
    assert told == ReferenceGateway(events).transitions()


@settings(max_examples=EXAMPLES // 2)
@given(histories().map(possible))
def test_should_identify_every_transition_by_alert_and_sequence(events) -> None:
    told = [(one.alert_id, one.sequence) for one in Gateway().all_of(events).told if one.alert_id]
    assert len(set(told)) == len(told)


@settings(max_examples=EXAMPLES // 2)
@given(histories().map(possible))
def test_should_resolve_only_what_fired_and_fire_nothing_twice(events) -> None:
    last: dict[str, str] = {}
    for one in Gateway().all_of(events).told:
        if not one.alert_id:
            continue
        allowed = {
            None: {"pending", "firing"},
            "pending": {"pending", "inactive", "firing"},
            "firing": {"firing", "resolved"},
        }
        assert one.status in allowed.get(last.get(one.alert_id), set())
        last[one.alert_id] = one.status


@settings(max_examples=EXAMPLES // 2)
@given(histories().map(possible))
def test_should_forget_alerts_that_ended_longer_ago_than_a_reading_may_take(events) -> None:
    """With the next change: a write only to forget would not be worth its price."""
    gateway = Gateway().all_of(events)
    event("something to forget" if gateway.state.past else "nothing to forget")
    later = START + MAX_LATENESS + dt.timedelta(days=2)
    faulty = Reading(device_id="new", site="north", ts=later, seq=0, status="fault")
    gateway.happens(RulesAre((FAULT,)))
    gateway.happens(RecordArrives(later, (faulty,)))
    assert gateway.state.alerts["new"].keys() == {"fault"}
    ended = [past.changed_at for rules in gateway.state.past.values() for past in rules.values()]
    assert all(moment >= later - MAX_LATENESS for moment in ended)


@settings(max_examples=EXAMPLES // 2)
@given(histories().map(possible))
def test_should_say_when_the_next_silence_is_due(events) -> None:
    gateway = Gateway().all_of(events)
    due = next_silence(gateway.rules, gateway.state, gateway.recent)
    for moment, holds in (
        [(START + MAX_LATENESS, False)] if due is None else [(due - dt.timedelta(microseconds=1), False), (due, True)]
    ):
        # By the alerts and not by transitions: one that was about to be over goes on firing, and nobody is told.
        after = silent(gateway.rules, gateway.state, gateway.recent, moment).state
        assert (after.alerts != gateway.state.alerts) == holds


def cut(events: Sequence[Event], where: Callable[[int], int]) -> list[Event]:
    """Each record in two at some line of it, both with its arrival."""
    parts: list[Event] = []
    for one in events:
        if isinstance(one, RecordArrives) and one.readings:
            at = where(len(one.readings))
            parts += [replace(one, readings=one.readings[:at])] if at else []
            parts += [replace(one, readings=one.readings[at:])] if at < len(one.readings) else []
        else:
            parts.append(one)
    return parts


def joined(events: Sequence[Event]) -> list[Event]:
    """Records that arrived together, and with nothing between them, as one."""
    batches: list[Event] = []
    for one in events:
        last = batches[-1] if batches else None
        if isinstance(one, RecordArrives) and isinstance(last, RecordArrives) and one.arrived == last.arrived:
            batches[-1] = replace(last, readings=last.readings + one.readings)
        else:
            batches.append(one)
    return batches


@settings(max_examples=EXAMPLES)
@given(histories().map(possible), st.data())
def test_should_tell_the_same_wherever_records_are_cut(events, data) -> None:
    whole = Gateway().all_of(events).told
    assert Gateway().all_of(cut(events, lambda lines: data.draw(st.integers(0, lines)))).told == whole
    assert Gateway().all_of(joined(events)).told == whole


@settings(max_examples=EXAMPLES)
@given(histories().map(possible))
def test_should_tell_the_same_through_json_after_every_step(events) -> None:
    assert Gateway(between=through_json).all_of(events).told == Gateway().all_of(events).told


@settings(max_examples=EXAMPLES)
@given(histories(rules_change=False).map(possible), st.data())
def test_should_change_nothing_when_records_are_delivered_again(events, data) -> None:
    """After any step, any number of the latest records come once more, in their order.

    Those from before the clock changed something do not: one that changed nothing then is a late one now.
    """
    smooth, bumpy = Gateway(), Gateway()
    delivered: list[tuple[int, RecordArrives]] = []
    for one in events:
        before = bumpy.state
        smooth.happens(one)
        bumpy.happens(one)
        if isinstance(one, ClockTicks | SilenceIsChecked) and bumpy.state is not before:
            delivered.clear()
        if isinstance(one, RecordArrives):
            delivered.append((bumpy.records, one))
            again = data.draw(st.integers(0, len(delivered)))
            for number, record in delivered[len(delivered) - again :]:
                bumpy.record(number, record)
    assert bumpy.told == smooth.told
    assert bumpy.state == smooth.state
