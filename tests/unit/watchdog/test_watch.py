"""One run of the watchdog: timers, silences, what was left unsent, and failures that stay with their gateway."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from lambdas.store.homes import HomeTable, home_of
from lambdas.store.items import ItemTooLargeError, due_keys
from lambdas.store.queue import TransitionsQueue
from lambdas.store.recent import RecentTable, WrittenRecent
from lambdas.store.states import StateTable
from lambdas.watchdog.commits import Commits
from lambdas.watchdog.watch import Watchdog, Watched
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Faults
from local.memory_aws.messages import SQS
from pipeline.alerts import Place
from pipeline.holds import Orders
from telemetry.alerting.evaluate import evaluate, next_silence
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.snapshots import Lag, Snapshot
from telemetry.alerting.state import GatewayState, Home
from telemetry.alerting.transitions import Transition
from telemetry.notifying.queue import Batch, decode_message
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from tests.eventsource import Clock

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
A = Home("a")
RULES = parse_rules("""
rules:
  - {name: hot, when: temperature > 40, for: 2m}
  - {name: silent, when: no_data, for: 10m}
""")


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


class World:
    """The state table and the queue, with gateways that sent one reading of each of their devices at ``NOW``."""

    def __init__(self, rules: RuleSet = RULES) -> None:
        self.rules = rules
        self.dynamodb = cast("Any", DynamoDB(Faults(), {"states": ("gateway", "part")}))
        self.sqs = cast("Any", SQS(Faults(), Clock(NOW)))
        self.states = StateTable(self.dynamodb, "states")
        self.recents = RecentTable(self.dynamodb, "states")
        self.homes = HomeTable(self.dynamodb, "states")

    def sent(
        self, gateway: str, *, temperature: float = 20.0, devices: int = 1, lag: float = 0.0, at_home: bool = True
    ) -> None:
        """What the detector leaves behind after a record; of an older version, devices that are not ``at_home``."""
        recent = Recent()
        readings = [
            Reading(device_id=f"{gateway}-{number}", site="s", ts=NOW, seq=1, temperature=temperature, status="ok")
            for number in range(devices)
        ]
        if at_home:
            self.homes.claim({reading.device_id: Home(gateway) for reading in readings})
        state, transitions = evaluate(self.rules, GatewayState(gateway), recent, Heard(gateway, NOW, readings))
        recent.accept()
        if transitions:
            self.states.clear_outbox(self.states.commit(state, 0, transitions, now=NOW, lag=Lag(NOW.timestamp(), lag)))
        snapshot = recent.merged_into(Snapshot(), NOW.timestamp() + lag)
        due = next_silence(self.rules, state, Recent(snapshot))
        self.recents.write(Home(gateway), snapshot, WrittenRecent(Snapshot()), due)

    def due(self, now: dt.datetime) -> list[Home]:
        return sorted({home_of(key) for key in due_keys(self.dynamodb, "states", now)})

    def watched(self, now: dt.datetime, *, has_time: Callable[[], bool] = lambda: True, **parts: Any) -> Watched:
        collaborators: dict[str, Any] = {
            "states": self.states,
            "recents": self.recents,
            "homes": self.homes,
            **parts,
        }
        collaborators["commits"] = Commits(collaborators["states"], TransitionsQueue(self.sqs, "queue"), now)
        return Watchdog(rules=self.rules, now=now, has_time=has_time, **collaborators).watch(self.due(now))

    @property
    def transitions(self) -> list[Transition]:
        messages = [decode_message(body) for _, body in self.sqs.messages]
        return [t for message in messages if isinstance(message, Batch) for t in message.transitions]


def test_should_fire_what_has_been_pending_for_long_enough_and_look_at_nothing_else() -> None:
    world = World()
    world.sent("a", temperature=41)
    world.sent("b")
    assert world.due(after(134)) == []
    assert world.watched(after(135)) == Watched(homes=1, failed=0, transitions=1)
    assert [(t.gateway, t.rule, t.change) for t in world.transitions] == [("a", "hot", "firing")]
    assert world.due(after(300)) == []


def test_should_fire_once_for_silent_devices_and_wait_for_the_next_ones() -> None:
    world = World()
    world.sent("a", devices=3)
    assert world.due(after(659)) == []
    assert world.watched(after(660)).transitions == 3
    assert world.due(after(100_000)) == []


def test_should_give_a_detector_that_is_behind_the_time_that_it_lacks() -> None:
    world = World()
    world.sent("a", temperature=41, lag=600)
    assert world.watched(after(700)) == Watched(homes=1)
    assert world.watched(after(735)).transitions == 1
    assert [t.rule for t in world.transitions] == ["hot"]
    assert world.watched(after(1260)).transitions == 1


def test_should_send_what_an_execution_left_unsent_when_it_died() -> None:
    world = World()
    state, transitions = evaluate(
        parse_rules("rules: [{name: hot, when: temperature > 40}]"),
        GatewayState("a"),
        Recent(),
        Heard("a", NOW, [Reading(device_id="d", site="s", ts=NOW, seq=1, temperature=50.0, status="ok")]),
    )
    world.states.commit(state, 0, transitions, now=NOW)
    assert world.watched(after(29)) == Watched()
    assert world.watched(after(30)) == Watched(homes=1, transitions=1)
    assert world.transitions == transitions
    assert world.due(after(100_000)) == []


def test_should_leave_to_the_detector_what_it_changed_meanwhile() -> None:
    world = World()
    world.sent("a", temperature=41)

    class Overtaking:
        """Reads, and then the detector writes."""

        def load(self, gateways: Any) -> Any:
            loaded = world.states.load(gateways)
            world.states.commit(loaded[A].state, loaded[A].version, (), now=NOW)
            return loaded

        def commit(self, *arguments: Any, **named: Any) -> Any:
            return world.states.commit(*arguments, **named)

        def clear_outbox(self, sent: Any) -> Any:
            return world.states.clear_outbox(sent)

    assert world.watched(after(135), states=Overtaking()) == Watched(homes=1)
    assert world.transitions == []
    assert world.watched(after(195)).transitions == 1


def test_should_not_let_one_gateway_stop_the_others() -> None:
    world = World()
    for gateway in "abc":
        world.sent(gateway, temperature=41)

    class Refusing(StateTable):
        """Cannot write one gateway."""

        def commit(self, state: GatewayState, *rest: Any, **named: Any) -> Any:
            if state.gateway == "b":
                raise ConnectionError("throttled")
            return super().commit(state, *rest, **named)

    refusing = Refusing(world.dynamodb, "states")
    assert world.watched(after(135), states=refusing) == Watched(homes=3, failed=1, transitions=2)
    assert world.due(after(195)) == [Home("b")]
    assert world.watched(after(195)).transitions == 1


@pytest.mark.parametrize(("batches", "reached"), [(0, 0), (1, 100), (9, 250)])
def test_should_leave_for_the_next_minute_what_it_has_no_time_for(batches: int, reached: int) -> None:
    world = World()
    for number in range(250):
        world.sent(f"gw-{number:03}", temperature=41)
    answers = iter([True] * batches + [False] * 9)
    assert world.watched(after(135), has_time=lambda: next(answers)).homes == reached
    assert len(world.due(after(195))) == 250 - reached


def test_should_tell_a_gateway_that_is_down_from_its_devices() -> None:
    world = World(parse_rules("rules: [{name: gateway-down, when: no_data(gateway), for: 2m}]"))
    world.sent("a", devices=5)
    assert world.watched(after(180)).transitions == 1
    (down,) = world.transitions
    assert (down.rule, down.device, down.gateway, down.status) == ("gateway-down", "", "a", "firing")


def test_should_not_call_a_device_silent_that_is_at_home_elsewhere_or_was_retired() -> None:
    world = World()
    world.homes.claim({"a-0": Home("b")})
    world.sent("a", devices=3)
    world.homes.retire(["a-1"], after(1))
    assert world.watched(after(660)).transitions == 1
    assert [t.device for t in world.transitions] == ["a-2"]
    assert world.recents.load([A])[A].snapshot.devices.keys() == {"a-2"}
    assert world.due(after(100_000)) == []


def test_should_call_a_device_silent_that_was_heard_again_after_it_was_retired() -> None:
    world = World()
    world.sent("a")
    world.homes.retire(["a-0"], after(-1))
    assert world.watched(after(660)).transitions == 1


def test_should_end_the_alerts_of_a_device_that_turns_out_to_be_at_home_elsewhere() -> None:
    world = World(parse_rules("rules: [{name: hot, when: temperature > 40}, {name: silent, when: no_data, for: 10m}]"))
    world.homes.claim({"a-0": Home("b")})
    world.sent("a", temperature=41)
    assert world.watched(after(660)).transitions == 1
    assert [(t.rule, t.device, t.change) for t in world.transitions] == [("hot", "a-0", "resolved")]


def test_should_call_a_device_silent_that_an_older_version_knew_and_that_has_no_home_yet() -> None:
    world = World()
    world.sent("a", at_home=False)
    found = world.recents.load([A])[A]
    world.recents.write(A, msgspec.structs.replace(found.snapshot, homes=0), found, NOW)
    assert world.watched(after(660)).transitions == 1


def test_should_commit_many_changes_in_pieces() -> None:
    world = World()
    world.sent("a", devices=2500)
    versions = []

    class Counting(StateTable):
        """Notes how many transitions each commit has."""

        def commit(self, *arguments: Any, **named: Any) -> Any:
            versions.append(len(arguments[2]))
            return super().commit(*arguments, **named)

    assert world.watched(after(660), states=Counting(world.dynamodb, "states")) == Watched(homes=1, transitions=2500)
    assert versions == [1000, 1000, 500]
    assert len({t.device for t in world.transitions}) == 2500


def test_should_commit_less_at_once_where_it_does_not_fit_into_the_item() -> None:
    world = World()
    world.sent("a", devices=1000)
    versions = []

    class Small(StateTable):
        """Has room for a hundred transitions."""

        def commit(self, *arguments: Any, **named: Any) -> Any:
            if len(arguments[2]) > 100:
                raise ItemTooLargeError
            versions.append(len(arguments[2]))
            return super().commit(*arguments, **named)

    assert world.watched(after(660), states=Small(world.dynamodb, "states")).transitions == 1000
    assert sum(versions) == 1000


def test_should_not_believe_a_detector_whose_clock_was_ahead() -> None:
    world = World()
    world.sent("a", temperature=41, lag=7200)
    assert world.watched(after(135)).transitions == 1
    assert world.watched(after(660)).transitions == 1
    assert [t.rule for t in world.transitions] == ["hot", "silent"]


def test_should_wait_for_a_gateway_that_is_behind_with_the_devices_that_are_heard_through_it() -> None:
    world = World()
    world.sent("a", devices=2)
    found = world.recents.load([A])[A]
    devices = found.snapshot.devices
    moved = msgspec.structs.replace(devices["a-1"], via="b")
    snapshot = msgspec.structs.replace(
        found.snapshot, devices={**devices, "a-1": moved}, lags={"b": Lag(NOW.timestamp(), 600.0)}
    )
    world.recents.write(A, snapshot, found, NOW)
    told = []
    for seconds in (660, 1200, 1260):
        world.watched(after(seconds))
        told.append([transition.device for transition in world.transitions])
    assert told == [["a-0"], ["a-0"], ["a-0", "a-1"]]


@pytest.mark.parametrize("ahead", [0, 7200])
def test_should_count_a_silence_from_its_close_on_where_nothing_arrives_any_more(ahead: float) -> None:
    """By the watchdog's clock, whatever that of the operator's laptop says."""
    world = World()
    world.sent("a")
    world.watched(after(660))
    orders = Orders(
        world.states,
        world.recents,
        world.homes,
        TransitionsQueue(world.sqs, "queue"),
        RULES,
        who="ann",
        clock=lambda: after(700 + ahead),
    )
    orders.close(Place("a", "a-0", "silent"), "a new battery")
    for minute in range(12, 30):
        world.watched(after(60 * minute))
    assert [t.change for t in world.transitions] == ["firing", "resolved", "firing"]
    assert world.transitions[-1].recorded_at == after(1380)
