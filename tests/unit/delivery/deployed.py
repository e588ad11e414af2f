"""The three alerting functions on a fake AWS, behind their event sources."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest

from lambdas.store.backoff import Backoff
from telemetry.alerting.state import GatewayState
from tests.eventsource import Clock, Discarded, Killed
from tests.faulty_aws import S3, SNS, SQS, DynamoDB, Fault, Faults, Firehose

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
CONTEXT = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=512,
    invoked_function_arn="",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 50_000,
)
FUNCTIONS = ("detector", "watchdog", "notifier")
VARIABLES = (
    "STAGE",
    "STATE_TABLE",
    "GROUP_TABLE",
    "TRANSITIONS_QUEUE_URL",
    "ALERTS_TOPIC_ARN",
    "ALERTS_DELIVERY_STREAM",
    "CONFIG_BUCKET",
    "RULES_KEY",
    "REGISTRY_KEY",
)

NO_WAITS = Backoff(sleep=lambda _: None)

#: The queue's visibility timeout, and how often it tries: as the CDK app sets them, or less.
VISIBILITY = 60
MAX_RECEIVES = 10


@contextlib.contextmanager
def imported_handlers(bundle: Path, rules: bytes) -> Iterator[dict[str, ModuleType]]:
    """The handlers' modules; what they hold is set anew for every execution environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.setenv(name, name.lower())
        patch.setenv("POWERTOOLS_SERVICE_NAME", "alerting")
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "IoTPipeline")
        patch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
        patch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        (bundle / "rules.yaml").write_bytes(rules)
        patch.chdir(bundle)
        handlers = {name: importlib.import_module(f"lambdas.{name}.handler") for name in FUNCTIONS}
        yield handlers
        for handler in handlers.values():
            handler.metrics.clear_metrics()  # Powertools shares among all what an invocation that died left behind
    for name in [name for name in sys.modules if name.startswith("lambdas.")]:
        del sys.modules[name]


class Deployed:
    """Detector, watchdog and notifier. What an execution environment keeps in memory is gone after it was killed."""

    def __init__(
        self,
        handlers: Mapping[str, ModuleType],
        rules: bytes,
        planned: Mapping[int, Fault] | None = None,
        *,
        without_outbox: bool = False,
    ) -> None:
        self._handlers = handlers
        self._rules = rules
        self._without_outbox = without_outbox
        self._faults = Faults(planned or {})
        self.clock = Clock(NOW)
        self._dynamodb = DynamoDB(self._faults, {"state_table": ("gateway", "part"), "group_table": ("group",)})
        self._sqs, self._sns = SQS(self._faults, self.clock), SNS(self._faults)
        self._firehose, self._s3 = Firehose(self._faults), S3(self._faults, rules)
        self._environments: dict[str, dict[str, Any]] = {}
        self.given_up: list[Discarded] = []
        self.dead_letters: list[str] = []

    # The functions behind their event sources

    def detector(self, event: dict[str, Any]) -> Any:
        """One invocation by the stream's event source mapping."""
        return self._invoke("detector", event)

    def settle(self) -> None:
        """Let time pass: the queue delivers what is visible, and the watchdog comes every minute.

        Nothing is left to do after eight of them, and a minute more for each fault: it may cost the watchdog one.
        """
        for _ in range(8 + len(self._faults.planned)):
            minute_ends = self.clock.now + dt.timedelta(minutes=1)
            while (visible_at := self._sqs.next_visible_at()) and visible_at <= minute_ends:
                self.clock.now = max(self.clock.now, visible_at) + dt.timedelta(milliseconds=1)
                self._deliver_messages()
            self.clock.now = minute_ends
            with contextlib.suppress(Exception, Killed):
                self._invoke("watchdog", {})

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
        """One invocation, in a warm environment if one is left."""
        environment = self._environments.pop(function, None) or self._cold_start(function)
        self._faults.overtake = lambda: self._overtake(function, event, environment)
        vars(self._handlers[function]).update(environment)
        response = self._handlers[function].handler(event, CONTEXT)
        self._environments[function] = environment
        # The answer travels too: Lambda may never hear that an invocation went well.
        return self._faults.call("respond", lambda: response)

    def _overtake(self, function: str, event: dict[str, Any], environment: dict[str, Any]) -> None:
        self._faults.overtake = lambda: None
        vars(self._handlers[function]).update(self._cold_start(function))
        self._handlers[function].handler(event, CONTEXT)
        vars(self._handlers[function]).update(environment)

    def _cold_start(self, function: str) -> dict[str, Any]:
        handler: Any = self._handlers[function]
        rules = handler.RulesObject(
            self._s3,
            "bucket",
            "rules.yaml",
            "registry/devices.csv",
            packaged=handler.parse_rules(self._rules),
            clock=self._seconds,
        )
        environment = {"_now": self.clock, "rules": rules, "queue": handler.TransitionsQueue(self._sqs, "queue")}
        collaborators: dict[str, Any] = getattr(self, f"_{function}")(handler)
        return environment | collaborators

    def _seconds(self) -> float:
        return self.clock.now.timestamp()

    def _detector(self, handler: Any) -> dict[str, Any]:
        states = handler.StateTable(self._dynamodb, "state_table", NO_WAITS)
        recent_table = handler.RecentTable(self._dynamodb, "state_table", NO_WAITS)
        if self._without_outbox:
            states = WithoutOutbox(states)
        return {"states": states, "recents": handler.RecentCache(recent_table, clock=self.clock, chance=lambda: 0.0)}

    def _watchdog(self, handler: Any) -> dict[str, Any]:
        return {
            "dynamodb": self._dynamodb,
            "states": handler.StateTable(self._dynamodb, "state_table", NO_WAITS),
            "recents": handler.RecentTable(self._dynamodb, "state_table", NO_WAITS),
        }

    def _notifier(self, handler: Any) -> dict[str, Any]:
        return {
            "groups": handler.GroupTable(self._dynamodb, "group_table", NO_WAITS),
            "topic": handler.AlertsTopic(self._sns, "topic"),
            "lake": handler.AlertsLake(self._firehose, "delivery", NO_WAITS),
        }

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
        found: set[tuple[Any, ...]] = set()
        for (gateway, part), item in self._dynamodb.tables["state_table"].items():
            if part == "alerts":
                state = msgspec.json.decode(zlib.decompress(item["state"]["B"]), type=GatewayState)
                found |= {
                    (gateway, device, rule, a.status, a.alert_id, a.sequence, a.changed_at, a.changed_seq)
                    for device, by_rule in state.alerts.items()
                    for rule, a in by_rule.items()
                }
                found |= {
                    (gateway, device, rule, past.changed_at, past.changed_seq)
                    for device, by_name in state.past.items()
                    for rule, past in by_name.items()
                }
        return found

    @property
    def outboxes(self) -> list[str]:
        """The gateways with transitions that were not sent, after all."""
        return [key[0] for key, item in self._dynamodb.tables["state_table"].items() if "outbox" in item]


class WithoutOutbox:
    """States that forget what is still to be sent: what the outbox is for, missing."""

    def __init__(self, states: Any) -> None:
        self._states = states

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self._states, name)
        return function

    def commit(self, state: Any, expected_version: int, outbox: Any, **rest: Any) -> Any:
        return self._states.commit(state, expected_version, (), **rest)._replace(outbox=outbox)
