"""Alert states and soft state in DynamoDB, against moto and against a table that fails on demand."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from lambdas.store.items import ItemConflictError, ItemReader, ItemsUnavailableError, due_keys
from lambdas.store.recents import Recents, RecentTable
from lambdas.store.states import OUTBOX_PATIENCE, StateTable
from telemetry.alerting.recent import RECENT_EVERY, Device, Snapshot, decode, encode
from telemetry.alerting.state import AlertState, GatewayState, PastAlert
from telemetry.alerting.transitions import Transition
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
FIRING = AlertState("firing", "0123456789abcdef0123", 1, "critical", "plant-3", NOW, NOW, 7, 41.0, fired_at=NOW)


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def client():
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="states",
            KeySchema=[
                {"AttributeName": "gateway", "KeyType": "HASH"},
                {"AttributeName": "part", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "gateway", "AttributeType": "S"},
                {"AttributeName": "part", "AttributeType": "S"},
                {"AttributeName": "timer", "AttributeType": "N"},
                {"AttributeName": "due", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "due",
                    "KeySchema": [
                        {"AttributeName": "timer", "KeyType": "HASH"},
                        {"AttributeName": "due", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


@pytest.fixture
def table(client) -> StateTable:
    return StateTable(client, "states")


def transition(sequence: int = 1) -> Transition:
    return Transition(
        alert_id="a",
        sequence=sequence,
        change="firing",
        status="firing",
        rule="r",
        severity="info",
        device="d",
        site="s",
        gateway="gw",
        held=None,
        flapping=False,
        metric="temperature",
        value=1.0,
        threshold=0.0,
        condition="temperature > 0",
        summary="",
        runbook="",
        active_at=NOW,
        fired_at=NOW,
        changed_at=NOW,
        recorded_at=NOW,
    )


def due(client, now: dt.datetime) -> list[dict[str, str]]:
    return list(due_keys(client, "states", now))


def test_should_give_back_what_was_committed_and_nothing_for_the_others(table: StateTable) -> None:
    state = GatewayState("a", {"d": {"too-hot": FIRING}}, past={"e": {"too-hot": PastAlert(NOW, 3, (NOW,))}}, due=NOW)
    committed = table.commit(state, 0, [transition()], now=NOW, lag=1.5)
    loaded = table.load(["a", "b"])
    assert loaded["a"] == committed == (state, 1, [transition()], 1.5)
    assert loaded["b"] == (GatewayState("b"), 0, (), 0.0)


def test_should_refuse_a_commit_on_a_stale_version(table: StateTable) -> None:
    table.commit(GatewayState("a"), 0, (), now=NOW)
    table.commit(GatewayState("a"), 1, (), now=NOW)
    for stale in (0, 1):
        with pytest.raises(ItemConflictError, match="no longer version"):
            table.commit(GatewayState("a"), stale, (), now=NOW)


def test_should_have_the_watchdog_find_what_is_due_and_what_was_left_unsent(client, table: StateTable) -> None:
    table.commit(GatewayState("later", due=after(600)), 0, (), now=NOW)
    unsent = table.commit(GatewayState("unsent"), 0, [transition()], now=NOW)
    table.commit(GatewayState("quiet"), 0, (), now=NOW)
    assert due(client, NOW) == []
    assert due(client, NOW + OUTBOX_PATIENCE) == [{"gateway": "unsent", "part": "alerts"}]
    table.clear_outbox(unsent)
    assert due(client, after(599)) == []
    assert due(client, after(600)) == [{"gateway": "later", "part": "alerts"}]


def test_should_clear_only_the_outbox_that_was_sent(table: StateTable) -> None:
    first = table.commit(GatewayState("a"), 0, [transition(1)], now=NOW)
    second = table.commit(GatewayState("a", due=after(600)), 1, [transition(2)], now=NOW)
    table.clear_outbox(first)
    assert table.load(["a"])["a"].outbox == [transition(2)]
    table.clear_outbox(second)
    assert table.load(["a"])["a"] == (second.state, 2, (), 0.0)


def test_should_load_more_gateways_than_one_request_takes(table: StateTable) -> None:
    gateways = [f"gw-{i:03}" for i in range(230)]
    for gateway in gateways:
        table.commit(GatewayState(gateway), 0, (), now=NOW)
    assert {state.version for state in table.load(gateways).values()} == {1}


def test_should_ask_again_for_what_dynamodb_left_unprocessed(client, table: StateTable) -> None:
    table.commit(GatewayState("a"), 0, (), now=NOW)

    class Throttling:
        """Answers nothing the first time."""

        calls = 0

        def batch_get_item(self, **request: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}
            return client.batch_get_item(**request)

    waits: list[float] = []
    reader = ItemReader(Throttling(), "states", sleep=waits.append, chance=lambda: 1.0)  # type: ignore[arg-type]
    assert StateTable(client, "states", reader=reader).load(["a"])["a"].version == 1
    assert [wait > 0 for wait in waits] == [True]


def test_should_give_up_on_items_that_stay_unread(client) -> None:
    class Throttled:
        """Never answers anything."""

        calls = 0

        def batch_get_item(self, **request: Any) -> Any:
            self.calls += 1
            return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}

    throttled = Throttled()
    reader = ItemReader(throttled, "states", sleep=lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(ItemsUnavailableError, match="left 2 items unread"):
        StateTable(client, "states", reader=reader).load(["a", "b"])
    assert throttled.calls == 6


def test_should_fit_thousands_of_alerts_of_one_gateway_into_one_item(table: StateTable) -> None:
    alerts = {f"device-{i:05}": {"too-hot": FIRING, "too-humid": FIRING} for i in range(4000)}
    table.commit(GatewayState("a", alerts), 0, (), now=NOW)
    assert table.load(["a"])["a"].state.alerts == alerts


SILENT = parse_rules("rules: [{name: silent, when: no_data, for: 10m}]")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now


def environment(client, clock: Clock, table: RecentTable | None = None) -> Recents:
    """The soft state of one execution environment, whose turn to write is a minute after it first saw a gateway."""
    return Recents(table or RecentTable(client, "states"), clock=clock, chance=lambda: 0.0)


def see(recents: Recents, gateway: str, device: str, clock: Clock) -> None:
    recents.load([gateway])
    recents.of(gateway).record(clock.now.timestamp(), "s", {device: "s"})
    recents.write(SILENT, GatewayState)


def written(client, gateway: str) -> Snapshot:
    return RecentTable(client, "states").load([gateway])[gateway].snapshot


def test_should_write_soft_state_once_a_minute(client) -> None:
    clock = Clock()
    recents = environment(client, clock)
    versions = []
    for second in range(0, 181, 10):
        clock.now = after(second)
        see(recents, "gw", f"d{second}", clock)
        versions.append(RecentTable(client, "states").load(["gw"])["gw"].version)
    assert versions == [0] * 6 + [1] * 6 + [2] * 6 + [3]
    assert len(written(client, "gw").devices) == 19


def test_should_add_up_what_several_environments_saw(client) -> None:
    clock = Clock()
    one, other = environment(client, clock), environment(client, clock)
    see(one, "gw", "a", clock)
    see(other, "gw", "b", clock)
    clock.now += RECENT_EVERY
    see(one, "gw", "c", clock)
    see(other, "gw", "d", clock)
    assert written(client, "gw").devices.keys() == {"a", "b", "c", "d"}


def test_should_begin_a_cold_start_with_what_is_written(client) -> None:
    clock = Clock()
    first = environment(client, clock)
    see(first, "gw", "a", clock)
    clock.now += RECENT_EVERY
    see(first, "gw", "b", clock)
    second = environment(client, clock)
    second.load(["gw"])
    assert second.of("gw").devices.keys() == {"a", "b"}


def test_should_tell_the_watchdog_when_a_silence_is_due(client) -> None:
    clock = Clock()
    recents = environment(client, clock)
    see(recents, "gw", "a", clock)
    clock.now += RECENT_EVERY
    see(recents, "gw", "b", clock)
    assert due(client, after(659)) == []
    assert due(client, after(660)) == [{"gateway": "gw", "part": "recent"}]
    read = RecentTable(client, "states").load(["gw"])["gw"]
    RecentTable(client, "states").reschedule("gw", read._replace(version=7), after(10))
    assert due(client, after(659)) == [], "somebody else wrote meanwhile"
    RecentTable(client, "states").reschedule("gw", read, None)
    assert due(client, after(10_000)) == []


def test_should_lose_nothing_when_another_environment_writes_in_between(client) -> None:
    clock = Clock()
    table = RecentTable(client, "states")

    class Overtaken(RecentTable):
        """Another environment writes between this one's reading and writing."""

        def write(self, gateway: str, *rest: Any) -> bool:
            read = table.load([gateway])[gateway]
            seen = {**read.snapshot.devices, "other": Device("s", clock.now.timestamp(), 0.0)}
            table.write(gateway, Snapshot(clock.now.timestamp(), "s", seen), read, None, 0.0)
            return super().write(gateway, *rest)

    recents = environment(client, clock, Overtaken(client, "states"))
    see(recents, "gw", "a", clock)
    clock.now += RECENT_EVERY
    see(recents, "gw", "b", clock)
    assert written(client, "gw").devices.keys() == {"other"}
    assert recents.of("gw").unwritten


def test_should_go_on_without_soft_state_that_cannot_be_read_or_written(client) -> None:
    clock = Clock()

    class Denied:
        """Denies everything."""

        def __getattr__(self, operation: str) -> Any:
            def denied(**_: Any) -> Any:
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, operation)

            return denied

    recents = environment(client, clock, RecentTable(Denied(), "states"))  # type: ignore[arg-type]
    see(recents, "gw", "a", clock)
    clock.now += RECENT_EVERY
    see(recents, "gw", "b", clock)
    assert recents.of("gw").devices.keys() == {"a", "b"}


def test_should_keep_last_seen_times_where_windows_do_not_fit_into_an_item(client) -> None:
    rules = parse_rules("rules: [{name: fast, when: 'rate(temperature, 1h) > 8 or rate(humidity, 1h) > 8'}]")
    chance = random.Random(0)
    recents = environment(client, Clock())
    windows = rules.watching("d", "s").windows
    for device in range(1500):
        for step in range(16):
            ts = after(step * 225 + device / 10)
            reading = Reading(
                device_id=f"device-{device:05}",
                site="s",
                ts=ts,
                seq=step,
                temperature=chance.uniform(10, 40),
                humidity=chance.uniform(20, 90),
                status="ok",
            )
            recents.of("gw").add(reading, ts.timestamp(), windows)
    snapshot = recents.of("gw").merged_into(Snapshot())
    kept = decode(encode(snapshot))
    assert len(encode(snapshot)) < 390_000
    assert snapshot.devices["device-00000"].windows
    assert kept.devices.keys() == snapshot.devices.keys()
    assert all(not device.windows for device in kept.devices.values())
