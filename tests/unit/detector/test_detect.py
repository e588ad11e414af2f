"""One invocation: order, at-least-once, and failures that stay with their gateway."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest

from lambdas.detector.detect import Detection, EarlierRecordFailedError
from lambdas.detector.recent_cache import RecentCache
from lambdas.detector.records import Record
from lambdas.detector.residents import Residents
from lambdas.store.homes import HomeTable
from lambdas.store.items import ItemConflictError, ItemTooLargeError
from lambdas.store.recent import RecentTable
from lambdas.store.states import VersionedState
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Faults
from telemetry.alerting.state import GatewayState, Home, Position
from telemetry.alerting.transitions import Transition
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
A, B = Home("a"), Home("b")
RULES = parse_rules("rules: [{name: too-hot, when: temperature > 40, clear: temperature < 38, severity: critical}]")


class MemoryStates:
    """States as DynamoDB would keep them; ``broken`` gateways cannot be written."""

    def __init__(self) -> None:
        self.dynamodb: Any = DynamoDB(Faults(), {"states": ("gateway", "part")})
        self.stored: dict[Home, VersionedState] = {}
        self.broken: set[str] = set()

    def load(self, homes: Iterable[Home]) -> dict[Home, VersionedState]:
        return {
            home: self.stored.get(home, VersionedState(GatewayState(home.gateway, number=home.number), 0))
            for home in homes
        }

    def commit(
        self,
        state: GatewayState,
        expected_version: int,
        outbox: Sequence[Transition],
        **_: object,
    ) -> VersionedState:
        stored = self.load([state.home])[state.home]
        if state.gateway in self.broken:
            raise ConnectionError("throttled")
        if stored.version != expected_version:
            raise ItemConflictError(state.gateway)
        self.stored[state.home] = VersionedState(state, expected_version + 1, outbox)
        return self.stored[state.home]

    def clear_outbox(self, sent: VersionedState) -> VersionedState:
        self.stored[sent.state.home] = sent._replace(outbox=())
        return sent._replace(outbox=())


class Queue:
    """Transitions as the notifier receives them; takes nothing while ``closed``."""

    def __init__(self) -> None:
        self.sent: list[Transition] = []
        self.closed = False

    def send(self, transitions: Sequence[Transition]) -> None:
        if self.closed:
            raise ConnectionError("no queue")
        self.sent += transitions


@pytest.fixture
def states() -> MemoryStates:
    return MemoryStates()


@pytest.fixture
def queue() -> Queue:
    return Queue()


def detection(states: MemoryStates, queue: Queue, rules: RuleSet = RULES, chance: float = 0.0) -> Detection:
    residents = Residents(HomeTable(states.dynamodb, "states"))
    recents = RecentCache(
        RecentTable(states.dynamodb, "states"),
        residents,
        clock=lambda: NOW,
        monotonic=lambda: 0.0,
        chance=lambda: chance,
    )
    return Detection(
        rules=rules,
        states=states,
        recents=recents,
        residents=residents,
        queue=queue,
        gateways=["a", "b"],
        clock=lambda: NOW,
    )


_sequence = itertools.count(1)


def at(shard: str = "shardId-000000000000") -> Position:
    """The next place in the stream."""
    return Position(str(next(_sequence)), NOW, shard)


def record(gateway: str, data: bytes, position: Position) -> Record:
    return Record(gateway, position, position.arrived, data, position.sequence)


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


def test_should_alert_once_across_records_and_invocations(states: MemoryStates, queue: Queue) -> None:
    for batches in ([batch((1, 41)), batch((2, 42))], [batch((3, 43), (4, 20))]):
        run = detection(states, queue)
        for data in batches:
            run.record(record("a", data, at()))
    assert [(transition.change, transition.value) for transition in queue.sent] == [("firing", 41), ("resolved", 20)]


def test_should_send_what_a_crash_left_in_the_outbox_before_anything_else(states: MemoryStates, queue: Queue) -> None:
    queue.closed = True
    first, second = (batch((1, 41)), at()), (batch((2, 20)), at())
    with pytest.raises(ConnectionError):
        detection(states, queue).record(record("a", *first))
    assert [transition.change for transition in states.stored[A].outbox] == ["firing"]
    queue.closed = False
    run = detection(states, queue)
    run.record(record("a", *first))
    run.record(record("a", *second))
    assert [transition.change for transition in queue.sent] == ["firing", "resolved"]
    assert states.stored[A].outbox == ()


def test_should_not_send_what_could_not_be_committed(states: MemoryStates, queue: Queue) -> None:
    states.broken = {"a"}
    with pytest.raises(ConnectionError):
        detection(states, queue).record(record("a", batch((1, 41)), at()))
    assert queue.sent == []


def test_should_hold_back_a_gateways_later_records_after_a_failure_and_no_others(
    states: MemoryStates, queue: Queue
) -> None:
    run = detection(states, queue)
    states.broken = {"a"}
    with pytest.raises(ConnectionError):
        run.record(record("a", batch((1, 41)), at()))
    with pytest.raises(EarlierRecordFailedError):
        run.record(record("a", batch((2, 20)), at()))
    run.record(record("b", batch((1, 41), device="e"), at()))
    assert states.stored.keys() == {B}


def test_should_evaluate_anew_what_somebody_else_changed_meanwhile(states: MemoryStates, queue: Queue) -> None:
    slow = detection(states, queue)
    detection(states, queue).record(record("a", batch((1, 41)), at()))
    slow.record(record("a", batch((2, 42), (3, 20)), at()))
    assert [transition.change for transition in queue.sent] == ["firing", "resolved"]
    assert states.stored[A].version == 2


def test_should_give_a_record_back_when_its_state_keeps_changing(states: MemoryStates, queue: Queue) -> None:
    class Contested(MemoryStates):
        """Somebody else is always quicker."""

        def commit(self, state: GatewayState, *_: object, **__: object) -> VersionedState:
            raise ItemConflictError(state.gateway)

    with pytest.raises(ItemConflictError):
        detection(Contested(), queue).record(record("a", batch((1, 41)), at()))
    assert queue.sent == []


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
        states, queue = MemoryStates(), Queue()
        for number in order:
            data, position = records[number]
            detection(states, queue).record(record("a", data, position))
        seen.append([(transition.change, transition.alert_id, transition.changed_at) for transition in queue.sent])
    assert len(seen[0]) > 1
    assert all(messages == seen[0] for messages in seen)


def test_should_go_on_when_a_stream_made_anew_numbers_its_records_from_below(
    states: MemoryStates, queue: Queue
) -> None:
    detection(states, queue).record(record("a", batch((1, 41)), Position("495900", NOW)))
    later = NOW + dt.timedelta(hours=1)
    detection(states, queue).record(record("a", batch((2, 20)), Position("7", later)))
    assert [transition.change for transition in queue.sent] == ["firing", "resolved"]


def test_should_evaluate_each_record_once_of_a_gateway_that_moved_to_another_shard(
    states: MemoryStates, queue: Queue
) -> None:
    parent = [record("a", batch((1, 41)), Position(number, NOW, "shardId-000000000000")) for number in ("80", "90")]
    child = [
        record("a", batch((seq, 20), (seq + 1, 41)), Position(str(seq), NOW, "shardId-000000000001")) for seq in (2, 4)
    ]
    for each in (*parent, *parent, child[0], *child, *child):
        detection(states, queue).record(each)
    assert [transition.change for transition in queue.sent] == ["firing", *["resolved", "firing"] * 2]
    state = states.stored[A].state
    assert state.position == child[1].position


def test_should_not_evaluate_again_what_a_state_without_a_shard_has_seen(states: MemoryStates, queue: Queue) -> None:
    first, second = (record("a", batch((seq, 41)), at()) for seq in (1, 2))
    for each in (first, second):
        detection(states, queue).record(each)
    bare = states.stored[A]
    deployed = msgspec.structs.replace(bare.state, position=Position(second.position.sequence, NOW))
    states.stored[A] = bare._replace(state=deployed)
    late = record("a", batch((3, 20)), first.position)
    detection(states, queue).record(late)
    assert [transition.change for transition in queue.sent] == ["firing"]
    detection(states, queue).record(record("a", batch((3, 20)), at("shardId-000000000001")))
    assert [transition.change for transition in queue.sent] == ["firing", "resolved"]


def test_should_keep_in_mind_that_a_rule_is_gone(states: MemoryStates, queue: Queue) -> None:
    detection(states, queue).record(record("a", batch((1, 41)), at()))
    detection(states, queue, parse_rules("rules: []")).record(record("a", batch((2, 41)), at()))
    assert states.stored[A].state.alerts == {}
    detection(states, queue).record(record("a", batch((3, 41)), at()))
    assert [transition.change for transition in queue.sent] == ["firing", "resolved", "firing"]


def test_should_commit_what_a_huge_record_changes_in_parts(states: MemoryStates, queue: Queue) -> None:
    huge = b"".join(
        batch((number // 400, 41 if number % 3 else 20), device=f"d{number % 400:04}") for number in range(2500)
    )
    position = at()
    detection(states, queue).record(record("a", huge, position))
    assert states.stored[A].version == 3
    assert states.stored[A].state.position == position
    assert len({transition.device for transition in queue.sent}) == 400


def test_should_count_what_it_saw(states: MemoryStates, queue: Queue) -> None:
    run = detection(states, queue)
    run.record(record("a", batch((1, 41), (2, 20)) + b"nonsense\n\n", at()))
    run.record(record("b", b"", at()))
    tally = run.tally
    assert (tally.records, tally.readings) == (2, 2)
    assert tally.rejected == {"not_json": 1, "empty": 1}
    assert tally.transitions == 2
    assert tally.newest == NOW - dt.timedelta(seconds=58)


def test_should_let_no_reading_from_the_future_near_an_alert(states: MemoryStates, queue: Queue) -> None:
    run = detection(states, queue)
    run.record(record("a", batch((3600, 99)), at()))
    assert run.tally.rejected == {"from_future": 1}
    assert queue.sent == []


def test_should_keep_one_alert_of_a_device_that_moves_to_another_gateway(states: MemoryStates, queue: Queue) -> None:
    run = detection(states, queue)
    run.record(record("a", batch((1, 41)), at()))
    for environment in (run, detection(states, queue)):
        environment.record(record("b", batch((2, 42), (3, 20), (4, 45)), at()))
    assert [(t.change, t.gateway) for t in queue.sent] == [("firing", "a"), ("resolved", "a"), ("firing", "b")]
    assert states.stored[A].state.alerts.keys() == {"d"}
    assert B not in states.stored


def test_should_hear_a_device_once_whose_readings_come_through_two_gateways(states: MemoryStates, queue: Queue) -> None:
    one, other = detection(states, queue), detection(states, queue)
    for seq, temperature in ((1, 41.0), (2, 20.0), (3, 41.0)):
        one.record(record("a", batch((seq, temperature)), at()))
        other.record(record("b", batch((seq, temperature)), at()))
    assert [transition.change for transition in queue.sent] == ["firing", "resolved", "firing"]


def test_should_know_where_a_gateway_stands_that_hears_only_devices_of_others(
    states: MemoryStates, queue: Queue
) -> None:
    """A gateway that takes the place of another one: its own alert has to reach who watches the site."""
    rules = parse_rules("rules: [{name: down, when: no_data(gateway), for: 1m}]")
    for gateway, seq in (("a", 1), ("b", 2)):
        detection(states, queue, rules, chance=1.0).process([record(gateway, batch((seq, 20)), at())])
    written = RecentTable(states.dynamodb, "states").load([B])[B].snapshot
    assert (written.site, written.devices) == ("s", {})


def test_should_skip_a_record_that_is_delivered_again_in_the_state_of_another_gateway(
    states: MemoryStates, queue: Queue
) -> None:
    run = detection(states, queue)
    run.record(record("a", batch((1, 20)), at()))
    hot, cold = (record("b", batch((seq, temperature)), at()) for seq, temperature in ((2, 41), (3, 20)))
    for each in (hot, cold):
        run.record(each)
    assert states.stored[A].state.position_of("b") == cold.position
    # As if the clock had been set back, so that only the position tells.
    again = record("b", batch((9, 41)), hot.position)
    detection(states, queue).record(again)
    assert [transition.change for transition in queue.sent] == ["firing", "resolved"]


def test_should_assign_new_devices_to_as_many_homes_as_it_takes(states: MemoryStates, queue: Queue) -> None:
    huge = b"".join(batch((1, 41), device=f"d{number:04}") for number in range(1200))
    detection(states, queue).record(record("a", huge, at()))
    assert [len(states.stored[Home("a", number)].state.alerts) for number in range(3)] == [500, 500, 200]
    more = b"".join(batch((1, 41), device=f"e{number:04}") for number in range(400))
    run = detection(states, queue)
    run.record(record("a", huge + more, at()))
    assert len(queue.sent) == 1600
    assert len(states.stored) == 4


def test_should_leave_a_device_of_an_older_version_where_its_alert_is(states: MemoryStates, queue: Queue) -> None:
    detection(states, queue).record(record("a", batch((1, 41)), at()))
    states.dynamodb.tables["states"].clear()
    others = b"".join(batch((1, 20), device=f"c{number:04}") for number in range(600))
    detection(states, queue).record(record("a", others + batch((2, 20)), at()))
    assert [transition.change for transition in queue.sent] == ["firing", "resolved"]


def test_should_alert_of_a_device_of_which_nothing_but_rejected_lines_comes(states: MemoryStates, queue: Queue) -> None:
    rules = parse_rules("rules: [{name: clock-wrong, when: rejected(from_future), severity: warning}]")
    run = detection(states, queue, rules)
    run.record(record("a", batch((3600, 20)), at()))
    assert [(transition.rule, transition.device) for transition in queue.sent] == [("clock-wrong", "d")]


def test_should_try_smaller_parts_of_what_does_not_fit_into_an_item(queue: Queue) -> None:
    class Small(MemoryStates):
        """Takes at most a hundred transitions at once."""

        def commit(
            self, state: GatewayState, expected_version: int, outbox: Sequence[Transition], **rest: object
        ) -> Any:
            if len(outbox) > 100:
                raise ItemTooLargeError
            return super().commit(state, expected_version, outbox, **rest)

    states = Small()
    data = b"".join(batch((1, 41), device=f"d{number:04}") for number in range(300))
    detection(states, queue).record(record("a", data, at()))
    assert len(queue.sent) == 300
    assert states.stored[A].version == 5


def test_should_not_judge_a_device_by_a_state_of_which_it_is_not_known_whether_it_was_written(queue: Queue) -> None:
    class Silent(MemoryStates):
        """Writes, and its first answer is lost."""

        lost = False

        def commit(
            self, state: GatewayState, expected_version: int, outbox: Sequence[Transition], **rest: object
        ) -> Any:
            committed = super().commit(state, expected_version, outbox, **rest)
            if not self.lost:
                self.lost = True
                raise ConnectionError("timed out")
            return committed

    states = Silent()
    run = detection(states, queue)
    hot, cold = record("a", batch((1, 41)), at()), record("b", batch((2, 20)), at())
    assert run.process([hot, cold]) == [hot]
    assert detection(states, queue).process([hot, cold]) == []
    assert [transition.change for transition in queue.sent] == ["firing", "resolved"]
    assert states.stored[A].state.alerts == {}


def test_should_give_homes_to_ten_thousand_new_devices_of_one_record(states: MemoryStates, queue: Queue) -> None:
    names = [f"device-{number:05}" for number in range(10_000)]
    data = b"".join(batch((1, 20), device=name) for name in names)
    detection(states, queue).record(record("a", data, at()))
    homes = HomeTable(states.dynamodb, "states").find(names)
    assert [homes[name] for name in names] == [Home("a", number // 500) for number in range(10_000)]
