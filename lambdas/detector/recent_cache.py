"""Soft state in the detector's memory: windows and last-seen times of gateways, written once a minute.

Execution environments do not know of each other: each adds what it saw to what is written, so that all of it is there
a minute later.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.store.items import ItemConflictError, ItemsUnavailableError
from lambdas.store.recent import RecentTable
from telemetry.alerting.evaluate import next_silence
from telemetry.alerting.recent import RECENT_EVERY, Recent
from telemetry.alerting.state import GatewayState
from telemetry.rules.rule_set import RuleSet

logger = Logger(child=True)


class RecentCache:
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
        """Read the soft state of ``gateways`` that is not in memory. Where that fails, it begins empty."""
        missing = set(gateways) - self._known.keys()
        if not missing:
            return
        try:
            written = self._table.load(missing)
        except (ClientError, BotoCoreError, ItemsUnavailableError) as error:
            logger.warning("soft state cannot be read; it begins empty", gateways=len(missing), reason=str(error))
            written = {}
        for gateway in missing:
            self._known[gateway] = Recent(written[gateway].snapshot if gateway in written else None)
            # Spread over the minute: otherwise one invocation a minute writes all gateways of a cold start.
            self._written_at[gateway] = self._clock() - self._chance() * RECENT_EVERY

    def of(self, gateway: str) -> Recent:
        """Return the soft state of a gateway."""
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
                except ItemConflictError:
                    continue  # another environment was quicker
                except (ClientError, BotoCoreError, ItemsUnavailableError) as error:
                    logger.warning("soft state cannot be written", gateway=gateway, reason=str(error))

    def _write(self, gateway: str, recent: Recent, rules: RuleSet, state: GatewayState, now: dt.datetime) -> None:
        written = self._table.load([gateway])[gateway]
        snapshot = recent.merged_into(written.snapshot, now.timestamp())
        merged = Recent(snapshot)
        lag = max(0.0, now.timestamp() - recent.arrived) if recent.arrived else 0.0
        self._table.write(gateway, snapshot, written, next_silence(rules, state, merged), lag)
        self._known[gateway] = merged
