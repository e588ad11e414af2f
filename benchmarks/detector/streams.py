"""The same records in an event of Kafka, and the decoders of both kinds of event on their own."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

from benchmarks.detector.contenders import Contender, Event
from lambdas.detector.records import decode_event

#: Partitions of the topic: an event has records of all of them.
_PARTITIONS = 4
_TOPIC = "readings"


def of_kafka(event: Event) -> Event:
    """Return an event of Kinesis as Lambda would bring it from a topic.

    https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html
    """
    partitions: dict[str, list[dict[str, Any]]] = {}
    for place, each in enumerate(event["Records"]):
        record, partition = each["kinesis"], place % _PARTITIONS
        partitions.setdefault(f"{_TOPIC}-{partition}", []).append(
            {
                "topic": _TOPIC,
                "partition": partition,
                "offset": int(record["sequenceNumber"]) % 2**48,
                "timestamp": round(record["approximateArrivalTimestamp"] * 1000),
                "timestampType": "LOG_APPEND_TIME",
                "key": base64.b64encode(record["partitionKey"].encode()).decode(),
                "value": record["data"],
                "headers": [],
            }
        )
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:us-east-2:123456789012:cluster/iot-dev/751d2973-a626-431c-9d4e-d7975eb44dd7-2",
        "bootstrapServers": "b-1.iot-dev.a1bcde.c1.kafka.us-east-2.amazonaws.com:9098",
        "records": partitions,
    }


def last_arrival(event: Event) -> float:
    """Return when the last record of an event arrived, in Unix seconds."""
    if "Records" in event:
        return float(event["Records"][-1]["kinesis"]["approximateArrivalTimestamp"])
    return max(float(records[-1]["timestamp"]) for records in event["records"].values()) / 1000


def decoder() -> Contender:
    """The records of an event, and nothing done with them."""
    now = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    return Contender(lambda event: decode_event(event, lambda: now))
