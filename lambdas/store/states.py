"""Alert states in DynamoDB: one item per home.

The item ``{gateway, part: "alerts"}`` (``"alerts/1"`` for home number 1, and so on) holds ``version``, ``state`` (the
zlib-compressed JSON of a :class:`~telemetry.alerting.state.GatewayState`, because an item holds at most 400 KB),
``lag`` and ``arrived`` (how many seconds its writer was behind the stream, at a record that arrived then), ``due``
where the clock has something to do, and ``outbox``: the transitions of the last change, until they are known to be in
the queue. Whoever loads an outbox sends it first.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lambdas.store.backoff import BACKOFF, Backoff
from lambdas.store.homes import home_of, key_of
from lambdas.store.items import Item, ItemTable
from telemetry.alerting.snapshots import Lag
from telemetry.alerting.state import GatewayState, Home
from telemetry.alerting.transitions import Transition, decode_transitions, encode_transitions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

ALERTS_PART = "alerts"

#: How long the writer of an outbox has to send it, before the watchdog does.
OUTBOX_PATIENCE = dt.timedelta(seconds=30)

_decoder = msgspec.json.Decoder(GatewayState)

NO_LAG = Lag(0.0, 0.0)


class VersionedState(NamedTuple):
    """A home's state as it was read or written; version 0 means that there is no item yet."""

    state: GatewayState
    version: int
    outbox: Sequence[Transition] = ()
    lag: Lag = NO_LAG

    def behind(self, now: dt.datetime) -> dt.timedelta:
        """Return how far its writer was behind. A lag that ends after ``now`` is none: its writer's clock was wrong."""
        ends = self.lag.arrived + self.lag.seconds
        return dt.timedelta(seconds=self.lag.seconds if ends <= now.timestamp() else 0.0)


class StateTable:
    """The alert states of the state table."""

    def __init__(self, client: DynamoDBClient, table: str, backoff: Backoff = BACKOFF) -> None:
        self._items = ItemTable(client, table, backoff)

    def load(self, homes: Iterable[Home]) -> dict[Home, VersionedState]:
        """Read the states of ``homes``, consistently; an empty one for a home not seen before.

        Raises :class:`~lambdas.store.items.ItemsUnavailableError` if DynamoDB keeps leaving some unread.
        """
        wanted = sorted(set(homes))
        states = {home: VersionedState(GatewayState(home.gateway, number=home.number), 0) for home in wanted}
        for item in self._items.read([key_of(home, ALERTS_PART) for home in wanted]):
            states[home_of({"gateway": item["gateway"]["S"], "part": item["part"]["S"]})] = decode_item(item)
        return states

    def commit(
        self,
        state: GatewayState,
        expected_version: int,
        outbox: Sequence[Transition],
        *,
        now: dt.datetime,
        lag: Lag = NO_LAG,
    ) -> VersionedState:
        """Write ``state`` and the transitions that led to it, which the caller sends next.

        ``now`` is when the record arrived that changed it, or the clock of whoever changed it without one. The outbox
        of the expected version must have been sent: it is replaced. Raises
        :class:`~lambdas.store.items.ItemConflictError` if the version is not the expected one, and
        :class:`~lambdas.store.items.ItemTooLargeError` if state and outbox do not fit into an item.
        """
        attributes: dict[str, AttributeValueTypeDef] = {
            "state": {"B": zlib.compress(msgspec.json.encode(state))},
            "lag": {"N": f"{lag.seconds:.3f}"},
            "arrived": {"N": f"{lag.arrived:.3f}"},
        }
        due = state.due
        if outbox:
            attributes["outbox"] = {"B": zlib.compress(encode_transitions(outbox))}
            due = min(due or now + OUTBOX_PATIENCE, now + OUTBOX_PATIENCE)
        version = self._items.put(key_of(state.home, ALERTS_PART), attributes, expected_version, due)
        return VersionedState(state, version, outbox, lag)

    def clear_outbox(self, sent: VersionedState) -> VersionedState:
        """Remove the outbox of a version, because it reached the queue; nothing if there is a newer version."""
        self._items.reschedule(key_of(sent.state.home, ALERTS_PART), sent.version, sent.state.due, remove=["outbox"])
        return sent._replace(outbox=())


def decode_item(item: Item) -> VersionedState:
    """Return the state in an item of the table."""
    state = _decoder.decode(zlib.decompress(bytes(item["state"]["B"])))
    outbox = decode_transitions(zlib.decompress(bytes(item["outbox"]["B"]))) if "outbox" in item else ()
    lag = Lag(float(item["arrived"]["N"]) if "arrived" in item else 0.0, float(item["lag"]["N"]))
    return VersionedState(state, int(item["version"]["N"]), outbox, lag)
