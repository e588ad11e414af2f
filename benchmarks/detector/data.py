"""The data: what Lambda hands to a function on the stream, made of the simulated fleet's readings.

Written by a process of its own, because a contender's peak memory would count what its parent used before it.
"""

from __future__ import annotations

import base64
import datetime as dt
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from benchmarks.detector.shape import READINGS_A_RECORD, Shape, shape
from benchmarks.plants import DEVICES_A_GATEWAY, encoder, plants, taken
from simulator.fleet.lines import Lines
from simulator.models.epoch import MICROSECONDS, microseconds
from simulator.models.randomness import Places
from telemetry.reading.model import STATUSES

_ROUNDS_AN_EVENT = READINGS_A_RECORD // DEVICES_A_GATEWAY
_START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
_ROUND = dt.timedelta(seconds=10)

#: Of the devices, how many break a rule and keep it again over and over, for so many rounds each: at any moment half of
#: them, two in a hundred devices, are alerting.
_RESTLESS = 0.04
_ILL = _WELL = 18

#: What each of them reports in turn, far on the wrong side of a limit.
_BREACHES = (("temperature", 46.0), ("temperature", -10.0), ("battery", 2.2), ("humidity", 97.0))


def write(path: Path, rows: int) -> None:
    """Write one event a line: the first to warm up, and then those to measure."""
    with path.open("wb") as out:
        for event in events(shape(rows)):
            out.write(msgspec.json.encode(event) + b"\n")


def events(wanted: Shape) -> Iterator[dict[str, Any]]:
    """One event after another: of each gateway one record with two readings of each of its devices."""
    fleet = plants(wanted.records * DEVICES_A_GATEWAY, _ROUND.total_seconds())
    encode = encoder(fleet).encode
    troubles = _troubles(len(fleet.devices))
    for number in range(wanted.events + 1):
        since = _START + number * _ROUNDS_AN_EVENT * _ROUND
        lines = taken(fleet, since, since + _ROUNDS_AN_EVENT * _ROUND)
        _fall_ill(lines, troubles)
        lines = lines.rows(np.argsort(lines.gateway, kind="stable"))
        text, begins = encode(lines)
        records = []
        for place, (first, end) in enumerate(pairwise(range(0, len(lines.taken) + 1, READINGS_A_RECORD))):
            data = text[begins[first] : begins[end]]
            arrived = int(lines.taken[end - 1]) / MICROSECONDS + 1.0
            records.append(_record(number * wanted.records + place, fleet.gateways[place], data, arrived))
        yield {"Records": records}


class _Troubles(NamedTuple):
    """Of each device, the number of what it reports while it is ill, -1 for nothing, and its first such round."""

    breach: Places
    begin: Places


def _troubles(devices: int) -> _Troubles:
    """Some devices fall ill and get well over and over, each at a time of its own."""
    random = np.random.default_rng(0)
    restless = random.choice(devices, max(1, round(devices * _RESTLESS)), replace=False)
    breach = np.full(devices, -1)
    breach[restless] = np.arange(len(restless)) % len(_BREACHES)
    return _Troubles(breach, random.integers(-_ILL, _WELL, devices))


def _fall_ill(lines: Lines, troubles: _Troubles) -> None:
    """Change what those report that are ill, and what they say of themselves."""
    number = (lines.taken - microseconds(_START)) // round(_ROUND.total_seconds() * MICROSECONDS)
    ill = (number - troubles.begin[lines.device]) % (_ILL + _WELL) < _ILL
    breach = np.where(ill, troubles.breach[lines.device], -1)
    for which, (metric, value) in enumerate(_BREACHES):
        getattr(lines, metric)[breach == which] = value
    lines.status[breach >= 0] = STATUSES.index("fault")


def _record(number: int, gateway: str, data: bytes, arrived: float) -> dict[str, Any]:
    """A record as Lambda gets it. https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html"""
    sequence = str(49545115243490985018280067714973144582180062593244200961 + number)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": gateway,
            "sequenceNumber": sequence,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": arrived,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000006:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
        "awsRegion": "us-east-2",
        "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream",
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
