"""The detector: a batch of stream records in, the records to deliver again out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import bootstrap
from lambdas.bootstrap import Wiring
from lambdas.detector.detect import Detection, Tally
from lambdas.detector.recent_cache import RecentCache
from lambdas.detector.records import Event, decode_event
from lambdas.detector.residents import Residents
from lambdas.store.homes import HomeTable
from lambdas.store.recent import RecentTable
from lambdas.store.states import StateTable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse


class Settings(bootstrap.Settings, frozen=True):
    """The detector's environment."""

    state_table: str


class DetectorFunction:
    """The detector as Lambda calls it."""

    def __init__(self, wiring: Wiring[Settings]) -> None:
        self._wiring = wiring
        table = wiring.settings.state_table
        self._states = StateTable(wiring.dynamodb, table, wiring.backoff)
        recents = RecentTable(wiring.dynamodb, table, wiring.backoff)
        self._residents = Residents(HomeTable(wiring.dynamodb, table, wiring.backoff))
        self._recents = RecentCache(
            recents,
            self._residents,
            clock=wiring.clock,
            monotonic=wiring.runtime.monotonic,
            chance=wiring.runtime.chance,
        )

    def handle(self, event: Event, _: LambdaContext) -> PartialItemFailureResponse:
        """Detect alerts in a batch; Lambda delivers the records again that the answer names.

        https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
        """
        records = decode_event(event, self._wiring.clock)
        detection = Detection(
            rules=self._wiring.rules.current(),
            states=self._states,
            recents=self._recents,
            residents=self._residents,
            queue=self._wiring.queue,
            gateways=[record.gateway for record in records],
            clock=self._wiring.clock,
        )
        try:
            failed = detection.process(records)
        finally:
            self.emit(detection.tally)
        return {"batchItemFailures": [{"itemIdentifier": record.identifier} for record in failed]}

    def emit(self, tally: Tally) -> None:
        """Add the metrics of one invocation."""
        metrics = self._wiring.metrics
        metrics.add_metric(name="Records", unit=MetricUnit.Count, value=tally.records)
        metrics.add_metric(name="Readings", unit=MetricUnit.Count, value=tally.readings)
        metrics.add_metric(name="RejectedReadings", unit=MetricUnit.Count, value=tally.rejected.total())
        metrics.add_metric(name="RulesRejected", unit=MetricUnit.Count, value=1 if self._wiring.rules.broken else 0)
        metrics.add_metric(name="Transitions", unit=MetricUnit.Count, value=tally.transitions)
        metrics.add_metric(name="WindowsDropped", unit=MetricUnit.Count, value=tally.windows_dropped)
        if tally.newest:
            delay = max(0.0, (self._wiring.clock() - tally.newest).total_seconds() * 1000)
            metrics.add_metric(name="DetectionDelay", unit=MetricUnit.Milliseconds, value=delay)
        for reason, count in tally.rejected.items():
            with single_metric(name="RejectedReadings", unit=MetricUnit.Count, value=count) as metric:
                metric.add_dimension(name="stage", value=self._wiring.settings.stage)
                metric.add_dimension(name="reason", value=reason)
