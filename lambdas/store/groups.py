"""Groups of alerts in DynamoDB: one item a group or source of inhibition, written only if nobody else did meanwhile.

An item is ``{group: S, version: N, state: B}``, with ``timer`` and ``due`` where the clock has something to do.
``state`` is encoded by :func:`telemetry.notifying.groups.encode_group` or, for a source of inhibition,
:func:`telemetry.notifying.inhibition.encode_sources`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from lambdas.store.items import ItemConflictError, ItemReader, due_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


class Stored(NamedTuple):
    """What is stored under a key; version 0 means that there is no item."""

    state: bytes = b""
    version: int = 0


class GroupTable:
    """The group table. ``reader`` reads it, ``client`` writes."""

    def __init__(self, client: DynamoDBClient, table: str, *, reader: ItemReader | None = None) -> None:
        self._client = client
        self._table = table
        self._reader = reader or ItemReader(client, table)

    def load(self, keys: Iterable[str]) -> dict[str, Stored]:
        """What is stored under ``keys``, read consistently.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if DynamoDB keeps leaving some unread.
        """
        wanted = sorted(set(keys))
        found = dict.fromkeys(wanted, Stored())
        for item in self._reader.read([{"group": key} for key in wanted]):
            found[item["group"]["S"]] = Stored(bytes(item["state"]["B"]), int(item["version"]["N"]))
        return found

    def commit(self, key: str, state: bytes, expected_version: int, due: dt.datetime | None) -> Stored:
        """Write a state; raises :class:`~lambdas.store.items.ItemConflictError` if its version is another one."""
        version = expected_version + 1
        item: dict[str, AttributeValueTypeDef] = {
            "group": {"S": key},
            "version": {"N": str(version)},
            "state": {"B": state},
            **due_attributes(key, due),
        }
        with _conditional(key, expected_version):
            if expected_version:
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="version = :expected",
                    ExpressionAttributeValues={":expected": {"N": str(expected_version)}},
                )
            else:
                self._client.put_item(
                    TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(version)"
                )
        return Stored(state, version)

    def delete(self, key: str, expected_version: int) -> None:
        """Forget a group; raises :class:`~lambdas.store.items.ItemConflictError` if its version is another one."""
        with _conditional(key, expected_version):
            self._client.delete_item(
                TableName=self._table,
                Key={"group": {"S": key}},
                ConditionExpression="version = :expected",
                ExpressionAttributeValues={":expected": {"N": str(expected_version)}},
            )


@contextlib.contextmanager
def _conditional(key: str, expected_version: int) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            raise ItemConflictError(f"the group {key} is no longer version {expected_version}") from error
        raise
