"""What docs/delivery.md promises, held against everything that may go wrong on the way.

The deployed handler runs behind an event source mapping, on an AWS that fails as hypothesis plans it. The measure is
always the undisturbed run: the same code over the same records while nothing fails.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.codec import encode_batch
from telemetry.reading import Reading
from tests.eventsource import Clock, EventSourceMapping, Record, Settings
from tests.unit.detector.faulty_aws import S3, SNS, DynamoDB, Fault, Faults

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
RULES = b"""
rules:
  - {name: too-hot, when: temperature > 40, clear: temperature < 38, severity: critical}
  - {name: battery-low, when: battery < 2.4, clear: battery > 2.6}
"""
CONTEXT = SimpleNamespace(function_name="detector", memory_limit_in_mb=512, invoked_function_arn="", aws_request_id="1")

pytestmark = [
    pytest.mark.filterwarnings("ignore:No application metrics to publish"),
    pytest.mark.filterwarnings("ignore:Dimension 'stage' has already been added"),  # by the execution overtaken
]


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The handler's module; what it holds is set anew for every execution environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STAGE", "STATE_TABLE", "ALERTS_TOPIC_ARN", "CONFIG_BUCKET", "RULES_KEY"):
            patch.setenv(name, name.lower())
        patch.setenv("POWERTOOLS_SERVICE_NAME", "detector")
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "IoTPipeline")
        patch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
        bundle = tmp_path_factory.mktemp("bundle")
        (bundle / "rules.yaml").write_bytes(RULES)
        patch.chdir(bundle)
        yield importlib.import_module("lambdas.detector.handler")
    for name in [name for name in sys.modules if name.startswith("lambdas.")]:
        del sys.modules[name]


class Deployment:
    """The detector on a fake AWS. What an execution environment keeps in memory is gone after it was killed."""

    def __init__(self, handler: ModuleType, planned: Mapping[int, Fault] | None = None) -> None:
        self._handler = handler
        self._faults = Faults(planned or {})
        self._dynamodb, self._sns, self._s3 = DynamoDB(self._faults), SNS(self._faults), S3(self._faults, RULES)
        self._environment: dict[str, Any] = {}
        self.clock = Clock(NOW)

    def invoke(self, event: dict[str, Any]) -> Any:
        """One invocation, in a warm environment if one is left."""
        environment, self._environment = self._environment or self._cold_start(), {}
        self._faults.overtake = lambda: self._overtake(event, environment)
        vars(self._handler).update(environment)
        response = self._handler.handler(event, CONTEXT)
        self._environment = environment
        # The answer travels too: Lambda may never hear that an invocation went well.
        return self._faults.call("respond", lambda: response)

    def _overtake(self, event: dict[str, Any], environment: dict[str, Any]) -> None:
        self._faults.overtake = lambda: None
        vars(self._handler).update(self._cold_start())
        self._handler.handler(event, CONTEXT)
        vars(self._handler).update(environment)

    def _cold_start(self) -> dict[str, Any]:
        handler: Any = self._handler

        def seconds() -> float:
            return self.clock.now.timestamp()

        rules = handler.RulesObject(
            self._s3, "bucket", "rules.yaml", packaged=handler.parse_rules(RULES), clock=seconds
        )
        return {
            "_now": self.clock,
            "processor": BatchProcessor(event_type=EventType.KinesisDataStreams),
            "rules": rules,
            "states": handler.StateTable(self._dynamodb, "states", sleep=lambda _: None),
            "alerts": handler.AlertsTopic(self._sns, "topic"),
        }

    @property
    def calls(self) -> int:
        """How many calls the detector has made so far."""
        return self._faults.calls

    @property
    def notified(self) -> list[dict[str, Any]]:
        """The messages in their order, without the time of publishing: the one thing that is new in a repetition."""
        return [{name: value for name, value in m.items() if name != "published_at"} for m in self._sns.inbox]

    @property
    def states(self) -> dict[str, Any]:
        """Each gateway's alerts."""
        return {
            gateway: json.loads(zlib.decompress(item["state"]["B"])) for gateway, item in self._dynamodb.items.items()
        }


def first_of_each(messages: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """By alert_id, the states notified, in the order of their first messages."""
    seen: dict[str, list[str]] = {}
    for message in messages:
        states = seen.setdefault(message["alert_id"], [])
        if message["state"] not in states:
            states.append(message["state"])
    return seen


def distinct(messages: Sequence[dict[str, Any]]) -> set[str]:
    return {json.dumps(message, sort_keys=True) for message in messages}


class Way(NamedTuple):
    """How a run goes: the mapping's settings, whose turn it is, and what fails at which call."""

    settings: Settings
    turns: list[int]
    faults: dict[int, Fault]


def lines(minute: int, readings: Sequence[tuple[str, int, float, float | None]], first_seq: int = 0) -> bytes:
    """A record of (device, second, temperature, battery) taken in one minute."""
    return encode_batch(
        Reading(
            device_id=device,
            site="s",
            ts=NOW - dt.timedelta(minutes=20 - minute, seconds=-second),
            seq=first_seq + index,
            temperature=temperature,
            battery=battery,
            status="ok",
        )
        for index, (device, second, temperature, battery) in enumerate(readings)
    )


@st.composite
def streams(draw: st.DrawFn, poisoned: bool = False) -> list[Record]:
    """Records of three gateways. A device's readings come in any order of their time, sometimes a record again."""
    values = st.sampled_from([20.0, 39.0, 41.0])
    volts = st.sampled_from([None, 2.0, 2.5, 3.0])
    reading = st.tuples(st.sampled_from(["d1", "d2"]), st.integers(0, 59), values, volts)
    batches = st.tuples(st.sampled_from("abc"), st.lists(reading, max_size=4), st.sampled_from([b"", b"nonsense\n"]))
    records: list[Record] = []
    drawn = draw(st.lists(batches, min_size=1, max_size=12))
    if poisoned:
        drawn.insert(draw(st.integers(0, len(drawn))), ("a", [("poison", 0, 99.0, None)], b""))
    for number, (gateway, readings, rubbish) in enumerate(drawn):
        minute = draw(st.integers(0, 3))
        records.append(Record(len(records), gateway, lines(minute, readings, number * 10) + rubbish, NOW))
        if not poisoned and draw(st.booleans()):
            sent_again = draw(st.sampled_from(records))
            records.append(sent_again._replace(sequence=len(records)))
    return records


ways = st.builds(
    Way,
    st.builds(
        Settings,
        shards=st.integers(1, 2),
        batch_size=st.integers(1, 12),
        parallelization=st.integers(1, 3),
        bisect=st.booleans(),
        retries=st.just(Settings().retries),
        max_age=st.just(Settings().max_age),
        halves_at_first=st.booleans(),
    ),
    st.lists(st.integers(0, 5), max_size=20),
    st.dictionaries(st.integers(0, 40), st.sampled_from(Fault), max_size=8),
)


def undisturbed(handler: ModuleType, records: Sequence[Record]) -> Deployment:
    deployment = Deployment(handler)
    EventSourceMapping(records, Settings(), deployment.invoke, deployment.clock).run()
    return deployment


@given(records=streams(), way=ways)
@settings(max_examples=250)
def test_should_notify_every_transition_and_none_that_did_not_happen(
    handler: ModuleType, records: list[Record], way: Way
) -> None:
    deployment, expected = Deployment(handler, way.faults), undisturbed(handler, records)
    mapping = EventSourceMapping(records, way.settings, deployment.invoke, deployment.clock)
    mapping.run(way.turns)
    assert mapping.failure_destination == []
    assert distinct(deployment.notified) == distinct(expected.notified)
    assert deployment.states == expected.states
    assert first_of_each(deployment.notified) == first_of_each(expected.notified)


@pytest.mark.parametrize("fault", Fault)
def test_should_keep_the_promise_whatever_the_call_that_fails(handler: ModuleType, fault: Fault) -> None:
    """Each call in turn, with records that fire, resolve and fire again."""
    hot_and_cold = [("d1", 0, 41.0, 2.0), ("d2", 1, 41.0, 2.5), ("d1", 2, 20.0, 3.0), ("d1", 3, 41.0, None)]
    records = [
        Record(0, "a", lines(0, hot_and_cold), NOW),
        Record(1, "b", lines(0, hot_and_cold), NOW),
        Record(2, "a", lines(1, [("d1", 0, 20.0, None)]), NOW),
    ]
    expected = undisturbed(handler, records)
    for call in range(expected.calls):
        deployment = Deployment(handler, {call: fault})
        EventSourceMapping(records, Settings(), deployment.invoke, deployment.clock).run()
        assert distinct(deployment.notified) == distinct(expected.notified)
        assert deployment.states == expected.states
        assert first_of_each(deployment.notified) == first_of_each(expected.notified)


@given(records=streams(), way=ways, data=st.data())
@settings(max_examples=100)
def test_should_change_nothing_when_records_are_delivered_again_after_all_went_well(
    handler: ModuleType, records: list[Record], way: Way, data: st.DataObject
) -> None:
    deployment = undisturbed(handler, records)
    states, notified = deployment.states, deployment.notified
    start = data.draw(st.integers(0, len(records) - 1))
    end = data.draw(st.integers(start + 1, len(records)))
    EventSourceMapping(records[start:end], way.settings, deployment.invoke, deployment.clock).run(way.turns)
    assert deployment.states == states
    assert deployment.notified == notified


@given(records=streams(poisoned=True), way=ways)
@settings(max_examples=100)
def test_should_isolate_a_poison_record(handler: ModuleType, records: list[Record], way: Way) -> None:
    few = way.settings._replace(retries=len(way.faults) + 1, bisect=True)
    deployment = Deployment(handler, way.faults)
    mapping = EventSourceMapping(records, few, deployment.invoke, deployment.clock)
    mapping.run(way.turns)
    (given_up,) = mapping.failure_destination
    poison = next(record for record in records if b"poison" in record.data)
    assert given_up.condition == "RetryAttemptsExhausted"
    assert given_up.records[0] == poison
    if few.halves_at_first:
        assert given_up.records == (poison,)
    lost = [record for record in given_up.records if record.key == poison.key]
    expected = undisturbed(handler, [record for record in records if record not in lost])
    assert distinct(deployment.notified) == distinct(expected.notified)
    assert deployment.states == expected.states
    assert first_of_each(deployment.notified) == first_of_each(expected.notified)
