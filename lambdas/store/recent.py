"""Soft state in DynamoDB: windows, newest readings and last-seen times, one item per home.

The item ``{gateway, part: "recent"}`` (``"recent/1"`` for home number 1, and so on) holds a
:class:`~telemetry.alerting.snapshots.Snapshot`. ``due`` is when the next ``no_data`` rule fires if nothing more
arrives.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Set
from typing import TYPE_CHECKING, NamedTuple

from lambdas.store.backoff import BACKOFF, Backoff
from lambdas.store.homes import home_of, key_of
from lambdas.store.items import ItemTable
from telemetry.alerting.recent import Recent
from telemetry.alerting.snapshots import Snapshot, decode, encode
from telemetry.alerting.state import Home

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

RECENT_PART = "recent"


class WrittenRecent(NamedTuple):
    """A snapshot as it was read; version 0 means that there is no item yet."""

    snapshot: Snapshot
    version: int = 0


class RecentTable:
    """The soft state of the state table."""

    def __init__(self, client: DynamoDBClient, table: str, backoff: Backoff = BACKOFF) -> None:
        self._items = ItemTable(client, table, backoff)

    def load(self, homes: Iterable[Home]) -> dict[Home, WrittenRecent]:
        """Read the snapshots of ``homes``; an empty one where there is none."""
        wanted = sorted(set(homes))
        found = {home: WrittenRecent(Snapshot()) for home in wanted}
        for item in self._items.read([key_of(home, RECENT_PART) for home in wanted]):
            home = home_of({"gateway": item["gateway"]["S"], "part": item["part"]["S"]})
            found[home] = WrittenRecent(decode(bytes(item["state"]["B"])), int(item["version"]["N"]))
        return found

    def write(self, home: Home, snapshot: Snapshot, after: WrittenRecent, due: dt.datetime | None) -> bool:
        """Write a snapshot made of the one read before; return whether it fits into the item with its windows.

        Raises :class:`~lambdas.store.items.ItemConflictError` if somebody else has written one since.
        """
        encoded = encode(snapshot)
        # Versions without homes, to which one may go back, need a lag here.
        attributes: dict[str, AttributeValueTypeDef] = {"state": {"B": encoded.data}, "lag": {"N": "0"}}
        self._items.put(key_of(home, RECENT_PART), attributes, after.version, due)
        return encoded.complete

    def forget(
        self, home: Home, devices: Set[str], now: dt.datetime, due: Callable[[Recent], dt.datetime | None]
    ) -> None:
        """Forget devices that are no longer at home; ``due`` is asked when the next of the others falls silent.

        Raises :class:`~lambdas.store.items.ItemConflictError` if somebody else has written meanwhile.
        """
        written = self.load([home])[home]
        there = written.snapshot.devices.keys() & devices
        if there:
            recent = Recent(written.snapshot)
            for device in there:
                recent.forget(device)
            snapshot = recent.merged_into(written.snapshot, now.timestamp(), written.snapshot.homes)
            self.write(home, snapshot, written, due(recent))

    def reschedule(self, home: Home, read: WrittenRecent, due: dt.datetime | None) -> None:
        """Have the watchdog look at a home again at ``due``, unless its soft state was written meanwhile."""
        self._items.reschedule(key_of(home, RECENT_PART), read.version, due)
