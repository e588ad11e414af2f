"""Soft state in memory and in DynamoDB: what gateways said recently, written once a minute.

The item ``{gateway, part: "recent"}`` holds a :class:`~telemetry.alerting.recent.Snapshot`. Execution environments do
not know of each other: each adds what it saw to what is written, so that all of it is there a minute later. ``due`` is
when the next ``no_data`` rule fires if nothing more arrives; ``lag`` is as in the alerts' item.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.store.items import Item, ItemReader, ItemsUnavailableError, due_attributes
from telemetry.alerting import recent as soft
from telemetry.alerting.evaluate import next_silence
from telemetry.alerting.recent import RECENT_EVERY, Recent, Snapshot
from telemetry.alerting.state import GatewayState
from telemetry.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

RECENT_PART = "recent"

logger = Logger(child=True)


class WrittenRecent(NamedTuple):
    """A snapshot as it was read; version 0 means that there is no item yet. ``lag`` is in seconds."""

    snapshot: Snapshot
    version: int = 0
    lag: float = 0.0


class RecentTable:
    """The soft state of the state table."""

    def __init__(self, client: DynamoDBClient, table: str, *, reader: ItemReader | None = None) -> None:
        self._client = client
        self._table = table
        self._reader = reader or ItemReader(client, table)

    def load(self, gateways: Iterable[str]) -> dict[str, WrittenRecent]:
        """What is written of ``gateways``; an empty snapshot where nothing is."""
        wanted = sorted(set(gateways))
        found = {gateway: WrittenRecent(Snapshot()) for gateway in wanted}
        for item in self._reader.read([{"gateway": gateway, "part": RECENT_PART} for gateway in wanted]):
            found[item["gateway"]["S"]] = _decoded(item)
        return found

    def write(
        self, gateway: str, snapshot: Snapshot, after: WrittenRecent, due: dt.datetime | None, lag: float
    ) -> bool:
        """Write a snapshot made of the one read before; whether nobody else had written one meanwhile."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "gateway": {"S": gateway},
                    "part": {"S": RECENT_PART},
                    "version": {"N": str(after.version + 1)},
                    "state": {"B": soft.encode(snapshot)},
                    "lag": {"N": f"{lag:.3f}"},
                    **due_attributes(gateway, due),
                },
                ConditionExpression="attribute_not_exists(gateway) OR version = :expected",
                ExpressionAttributeValues={":expected": {"N": str(after.version)}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def reschedule(self, gateway: str, read: WrittenRecent, due: dt.datetime | None) -> None:
        """Have the watchdog look at a gateway again at ``due``, unless its soft state was written meanwhile."""
        attributes = due_attributes(gateway, due)
        values: dict[str, AttributeValueTypeDef] = {":version": {"N": str(read.version)}}
        values |= {f":{name}": value for name, value in attributes.items()}
        with contextlib.suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key={"gateway": {"S": gateway}, "part": {"S": RECENT_PART}},
                UpdateExpression="SET timer = :timer, due = :due" if attributes else "REMOVE timer, due",
                ConditionExpression="version = :version",
                ExpressionAttributeValues=values,
            )


class Recents:
    """The soft state of the gateways that this execution environment has seen."""

    def __init__(
        self, table: RecentTable, *, clock: Callable[[], dt.datetime], chance: Callable[[], float] = random.random
    ) -> None:
        self._table = table
        self._clock = clock
        self._chance = chance
        self._known: dict[str, Recent] = {}
        self._written_at: dict[str, dt.datetime] = {}

    def load(self, gateways: Iterable[str]) -> None:
        """Have the soft state of ``gateways`` in memory. Where it cannot be read, it begins anew."""
        missing = set(gateways) - self._known.keys()
        if not missing:
            return
        try:
            written = self._table.load(missing)
        except (ClientError, BotoCoreError, ItemsUnavailableError) as error:
            logger.warning("soft state cannot be read; it begins anew", gateways=len(missing), reason=str(error))
            written = {}
        for gateway in missing:
            self._known[gateway] = Recent(written[gateway].snapshot if gateway in written else None)
            # Spread over the minute, lest all gateways of a cold start be written in one invocation ever after.
            self._written_at[gateway] = self._clock() - self._chance() * RECENT_EVERY

    def of(self, gateway: str) -> Recent:
        """The soft state of a gateway."""
        recent = self._known.get(gateway)
        if recent is None:
            recent = self._known[gateway] = Recent()
            self._written_at[gateway] = self._clock()
        return recent

    def write(self, rules: RuleSet, state_of: Callable[[str], GatewayState]) -> None:
        """Write what was last written a minute ago or more; what fails is written with the next minute's."""
        now = self._clock()
        for gateway, recent in self._known.items():
            if recent.unwritten and now - self._written_at[gateway] >= RECENT_EVERY:
                self._written_at[gateway] = now
                try:
                    self._write(gateway, recent, rules, state_of(gateway), now)
                except (ClientError, BotoCoreError, ItemsUnavailableError) as error:
                    logger.warning("soft state cannot be written", gateway=gateway, reason=str(error))

    def _write(self, gateway: str, recent: Recent, rules: RuleSet, state: GatewayState, now: dt.datetime) -> None:
        written = self._table.load([gateway])[gateway]
        snapshot = recent.merged_into(written.snapshot)
        merged = Recent(snapshot)
        lag = max(0.0, now.timestamp() - recent.arrived) if recent.arrived else 0.0
        if self._table.write(gateway, snapshot, written, next_silence(rules, state, merged), lag):
            self._known[gateway] = merged


def _decoded(item: Item) -> WrittenRecent:
    snapshot = soft.decode(bytes(item["state"]["B"]))
    return WrittenRecent(snapshot, int(item["version"]["N"]), float(item["lag"]["N"]))
