"""Makes metrics of the functions' logs, which CloudWatch does and the emulator does not.

Runs beside the emulator, in its process group, interpreter and environment, as ``python -m local.metrics_agent``: it
follows the functions' log groups and puts what their lines in embedded metric format say, each line once.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.emf import BadLineError, Sample, Series, parse
from local.endpoint import require_loopback
from pipeline.names import PREFIX

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

#: The log groups of the functions of all stages.
GROUPS = f"/aws/lambda/{PREFIX}"

_POLL_SECONDS = 1.0

#: The emulator goes through all its log streams for an answer, one an invocation, and does nothing else meanwhile: as
#: they become many, the agent asks less often, so that it never takes more than this share of the time.
_MOST_OF_THE_TIME = 0.05

#: Executions end at the same time, so that a line may show up after a later one: how far back is looked again.
_OVERLAP_MS = 5_000

#: The most events an answer holds: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
_MAX_EVENTS = 10_000

#: Of 150 values and 1,000 data a request: a fifth of these stays below its 1 MB whatever they hold.
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
_MAX_VALUES = 150
_MAX_DATA = 200

_CLIENTS = Config(retries={"mode": "standard", "total_max_attempts": 1})

logger = logging.getLogger("metrics agent")


class _Logs(Protocol):
    """The calls of CloudWatch Logs that the agent needs."""

    def filter_log_events(self, *, logGroupName: str, filterPattern: str, startTime: int, limit: int) -> Any: ...  # noqa: N803

    def get_paginator(self, name: Literal["describe_log_groups"], /) -> Any: ...


class _Line(NamedTuple):
    timestamp: int
    stream: str
    message: str


class Follower:
    """Yields each line with metrics of one log group once."""

    def __init__(self, logs: _Logs, group: str) -> None:
        self._logs = logs
        self._group = group
        self._from = 0
        self._seen: Counter[_Line] = Counter()

    def new_lines(self) -> Iterator[str]:
        """Yield the messages that were not there last time. An execution may well write the same line twice."""
        full = True
        while full:
            found = self._logs.filter_log_events(
                logGroupName=self._group, filterPattern='"_aws"', startTime=self._from, limit=_MAX_EVENTS
            )["events"]
            lines = Counter(_Line(e["timestamp"], e["logStreamName"], e["message"]) for e in found)
            for line in (lines - self._seen).elements():
                yield line.message
            full = len(found) == _MAX_EVENTS
            if lines:
                newest = max(line.timestamp for line in lines)
                self._from = newest if full else max(self._from, newest - _OVERLAP_MS)
            self._seen = Counter({line: n for line, n in (self._seen | lines).items() if line.timestamp >= self._from})


class Agent:
    """Follows all the groups there are and puts their metrics."""

    def __init__(self, logs: _Logs, cloudwatch: CloudWatchClient) -> None:
        self._logs = logs
        self._cloudwatch = cloudwatch
        self._followers: dict[str, Follower] = {}

    def poll(self) -> None:
        """Put what is new. Groups may come and go: a reset of the emulator takes them all."""
        pages = self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=GROUPS)
        names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        self._followers = {name: self._followers.get(name) or Follower(self._logs, name) for name in names}
        for name, follower in self._followers.items():
            samples = [sample for line in follower.new_lines() for sample in _parsed(line, name)]
            for namespace, data in requests(samples):
                self._cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def _parsed(line: str, group: str) -> list[Sample]:
    try:
        return parse(line)
    except BadLineError as error:
        logger.warning("a line of %s is left out: %s: %.300s", group, error, line)
        return []


def requests(samples: Iterable[Sample]) -> Iterator[tuple[str, list[MetricDatumTypeDef]]]:
    """The namespaces and the data to put: the values of a series in the same second, the finest there is, together."""
    series = defaultdict[tuple[Series, int], Counter[float]](Counter)
    for sample in samples:
        series[sample.series, sample.timestamp // 1000].update(sample.values)
    by_namespace = defaultdict[str, list["MetricDatumTypeDef"]](list)
    for (one, second), counted in series.items():
        pairs = list(counted.items())
        for start in range(0, len(pairs), _MAX_VALUES):
            values, counts = zip(*pairs[start : start + _MAX_VALUES], strict=True)
            by_namespace[one.namespace].append(
                {
                    "MetricName": one.name,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in one.dimensions],
                    "Timestamp": dt.datetime.fromtimestamp(second, dt.UTC),
                    "Values": values,
                    "Counts": counts,
                    "Unit": one.unit,
                }
            )
    for namespace, data in by_namespace.items():
        for start in range(0, len(data), _MAX_DATA):
            yield namespace, data[start : start + _MAX_DATA]


def main() -> None:
    """Follow the emulator in ``AWS_ENDPOINT_URL`` for as long as the process lives that started this one."""
    logging.basicConfig(format="%(asctime)s [%(name)s] %(levelname)s: %(message)s")
    require_loopback(os.environ["AWS_ENDPOINT_URL"])
    agent = Agent(boto3.client("logs", config=_CLIENTS), boto3.client("cloudwatch", config=_CLIENTS))
    problem = ""
    while os.getppid() == os.getpgrp():  # the emulator's first process leads the group
        began = time.monotonic()
        try:
            agent.poll()
            problem = ""
        except (BotoCoreError, ClientError) as error:
            # Said once. The first ones are of an emulator that does not listen yet.
            if str(error) != problem:
                problem = str(error)
                logger.warning("%s", problem)
        except Exception:  # whatever it is, other lines come
            logger.exception("some metrics are missing")
        time.sleep(max(_POLL_SECONDS, (time.monotonic() - began) / _MOST_OF_THE_TIME))


if __name__ == "__main__":
    main()
