"""Groups in DynamoDB, against moto."""

from __future__ import annotations

import datetime as dt

import pytest
from moto import mock_aws

from lambdas.store.groups import GroupTable, Stored
from lambdas.store.items import ItemConflictError, due_keys, timer
from tests.unit.notifier.samples import NOW, SECOND
from tests.unit.store.tables import create_group_table


@pytest.fixture
def client():
    with mock_aws():
        yield create_group_table()


def due(client, now: dt.datetime) -> list[str]:
    return [key["group"] for key in due_keys(client, "groups", now)]


def test_should_give_back_what_was_committed_and_nothing_for_the_others(client) -> None:
    table = GroupTable(client, "groups")
    assert table.commit("a", b"one", 0, None) == Stored(b"one", 1)
    assert table.load(["a", "b", "a"]) == {"a": Stored(b"one", 1), "b": Stored(b"", 0)}
    assert table.load([]) == {}


def test_should_refuse_to_overwrite_what_somebody_else_wrote(client) -> None:
    table = GroupTable(client, "groups")
    table.commit("a", b"one", 0, None)
    table.commit("a", b"two", 1, None)
    for stale in (0, 1):
        with pytest.raises(ItemConflictError, match="no longer version"):
            table.commit("a", b"stale", stale, None)
        with pytest.raises(ItemConflictError):
            table.delete("a", stale)
    assert table.load(["a"]) == {"a": Stored(b"two", 2)}


def test_should_not_bring_a_deleted_group_back(client) -> None:
    table = GroupTable(client, "groups")
    table.commit("a", b"one", 0, None)
    table.delete("a", 1)
    with pytest.raises(ItemConflictError):
        table.commit("a", b"stale", 1, None)
    assert table.load(["a"]) == {"a": Stored()}


def test_should_be_found_when_due_and_only_then(client) -> None:
    table = GroupTable(client, "groups")
    for key, moment in (("a", NOW), ("b", NOW + 500 * SECOND / 1000), ("c", NOW + 2 * SECOND), ("d", None)):
        table.commit(key, b"", 0, moment)
    assert due(client, NOW) == ["a"]
    assert sorted(due(client, NOW + SECOND)) == ["a", "b"], "never before it is due"
    table.commit("a", b"", 1, None)
    assert sorted(due(client, NOW + 9 * SECOND)) == ["b", "c"]
    assert len({timer(key) for key in "abcdefghijklmnop"}) > 3, "spread over the index"
