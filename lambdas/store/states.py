"""Alert states in DynamoDB: one item per gateway.

The item ``{gateway, part: "alerts"}`` holds ``version``, ``state`` (the zlib-compressed JSON of a
:class:`~telemetry.alerting.state.GatewayState`, because an item holds at most 400 KB), ``lag`` (how far its writer was
behind the stream, in seconds), ``due`` where the clock has something to do, and ``outbox``: the transitions of the last
change, until they are known to be in the queue. Whoever loads an outbox sends it first.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lambdas.store.backoff import BACKOFF, Backoff
from lambdas.store.items import Item, ItemTable
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
    """The alert states of the state table."""

    def __init__(self, client: DynamoDBClient, table: str, backoff: Backoff = BACKOFF) -> None:
        self._items = ItemTable(client, table, backoff)

    def load(self, gateways: Iterable[str]) -> dict[str, VersionedState]:
        """Read the states of ``gateways``, consistently; an empty one for a gateway not seen before.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if DynamoDB keeps leaving some unread.
        """
        wanted = sorted(set(gateways))
        states = {gateway: VersionedState(GatewayState(gateway), 0) for gateway in wanted}
        for item in self._items.read([_key(gateway) for gateway in wanted]):
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
        attributes: dict[str, AttributeValueTypeDef] = {
            "state": {"B": zlib.compress(msgspec.json.encode(state))},
            "lag": {"N": f"{lag:.3f}"},
        }
        due = state.due
        if outbox:
            attributes["outbox"] = {"B": zlib.compress(encode_transitions(outbox))}
            due = min(due or now + OUTBOX_PATIENCE, now + OUTBOX_PATIENCE)
        version = self._items.put(_key(state.gateway), attributes, expected_version, due)
        return VersionedState(state, version, outbox, lag)

    def clear_outbox(self, sent: VersionedState) -> VersionedState:
        """Remove the outbox of a version, because it reached the queue; nothing if there is a newer version."""
        self._items.reschedule(_key(sent.state.gateway), sent.version, sent.state.due, remove=["outbox"])
        return sent._replace(outbox=())


def decode_item(item: Item) -> VersionedState:
    """Return the state in an item of the table."""
    state = _decoder.decode(zlib.decompress(bytes(item["state"]["B"])))
    outbox = decode_transitions(zlib.decompress(bytes(item["outbox"]["B"]))) if "outbox" in item else ()
    return VersionedState(state, int(item["version"]["N"]), outbox, float(item["lag"]["N"]))


def _key(gateway: str) -> dict[str, str]:
    return {"gateway": gateway, "part": ALERTS_PART}
