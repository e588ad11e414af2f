"""The data: what Lambda hands to a function on the stream, made of the simulated fleet's readings.

Written by a process of its own, because a contender's peak memory would count what its parent used before it.
"""

from __future__ import annotations

import base64
import datetime as dt
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.detector.shape import READINGS_A_RECORD, Shape, shape
from simulator.fleet import Fleet, FleetConfig, Override
from telemetry.codec import encode_batch
from telemetry.reading import Reading

_DEVICES_A_GATEWAY = 50
_ROUNDS_AN_EVENT = READINGS_A_RECORD // _DEVICES_A_GATEWAY
_START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
_SECONDS_A_ROUND = 10.0

#: Of the devices, how many break a rule and keep it again over and over, for so many rounds each: at any moment half of
#: them, two in a hundred devices, are alerting.
_RESTLESS = 0.04
_ILL = _WELL = 18

#: What each of them reports in turn, far on the wrong side of a limit. A simulated device says "fault" of itself then.
_BREACHES = (("temperature", 46.0), ("temperature", -10.0), ("battery", 2.2), ("humidity", 97.0))


def write(path: Path, rows: int) -> None:
    """Write one event a line: the first to warm up, and then those to measure."""
    wanted = shape(rows)
    with path.open("wb") as out:
        for event in islice(events(wanted), wanted.events + 1):
            out.write(msgspec.json.encode(event) + b"\n")


def events(wanted: Shape) -> Iterator[dict[str, Any]]:
    """One event after another: of each gateway one record with two readings of each of its devices."""
    devices = wanted.records * _DEVICES_A_GATEWAY
    fleet = Fleet(FleetConfig(devices=devices, gateways=wanted.records, interval=_SECONDS_A_ROUND), _START)
    gateways = [device.gateway for device in fleet.devices]
    rounds = fleet.rounds(list(_overrides(fleet, rounds=(wanted.events + 1) * _ROUNDS_AN_EVENT)))
    for number in range(wanted.events + 1):
        batches: defaultdict[str, list[Reading]] = defaultdict(list)
        for taken in islice(rounds, _ROUNDS_AN_EVENT):
            for gateway, reading in zip(gateways, taken.readings, strict=True):
                batches[gateway].append(reading)
        first = number * wanted.records
        yield {"Records": [_record(first + i, *batch) for i, batch in enumerate(sorted(batches.items()))]}


def _overrides(fleet: Fleet, rounds: int) -> Iterable[Override]:
    """Devices that fall ill and get well over and over, each at a time of its own."""
    random = np.random.default_rng(0)
    devices = len(fleet.devices)
    restless = random.choice(devices, max(1, round(devices * _RESTLESS)), replace=False)
    for count, place in enumerate(restless.tolist()):
        metric, value = _BREACHES[count % len(_BREACHES)]
        for begin in range(int(random.integers(-_ILL, _WELL)), rounds, _ILL + _WELL):
            yield Override(place, metric, value, range(begin, begin + _ILL))


def _record(number: int, gateway: str, readings: list[Reading]) -> dict[str, Any]:
    """A record as Lambda gets it. https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html"""
    sequence = str(49545115243490985018280067714973144582180062593244200961 + number)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": gateway,
            "sequenceNumber": sequence,
            "data": base64.b64encode(encode_batch(readings)).decode(),
            "approximateArrivalTimestamp": readings[-1].ts.timestamp() + 1.0,
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
