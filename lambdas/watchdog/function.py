"""The watchdog: EventBridge calls it every minute, and it does what is due."""

from __future__ import annotations

from typing import Any, TypedDict

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import bootstrap
from lambdas.bootstrap import Wiring
from lambdas.store.homes import HomeTable, home_of
from lambdas.store.items import due_keys
from lambdas.store.recent import RecentTable
from lambdas.store.states import StateTable
from lambdas.watchdog.commits import Commits
from lambdas.watchdog.review import Outcome, Review, ReviewTable
from lambdas.watchdog.watch import Watchdog, Watched

#: The time that one batch of homes may need, in milliseconds.
_RESERVE_MS = 20_000


class Settings(bootstrap.Settings, frozen=True):
    """The watchdog's environment."""

    state_table: str
    group_table: str


class _Tables(TypedDict):
    states: StateTable
    recents: RecentTable
    homes: HomeTable


class WatchdogFunction:
    """The watchdog as Lambda calls it."""

    def __init__(self, wiring: Wiring[Settings]) -> None:
        self._wiring = wiring
        table = wiring.settings.state_table
        self._states = StateTable(wiring.dynamodb, table, wiring.backoff)
        self._recents = RecentTable(wiring.dynamodb, table, wiring.backoff)
        self._homes = HomeTable(wiring.dynamodb, table, wiring.backoff)
        self._reviews = ReviewTable(wiring.dynamodb, table, wiring.backoff)

    def handle(self, _: dict[str, Any], context: LambdaContext) -> None:
        """Bring due homes forward, wake due groups, and review all homes by rules and registry that were edited."""
        wiring, settings, now = self._wiring, self._wiring.settings, self._wiring.clock()
        tables: _Tables = {"states": self._states, "recents": self._recents, "homes": self._homes}
        commits = Commits(self._states, wiring.queue, now)

        def has_time() -> bool:
            return context.get_remaining_time_in_millis() > _RESERVE_MS

        watchdog = Watchdog(rules=wiring.rules.current(), commits=commits, now=now, has_time=has_time, **tables)
        watched = watchdog.watch(home_of(key) for key in due_keys(wiring.dynamodb, settings.state_table, now))
        groups = {key["group"]: 0 for key in due_keys(wiring.dynamodb, settings.group_table, now)}
        wiring.queue.wake(groups)
        review = Review(rules=wiring.rules, table=self._reviews, commits=commits, now=now, has_time=has_time, **tables)
        try:
            review.run()
        finally:
            self._emit(watched, len(groups), review.outcome)

    def _emit(self, watched: Watched, groups: int, reviewed: Outcome) -> None:
        """Add the metrics of one run."""
        metrics = self._wiring.metrics
        failed, transitions = watched.failed + reviewed.failed, watched.transitions + reviewed.transitions
        metrics.add_metric(name="GatewaysDue", unit=MetricUnit.Count, value=watched.homes)
        metrics.add_metric(name="GatewaysFailed", unit=MetricUnit.Count, value=failed)
        metrics.add_metric(name="GroupsDue", unit=MetricUnit.Count, value=groups)
        metrics.add_metric(name="Transitions", unit=MetricUnit.Count, value=transitions)
        metrics.add_metric(name="RulesRejected", unit=MetricUnit.Count, value=1 if self._wiring.rules.broken else 0)
