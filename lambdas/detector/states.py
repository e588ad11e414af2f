"""Alert states in DynamoDB: one item a gateway, written only if nobody else wrote it meanwhile.

An item is ``{gateway: S, version: N, state: B}``; ``state`` is the zlib-compressed JSON of a
:class:`~telemetry.alerting.GatewayState`, some 20 bytes an alert, against DynamoDB's 400 KB an item
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html).
"""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from telemetry.alerting import GatewayState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MAX_KEYS_PER_BATCH_GET = 100

#: How often a throttled read is tried, and what full jitter waits between: a second in all at the most.
_MAX_READS = 6
_BACKOFF_SECONDS = 0.02

_decoder = msgspec.json.Decoder(GatewayState)


class StateConflictError(Exception):
    """Another execution changed the gateway's state since it was read; read again and evaluate again."""


class StatesUnavailableError(Exception):
    """DynamoDB does not give the states; the batch has to be delivered again."""


class VersionedState(NamedTuple):
    """A gateway's state as it was read; version 0 means that there is no item yet."""

    state: GatewayState
    version: int


class StateTable:
    """The state table."""

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

    def load(self, gateways: Iterable[str]) -> dict[str, VersionedState]:
        """The states of ``gateways``, read consistently; an empty one for a gateway not seen before.

        Raises :class:`StatesUnavailableError` if DynamoDB keeps leaving some unread.
        """
        wanted = sorted(set(gateways))
        states = {gateway: VersionedState(GatewayState(gateway), 0) for gateway in wanted}
        for start in range(0, len(wanted), MAX_KEYS_PER_BATCH_GET):
            for item in self._items(wanted[start : start + MAX_KEYS_PER_BATCH_GET]):
                state = _decoder.decode(zlib.decompress(bytes(item["state"]["B"])))
                states[item["gateway"]["S"]] = VersionedState(state, int(item["version"]["N"]))
        return states

    def _items(self, gateways: Sequence[str]) -> Iterator[Mapping[str, AttributeValueTypeDef]]:
        keys: Sequence[Mapping[str, Any]] = [{"gateway": {"S": gateway}} for gateway in gateways]
        for attempt in range(_MAX_READS):
            self._sleep(self._chance() * _BACKOFF_SECONDS * (2**attempt - 1))
            response = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            yield from response["Responses"].get(self._table, [])
            left = response.get("UnprocessedKeys", {}).get(self._table)
            if not left:
                return
            keys = left["Keys"]
        raise StatesUnavailableError(f"DynamoDB left {len(keys)} states unread, {_MAX_READS} times; it is throttling")

    def commit(self, state: GatewayState, expected_version: int) -> VersionedState:
        """Write ``state``; raises :class:`StateConflictError` if its version is not the expected one."""
        version = expected_version + 1
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "gateway": {"S": state.gateway},
                    "version": {"N": str(version)},
                    "state": {"B": zlib.compress(msgspec.json.encode(state))},
                },
                ConditionExpression="attribute_not_exists(gateway) OR version = :expected",
                ExpressionAttributeValues={":expected": {"N": str(expected_version)}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                raise StateConflictError(
                    f"the state of {state.gateway} is no longer version {expected_version}"
                ) from error
            raise
        return VersionedState(state, version)
