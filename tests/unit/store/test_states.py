"""Alert states in DynamoDB, against moto and against a table that fails on demand."""

from __future__ import annotations

import datetime as dt
import random
import string
from typing import Any

import pytest
from moto import mock_aws

from lambdas.store.backoff import Backoff
from lambdas.store.homes import home_of
from lambdas.store.items import ItemConflictError, ItemsUnavailableError, ItemTooLargeError, due_keys
from lambdas.store.states import NO_LAG, OUTBOX_PATIENCE, StateTable, VersionedState
from telemetry.alerting.snapshots import Lag
from telemetry.alerting.state import AlertState, GatewayState, Home, PastAlert
from telemetry.alerting.transitions import Transition
from tests.unit.store.tables import create_state_table

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
A, B = Home("a"), Home("b")
FIRING = AlertState("firing", "0123456789abcdef0123", 1, "critical", "plant-3", NOW, NOW, 7, 41.0, fired_at=NOW)


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def client():
    with mock_aws():
        yield create_state_table()


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
    committed = table.commit(state, 0, [transition()], now=NOW, lag=Lag(7.0, 1.5))
    loaded = table.load([A, B])
    assert loaded[A] == committed == (state, 1, [transition()], Lag(7.0, 1.5))
    assert loaded[B] == (GatewayState("b"), 0, (), NO_LAG)


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
    assert table.load([A])[A].outbox == [transition(2)]
    table.clear_outbox(second)
    assert table.load([A])[A] == (second.state, 2, (), NO_LAG)


def test_should_load_more_gateways_than_one_request_takes(table: StateTable) -> None:
    gateways = [f"gw-{i:03}" for i in range(230)]
    for gateway in gateways:
        table.commit(GatewayState(gateway), 0, (), now=NOW)
    assert {state.version for state in table.load(map(Home, gateways)).values()} == {1}


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
    backoff = Backoff(sleep=waits.append, chance=lambda: 1.0)
    assert StateTable(Throttling(), "states", backoff).load([A])[A].version == 1  # type: ignore[arg-type]
    assert [wait > 0 for wait in waits] == [True]


def test_should_give_up_on_items_that_stay_unread(client) -> None:
    class Throttled:
        """Never answers anything."""

        calls = 0

        def batch_get_item(self, **request: Any) -> Any:
            self.calls += 1
            return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}

    throttled = Throttled()
    table = StateTable(throttled, "states", Backoff(sleep=lambda _: None))  # type: ignore[arg-type]
    with pytest.raises(ItemsUnavailableError, match="left 2 items unread"):
        table.load([A, B])
    assert throttled.calls == 6


def test_should_fit_thousands_of_alerts_of_one_gateway_into_one_item(table: StateTable) -> None:
    alerts = {f"device-{i:05}": {"too-hot": FIRING, "too-humid": FIRING} for i in range(4000)}
    table.commit(GatewayState("a", alerts), 0, (), now=NOW)
    assert table.load([A])[A].state.alerts == alerts


def test_should_keep_each_home_of_a_gateway_in_an_item_of_its_own(client, table: StateTable) -> None:
    first, second = Home("a"), Home("a", 1)
    table.commit(GatewayState("a", {"d": {"too-hot": FIRING}}), 0, (), now=NOW)
    table.commit(GatewayState("a", {"e": {"too-hot": FIRING}}, due=NOW, number=1), 0, (), now=NOW)
    loaded = table.load([first, second])
    assert [list(loaded[home].state.alerts) for home in (first, second)] == [["d"], ["e"]]
    assert [home_of(key) for key in due(client, NOW)] == [second]


def test_should_refuse_what_is_larger_than_an_item(table: StateTable) -> None:
    chance = random.Random(0)
    names = ["".join(chance.choices(string.printable, k=100)) for _ in range(6000)]
    with pytest.raises(ItemTooLargeError, match="the item a alerts would have"):
        table.commit(GatewayState("a", {name: {"too-hot": FIRING} for name in names}), 0, (), now=NOW)


@pytest.mark.parametrize(
    ("now", "behind"),
    [
        pytest.param(NOW, 600, id="measured ten minutes ago"),
        pytest.param(after(-601), 0, id="it ends in the future: a clock was wrong"),
    ],
)
def test_should_not_believe_a_lag_that_ends_in_the_future(now: dt.datetime, behind: float) -> None:
    found = VersionedState(GatewayState("a"), 1, lag=Lag(NOW.timestamp() - 1200, 600.0))
    assert found.behind(now) == dt.timedelta(seconds=behind)
