"""Notification groups in DynamoDB: one item per group or source of inhibition.

An item is ``{group: S, version: N, state: B}``, with ``due`` where the clock has something to do.
``state`` is encoded by :func:`telemetry.notifying.groups.encode_group` or, for a source of inhibition,
:func:`telemetry.notifying.inhibition.encode_sources`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from lambdas.store.backoff import BACKOFF, Backoff
from lambdas.store.items import ItemTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Stored(NamedTuple):
    """An item as it was read or written; version 0 means that there is none."""

    state: bytes = b""
    version: int = 0


class GroupTable:
    """The group table."""

    def __init__(self, client: DynamoDBClient, table: str, backoff: Backoff = BACKOFF) -> None:
        self._items = ItemTable(client, table, backoff)

    def load(self, keys: Iterable[str]) -> dict[str, Stored]:
        """Read what is stored under ``keys``, consistently.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if DynamoDB keeps leaving some unread.
        """
        wanted = sorted(set(keys))
        found = dict.fromkeys(wanted, Stored())
        for item in self._items.read([{"group": key} for key in wanted]):
            found[item["group"]["S"]] = Stored(bytes(item["state"]["B"]), int(item["version"]["N"]))
        return found

    def commit(self, key: str, state: bytes, expected_version: int, due: dt.datetime | None) -> Stored:
        """Write a state; raises :class:`~lambdas.store.items.ItemConflictError` if its version is another one."""
        return Stored(state, self._items.put({"group": key}, {"state": {"B": state}}, expected_version, due))

    def delete(self, key: str, expected_version: int) -> None:
        """Delete a group; raises :class:`~lambdas.store.items.ItemConflictError` if its version is another one."""
        self._items.delete({"group": key}, expected_version)
