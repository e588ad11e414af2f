"""Events of each kind of stream, as documented, and the records in them."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest

from lambdas.detector.records import Record, decode_event
from telemetry.alerting.state import Position

#: https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
KINESIS: dict[str, Any] = {
    "Records": [
        {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "1",
                "sequenceNumber": "49590338271490256608559692538361571095921575989136588898",
                "data": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                "approximateArrivalTimestamp": 1545084650.987,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
            "awsRegion": "us-east-2",
            "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream",
        }
    ]
}

#: https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html
MSK: dict[str, Any] = {
    "eventSource": "aws:kafka",
    "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/vpc-2priv-2pub/751d2973-a626-431c-9d4e-d7975eb4-2",
    "bootstrapServers": "b-2.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092",
    "records": {
        "mytopic-0": [
            {
                "topic": "mytopic",
                "partition": 0,
                "offset": 15,
                "timestamp": 1545084650987,
                "timestampType": "CREATE_TIME",
                "key": "cmVjb3JkS2V5",
                "value": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                "headers": [{"headerKey": [104, 101, 97, 100, 101, 114, 86, 97, 108, 117, 101]}],
            }
        ]
    },
}

ARRIVED = dt.datetime(2018, 12, 17, 22, 10, 50, 987000, tzinfo=dt.UTC)


def test_should_decode_a_kinesis_event() -> None:
    sequence = "49590338271490256608559692538361571095921575989136588898"
    position = Position(sequence, ARRIVED, "shardId-000000000006")
    assert decode_event(KINESIS) == [Record("1", position, b"Hello, this is a test.", sequence)]


@pytest.mark.parametrize("source", ["aws:kafka", "SelfManagedKafka"])
def test_should_decode_a_kafka_event(source: str) -> None:
    (record,) = decode_event({**MSK, "eventSource": source})
    assert record == Record(
        "recordKey",
        Position("15", ARRIVED, "mytopic-0"),
        b"Hello, this is a test.",
        {"partition": "mytopic-0", "offset": 15},
    )
    assert record.arrived == ARRIVED


def kafka(offset: int, key: bytes | None, value: bytes | None) -> dict[str, Any]:
    texts = {name: text and base64.b64encode(text).decode() for name, text in (("key", key), ("value", value))}
    return {"topic": "t", "partition": 0, "offset": offset, "timestamp": 1545084650987, **texts}


def test_should_keep_the_order_of_each_partition() -> None:
    records = {"t-1": [kafka(7, b"a", b"1"), kafka(8, b"b", b"2")], "t-0": [kafka(3, b"c", b"3")]}
    decoded = [(record.gateway, record.identifier) for record in decode_event({**MSK, "records": records})]
    assert decoded == [
        ("a", {"partition": "t-1", "offset": 7}),
        ("b", {"partition": "t-1", "offset": 8}),
        ("c", {"partition": "t-0", "offset": 3}),
    ]


def test_should_have_a_gateway_for_every_key_and_data_for_every_value_of_kafka() -> None:
    records = {"t-0": [kafka(0, None, b"no key"), kafka(1, b"\xff\x00", None)]}
    decoded = [(record.gateway, record.data) for record in decode_event({**MSK, "records": records})]
    assert decoded == [("t-0", b"no key"), ("\\xff\x00", b"")]
