"""Our handler as it is deployed, on AWS in memory; logs and metrics are written, to nowhere."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3

from benchmarks.detector.aws import Clients
from benchmarks.detector.contenders import LAMBDA_ENVIRONMENT, Contender, Event

_HERE = Path(__file__).parent
_CONTEXT = SimpleNamespace(
    function_name="detector",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-2:123456789012:function:detector",
    aws_request_id="00000000-0000-0000-0000-000000000000",
)


class _Clock:
    """``datetime``'s class methods; its time is that of the data, so that what happens each minute does."""

    fromtimestamp = dt.datetime.fromtimestamp

    def __init__(self) -> None:
        self.time = dt.datetime.min.replace(tzinfo=dt.UTC)

    def now(self, _: dt.tzinfo) -> dt.datetime:
        """The arrival of the event's last record."""
        return self.time


def ten_rules() -> Contender:
    """With the ten rules."""
    return _handler((_HERE / "rules.yaml").read_bytes())


def with_windows() -> Contender:
    """With two more that look at every reading."""
    return _handler((_HERE / "rules.yaml").read_bytes() + (_HERE / "windows.yaml").read_bytes())


def _handler(rules: bytes) -> Contender:
    os.environ |= LAMBDA_ENVIRONMENT
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    clients, clock = Clients(rules), _Clock()
    boto3.client = cast("Any", clients.client)
    module: Any = importlib.import_module("lambdas.detector.handler")
    module.dt = SimpleNamespace(**{**vars(dt), "datetime": clock})

    def handle(event: Event) -> None:
        arrived = event["Records"][-1]["kinesis"]["approximateArrivalTimestamp"]
        clock.time = dt.datetime.fromtimestamp(arrived, dt.UTC)
        if (response := module.handler(event, _CONTEXT)) != {"batchItemFailures": []}:
            raise RuntimeError(f"the detector did not take the whole event: {response}")

    return Contender(handle, clients.tell)
