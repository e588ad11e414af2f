"""Soft state in DynamoDB: windows and last-seen times, one item per gateway.

The item ``{gateway, part: "recent"}`` holds a :class:`~telemetry.alerting.snapshots.Snapshot`. ``due`` is when the next
``no_data`` rule fires if nothing more arrives; ``lag`` is as in the alerts' item.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from lambdas.store.backoff import BACKOFF, Backoff
from lambdas.store.items import ItemTable
from telemetry.alerting import snapshots
from telemetry.alerting.snapshots import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

RECENT_PART = "recent"


class WrittenRecent(NamedTuple):
    """A snapshot as it was read; version 0 means that there is no item yet. ``lag`` is in seconds."""

    snapshot: Snapshot
    version: int = 0
    lag: float = 0.0


class RecentTable:
    """The soft state of the state table."""

    def __init__(self, client: DynamoDBClient, table: str, backoff: Backoff = BACKOFF) -> None:
        self._items = ItemTable(client, table, backoff)

    def load(self, gateways: Iterable[str]) -> dict[str, WrittenRecent]:
        """Read the snapshots of ``gateways``; an empty one where there is none."""
        wanted = sorted(set(gateways))
        found = {gateway: WrittenRecent(Snapshot()) for gateway in wanted}
        for item in self._items.read([_key(gateway) for gateway in wanted]):
            snapshot = snapshots.decode(bytes(item["state"]["B"]))
            found[item["gateway"]["S"]] = WrittenRecent(snapshot, int(item["version"]["N"]), float(item["lag"]["N"]))
        return found

    def write(
        self, gateway: str, snapshot: Snapshot, after: WrittenRecent, due: dt.datetime | None, lag: float
    ) -> None:
        """Write a snapshot made of the one read before.

        Raises :class:`~lambdas.store.items.ItemConflictError` if somebody else has written one since.
        """
        attributes: dict[str, AttributeValueTypeDef] = {
            "state": {"B": snapshots.encode(snapshot).data},
            "lag": {"N": f"{lag:.3f}"},
        }
        self._items.put(_key(gateway), attributes, after.version, due)

    def reschedule(self, gateway: str, read: WrittenRecent, due: dt.datetime | None) -> None:
        """Have the watchdog look at a gateway again at ``due``, unless its soft state was written meanwhile."""
        self._items.reschedule(_key(gateway), read.version, due)


def _key(gateway: str) -> dict[str, str]:
    return {"gateway": gateway, "part": RECENT_PART}
