"""Operators' orders: written and told like every other change, whatever goes wrong on the way."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Mapping

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import given
from hypothesis import strategies as st

from lambdas.store.backoff import Backoff
from lambdas.store.homes import HomeTable
from lambdas.store.queue import TransitionsQueue
from lambdas.store.recent import RecentTable, WrittenRecent
from lambdas.store.states import StateTable, VersionedState
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Fault, Faults, Killed
from local.memory_aws.messages import SQS
from pipeline.alerts import Place
from pipeline.errors import PipelineError
from pipeline.holds import Kind, Orders
from telemetry.alerting.recent import Recent
from telemetry.alerting.snapshots import Lag, Snapshot
from telemetry.alerting.state import GatewayState, Hold, Home
from telemetry.alerting.transitions import Transition
from telemetry.notifying.queue import Batch, decode_message
from tests.eventsource import Clock
from tests.unit.pipeline.alerting import NOW, RULES, reading, state_of

TABLE = "states"
HOT = Place("gw-1", "hot", "too-hot")
QUIET = Place("gw-1", "quiet", "too-hot")

#: The calls that an order makes, in this order.
FIND, READ, WRITE, SEND, FORGET = range(5)


class World:
    """A gateway with an alert that fires, an operator, and what goes wrong at the n-th call to AWS."""

    def __init__(self, faults: Mapping[int, Fault]) -> None:
        backoff = Backoff(sleep=lambda _: None)
        self.clock = Clock(NOW + dt.timedelta(seconds=10))
        self.faults = Faults()
        self.dynamodb = DynamoDB(self.faults, {TABLE: ("gateway", "part")})
        self.sqs = SQS(self.faults, self.clock)
        self.states = StateTable(self.dynamodb, TABLE)  # type: ignore[arg-type]
        self.states.commit(state_of("gw-1", reading("hot", temperature=41)), 0, [], now=NOW)
        self.recents = RecentTable(self.dynamodb, TABLE)  # type: ignore[arg-type]
        self.homes = HomeTable(self.dynamodb, TABLE, backoff)  # type: ignore[arg-type]
        self.homes.claim(dict.fromkeys(("hot", "quiet"), Home("gw-1")))
        self.faults.calls = 0
        self.faults.planned = faults
        self.orders = Orders(
            self.states,
            self.recents,
            self.homes,
            TransitionsQueue(self.sqs, "queue"),  # type: ignore[arg-type]
            RULES,
            who="ann",
            clock=lambda: self.clock.now,
            backoff=backoff,
        )

    def stored(self) -> VersionedState:
        self.faults.planned = {}
        return self.states.load([Home("gw-1")])[Home("gw-1")]

    def holds(self) -> dict[str, dict[str, Hold]]:
        return self.stored().state.holds

    def told(self) -> list[Transition]:
        messages = [decode_message(body) for _, body in self.sqs.messages]
        return [transition for batch in messages if isinstance(batch, Batch) for transition in batch.transitions]


def changes(world: World) -> list[tuple[str, str, str]]:
    return [(transition.change, transition.device, transition.who) for transition in world.told()]


def test_should_write_an_acknowledgement_and_tell_it() -> None:
    world = World({})
    order = world.orders.hold(HOT, "acknowledged", "on it", None)
    assert order == Hold("acknowledged", "ann", "on it", world.clock.now, None)
    assert world.holds() == {"hot": {"too-hot": order}}
    assert world.stored().outbox == ()
    (told,) = world.told()
    assert (told.change, told.held, told.status, told.sequence) == ("acknowledged", "acknowledged", "firing", 2)
    assert (told.who, told.why) == ("ann", "on it")


def test_should_snooze_and_disable_what_does_not_alert_and_take_it_back() -> None:
    world = World({})
    order = world.orders.hold(QUIET, "snoozed", "test", dt.timedelta(hours=2))
    assert order.until == world.clock.now + dt.timedelta(hours=2)
    assert world.stored().state.due == order.until
    assert world.orders.release(QUIET, "snoozed", "done") == order
    world.orders.hold(QUIET, "disabled", "broken", None)
    world.orders.release(QUIET, "disabled", "mended")
    assert world.holds() == {}
    assert changes(world) == [(change, "quiet", "ann") for change in ("snoozed", "unsnoozed", "disabled", "enabled")]


def test_should_hold_a_gateways_own_alert_before_the_gateway_was_ever_heard_of() -> None:
    world = World({})
    world.orders.hold(Place("gw-new", "", "too-hot"), "disabled", "not yet built", None)
    assert "too-hot" in world.states.load([Home("gw-new")])[Home("gw-new")].state.holds[""]


def test_should_keep_how_far_behind_the_stream_the_state_is() -> None:
    world = World({})
    world.states.commit(world.stored().state, 1, [], now=NOW, lag=Lag(7.0, 12.5))
    world.orders.hold(HOT, "acknowledged", "on it", None)
    assert world.stored().lag == Lag(7.0, 12.5)


def overtaken(world: World) -> None:
    """The detector writes the gateway's state: another device alerts."""
    item = world.dynamodb.tables[TABLE]["gw-1", "alerts"]
    calls, world.faults.calls = world.faults.calls, 1_000
    before = world.states.load([Home("gw-1")])[Home("gw-1")]
    late = reading("late", int(item["version"]["N"]), temperature=50)
    world.states.commit(state_of("gw-1", late, before=before.state), before.version, [], now=NOW)
    world.faults.calls = calls


def test_should_give_the_order_again_on_what_somebody_else_wrote_meanwhile() -> None:
    world = World({WRITE: Fault.OVERTAKEN})
    world.faults.overtake = lambda: overtaken(world)
    world.orders.hold(HOT, "acknowledged", "on it", None)
    assert world.holds()["hot"]["too-hot"].kind == "acknowledged"
    assert world.stored().state.alerts.keys() == {"hot", "late"}
    assert changes(world) == [("acknowledged", "hot", "ann")]


def test_should_give_up_on_a_state_that_keeps_changing_and_change_nothing() -> None:
    world = World(dict.fromkeys(range(WRITE, 1_000, 2), Fault.OVERTAKEN))  # every write, as long as they are tried
    world.faults.overtake = lambda: overtaken(world)
    with pytest.raises(PipelineError, match="the alerts of gw-1 keep changing: 6 tries failed and nothing was changed"):
        world.orders.hold(HOT, "acknowledged", "on it", None)
    assert world.holds() == {}
    assert world.told() == []


def test_should_leave_what_could_not_be_told_to_the_watchdog() -> None:
    world = World({SEND: Fault.KILLED_BEFORE})
    with pytest.raises(Killed):
        world.orders.hold(HOT, "acknowledged", "on it", None)
    item = world.dynamodb.tables[TABLE]["gw-1", "alerts"]
    assert int(item["due"]["N"]) <= (world.clock.now + dt.timedelta(minutes=1)).timestamp()
    assert [transition.change for transition in world.stored().outbox] == ["acknowledged"]


def test_should_first_tell_what_somebody_left_untold() -> None:
    world = World({SEND: Fault.KILLED_BEFORE})
    with pytest.raises(Killed):
        world.orders.hold(HOT, "acknowledged", "on it", None)
    world.orders.hold(QUIET, "disabled", "broken", None)
    assert changes(world) == [("acknowledged", "hot", "ann"), ("disabled", "quiet", "ann")]
    assert world.stored().outbox == ()


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.PARTLY_DONE, Fault.TIMED_OUT])
def test_should_say_that_an_order_is_in_force_though_it_could_not_be_told(fault: Fault) -> None:
    world = World({SEND: fault})
    with pytest.raises(PipelineError) as raised:
        world.orders.hold(HOT, "acknowledged", "on it", None)
    said = str(raised.value)
    assert said.startswith("the order on too-hot at hot is in force, but a change of gw-1's alerts could not be told (")
    assert said.endswith("; the watchdog does that within two minutes")
    assert world.holds()["hot"]["too-hot"].kind == "acknowledged"


def test_should_say_that_nothing_was_changed_when_what_was_left_cannot_be_told() -> None:
    world = World({SEND: Fault.KILLED_BEFORE, SEND + 3: Fault.DENIED})
    with pytest.raises(Killed):
        world.orders.hold(HOT, "acknowledged", "on it", None)
    with pytest.raises(PipelineError, match="nothing was changed, but a change of gw-1's alerts could not be told"):
        world.orders.hold(QUIET, "disabled", "broken", None)
    assert world.holds().keys() == {"hot"}


@given(st.dictionaries(st.integers(0, 15), st.sampled_from([fault for fault in Fault if fault is not Fault.OVERTAKEN])))
def test_should_tell_all_that_was_written_and_nothing_else_whatever_fails(faults: dict[int, Fault]) -> None:
    world = World(faults)
    for _ in range(20):
        with contextlib.suppress(PipelineError, ClientError, BotoCoreError, Killed):
            world.orders.hold(HOT, "snoozed", "test", dt.timedelta(hours=1))
            break
        world.clock.now += dt.timedelta(seconds=1)
    else:
        pytest.fail("the order never succeeded")
    end = world.stored()
    assert end.state.holds["hot"]["too-hot"].kind == "snoozed"
    assert end.outbox == ()
    told = world.told()
    by_sequence = {each.sequence: each for each in told}
    assert all(by_sequence[each.sequence] == each for each in told)
    assert sorted(by_sequence) == list(range(2, end.state.alerts["hot"]["too-hot"].sequence + 1))


def test_should_refuse_to_acknowledge_what_does_not_fire() -> None:
    world = World({})
    with pytest.raises(PipelineError, match="too-hot does not fire at quiet: there is nothing to acknowledge"):
        world.orders.hold(QUIET, "acknowledged", "on it", None)
    assert world.told() == []


def test_should_refuse_an_order_on_an_alert_that_has_ended_since_it_was_looked_up() -> None:
    world = World({})
    with pytest.raises(PipelineError, match=r"alert 0123 \(too-hot at hot\) has ended meanwhile; nothing was changed"):
        world.orders.hold(HOT._replace(alert_id="0123"), "acknowledged", "on it", None)
    assert world.holds() == {}


def test_should_refuse_to_hold_a_rule_that_does_not_exist() -> None:
    world = World({})
    with pytest.raises(PipelineError, match="there is no rule to-hot; those in use are too-hot, battery-low"):
        world.orders.hold(HOT._replace(rule="to-hot"), "snoozed", "test", dt.timedelta(hours=1))


def test_should_hold_an_alert_whose_rule_is_gone() -> None:
    world = World({})
    firing = world.stored().state.alerts["hot"]["too-hot"]
    state = GatewayState("gw-1", alerts={"hot": {"gone": firing}})
    world.states.commit(state, 1, [], now=NOW)
    world.orders.hold(HOT._replace(rule="gone"), "snoozed", "test", dt.timedelta(hours=1))
    assert world.holds().keys() == {"hot"}


@pytest.mark.parametrize(
    ("held", "stands"),
    [("acknowledged", "it is acknowledged"), ("disabled", "it is disabled"), (None, "nothing holds it")],
)
def test_should_refuse_to_end_a_snooze_that_there_is_not(held: Kind | None, stands: str) -> None:
    world = World({})
    if held:
        world.orders.hold(HOT, held, "before", None)
    with pytest.raises(PipelineError, match=f"too-hot at hot is not snoozed: {stands}"):
        world.orders.release(HOT, "snoozed", "")


# Where a device is at home.


def test_should_find_a_device_at_its_home_whatever_gateway_is_named() -> None:
    world = World({})
    home = Home("gw-2", 3)
    world.homes.claim({"away": home})
    world.orders.hold(Place("gw-1", "away", "too-hot"), "disabled", "test", None)
    world.orders.hold(Place("", "away", "battery-low"), "disabled", "test", None)
    assert world.states.load([home])[home].state.holds["away"].keys() == {"too-hot", "battery-low"}
    assert world.holds() == {}


def test_should_give_a_home_to_a_device_that_is_held_before_it_is_heard_of() -> None:
    world = World({})
    with pytest.raises(PipelineError, match="no device 'new' was heard of: check its name, or name the gateway"):
        world.orders.hold(Place("", "new", "too-hot"), "disabled", "not yet built", None)
    world.orders.hold(Place("gw-1", "new", "too-hot"), "disabled", "not yet built", None)
    assert world.homes.find(["new"]) == {"new": Home("gw-1")}
    assert world.holds().keys() == {"new"}


def test_should_close_an_alert_where_it_was_found_although_the_device_is_at_home_elsewhere() -> None:
    world = World({})
    stranger = Place("gw-1", "late", "too-hot", home=Home("gw-1"))
    world.homes.claim({"late": Home("gw-2")})
    before = world.stored()
    world.states.commit(state_of("gw-1", reading("late", 5, temperature=41), before=before.state), 1, [], now=NOW)
    world.orders.close(stranger, "left over")
    assert world.stored().state.alerts.keys() == {"hot"}


# Closing


def test_should_close_an_alert_and_report_who_and_why() -> None:
    world = World({})
    world.orders.hold(HOT, "acknowledged", "on it", None)
    world.orders.close(HOT, "a new sensor")
    end = world.stored()
    assert (end.state.alerts, end.state.holds, end.outbox) == ({}, {}, ())
    _, told = world.told()
    assert (told.change, told.status, told.who, told.why) == ("resolved", "resolved", "ann", "a new sensor")
    assert told.summary == "too-hot is over at hot, plant-1: closed by ann"
    with pytest.raises(PipelineError, match="too-hot is not active at hot: there is nothing to close"):
        world.orders.close(HOT, "again")


def test_should_begin_a_closed_alert_again_with_a_newer_reading_only() -> None:
    world = World({})
    world.orders.close(HOT, "a new sensor")
    closed = world.stored().state
    assert state_of("gw-1", reading("hot", temperature=41), before=closed).alerts == {}
    again = state_of("gw-1", reading("hot", 30, temperature=41), before=closed)
    assert again.alerts["hot"]["too-hot"].status == "firing"


def test_should_keep_what_is_disabled_when_it_is_acknowledged() -> None:
    world = World({})
    disabled = world.orders.hold(HOT, "disabled", "broken", None)
    assert world.orders.hold(HOT, "acknowledged", "on it", None) == disabled
    assert world.holds() == {"hot": {"too-hot": disabled}}
    assert [change for change, _, _ in changes(world)] == ["disabled", "acknowledged"]


# Retiring


def watch_for_silence(world: World, *devices: str) -> None:
    """Write what the detector knows of devices."""
    seen = Recent()
    seen.hear(NOW.timestamp(), "plant-1", dict.fromkeys(devices, "plant-1"))
    snapshot = seen.merged_into(Snapshot(), NOW.timestamp())
    world.recents.write(Home("gw-1"), snapshot, WrittenRecent(Snapshot()), None)
    world.faults.calls = 0


def watched(world: World) -> set[str]:
    return set(world.recents.load([Home("gw-1")])[Home("gw-1")].snapshot.devices)


def retire(world: World, *devices: str) -> list[list[str]]:
    return [world.orders.retire(device, home, "sold") for device, home in world.orders.known(devices).items()]


def test_should_end_the_alerts_of_a_retired_device_and_forget_it() -> None:
    world = World({})
    watch_for_silence(world, "hot", "other")
    world.orders.hold(HOT, "disabled", "broken", None)
    assert retire(world, "hot", "quiet") == [["too-hot"], []]
    state = world.stored().state
    assert (state.alerts, state.past, state.holds) == ({}, {}, {})
    assert watched(world) == {"other"}
    assert world.homes.find(["hot", "quiet"], dict.fromkeys(("hot", "quiet"), NOW.timestamp())) == {}
    told = world.told()[-1]
    assert (told.change, told.who, told.why, told.held) == ("resolved", "ann", "sold", "disabled")
    assert retire(world, "hot") == [[]]


def test_should_retire_none_of_several_devices_if_one_is_not_known() -> None:
    world = World({})
    with pytest.raises(PipelineError, match="no such devices were heard of: hat, het; check the names"):
        retire(world, "het", "hot", "hat")
    assert world.stored().state.alerts.keys() == {"hot"}


@given(st.dictionaries(st.integers(0, 18), st.sampled_from([fault for fault in Fault if fault is not Fault.OVERTAKEN])))
def test_should_retire_a_device_completely_whatever_fails(faults: dict[int, Fault]) -> None:
    world = World({})
    watch_for_silence(world, "hot", "other")
    world.faults.planned = faults
    for _ in range(20):
        with contextlib.suppress(PipelineError, ClientError, BotoCoreError, Killed):
            retire(world, "hot")
            break
        world.clock.now += dt.timedelta(seconds=1)
    else:
        pytest.fail("the device was never retired")
    end = world.stored()
    assert (end.state.alerts, watched(world)) == ({}, {"other"})
    assert world.homes.find(["hot"], {"hot": NOW.timestamp()}) == {}
    told = [transition for transition in (*world.told(), *end.outbox) if transition.change == "resolved"]
    assert {transition.device for transition in told} == {"hot"}
    assert len({transition.sequence for transition in told}) == 1
