"""Homes of devices in DynamoDB, against moto and against a table in memory that fails on demand."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import pytest
from moto import mock_aws

from lambdas.store.backoff import Backoff
from lambdas.store.homes import HomeTable, home_of, key_of
from lambdas.store.items import ItemsUnavailableError
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Fault, Faults, client_error
from telemetry.alerting.state import Home
from tests.unit.store.tables import create_state_table

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
A, B, SECOND = Home("a"), Home("b"), Home("a", 1)


@pytest.fixture(params=["moto", "memory"])
def table(request: pytest.FixtureRequest):
    with mock_aws():
        client = create_state_table() if request.param == "moto" else in_memory(Faults())
        yield HomeTable(client, "states")


def in_memory(faults: Faults) -> Any:
    return cast("Any", DynamoDB(faults, {"states": ("gateway", "part")}))


def test_should_find_the_homes_that_were_claimed_and_no_others(table: HomeTable) -> None:
    assert table.claim({"d": A, "e": SECOND}) == {"d": A, "e": SECOND}
    assert table.find(["d", "e", "f"]) == {"d": A, "e": SECOND}
    assert table.find([]) == table.claim({}) == {}


def test_should_leave_a_device_where_it_was_claimed_first(table: HomeTable) -> None:
    table.claim({"d": A})
    assert table.claim({"d": B, "e": B}) == {"d": A, "e": B}
    assert table.find(["d", "e"]) == {"d": A, "e": B}


def test_should_leave_a_retired_device_at_home_and_out_until_it_is_seen_again(table: HomeTable) -> None:
    table.claim({"d": A, "e": A})
    table.retire(["d", "never-known"], NOW)
    now = NOW.timestamp()
    assert table.claim({"d": B, "e": B}) == table.find(["d", "e"]) == {"d": A, "e": A}
    assert table.find(["d", "e"], {"d": now, "e": now}) == {"e": A}
    assert table.find(["d", "e"], {"d": now + 1, "e": now}) == {"d": A, "e": A}
    assert table.find(["never-known"]) == {}


def test_should_claim_and_find_ten_thousand_devices() -> None:
    faults = Faults()
    table = HomeTable(in_memory(faults), "states")
    wanted = {f"device-{number}": Home("a", number // 500) for number in range(10_000)}
    assert table.claim(wanted) == wanted
    assert table.find(wanted) == wanted
    assert faults.names.count("TransactWriteItems") == faults.names.count("BatchGetItem") == 100


def test_should_take_a_claim_that_was_written_although_its_answer_was_lost_for_its_own() -> None:
    faults = Faults({0: Fault.TIMED_OUT})
    table = HomeTable(in_memory(faults), "states")
    with pytest.raises(Exception, match="Read timeout"):
        table.claim({"d": A})
    assert table.claim({"d": A}) == {"d": A}


def test_should_give_up_on_a_claim_that_others_stay_in_the_way_of() -> None:
    with pytest.raises(ItemsUnavailableError):
        HomeTable(cast("Any", _Cancelling()), "states", Backoff(sleep=lambda _: None)).claim({"d": A})


class _Cancelling:
    """Cancels every transaction, and has no items."""

    def transact_write_items(self, **_: Any) -> None:
        raise client_error("TransactionCanceledException", "TransactWriteItems")

    def batch_get_item(self, **_: Any) -> Any:
        return {"Responses": {}}


@pytest.mark.parametrize("home", [A, SECOND, Home("a/1", 2)])
def test_should_find_the_home_in_the_keys_of_its_parts(home: Home) -> None:
    assert home_of(key_of(home, "alerts")) == home_of(key_of(home, "recent")) == home
