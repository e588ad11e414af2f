"""The watchdog: EventBridge calls it every minute, and it does what is due."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import bootstrap
from lambdas.bootstrap import Wiring
from lambdas.store.items import due_keys
from lambdas.store.recent import RecentTable
from lambdas.store.states import StateTable
from lambdas.watchdog.watch import Watchdog

#: The time that one batch of gateways may need, in milliseconds.
_RESERVE_MS = 20_000


class Settings(bootstrap.Settings, frozen=True):
    """The watchdog's environment."""

    state_table: str
    group_table: str


class WatchdogFunction:
    """The watchdog as Lambda calls it."""

    def __init__(self, wiring: Wiring[Settings]) -> None:
        self._wiring = wiring
        self._states = StateTable(wiring.dynamodb, wiring.settings.state_table, wiring.backoff)
        self._recents = RecentTable(wiring.dynamodb, wiring.settings.state_table, wiring.backoff)

    def handle(self, _: dict[str, Any], context: LambdaContext) -> None:
        """Bring due gateways forward, and wake due groups."""
        wiring, settings = self._wiring, self._wiring.settings
        now = wiring.clock()
        watchdog = Watchdog(
            rules=wiring.rules.current(),
            states=self._states,
            recents=self._recents,
            queue=wiring.queue,
            now=now,
            has_time=lambda: context.get_remaining_time_in_millis() > _RESERVE_MS,
        )
        watched = watchdog.watch(key["gateway"] for key in due_keys(wiring.dynamodb, settings.state_table, now))
        groups = {key["group"]: 0 for key in due_keys(wiring.dynamodb, settings.group_table, now)}
        wiring.queue.wake(groups)
        metrics = wiring.metrics
        metrics.add_metric(name="GatewaysDue", unit=MetricUnit.Count, value=watched.gateways)
        metrics.add_metric(name="GatewaysFailed", unit=MetricUnit.Count, value=watched.failed)
        metrics.add_metric(name="GroupsDue", unit=MetricUnit.Count, value=len(groups))
        metrics.add_metric(name="Transitions", unit=MetricUnit.Count, value=watched.transitions)
        metrics.add_metric(name="RulesRejected", unit=MetricUnit.Count, value=1 if wiring.rules.broken else 0)
