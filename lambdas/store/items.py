"""Items of a DynamoDB table, each with a version: written only if nobody else has written it since it was read.

An item that waits for a moment has ``due``, in Unix seconds, and is in the index of that name.
"""

from __future__ import annotations

import datetime as dt
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.store.backoff import BACKOFF, TRIES, Backoff

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MAX_KEYS_PER_BATCH_GET = 100

#: DynamoDB's limit is 400 KB, the names and numbers of the item included; what is left of it is for those.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_BYTES = 400_000

#: The index of due items, and the number of partitions it is spread over: each accepts 1,000 writes a second.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
DUE_INDEX = "due"
TIMERS = 8

#: The first wait of a throttled read, in seconds: a second in all at the most.
_READ_BACKOFF = 0.04

#: The names and texts of an item's key, the partition key first.
Key = Mapping[str, str]
Item = Mapping[str, "AttributeValueTypeDef"]


class ItemsUnavailableError(Exception):
    """DynamoDB left items unread; try again later."""


class ItemTooLargeError(Exception):
    """The item is larger than DynamoDB accepts; change less at once."""


class ItemConflictError(Exception):
    """Somebody else has changed the item since it was read; read it and decide again."""


class ItemTable:
    """A table of versioned items."""

    def __init__(self, client: DynamoDBClient, name: str, backoff: Backoff = BACKOFF) -> None:
        self._client = client
        self._name = name
        self._backoff = backoff

    def read(self, keys: Sequence[Key]) -> Iterator[Item]:
        """Read the items that exist, consistently; raises :class:`ItemsUnavailableError` if some stay unread."""
        for start in range(0, len(keys), MAX_KEYS_PER_BATCH_GET):
            yield from self._read([_attributes(key) for key in keys[start : start + MAX_KEYS_PER_BATCH_GET]])

    def _read(self, keys: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
        for _ in self._backoff.tries(_READ_BACKOFF):
            response = self._client.batch_get_item(RequestItems={self._name: {"Keys": keys, "ConsistentRead": True}})
            yield from response["Responses"].get(self._name, [])
            left = response.get("UnprocessedKeys", {}).get(self._name)
            if not left:
                return
            keys = left["Keys"]
        raise ItemsUnavailableError(f"DynamoDB left {len(keys)} items unread, {TRIES} times; it is throttling")

    def put(self, key: Key, attributes: Item, expected_version: int, due: dt.datetime | None) -> int:
        """Write an item and return its version, the one after ``expected_version``; 0 expects that there is no item.

        Raises :class:`ItemConflictError` if the version is another one, and :class:`ItemTooLargeError`.
        """
        size = sum(len(value["B"]) for value in attributes.values() if "B" in value)
        if size > MAX_BYTES:
            raise ItemTooLargeError(f"the item {' '.join(key.values())} would have {size} bytes")
        version = expected_version + 1
        item = {**_attributes(key), "version": _number(version), **attributes, **_due_attributes(key, due)}
        try:
            if expected_version:
                self._client.put_item(
                    TableName=self._name,
                    Item=item,
                    ConditionExpression="version = :expected",
                    ExpressionAttributeValues={":expected": _number(expected_version)},
                )
            else:
                self._client.put_item(
                    TableName=self._name, Item=item, ConditionExpression="attribute_not_exists(version)"
                )
        except ClientError as error:
            raise _conflict(error, key, expected_version) from error
        return version

    def delete(self, key: Key, expected_version: int) -> None:
        """Delete an item; raises :class:`ItemConflictError` if its version is another one."""
        try:
            self._client.delete_item(
                TableName=self._name,
                Key=_attributes(key),
                ConditionExpression="version = :expected",
                ExpressionAttributeValues={":expected": _number(expected_version)},
            )
        except ClientError as error:
            raise _conflict(error, key, expected_version) from error

    def reschedule(self, key: Key, version: int, due: dt.datetime | None, *, remove: Iterable[str] = ()) -> None:
        """Change when an item is due and remove attributes, without a new version; nothing if it has a newer one."""
        attributes = _due_attributes(key, due)
        removed = ", ".join([*remove, *(() if due else ("timer", "due"))])
        update = [f"SET {', '.join(f'{name} = :{name}' for name in attributes)}"] if attributes else []
        try:
            self._client.update_item(
                TableName=self._name,
                Key=_attributes(key),
                UpdateExpression=" ".join([*update, *([f"REMOVE {removed}"] if removed else [])]),
                ConditionExpression="version = :version",
                ExpressionAttributeValues={
                    ":version": _number(version),
                    **{f":{name}": value for name, value in attributes.items()},
                },
            )
        except ClientError as error:
            if not _is_conflict(error):
                raise


def _attributes(key: Key) -> dict[str, AttributeValueTypeDef]:
    return {name: {"S": value} for name, value in key.items()}


def _number(value: int) -> AttributeValueTypeDef:
    return {"N": str(value)}


def _is_conflict(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _conflict(error: ClientError, key: Key, version: int) -> Exception:
    """Return the error to raise for a conditional write that failed: DynamoDB's own, unless it is the condition."""
    if not _is_conflict(error):
        return error
    return ItemConflictError(f"the item {' '.join(key.values())} is no longer version {version}")


def _due_attributes(key: Key, due: dt.datetime | None) -> dict[str, AttributeValueTypeDef]:
    """Return the attributes of the index of due items; none for an item that does not wait."""
    if due is None:
        return {}
    return {"timer": _number(timer(next(iter(key.values())))), "due": _number(math.ceil(due.timestamp()))}


def timer(key: str) -> int:
    """Return the index's partition of a partition key."""
    return zlib.crc32(key.encode()) % TIMERS


def due_keys(client: DynamoDBClient, table: str, now: dt.datetime) -> Iterator[dict[str, str]]:
    """Yield the keys of due items, from the index alone, the longest due first in each partition."""
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
