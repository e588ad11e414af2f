"""Alert states in DynamoDB: one item a gateway, written only if nobody else wrote it meanwhile.

The item ``{gateway, part: "alerts"}`` holds ``version``, ``state`` (the zlib-compressed JSON of a
:class:`~telemetry.alerting.state.GatewayState`, against DynamoDB's 400 KB an item), ``lag`` (how far behind the
stream its writer was, in seconds), ``due`` where the clock has something to do, and ``outbox``: the transitions that
the last change made, for as long as they may not have reached the queue. Whoever loads an outbox sends it first.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from lambdas.store.items import Item, ItemConflictError, ItemReader, due_attributes
from telemetry.alerting.state import GatewayState
from telemetry.alerting.transitions import Transition, decode_transitions, encode_transitions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

ALERTS_PART = "alerts"

#: How long the writer of an outbox has to send it, before the watchdog does.
OUTBOX_PATIENCE = dt.timedelta(seconds=30)

_decoder = msgspec.json.Decoder(GatewayState)


class VersionedState(NamedTuple):
    """A gateway's state as it was read or written; version 0 means that there is no item yet. ``lag`` is in seconds."""

    state: GatewayState
    version: int
    outbox: Sequence[Transition] = ()
    lag: float = 0.0


class StateTable:
    """The alerts of the state table. ``reader`` reads it, ``client`` writes."""

    def __init__(self, client: DynamoDBClient, table: str, *, reader: ItemReader | None = None) -> None:
        self._client = client
        self._table = table
        self._reader = reader or ItemReader(client, table)

    def load(self, gateways: Iterable[str]) -> dict[str, VersionedState]:
        """The states of ``gateways``, read consistently; an empty one for a gateway not seen before.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if DynamoDB keeps leaving some unread.
        """
        wanted = sorted(set(gateways))
        states = {gateway: VersionedState(GatewayState(gateway), 0) for gateway in wanted}
        for item in self._reader.read([{"gateway": gateway, "part": ALERTS_PART} for gateway in wanted]):
            states[item["gateway"]["S"]] = decode_item(item)
        return states

    def commit(
        self,
        state: GatewayState,
        expected_version: int,
        outbox: Sequence[Transition],
        *,
        now: dt.datetime,
        lag: float = 0.0,
    ) -> VersionedState:
        """Write ``state`` and the transitions that led to it, which the caller sends next.

        The outbox of the expected version must have been sent: it is replaced. Raises
        :class:`~lambdas.store.items.ItemConflictError` if the version is not the expected one.
        """
        version = expected_version + 1
        item: dict[str, AttributeValueTypeDef] = {
            "gateway": {"S": state.gateway},
            "part": {"S": ALERTS_PART},
            "version": {"N": str(version)},
            "state": {"B": zlib.compress(msgspec.json.encode(state))},
            "lag": {"N": f"{lag:.3f}"},
        }
        due = state.due
        if outbox:
            item["outbox"] = {"B": zlib.compress(encode_transitions(outbox))}
            due = min(due or now + OUTBOX_PATIENCE, now + OUTBOX_PATIENCE)
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**item, **due_attributes(state.gateway, due)},
                ConditionExpression="attribute_not_exists(gateway) OR version = :expected",
                ExpressionAttributeValues={":expected": {"N": str(expected_version)}},
            )
        except ClientError as error:
            raise _conflict(error, f"the state of {state.gateway} is no longer version {expected_version}") from error
        return VersionedState(state, version, outbox, lag)

    def clear_outbox(self, sent: VersionedState) -> VersionedState:
        """Forget the transitions of a version, because they reached the queue; nothing if there is a newer version."""
        due = due_attributes(sent.state.gateway, sent.state.due)
        update = "REMOVE outbox, timer, due"
        values: dict[str, AttributeValueTypeDef] = {":version": {"N": str(sent.version)}}
        if due:
            update = "SET timer = :timer, due = :due REMOVE outbox"
            values |= {f":{name}": value for name, value in due.items()}
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"gateway": {"S": sent.state.gateway}, "part": {"S": ALERTS_PART}},
                UpdateExpression=update,
                ConditionExpression="version = :version",
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
        return sent._replace(outbox=())


def decode_item(item: Item) -> VersionedState:
    """The state in an item of the table."""
    state = _decoder.decode(zlib.decompress(bytes(item["state"]["B"])))
    outbox = decode_transitions(zlib.decompress(bytes(item["outbox"]["B"]))) if "outbox" in item else ()
    return VersionedState(state, int(item["version"]["N"]), outbox, float(item["lag"]["N"]))


def _conflict(error: ClientError, message: str) -> Exception:
    """The error to raise for a conditional write that failed: DynamoDB's own, unless it is the condition."""
    conditional = error.response["Error"]["Code"] == "ConditionalCheckFailedException"
    return ItemConflictError(message) if conditional else error
