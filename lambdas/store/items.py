"""How DynamoDB is read and when an item is due: what the tables of alerts and of groups have in common."""

from __future__ import annotations

import datetime as dt
import math
import random
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MAX_KEYS_PER_BATCH_GET = 100

#: The index of what is due, and how many partitions it is spread over: each takes 1,000 writes a second.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
DUE_INDEX = "due"
TIMERS = 8

#: How often a throttled read is tried, and what full jitter waits between: a second in all at the most.
_MAX_READS = 6
_BACKOFF_SECONDS = 0.02

Item = Mapping[str, "AttributeValueTypeDef"]


class ItemsUnavailableError(Exception):
    """DynamoDB does not give the items; what needs them has to be tried again."""


class ItemConflictError(Exception):
    """Somebody else changed the item since it was read; read again and work it out again."""


class ItemReader:
    """Consistent reads of many items of one table."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep
        self._chance = chance

    def read(self, keys: Sequence[Mapping[str, str]]) -> Iterator[Item]:
        """The items there are for ``keys``; raises :class:`ItemsUnavailableError` if some stay unread."""
        for start in range(0, len(keys), MAX_KEYS_PER_BATCH_GET):
            some = keys[start : start + MAX_KEYS_PER_BATCH_GET]
            yield from self._read([{name: {"S": value} for name, value in key.items()} for key in some])

    def _read(self, keys: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
        for attempt in range(_MAX_READS):
            if attempt:
                self._sleep(self._chance() * _BACKOFF_SECONDS * 2**attempt)
            response = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            yield from response["Responses"].get(self._table, [])
            left = response.get("UnprocessedKeys", {}).get(self._table)
            if not left:
                return
            keys = left["Keys"]
        raise ItemsUnavailableError(f"DynamoDB left {len(keys)} items unread, {_MAX_READS} times; it is throttling")


def due_attributes(key: str, due: dt.datetime | None) -> dict[str, AttributeValueTypeDef]:
    """What puts an item into the index of what is due; nothing for one that waits for nothing."""
    if due is None:
        return {}
    return {"timer": {"N": str(timer(key))}, "due": {"N": str(math.ceil(due.timestamp()))}}


def timer(key: str) -> int:
    """The index's partition of a key."""
    return zlib.crc32(key.encode()) % TIMERS


def due_keys(client: DynamoDBClient, table: str, now: dt.datetime) -> Iterator[dict[str, str]]:
    """The keys of what is due, from the index alone, the longest due first in each partition."""
    pages = client.get_paginator("query")
    for number in range(TIMERS):
        for page in pages.paginate(
            TableName=table,
            IndexName=DUE_INDEX,
            KeyConditionExpression="timer = :timer AND due <= :now",
            ExpressionAttributeValues={":timer": {"N": str(number)}, ":now": {"N": str(int(now.timestamp()))}},
        ):
            for item in page["Items"]:
                yield {name: value["S"] for name, value in item.items() if "S" in value}
