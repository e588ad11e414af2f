"""The state machine of one home behind what surrounds it in production."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from telemetry.alerting.evaluate import (
    Evaluation,
    advance,
    close,
    evaluate,
    hold,
    release,
    retire,
    review,
    silent,
)
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GatewayState, Hold, Position
from telemetry.alerting.transitions import Transition
from telemetry.reading.codec import Rejected
from telemetry.rules.rule_set import RuleSet
from tests.unit.telemetry.alerting.reference_alerting import Story
from tests.unit.telemetry.alerting.reference_events import (
    HOME,
    ClockTicks,
    Event,
    OperatorCloses,
    OperatorHolds,
    OperatorReleases,
    OperatorRetires,
    Order,
    RecordArrives,
    RulesAre,
    RulesAreReviewed,
    SilenceIsChecked,
    SoftStateIsLost,
    Told,
)
from tests.unit.telemetry.alerting.reference_home import ReferenceHome

EMPTY = GatewayState(HOME)

BetweenSteps = Callable[[GatewayState], GatewayState]
#: Where to cut a record of this many readings into the parts that are evaluated one by one.
Cuts = Callable[[int], Sequence[int]]


def unchanged(state: GatewayState) -> GatewayState:
    return state


_decoder = msgspec.json.Decoder(GatewayState)


def through_json(state: GatewayState) -> GatewayState:
    return _decoder.decode(msgspec.json.encode(state))


def in_one_piece(_: int) -> Sequence[int]:
    return ()


@dataclass
class Home:
    """One home's state and everything that it reported, with records numbered as the streams number them."""

    between: BetweenSteps = unchanged
    cuts: Cuts = in_one_piece
    #: How many transitions the watchdog makes in one piece; None for all that there are.
    most: int | None = None
    state: GatewayState = EMPTY
    recent: Recent = field(default_factory=Recent)
    rules: RuleSet = field(default_factory=lambda: RuleSet(()))
    records: int = 0
    told: list[Transition] = field(default_factory=list)

    def all_of(self, events: Iterable[Event]) -> Home:
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
            self.tick(one)
        elif isinstance(one, SilenceIsChecked):
            self.piecewise(lambda: silent(self.rules, self.state, self.recent, one.now, most=self.most))
        elif isinstance(one, RulesAreReviewed):
            self.review(one)
        elif isinstance(one, SoftStateIsLost):
            self.recent = Recent()
        else:
            self.order(one)

    def record(self, number: int, one: RecordArrives) -> None:
        """As the detector does: what is not after the position of its gateway has been looked at."""
        position, before = Position(str(number), one.arrived), self.state.position_of(one.gateway)
        rejected = [Rejected(b"", line.reason, "", line.device, line.site) for line in one.refused]  # type: ignore[arg-type]
        heard = Heard(one.gateway, one.arrived, one.readings, rejected)
        via = "" if one.gateway == HOME else one.gateway
        if before is not None and position.is_behind(before):
            self.recent.begin(heard)
            self.recent.accept(via)
            return
        cuts, old = [0, *self.cuts(len(one.readings)), len(one.readings)], self.state
        for start, stop in itertools.pairwise(cuts):
            self.evaluate(heard.part(start, stop))
            self.recent.accept(via)
        if self.state is not old:
            self.state = self.state.at(one.gateway, position)

    def evaluate(self, heard: Heard) -> None:
        """Evaluate twice, as where the first write fails: it must not matter."""
        failed = evaluate(self.rules, self.state, self.recent, heard)
        self.recent.discard()
        evaluation = evaluate(self.rules, self.state, self.recent, heard)
        assert evaluation == failed
        self.take(evaluation)

    def tick(self, one: ClockTicks) -> None:
        due, before = self.state.due, len(self.told)
        self.piecewise(lambda: advance(self.rules, self.state, one.now, most=self.most))
        assert (due is not None and due <= one.now) or len(self.told) == before, "the watchdog would not have looked"
        assert self.state.due is None or self.state.due > one.now, "the watchdog would look again at once"

    def review(self, one: RulesAreReviewed) -> None:
        self.piecewise(lambda: review(self.rules, self.state, one.now, retired=one.retired, most=self.most))
        for device in one.retired:
            self.recent.forget(device)

    def order(self, one: Order) -> None:
        who = {"who": "me", "why": "because"}
        if isinstance(one, OperatorReleases):
            self.take(release(self.rules, self.state, one.device, one.rule, now=one.at, **who))
        elif isinstance(one, OperatorCloses):
            self.take(close(self.rules, self.state, one.device, one.rule, now=one.at, **who))
        elif isinstance(one, OperatorRetires):
            self.take(retire(self.rules, self.state, one.device, now=one.at, **who))
            self.recent.forget(one.device)
        else:
            order = Hold(kind=one.kind, at=one.at, until=one.until, **who)  # type: ignore[arg-type]
            self.take(hold(self.rules, self.state, one.device, one.rule, order))

    def piecewise(self, step: Callable[[], Evaluation]) -> None:
        """Do a step of the watchdog until nothing is left, as it does where it makes many transitions."""
        while True:
            evaluation = step()
            self.take(evaluation)
            if self.most is None or len(evaluation.transitions) < self.most:
                return

    def take(self, evaluation: Evaluation) -> None:
        self.told += evaluation.transitions
        if evaluation.state is self.state:
            assert not evaluation.transitions, "what was told is not in the state"
        else:
            self.state = self.between(evaluation.state)


def as_told(transition: Transition) -> Told:
    alert = bool(transition.alert_id)
    return Told(
        rule=transition.rule,
        device=transition.device,
        gateway=transition.gateway,
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
        who=transition.who,
    )


def by_alert(told: Iterable[Told]) -> list[Told]:
    """In the order of each alert; alerts of different devices and rules have no order among them."""
    return sorted(told, key=lambda one: (one.device, one.rule))


def possible(events: Sequence[Event]) -> list[Event]:
    """With orders on other alerts, or without them, where an operator would be refused."""
    done: list[Event] = []
    for one in events:
        if isinstance(one, OperatorHolds | OperatorReleases | OperatorCloses):
            home = ReferenceHome(done)
            targets = [(one.device, one.rule), *home.alerts()]
            found = next((target for target in targets if accepts(home.story(*target), one)), None)
            done += [replace(one, device=found[0], rule=found[1])] if found else []
        else:
            done.append(one)
    return done


def accepts(story: Story, order: OperatorHolds | OperatorReleases | OperatorCloses) -> bool:
    """Only what is held can be released, only what is active closed, and only what fires acknowledged."""
    if isinstance(order, OperatorReleases):
        return story.held in ("snoozed", "disabled")
    if isinstance(order, OperatorCloses):
        return story.active
    return order.kind != "acknowledged" or story.status == "firing"
