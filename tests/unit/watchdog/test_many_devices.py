"""Fifty thousand devices with UUIDs for names behind one gateway: silent at once, and back at once."""

from __future__ import annotations

import base64
import datetime as dt
import io
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from lambdas.bootstrap import Handler, Runtime, bootstrap
from lambdas.detector import function as detector
from lambdas.detector.function import DetectorFunction
from lambdas.store.homes import DEVICES_PER_HOME
from lambdas.watchdog import function as watchdog
from lambdas.watchdog.function import WatchdogFunction
from local.memory_aws.dynamodb import DynamoDB, size_of
from local.memory_aws.faults import Faults
from local.memory_aws.messages import SQS
from local.memory_aws.s3 import S3
from telemetry.notifying.queue import Batch, decode_message
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from tests.eventsource import Clock

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
RULES = b"""
rules:
  - {name: silent, when: no_data, for: 10m}
  - {name: warm, when: "avg(temperature, 10m) > 80"}
"""
DEVICES = [str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128)) for number in range(50_000)]
CONTEXT: Any = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=512,
    invoked_function_arn="",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 50_000,
)


class Fleet:
    """The gateway's devices, the detector and the watchdog, on an AWS in memory that refuses items over 400 KB."""

    def __init__(self) -> None:
        self.clock = Clock(NOW)
        self.faults = Faults()
        self.dynamodb = DynamoDB(self.faults, {"state_table": ("gateway", "part"), "group_table": ("group",)})
        self.sqs, s3 = SQS(self.faults, self.clock), S3(self.faults)
        s3.objects.write("config_bucket", "rules.yaml", io.BytesIO(RULES))
        self.clients: dict[str, Any] = {"dynamodb": self.dynamodb, "sqs": self.sqs, "s3": s3}
        self.sequence = 0
        self.detector = self.wired(DetectorFunction, detector.Settings)
        self.watchdog = self.wired(WatchdogFunction, watchdog.Settings)

    def wired(self, function: Any, settings: Any) -> Handler:
        environ = {field.upper(): field for field in settings.__struct_fields__} | {"RULES_KEY": "rules.yaml"}
        runtime = Runtime(
            client=self.clients.__getitem__,
            clock=self.clock,
            monotonic=lambda: self.clock().timestamp(),
            chance=lambda: 0.0,
        )
        return bootstrap(function, settings, environ=environ, runtime=runtime)

    def send(self) -> None:
        """One reading of each device, in records of 2,500, each an invocation."""
        for start in range(0, len(DEVICES), 2500):
            self.sequence += 1
            readings = (
                Reading(device_id=device, site="s", ts=self.clock.now, seq=self.sequence, temperature=20.0, status="ok")
                for device in DEVICES[start : start + 2500]
            )
            kinesis = {
                "partitionKey": "gw",
                "sequenceNumber": str(self.sequence),
                "approximateArrivalTimestamp": self.clock.now.timestamp(),
                "data": base64.b64encode(encode_batch(readings)).decode(),
            }
            record = {"eventSource": "aws:kinesis", "eventID": f"shardId-0:{self.sequence}", "kinesis": kinesis}
            assert self.detector({"Records": [record]}, CONTEXT) == {"batchItemFailures": []}

    def told(self) -> Counter[tuple[str, str]]:
        """The rule and the change of the transitions since the last call."""
        messages = [decode_message(body) for body in self.sqs.receive(len(self.sqs.messages))]
        transitions = [t for message in messages if isinstance(message, Batch) for t in message.transitions]
        assert len({t.device for t in transitions}) == len(transitions)
        return Counter((t.rule, t.change) for t in transitions)


@pytest.fixture(autouse=True)
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "rules.yaml").write_bytes(RULES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "IoTPipeline")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    Metrics().clear_metrics()


def test_should_report_fifty_thousand_devices_silent_at_once_and_back_at_once(
    record_property: Callable[[str, object], None],
) -> None:
    fleet, took = Fleet(), {}

    def timed(what: str, do: Any) -> None:
        began = time.perf_counter()
        do()
        took[what] = round(time.perf_counter() - began, 1)

    timed("first heard", fleet.send)
    fleet.clock.now += dt.timedelta(seconds=61)
    timed("heard again, written", fleet.send)
    fleet.clock.now += dt.timedelta(seconds=660)
    timed("silent", lambda: fleet.watchdog({}, CONTEXT))
    assert fleet.told() == {("silent", "firing"): len(DEVICES)}
    fleet.clock.now += dt.timedelta(seconds=60)
    timed("a minute later", lambda: fleet.watchdog({}, CONTEXT))
    assert fleet.told() == {}
    timed("back", fleet.send)
    assert fleet.told() == {("silent", "resolved"): len(DEVICES)}

    items = fleet.dynamodb.tables["state_table"]
    parts = Counter(part.partition("/")[0] for _, part in items)
    homes = len(DEVICES) // DEVICES_PER_HOME
    assert parts == {"home": len(DEVICES), "alerts": homes, "recent": homes, "review": 1}
    largest = max(map(size_of, items.values()))
    assert largest < 100_000
    for name, value in {**took, "items": len(items), "largest item": largest}.items():
        record_property(name, value)
