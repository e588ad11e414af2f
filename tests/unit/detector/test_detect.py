"""One invocation: order, at-least-once, and failures that stay with their gateway."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence

import pytest

from lambdas.detector.detect import Detection, EarlierRecordFailedError
from lambdas.detector.states import StateConflictError, VersionedState
from telemetry.alerting import GatewayState, Position
from telemetry.codec import encode_batch
from telemetry.message import AlertMessage
from telemetry.reading import Reading
from telemetry.rules import parse_rules

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
RULES = parse_rules("rules: [{name: too-hot, when: temperature > 40, clear: temperature < 38, severity: critical}]")


class MemoryStates:
    """States as DynamoDB would keep them; ``broken`` gateways cannot be written."""

    def __init__(self) -> None:
        self.stored: dict[str, VersionedState] = {}
        self.broken: set[str] = set()

    def load(self, gateways: Iterable[str]) -> dict[str, VersionedState]:
        return {key: self.stored.get(key, VersionedState(GatewayState(key), 0)) for key in gateways}

    def commit(self, state: GatewayState, expected_version: int) -> VersionedState:
        stored = self.load([state.gateway])[state.gateway]
        if state.gateway in self.broken:
            raise ConnectionError("throttled")
        if stored.version != expected_version:
            raise StateConflictError(state.gateway)
        self.stored[state.gateway] = VersionedState(state, expected_version + 1)
        return self.stored[state.gateway]


class Inbox:
    """Messages as a subscriber receives them; refuses everything while ``closed``."""

    def __init__(self) -> None:
        self.messages: list[AlertMessage] = []
        self.closed = False

    def publish(self, messages: Sequence[AlertMessage]) -> None:
        if self.closed:
            raise ConnectionError("no topic")
        self.messages += messages


@pytest.fixture
def states() -> MemoryStates:
    return MemoryStates()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def detection(states: MemoryStates, inbox: Inbox) -> Detection:
    return Detection(rules=RULES, states=states, alerts=inbox, gateways=["a", "b"], clock=lambda: NOW)


_sequence = itertools.count(1)


def at() -> Position:
    """The next place in the stream."""
    return Position(str(next(_sequence)), NOW)


def batch(*readings: tuple[int, float], device: str = "d") -> bytes:
    return encode_batch(
        Reading(
            device_id=device,
            site="s",
            ts=NOW - dt.timedelta(seconds=60 - seq),
            seq=seq,
            temperature=temperature,
            status="ok",
        )
        for seq, temperature in readings
    )


def test_should_alert_once_across_records_and_invocations(states: MemoryStates, inbox: Inbox) -> None:
    for records in ([batch((1, 41)), batch((2, 42))], [batch((3, 43), (4, 20))]):
        run = detection(states, inbox)
        for record in records:
            run.record("a", record, at())
    assert [(message.state, message.value) for message in inbox.messages] == [("firing", 41), ("resolved", 20)]


def test_should_publish_again_with_the_same_id_after_a_crash_before_the_commit(
    states: MemoryStates, inbox: Inbox
) -> None:
    states.broken = {"a"}
    with pytest.raises(ConnectionError):
        detection(states, inbox).record("a", batch((1, 41)), at())
    states.broken = set()
    detection(states, inbox).record("a", batch((1, 41)), at())
    first, again = inbox.messages
    assert first.alert_id == again.alert_id
    detection(states, inbox).record("a", batch((1, 41)), at())
    assert len(inbox.messages) == 2


def test_should_not_commit_what_could_not_be_published(states: MemoryStates, inbox: Inbox) -> None:
    inbox.closed = True
    with pytest.raises(ConnectionError):
        detection(states, inbox).record("a", batch((1, 41)), at())
    assert states.stored == {}


def test_should_hold_back_a_gateways_later_records_after_a_failure_and_no_others(
    states: MemoryStates, inbox: Inbox
) -> None:
    run = detection(states, inbox)
    states.broken = {"a"}
    with pytest.raises(ConnectionError):
        run.record("a", batch((1, 41)), at())
    with pytest.raises(EarlierRecordFailedError):
        run.record("a", batch((2, 20)), at())
    run.record("b", batch((1, 41)), at())
    assert states.stored.keys() == {"b"}


def test_should_not_overwrite_a_state_that_another_execution_wrote(states: MemoryStates, inbox: Inbox) -> None:
    slow = detection(states, inbox)
    detection(states, inbox).record("a", batch((1, 41)), at())
    with pytest.raises(StateConflictError):
        slow.record("a", batch((2, 42)), at())


@pytest.mark.parametrize(
    "series",
    [
        pytest.param([(10, 20), (5, 41), (7, 20), (8, 41)], id="would lose the last firing"),
        pytest.param([(0, 41), (10, 41), (5, 20), (12, 20)], id="would fire and resolve once more"),
    ],
)
def test_should_see_late_readings_alike_when_they_are_delivered_again(series: list[tuple[int, float]]) -> None:
    records = [(batch(reading), at()) for reading in series]
    orders = [[*range(end), *range(end), *range(end, len(series))] for end in range(len(series) + 1)]
    seen = []
    for order in orders:
        states, inbox = MemoryStates(), Inbox()
        for number in order:
            data, position = records[number]
            detection(states, inbox).record("a", data, position)
        seen.append([(message.state, message.alert_id, message.changed_at) for message in inbox.messages])
    assert len(seen[0]) > 1
    assert all(messages == seen[0] for messages in seen)


def test_should_go_on_when_a_stream_made_anew_numbers_its_records_from_below(
    states: MemoryStates, inbox: Inbox
) -> None:
    detection(states, inbox).record("a", batch((1, 41)), Position("495900", NOW))
    later = NOW + dt.timedelta(hours=1)
    detection(states, inbox).record("a", batch((2, 20)), Position("7", later))
    assert [message.state for message in inbox.messages] == ["firing", "resolved"]


def test_should_keep_in_mind_that_a_rule_is_gone(states: MemoryStates, inbox: Inbox) -> None:
    detection(states, inbox).record("a", batch((1, 41)), at())
    gone = parse_rules("rules: []")
    without = Detection(rules=gone, states=states, alerts=inbox, gateways=["a"], clock=lambda: NOW)
    without.record("a", batch((2, 20)), at())
    assert states.stored["a"].state.alerts == {}
    detection(states, inbox).record("a", batch((3, 41)), at())
    assert [message.state for message in inbox.messages] == ["firing", "firing"]


def test_should_count_what_it_saw(states: MemoryStates, inbox: Inbox) -> None:
    run = detection(states, inbox)
    run.record("a", batch((1, 41), (2, 20)) + b"nonsense\n\n", at())
    run.record("b", b"", at())
    tally = run.tally
    assert (tally.records, tally.readings) == (2, 2)
    assert tally.rejected == {"not_json": 1, "empty": 1}
    assert (tally.firing, tally.resolved) == ({"critical": 1}, {"critical": 1})
    assert tally.newest == NOW - dt.timedelta(seconds=58)


def test_should_let_no_reading_from_the_future_near_an_alert(states: MemoryStates, inbox: Inbox) -> None:
    run = detection(states, inbox)
    run.record("a", batch((3600, 99)), at())
    assert run.tally.rejected == {"from_future": 1}
    assert inbox.messages == []
