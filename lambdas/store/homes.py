"""Homes of devices in DynamoDB: one item per device, and the keys of the items that keep a home's state.

The item ``{gateway: <device>, part: "home"}`` says with ``home`` (a gateway) and ``number`` which state keeps the
device's alerts and recent past. It is written once, before the first state with the device, and stays, so that whoever
has it in memory is right. ``retired`` is when the device was taken out of service; one that is heard again is back.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from lambdas.store.backoff import BACKOFF, TRIES, Backoff
from lambdas.store.items import MAX_KEYS_PER_BATCH_GET, ItemsUnavailableError, ItemTable
from telemetry.alerting.state import Home

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: Devices that a home takes in, so that no item comes near the size that DynamoDB refuses.
DEVICES_PER_HOME = 500

#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
MAX_ITEMS_PER_TRANSACTION = 100

_HOME_PART = "home"

#: Requests at a time: a record may name ten thousand devices that are new.
_THREADS = 8

#: The first wait of a transaction that others were in the way of, in seconds.
_CONFLICT_BACKOFF = 0.05

T = TypeVar("T")


def key_of(home: Home, part: str) -> dict[str, str]:
    """Return the key of a part of a home's state: the number follows the part, except for number 0."""
    return {"gateway": home.gateway, "part": f"{part}/{home.number}" if home.number else part}


def home_of(key: Mapping[str, str]) -> Home:
    """Return the home of a key that :func:`key_of` made."""
    return Home(key["gateway"], int(key["part"].partition("/")[2] or 0))


class HomeTable:
    """The homes in the state table."""

    def __init__(self, client: DynamoDBClient, table: str, backoff: Backoff = BACKOFF) -> None:
        self._client = client
        self._table = table
        self._backoff = backoff
        self._items = ItemTable(client, table, backoff)

    def find(self, devices: Iterable[str], seen: Mapping[str, float] | None = None) -> dict[str, Home]:
        """Read the homes of ``devices``, consistently; a device that has none is left out.

        So is one that was retired and not ``seen`` since, in Unix seconds; a device that is not in there is heard now.
        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if DynamoDB keeps leaving some unread.
        """
        wanted = sorted(set(devices))
        return _in_batches(functools.partial(self._find, seen=seen or {}), wanted, MAX_KEYS_PER_BATCH_GET)

    def claim(self, wanted: Mapping[str, Home]) -> dict[str, Home]:
        """Give homes to devices; return the home of each. Where a device has one by now, that is its home.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if others keep getting in the way.
        """
        return _in_batches(self._claim, list(wanted.items()), MAX_ITEMS_PER_TRANSACTION)

    def retire(self, devices: Iterable[str], now: dt.datetime) -> None:
        """Note that devices were taken out of service; those without a home are not known.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if others keep getting in the way.
        """
        homes = self.find(devices)
        _in_batches(functools.partial(self._retire, now=now), list(homes.items()), MAX_ITEMS_PER_TRANSACTION)

    def _find(self, devices: Sequence[str], seen: Mapping[str, float]) -> dict[str, Home]:
        items = self._items.read([_device_key(device) for device in devices])
        return {
            item["gateway"]["S"]: Home(item["home"]["S"], int(item["number"]["N"]))
            for item in items
            if "retired" not in item or seen.get(item["gateway"]["S"], math.inf) > float(item["retired"]["N"])
        }

    def _claim(self, wanted: Sequence[tuple[str, Home]]) -> dict[str, Home]:
        left, found = dict(wanted), dict[str, Home]()
        for _ in self._backoff.tries(_CONFLICT_BACKOFF):
            if not left or self._is_written([self._put(device, home) for device, home in left.items()]):
                return found | left
            found |= self._find(sorted(left), {})
            left = {device: home for device, home in left.items() if device not in found}
        raise ItemsUnavailableError(f"the homes of {len(left)} devices could not be written, {TRIES} times")

    def _retire(self, homes: Sequence[tuple[str, Home]], now: dt.datetime) -> dict[str, Home]:
        for _ in self._backoff.tries(_CONFLICT_BACKOFF):
            if self._is_written([self._put(device, home, retired=now) for device, home in homes]):
                return {}
        raise ItemsUnavailableError(f"the homes of {len(homes)} devices could not be written, {TRIES} times")

    def _put(self, device: str, home: Home, retired: dt.datetime | None = None) -> TransactWriteItemTypeDef:
        key = {name: {"S": value} for name, value in _device_key(device).items()}
        item = {**key, "home": {"S": home.gateway}, "number": {"N": str(home.number)}}
        if retired:
            return {"Put": {"TableName": self._table, "Item": {**item, "retired": {"N": f"{retired.timestamp():.3f}"}}}}
        return {
            "Put": {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(home)"},
        }

    def _is_written(self, items: Sequence[TransactWriteItemTypeDef]) -> bool:
        """Write all items or none; return whether they are written. They are not where others were quicker."""
        try:
            self._client.transact_write_items(TransactItems=items)
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            return False
        return True


def _device_key(device: str) -> dict[str, str]:
    return {"gateway": device, "part": _HOME_PART}


def _in_batches(do: Callable[[Sequence[T]], dict[str, Home]], entries: Sequence[T], most: int) -> dict[str, Home]:
    """Return what ``do`` returns for all entries, of which it accepts ``most`` at once; several batches at a time."""
    batches = [entries[start : start + most] for start in range(0, len(entries), most)]
    found: dict[str, Home] = {}
    if len(batches) < _THREADS:
        for batch in batches:
            found |= do(batch)
        return found
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        for part in pool.map(do, batches):
            found |= part
    return found
