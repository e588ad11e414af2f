"""Review of all homes after rules or registry were edited: what is gone ends without a reading."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from lambdas.store.homes import HomeTable
from lambdas.store.items import due_keys
from lambdas.store.queue import TransitionsQueue
from lambdas.store.recent import RecentTable, WrittenRecent
from lambdas.store.rules_object import RulesObject
from lambdas.store.states import StateTable
from lambdas.watchdog.commits import Commits
from lambdas.watchdog.review import Outcome, Review, ReviewTable
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Faults
from local.memory_aws.messages import SQS
from local.memory_aws.s3 import S3, InMemory
from telemetry.alerting.evaluate import evaluate
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.snapshots import Snapshot
from telemetry.alerting.state import GatewayState, Home
from telemetry.alerting.transitions import Transition
from telemetry.notifying.queue import Batch, decode_message
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from tests.eventsource import Clock

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)
HOT = "{name: hot, when: temperature > 40}"
COLD = "{name: cold, when: temperature < 50, severity: info}"


class World:
    """The state table, the queue and the config bucket."""

    def __init__(self, *rules: str, registered: str = "") -> None:
        self.faults = Faults()
        self.dynamodb = cast("Any", DynamoDB(self.faults, {"states": ("gateway", "part")}))
        self.sqs = cast("Any", SQS(Faults(), Clock(NOW)))
        self.s3 = S3(Faults(), InMemory(NOW))
        self.states = StateTable(self.dynamodb, "states")
        self.recents = RecentTable(self.dynamodb, "states")
        self.homes = HomeTable(self.dynamodb, "states")
        self.apply(*rules)
        if registered:
            self.register(registered)

    def apply(self, *rules: str) -> None:
        self.s3.objects.write("config", "rules.yaml", io.BytesIO(f"rules: [{', '.join(rules)}]".encode()))

    def register(self, devices: str) -> None:
        """Write a registry of the devices in a text."""
        lines = [f"{device},s,m" for device in devices.split()]
        self.s3.objects.write("config", "devices.csv", io.BytesIO("\n".join(["device,site,model", *lines]).encode()))

    def heard(self, home: Home, devices: str, *, claimed: bool = True) -> None:
        """What the detector leaves behind after a record with 45 °C of devices."""
        readings = [
            Reading(device_id=device, site="s", ts=NOW, seq=1, temperature=45.0, status="ok")
            for device in devices.split()
        ]
        if claimed:
            self.homes.claim({reading.device_id: home for reading in readings})
        recent, rules = Recent(), self.object().current()
        state = GatewayState(home.gateway, number=home.number)
        state, _ = evaluate(rules, state, recent, Heard(home.gateway, NOW, readings))
        recent.accept()
        self.states.commit(state, 0, (), now=NOW)
        self.recents.write(home, recent.merged_into(Snapshot(), NOW.timestamp()), WrittenRecent(Snapshot()), None)

    def object(self) -> RulesObject:
        client = cast("Any", self.s3)
        packaged = parse_rules("rules: []")
        return RulesObject(client, "config", "rules.yaml", "devices.csv", packaged=packaged, clock=lambda: 0.0)

    def reviewed(self, now: dt.datetime = LATER, has_time: Callable[[], bool] = lambda: True, **parts: Any) -> Outcome:
        rules = self.object()
        rules.current()
        review = Review(
            rules=rules,
            table=ReviewTable(self.dynamodb, "states"),
            states=parts.get("states", self.states),
            recents=self.recents,
            homes=self.homes,
            commits=Commits(parts.get("states", self.states), TransitionsQueue(self.sqs, "queue"), now),
            now=now,
            has_time=has_time,
        )
        review.run()
        return review.outcome

    @property
    def transitions(self) -> list[Transition]:
        messages = [decode_message(body) for _, body in self.sqs.messages]
        return [t for message in messages if isinstance(message, Batch) for t in message.transitions]

    def due(self, now: dt.datetime) -> set[tuple[str, str]]:
        return {(key["gateway"], key["part"]) for key in due_keys(self.dynamodb, "states", now)}

    @property
    def told(self) -> set[tuple[str, str, str]]:
        return {(t.rule, t.device, t.change) for t in self.transitions}

    def alerts(self) -> Mapping[str, Any]:
        homes = [Home(gateway) for gateway in "ab"] + [Home("a", 1)]
        return {device: by for each in self.states.load(homes).values() for device, by in each.state.alerts.items()}


A, B, SECOND = Home("a"), Home("b"), Home("a", 1)


def test_should_end_the_alerts_of_a_removed_rule_wherever_they_are_and_leave_the_others() -> None:
    world = World(HOT, COLD)
    world.heard(A, "d1 d2")
    world.heard(SECOND, "d3")
    world.apply(COLD)
    assert world.reviewed() == Outcome(homes=2, transitions=3)
    assert world.told == {("hot", device, "resolved") for device in ("d1", "d2", "d3")}
    assert all(by_rule.keys() == {"cold"} for by_rule in world.alerts().values())


def test_should_review_once_for_an_edit_and_not_at_all_without_one() -> None:
    world = World(HOT)
    world.heard(A, "d1")
    assert [world.reviewed().homes for _ in range(3)] == [1, 0, 0]
    world.register("d1")
    assert [world.reviewed().homes for _ in range(3)] == [1, 0, 0]
    world.apply(HOT, COLD)
    assert [world.reviewed().homes for _ in range(3)] == [1, 0, 0]


def test_should_wait_until_no_detector_uses_the_rules_before() -> None:
    world = World(HOT)
    written = NOW + dt.timedelta(seconds=1)
    assert [world.reviewed(written + dt.timedelta(seconds=age)).homes for age in (0, 59)] == [0, 0]
    world.heard(A, "d1")
    assert world.reviewed(written + dt.timedelta(seconds=60)).homes == 1


def test_should_not_wait_for_a_clock_that_is_behind() -> None:
    world = World(HOT)
    world.heard(A, "d1")
    assert world.reviewed(NOW - dt.timedelta(hours=2)).homes == 1


def test_should_report_a_severity_that_was_edited() -> None:
    world = World(HOT)
    world.heard(A, "d1")
    world.reviewed()
    world.apply(HOT.replace("}", ", severity: page}"))
    world.reviewed()
    assert [(t.change, t.severity, t.status) for t in world.transitions] == [("severity", "page", "firing")]


def test_should_watch_for_silence_by_edited_rules_where_nothing_arrives_any_more() -> None:
    world = World(COLD)
    world.heard(A, "d1")
    world.reviewed()
    assert world.due(LATER) == set()
    world.apply(COLD, "{name: silent, when: no_data, for: 30m}")
    world.reviewed()
    assert world.due(NOW + dt.timedelta(minutes=31)) == {("a", "recent")}
    world.apply(COLD, "{name: silent, when: no_data, for: 10m}")
    world.reviewed()
    assert world.due(NOW + dt.timedelta(minutes=11)) == {("a", "recent")}


def test_should_retire_the_devices_that_were_taken_out_of_the_registry() -> None:
    world = World(HOT, registered="d1 d2")
    world.heard(A, "d1 d2 never-registered")
    world.reviewed()
    world.register("d2")
    world.reviewed()
    assert world.told == {("hot", "d1", "resolved")}
    assert world.alerts().keys() == {"d2", "never-registered"}
    assert world.recents.load([A])[A].snapshot.devices.keys() == {"d2", "never-registered"}
    seen = dict.fromkeys(("d1", "d2"), NOW.timestamp())
    assert world.homes.find(["d1", "d2"], seen) == {"d2": A}


def test_should_retire_a_device_that_is_taken_out_before_the_first_registry_was_reviewed() -> None:
    world = World(HOT, registered="d1 d2")
    world.heard(A, "d1 d2")
    assert world.reviewed(NOW + dt.timedelta(seconds=10)).homes == 0
    world.register("d2")
    world.reviewed()
    assert world.told == {("hot", "d1", "resolved")}


def test_should_retire_nothing_where_the_registry_is_gone_or_an_earlier_one_is_not_known() -> None:
    world = World(HOT)
    world.heard(A, "d1")
    world.reviewed()
    world.register("d2")
    world.reviewed()
    world.s3.objects.remove("config", "devices.csv")
    world.reviewed()
    assert world.told == set()


def test_should_end_the_alert_of_a_device_that_is_at_home_elsewhere() -> None:
    """An older version kept the alert of a device that moved at both gateways."""
    world = World(HOT)
    world.heard(A, "d1")
    world.heard(B, "d1 d2", claimed=False)
    assert world.reviewed().transitions == 1
    assert [(t.gateway, t.device, t.change) for t in world.transitions] == [("b", "d1", "resolved")]
    assert world.homes.find(["d2"]) == {"d2": B}, "what has an alert here and no home is at home here"


def test_should_go_on_next_minute_where_time_was_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdas.watchdog.review._ITEMS_PER_PAGE", 5)
    world = World(HOT)
    for number in range(7):
        world.heard(Home(f"gw-{number}"), f"d{number}")
    world.apply()
    seen = []
    for _ in range(8):
        answers = iter([True, True, False])
        seen.append(world.reviewed(has_time=lambda answers=answers: next(answers)).homes)  # type: ignore[misc]
    assert sum(seen) == 7 + 2, "a home with items on two pages is reviewed with each"
    assert max(seen) < 7
    assert seen[-1] == 0
    assert len(world.told) == 7


def test_should_review_a_home_that_failed_again_next_minute_and_the_others_now() -> None:
    world = World(HOT)
    world.heard(A, "d1")
    world.heard(B, "d2")
    world.apply()

    class Refusing(StateTable):
        """Cannot write one gateway."""

        def commit(self, state: GatewayState, *rest: Any, **named: Any) -> Any:
            if state.gateway == "a":
                raise ConnectionError("throttled")
            return super().commit(state, *rest, **named)

    assert world.reviewed(states=Refusing(world.dynamodb, "states")) == Outcome(homes=2, failed=1, transitions=1)
    assert world.told == {("hot", "d2", "resolved")}
    assert world.reviewed() == Outcome(homes=2, transitions=1)
    assert world.reviewed() == Outcome()


def test_should_review_a_home_again_that_the_detector_changed_meanwhile() -> None:
    world = World(HOT)
    world.heard(A, "d1")
    world.apply()

    class Overtaking(StateTable):
        """Reads, and the first time the detector writes then."""

        overtaken = False

        def load(self, homes: Any) -> Any:
            loaded = super().load(homes)
            if not self.overtaken:
                self.overtaken = True
                self.commit(loaded[A].state, loaded[A].version, (), now=NOW)
            return loaded

    assert world.reviewed(states=Overtaking(world.dynamodb, "states")) == Outcome(homes=1, transitions=1)


def test_should_leave_the_rest_to_another_run_at_the_same_time() -> None:
    """EventBridge may call the watchdog twice."""
    world = World(HOT)
    world.heard(A, "d1")
    world.apply()
    other: list[Outcome] = []

    def has_time() -> bool:
        if not other:
            other.append(world.reviewed())
        return True

    assert world.reviewed(has_time=has_time).failed == 0
    assert world.told == {("hot", "d1", "resolved")}
    assert world.reviewed() == Outcome()
