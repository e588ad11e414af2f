"""Review of all homes after rules or registry were edited: alerts of what is gone end without a reading.

The item ``{gateway: "review", part: "review"}`` of the state table says by which rules and registry all homes were
reviewed last, and how far the review by newer ones has come. What there is no time for is reviewed next minute.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Set
from typing import TYPE_CHECKING

import msgspec
from aws_lambda_powertools import Logger

from lambdas.store.backoff import BACKOFF, Backoff
from lambdas.store.homes import HomeTable, home_of
from lambdas.store.items import ItemConflictError, ItemTable
from lambdas.store.recent import RECENT_PART, RecentTable
from lambdas.store.rules_object import RulesObject
from lambdas.store.states import ALERTS_PART, StateTable, VersionedState
from lambdas.watchdog.commits import Commits
from telemetry.alerting.evaluate import next_silence, review
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GATEWAY_ITSELF, GatewayState, Home
from telemetry.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Why an alert ends whose device is known through another gateway.
NOT_AT_HOME = "the device is watched behind another gateway"

#: Why an alert ends whose device was retired by an edit of the registry.
NOT_REGISTERED = "the device was taken out of the registry"

#: How long detectors may go on with the rules before, which they ask for every 15 s and use for an invocation.
SETTLED_AFTER = dt.timedelta(seconds=60)

#: Items that one request reads; states and soft state of them are read next.
_ITEMS_PER_PAGE = 1000

#: How often a home is reviewed while others change it.
_ATTEMPTS = 3

_KEY = {"gateway": "review", "part": "review"}

logger = Logger(child=True)


class Reviewed(msgspec.Struct, frozen=True):
    """Rules and registry of a review: their ETags, and the registry's version for S3."""

    rules: str = ""
    registry: str = ""
    registry_version: str = ""


class Marker(msgspec.Struct, frozen=True):
    """The last complete review, and the one under way: by what, after which key it goes on, whether a home failed."""

    done: Reviewed = Reviewed()
    doing: Reviewed | None = None
    after: dict[str, str] | None = None
    failed: bool = False


class Outcome(msgspec.Struct):
    """Counts of one run: homes reviewed, those that failed, and transitions sent."""

    homes: int = 0
    failed: int = 0
    transitions: int = 0


class ReviewTable:
    """The marker, and the homes of the state table in the order of a scan."""

    def __init__(self, client: DynamoDBClient, table: str, backoff: Backoff = BACKOFF) -> None:
        self._client = client
        self._table = table
        self._items = ItemTable(client, table, backoff)

    def load(self) -> tuple[Marker, int]:
        """Read the marker and its version; version 0 means that there never was a review."""
        for item in self._items.read([_KEY]):
            return msgspec.json.decode(item["review"]["S"], type=Marker), int(item["version"]["N"])
        return Marker(), 0

    def write(self, marker: Marker, version: int) -> int:
        """Write the marker in place of the version read; return its version."""
        return self._items.put(_KEY, {"review": {"S": msgspec.json.encode(marker).decode()}}, version, None)

    def page(self, after: dict[str, str] | None) -> tuple[list[Home], dict[str, str] | None]:
        """Return some of the homes that have state, and the key to go on after; None at the end."""
        start = {"ExclusiveStartKey": {name: {"S": value} for name, value in after.items()}} if after else {}
        page = self._client.scan(
            TableName=self._table,
            FilterExpression="begins_with(part, :alerts) OR begins_with(part, :recent)",
            ExpressionAttributeValues={":alerts": {"S": ALERTS_PART}, ":recent": {"S": RECENT_PART}},
            ProjectionExpression="gateway, part",
            Limit=_ITEMS_PER_PAGE,
            **start,  # type: ignore[arg-type]
        )
        keys = [{name: value["S"] for name, value in item.items() if "S" in value} for item in page["Items"]]
        homes = list(dict.fromkeys(map(home_of, keys)))
        last = page.get("LastEvaluatedKey")
        return homes, {name: value["S"] for name, value in last.items() if "S" in value} if last else None


class Review:
    """One run."""

    def __init__(
        self,
        *,
        rules: RulesObject,
        table: ReviewTable,
        states: StateTable,
        recents: RecentTable,
        homes: HomeTable,
        commits: Commits,
        now: dt.datetime,
        has_time: Callable[[], bool],
    ) -> None:
        self._object = rules
        self._rules: RuleSet = rules.current()
        self._table = table
        self._states = states
        self._recents = recents
        self._homes = homes
        self._commits = commits
        self._now = now
        self._has_time = has_time
        self.outcome = Outcome()

    def run(self) -> None:
        """Review all homes if rules or registry have changed since they were; go on where a run before stopped."""
        rules, registry = self._object.versions
        wanted = Reviewed(rules.etag, registry.etag, registry.version_id)
        marker, version = self._table.load()
        if version and marker.done == wanted:
            return
        if not marker.done.registry_version and registry.version_id:
            # Devices that are taken out before the first review is complete are known by this one.
            marker = msgspec.structs.replace(marker, done=Reviewed(registry_version=registry.version_id))
            version = self._table.write(marker, version)
        age = self._now - max(rules.written, registry.written)
        if dt.timedelta(0) <= age < SETTLED_AFTER:
            return
        if marker.doing != wanted:
            marker = Marker(marker.done, wanted)
        retired = self._retired(marker.done)
        while self._has_time():
            homes, after = self._table.page(marker.after)
            failed = self._review_some(homes, retired) or marker.failed
            marker = Marker(marker.done, wanted, after, failed=failed and after is not None)
            if after is None and not failed:
                self._homes.retire(retired, self._now)
                marker = Marker(wanted)
            try:
                version = self._table.write(marker, version)
            except ItemConflictError:
                logger.info("another run reviews the homes as well, and goes on")
                return
            if after is None:
                logger.info("reviewed all homes by the rules and the registry", homes=self.outcome.homes)
                return
        logger.warning("no time left; the review goes on next minute", homes=self.outcome.homes)

    def _retired(self, done: Reviewed) -> Set[str]:
        """Return the devices that were taken out of the registry since the last complete review."""
        registry = self._rules.registry
        if not done.registry_version or not registry.attributes:
            return frozenset()
        before = self._object.registry_at(done.registry_version)
        return before.devices.keys() - registry.devices.keys() if before else frozenset()

    def _review_some(self, homes: Iterable[Home], retired: Set[str]) -> bool:
        """Review some homes; return whether one failed."""
        found = self._states.load(homes)
        devices = {device for each in found.values() for device in (*each.state.alerts, *each.state.holds)}
        at_home = self._homes.find(devices - retired - {GATEWAY_ITSELF})
        failed = 0
        for home, before in found.items():
            try:
                self._review_again(home, before, retired, at_home)
            except Exception:  # whatever it is, the other homes go on
                logger.exception("a home is reviewed again next minute", gateway=home.gateway, home=home.number)
                failed += 1
        self.outcome.homes += len(found)
        self.outcome.failed += failed
        return failed > 0

    def _review_again(self, home: Home, before: VersionedState, retired: Set[str], at_home: Mapping[str, Home]) -> None:
        """Review a home, and again where others change it meanwhile."""
        for _ in range(_ATTEMPTS - 1):
            try:
                self._review_one(home, before, retired, at_home)
            except ItemConflictError:
                before = self._states.load([home])[home]
            else:
                return
        self._review_one(home, before, retired, at_home)

    def _review_one(self, home: Home, before: VersionedState, retired: Set[str], at_home: Mapping[str, Home]) -> None:
        state = before.state
        watched = {*state.alerts, *state.holds} - retired - {GATEWAY_ITSELF}
        # Those without a home are of a version that had none.
        claimed = self._homes.claim({device: home for device in watched if device not in at_home})
        strangers = {device for device in watched if (at_home.get(device) or claimed[device]) != home}
        here = retired & {*state.alerts, *state.past, *state.holds}
        before = self._end(self._commits.settled(before), here, NOT_REGISTERED)
        if strangers:
            before = self._end(before, strangers, NOT_AT_HOME)
        if retired:
            self._forget(home, before, retired)
        self._reschedule(home, before.state)

    def _end(self, before: VersionedState, gone: Set[str], reason: str) -> VersionedState:
        """Review a state, and end the alerts of devices that are gone."""
        after, sent = self._commits.in_pieces(
            before, lambda state, most: review(self._rules, state, self._now, retired=gone, reason=reason, most=most)
        )
        self.outcome.transitions += sent
        return after

    def _reschedule(self, home: Home, state: GatewayState) -> None:
        """Have the watchdog look again when the next device falls silent by the rules as they are now."""
        written = self._recents.load([home])[home]
        if written.version:
            self._recents.reschedule(home, written, next_silence(self._rules, state, Recent(written.snapshot)))

    def _forget(self, home: Home, state: VersionedState, retired: Set[str]) -> None:
        self._recents.forget(home, retired, self._now, lambda recent: next_silence(self._rules, state.state, recent))
