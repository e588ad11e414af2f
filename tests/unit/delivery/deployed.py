"""The three alerting functions on a fake AWS, behind their event sources."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import logging
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from aws_lambda_powertools import Metrics

from lambdas.bootstrap import Handler, Runtime, Wiring, bootstrap
from lambdas.detector import function as detector
from lambdas.detector.function import DetectorFunction
from lambdas.notifier import function as notifier
from lambdas.notifier.function import NotifierFunction
from lambdas.store.backoff import Backoff
from lambdas.store.homes import HomeTable
from lambdas.store.queue import TransitionsQueue
from lambdas.store.recent import RecentTable
from lambdas.store.states import StateTable, VersionedState
from lambdas.watchdog import function as watchdog
from lambdas.watchdog.function import WatchdogFunction
from local.memory_aws.faults import Fault, Faults, Killed
from local.memory_aws.messages import SNS, SQS, Firehose
from local.memory_aws.s3 import S3
from pipeline.holds import Orders
from telemetry.alerting.snapshots import Device, decode
from telemetry.alerting.state import GatewayState
from telemetry.rules.rule_set import RuleSet
from tests.eventsource import Clock, Discarded
from tests.poison import RefusingPoison

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
CONTEXT: Any = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=512,
    invoked_function_arn="",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 50_000,
)
#: The functions by their names, with their settings.
FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "detector": (DetectorFunction, detector.Settings),
    "watchdog": (WatchdogFunction, watchdog.Settings),
    "notifier": (NotifierFunction, notifier.Settings),
}

#: The queue's visibility timeout, and how often it tries: as the CDK app sets them, or less.
VISIBILITY = 60
MAX_RECEIVES = 10


@contextlib.contextmanager
def bundled(bundle: Path, rules: bytes) -> Iterator[None]:
    """The functions' working directory and environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "IoTPipeline")
        patch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        (bundle / "rules.yaml").write_bytes(rules)
        patch.chdir(bundle)
        logging.disable()
        yield
        logging.disable(logging.NOTSET)
        Metrics().clear_metrics()  # Powertools shares among all what an invocation that died left behind


class Deployed:
    """Detector, watchdog and notifier. What an execution environment keeps in memory is gone after it was killed.

    ``wrong`` is how much the wall clock of a function is ahead, by its name.
    """

    def __init__(
        self,
        rules: bytes,
        planned: Mapping[int, Fault] | None = None,
        *,
        without_outbox: bool = False,
    ) -> None:
        self._without_outbox = without_outbox
        self._faults = Faults(planned)
        self.clock = Clock(NOW)
        self.wrong: dict[str, dt.timedelta] = {}
        self._dynamodb = RefusingPoison(self._faults, {"state_table": ("gateway", "part"), "group_table": ("group",)})
        self._sqs, self._sns = SQS(self._faults, self.clock), SNS(self._faults)
        self._firehose, self._s3 = Firehose(self._faults), S3(self._faults)
        self.configure("rules.yaml", rules)
        self._environments: dict[str, Handler] = {}
        self.given_up: list[Discarded] = []
        self.dead_letters: list[str] = []

    def configure(self, key: str, text: bytes) -> None:
        """Write an object of the config bucket."""
        self._s3.objects.write("config_bucket", key, io.BytesIO(text))

    def plan(self, planned: Mapping[int, Fault]) -> None:
        """Have calls fail, counted from the next one."""
        self._faults.planned = {self._faults.calls + call: fault for call, fault in planned.items()}

    # The functions behind their event sources

    def detector(self, event: dict[str, Any]) -> Any:
        """One invocation by the stream's event source mapping."""
        return self._invoke("detector", event)

    def settle(self) -> None:
        """Let time pass: the queue delivers what is visible, and the watchdog comes every minute.

        Nothing is left to do after eight of them, and a minute more for each fault: it may cost the watchdog one.
        """
        for _ in range(8 + len(self._faults.planned)):
            self.pass_minute()

    def pass_minute(self) -> None:
        """Have the queue deliver what is visible within a minute, and then the watchdog run."""
        minute_ends = self.clock.now + dt.timedelta(minutes=1)
        while (visible_at := self._sqs.next_visible_at()) and visible_at <= minute_ends:
            self.clock.now = max(self.clock.now, visible_at) + dt.timedelta(milliseconds=1)
            self._deliver_messages()
        self.clock.now = minute_ends
        with contextlib.suppress(Exception, Killed):
            self._invoke("watchdog", {})

    def wait(self, until: dt.datetime) -> None:
        """Let time pass up to then, with the watchdog at each whole minute."""
        while True:
            now = self.clock.now
            minute = now.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
            visible_at = self._sqs.next_visible_at()
            if visible_at and max(now, visible_at) <= min(minute, until):
                self.clock.now = max(now, visible_at)
                self._deliver_messages()
            elif minute <= until:
                self.clock.now = minute
                self._invoke("watchdog", {})
            else:
                self.clock.now = max(now, until)
                return

    def _deliver_messages(self) -> None:
        """What an SQS event source does: failed messages, or all of a failed invocation's, come again later."""
        bodies = self._sqs.receive(100)
        if not bodies:
            return
        event = {"Records": [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]}
        failed = list(range(len(bodies)))
        with contextlib.suppress(Exception, Killed):
            response = self._invoke("notifier", event)
            failed = [int(failure["itemIdentifier"]) for failure in response["batchItemFailures"]]
        again = [bodies[number] for number in failed]
        self._sqs.put_back(again, VISIBILITY)

    def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        """One invocation, in a warm environment if one is left. An error leaves the environment as it is."""
        handler = self._environments.pop(function, None) or self._cold_start(function)
        self._faults.overtake = lambda: self._overtake(function, event)
        try:
            response = handler(event, CONTEXT)
        except Exception:
            self._environments[function] = handler
            raise
        self._environments[function] = handler
        # The answer travels too: Lambda may never hear that an invocation went well.
        return self._faults.call("respond", lambda: response)

    def _overtake(self, function: str, event: dict[str, Any]) -> None:
        self._faults.overtake = lambda: None
        self._cold_start(function)(event, CONTEXT)

    def _cold_start(self, name: str) -> Handler:
        function, settings = FUNCTIONS[name]
        if self._without_outbox and name == "detector":
            function = WithoutOutbox
        environ = {field.upper(): field for field in settings.__struct_fields__} | {"RULES_KEY": "rules.yaml"}
        runtime = Runtime(
            client={
                "dynamodb": self._dynamodb,
                "sqs": self._sqs,
                "sns": self._sns,
                "firehose": self._firehose,
                "s3": self._s3,
            }.__getitem__,
            clock=lambda: self.clock.now + self.wrong.get(name, dt.timedelta(0)),
            monotonic=self._seconds,
            sleep=lambda _: None,
            chance=lambda: 0.0,
        )
        return bootstrap(function, settings, environ=environ, runtime=runtime)

    def _seconds(self) -> float:
        return self.clock.now.timestamp()

    def orders(self, rules: RuleSet) -> Orders:
        """An operator, whose calls fail as well."""
        table: tuple[Any, str] = (self._dynamodb, "state_table")
        return Orders(
            StateTable(*table),
            RecentTable(*table),
            HomeTable(*table),
            TransitionsQueue(cast("Any", self._sqs), "queue"),
            rules,
            who="ann",
            clock=self.clock,
            backoff=Backoff(sleep=lambda _: None),
        )

    # What came of it

    @property
    def calls(self) -> int:
        """How many calls the functions have made so far."""
        return self._faults.calls

    @property
    def inbox(self) -> list[dict[str, Any]]:
        """The notifications, in their order."""
        return self._sns.inbox

    @property
    def lake(self) -> list[dict[str, Any]]:
        """The lines of the alerts table."""
        return self._firehose.lines

    @property
    def alerts(self) -> set[tuple[Any, ...]]:
        """The active alerts and the ends of past ones, without what depends on the clock."""
        return self.active | {
            (state.gateway, device, rule, past.changed_at, past.changed_seq)
            for state in self._states
            for device, by_name in state.past.items()
            for rule, past in by_name.items()
        }

    @property
    def active(self) -> set[tuple[Any, ...]]:
        """The active alerts, without what depends on the clock."""
        return {
            (state.gateway, device, rule, a.status, a.alert_id, a.sequence, a.changed_at, a.changed_seq)
            for state in self._states
            for device, by_rule in state.alerts.items()
            for rule, a in by_rule.items()
        }

    @property
    def states(self) -> dict[tuple[str, int], GatewayState]:
        """The hard states by home, without the places of records in their streams."""
        return {
            state.home: msgspec.structs.replace(state, position=None, positions={})
            for state in sorted(self._states, key=lambda state: state.home)
        }

    @property
    def _states(self) -> list[GatewayState]:
        items = self._dynamodb.tables["state_table"].items()
        written = [zlib.decompress(item["state"]["B"]) for (_, part), item in items if part.startswith("alerts")]
        return [msgspec.json.decode(state, type=GatewayState) for state in written]

    @property
    def snapshots(self) -> dict[str, Device]:
        """The soft state that is written, by device."""
        items = self._dynamodb.tables["state_table"].items()
        written = [decode(item["state"]["B"]) for (_, part), item in items if part.startswith("recent")]
        return {name: device for snapshot in written for name, device in snapshot.devices.items()}

    @property
    def outboxes(self) -> list[str]:
        """The gateways with transitions that were not sent, after all."""
        return [key[0] for key, item in self._dynamodb.tables["state_table"].items() if "outbox" in item]


class StatesWithoutOutbox(StateTable):
    """States that forget what is still to be sent: what the outbox is for, missing."""

    def commit(self, state: GatewayState, expected_version: int, outbox: Any, **rest: Any) -> VersionedState:
        return super().commit(state, expected_version, (), **rest)._replace(outbox=outbox)


class WithoutOutbox(DetectorFunction):
    """A detector without an outbox."""

    def __init__(self, wiring: Wiring[detector.Settings]) -> None:
        super().__init__(wiring)
        self._states = StatesWithoutOutbox(wiring.dynamodb, wiring.settings.state_table)
