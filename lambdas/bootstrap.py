"""Wiring of the functions, once per execution environment: settings, AWS clients, clock, rules, queue, log, metrics."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import boto3
import msgspec
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from lambdas.store.backoff import Backoff
from lambdas.store.queue import TransitionsQueue
from lambdas.store.rules_object import RulesObject
from telemetry.rules.parse import parse_rules

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Short waits and few tries: what fails is delivered again, or due again, and other work waits behind it.
_CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})

Handler = Callable[[Any, LambdaContext], Any]


class MissingVariableError(RuntimeError):
    """The function was deployed without a variable that it needs."""


class Settings(msgspec.Struct, frozen=True):
    """The environment of every function: one variable per field, whose name is the field's in capitals."""

    stage: str
    transitions_queue_url: str
    config_bucket: str
    rules_key: str
    registry_key: str


S = TypeVar("S", bound=Settings)


def load(settings: type[S], environ: Mapping[str, str]) -> S:
    """Return the settings in ``environ``.

    Raises :class:`MissingVariableError` naming every variable that is missing.
    """
    names = {field: field.upper() for field in settings.__struct_fields__}
    missing = sorted(name for name in names.values() if not environ.get(name))
    if missing:
        raise MissingVariableError(f"missing environment variables: {', '.join(missing)}; the CDK app sets them")
    return settings(**{field: environ[name] for field, name in names.items()})


def _client(service: str) -> Any:
    return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Runtime(NamedTuple):
    """The outside of a function: AWS clients by service, time and chance. Tests bring their own."""

    client: Callable[[str], Any] = _client
    clock: Callable[[], dt.datetime] = _now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


LAMBDA = Runtime()


class Wiring(Generic[S]):
    """The parts that every function needs."""

    def __init__(self, settings: S, runtime: Runtime) -> None:
        self.settings = settings
        self.runtime = runtime
        self.clock = runtime.clock
        self.backoff = Backoff(sleep=runtime.sleep, chance=runtime.chance)
        self.metrics = Metrics()
        self.metrics.set_default_dimensions(stage=settings.stage)
        packaged = Path("rules.yaml").read_bytes()
        self.rules = RulesObject(
            runtime.client("s3"),
            settings.config_bucket,
            settings.rules_key,
            settings.registry_key,
            packaged=parse_rules(packaged),
            packaged_etag=hashlib.sha256(packaged).hexdigest(),
            clock=runtime.monotonic,
        )
        self.dynamodb: DynamoDBClient = runtime.client("dynamodb")
        self.queue = TransitionsQueue(runtime.client("sqs"), settings.transitions_queue_url)


class Function(Protocol):
    """A Lambda function that was wired."""

    def handle(self, event: Any, context: LambdaContext, /) -> Any:
        """Process an event."""


def bootstrap(
    function: Callable[[Wiring[S]], Function],
    settings: type[S],
    *,
    environ: Mapping[str, str] = os.environ,
    runtime: Runtime = LAMBDA,
) -> Handler:
    """Wire a function; return its handler, which writes log and metrics."""
    wiring = Wiring(load(settings, environ), runtime)
    handle = wiring.metrics.log_metrics(function(wiring).handle)
    handler: Handler = Logger().inject_lambda_context(handle)
    return handler
