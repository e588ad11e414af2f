"""Alert states in DynamoDB, against moto and against a table that fails on demand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from moto import mock_aws

from lambdas.store.backoff import Backoff
from lambdas.store.items import ItemConflictError, ItemsUnavailableError, due_keys
from lambdas.store.states import OUTBOX_PATIENCE, StateTable
from telemetry.alerting.state import AlertState, GatewayState, PastAlert
from telemetry.alerting.transitions import Transition
from tests.unit.store.tables import create_state_table

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
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
    backoff = Backoff(sleep=waits.append, chance=lambda: 1.0)
    assert StateTable(Throttling(), "states", backoff).load(["a"])["a"].version == 1  # type: ignore[arg-type]
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
        table.load(["a", "b"])
    assert throttled.calls == 6


def test_should_fit_thousands_of_alerts_of_one_gateway_into_one_item(table: StateTable) -> None:
    alerts = {f"device-{i:05}": {"too-hot": FIRING, "too-humid": FIRING} for i in range(4000)}
    table.commit(GatewayState("a", alerts), 0, (), now=NOW)
    assert table.load(["a"])["a"].state.alerts == alerts
