"""Our handler as it is deployed, on AWS in memory; logs and metrics are written, to nowhere."""

from __future__ import annotations

import datetime as dt
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from typing import Any

from benchmarks.detector.contenders import LAMBDA_ENVIRONMENT, Contender, Event
from benchmarks.detector.streams import last_arrival
from lambdas.bootstrap import Runtime, bootstrap
from lambdas.detector.function import DetectorFunction, Settings
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Faults, T
from local.memory_aws.messages import SQS
from local.memory_aws.s3 import S3

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


class _Timed(Faults):
    """Plans no fault, but adds up what the calls take, to be told next to the figures."""

    seconds = 0.0

    def call(self, operation: str, do: Callable[[], T], *, partly: Callable[[], T] | None = None) -> T:
        """See the base class."""
        began = process_time()
        try:
            return super().call(operation, do, partly=partly)
        finally:
            self.seconds += process_time() - began


class _Queue(SQS):
    """A queue that keeps nothing but the number of transitions."""

    transitions = 0

    def put_back(self, bodies: Sequence[str], after: float) -> None:  # noqa: ARG002
        """See the base class."""
        self.transitions += sum(body.count('"alert_id":') for body in bodies)


def _handler(rules: bytes) -> Contender:
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    calls = _Timed()
    s3, queue = S3(calls), _Queue(calls, lambda: now)
    s3.objects.write(LAMBDA_ENVIRONMENT["CONFIG_BUCKET"], LAMBDA_ENVIRONMENT["RULES_KEY"], io.BytesIO(rules))
    tables = DynamoDB(calls, {LAMBDA_ENVIRONMENT["STATE_TABLE"]: ("gateway", "part")})
    clients = {"dynamodb": tables, "sqs": queue, "s3": s3}
    now = dt.datetime.min.replace(tzinfo=dt.UTC)
    # The time is that of the data, so that what happens each minute does.
    handler = bootstrap(DetectorFunction, Settings, runtime=Runtime(client=clients.__getitem__, clock=lambda: now))

    def handle(event: Event) -> None:
        nonlocal now
        now = dt.datetime.fromtimestamp(last_arrival(event), dt.UTC)
        if (response := handler(event, _CONTEXT)) != {"batchItemFailures": []}:
            raise RuntimeError(f"the detector did not accept the whole event: {response}")

    def tell() -> dict[str, float]:
        return {"aws_calls": calls.calls, "aws_seconds": calls.seconds, "transitions": queue.transitions}

    return Contender(handle, tell)
