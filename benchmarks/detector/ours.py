"""Our handler as it is deployed, on AWS in memory; logs and metrics are written, to nowhere."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.detector.aws import Clients
from benchmarks.detector.contenders import Contender, Event
from lambdas.bootstrap import Runtime, bootstrap
from lambdas.detector.function import DetectorFunction, Settings

_HERE = Path(__file__).parent
_CONTEXT: Any = SimpleNamespace(
    function_name="detector",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-2:123456789012:function:detector",
    aws_request_id="00000000-0000-0000-0000-000000000000",
)


def ten_rules() -> Contender:
    """With the ten rules."""
    return _handler((_HERE / "rules.yaml").read_bytes())


def with_windows() -> Contender:
    """With two more that look at every reading."""
    return _handler((_HERE / "rules.yaml").read_bytes() + (_HERE / "windows.yaml").read_bytes())


def _handler(rules: bytes) -> Contender:
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    clients = Clients(rules)
    now = dt.datetime.min.replace(tzinfo=dt.UTC)
    # The time is that of the data, so that what happens each minute does.
    handler = bootstrap(DetectorFunction, Settings, runtime=Runtime(client=clients.client, clock=lambda: now))

    def handle(event: Event) -> None:
        nonlocal now
        now = dt.datetime.fromtimestamp(event["Records"][-1]["kinesis"]["approximateArrivalTimestamp"], dt.UTC)
        if (response := handler(event, _CONTEXT)) != {"batchItemFailures": []}:
            raise RuntimeError(f"the detector did not accept the whole event: {response}")

    return Contender(handle, clients.tell)
