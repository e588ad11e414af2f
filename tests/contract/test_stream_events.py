"""Events as AWS documents them, what the detector reads in them, and how its answer names the records that failed."""

from __future__ import annotations

import copy
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

#: https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html#msk-sample-event
MSK: dict[str, Any] = {
    "eventSource": "aws:kafka",
    "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/vpc-2priv-2pub/751d2973-a626-431c-9d4e-d7975eb4-2",
    "bootstrapServers": "b-2.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092,"
    "b-1.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092",
    "records": {
        "mytopic-0": [
            {
                "topic": "mytopic",
                "partition": 0,
                "offset": 15,
                "timestamp": 1545084650987,
                "timestampType": "CREATE_TIME",
                "key": "abcDEFghiJKLmnoPQRstuVWXyz1234==",
                "value": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                "headers": [{"headerKey": [104, 101, 97, 100, 101, 114, 86, 97, 108, 117, 101]}],
            }
        ]
    },
}

#: https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html#smaa-sample-event
SELF_MANAGED: dict[str, Any] = {
    name: "SelfManagedKafka" if name == "eventSource" else value
    for name, value in MSK.items()
    if name != "eventSourceArn"
}

#: https://docs.aws.amazon.com/lambda/latest/dg/services-consume-kafka-events.html: with a schema registry
SCHEMAS: dict[str, Any] = {
    "keySchemaMetadata": {"dataFormat": "AVRO", "schemaId": "1"},
    "valueSchemaMetadata": {"dataFormat": "PROTOBUF", "schemaId": "b9b2a3a6-0e6c-4f5c-8c2f-0d6f1d1c2f3a"},
}

ARRIVED = dt.datetime(2018, 12, 17, 22, 10, 50, 987000, tzinfo=dt.UTC)


def now() -> dt.datetime:
    return ARRIVED + dt.timedelta(seconds=3)


def test_should_read_the_event_that_aws_documents_for_kinesis() -> None:
    sequence = "49590338271490256608559692538361571095921575989136588898"
    position = Position(sequence, ARRIVED, "shardId-000000000006")
    assert decode_event(KINESIS, now) == [Record("1", position, ARRIVED, b"Hello, this is a test.", sequence)]


@pytest.mark.parametrize("event", [MSK, SELF_MANAGED], ids=["msk", "self-managed"])
@pytest.mark.parametrize("more", [{}, SCHEMAS, {"headers": []}], ids=["plain", "schemas", "no headers"])
def test_should_read_the_event_that_aws_documents_for_kafka(event: dict[str, Any], more: dict[str, Any]) -> None:
    event = copy.deepcopy(event)
    event["records"]["mytopic-0"][0] |= more
    assert decode_event(event, now) == [
        Record(
            "i\\xb7\x03\x10X!\\x88\\x92\\x8b\\x9az\x0fA\x1b-\\xb9U\\x97\\xcb=v\\xdf",
            Position("15", ARRIVED, "mytopic-0"),
            ARRIVED,
            b"Hello, this is a test.",
            {"partition": "mytopic-0", "offset": 15},
        )
    ]


def test_should_name_failed_records_of_kafka_by_topic_partition_and_offset() -> None:
    """The partition is the event's own name for it, and the offset a number.

    Lambda takes an answer with a partition or offset that is not in the event for a failure of the whole batch:
    https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html#kafka-partial-batch-response
    """
    first = MSK["records"]["mytopic-0"][0]
    records = {
        "mytopic-0": [first, {**first, "offset": 16}],
        "mytopic-11": [{**first, "partition": 11, "offset": 3}],
        "other.topic-with_dashes-0": [{**first, "topic": "other.topic-with_dashes", "offset": 2**53 + 1}],
    }
    assert [record.identifier for record in decode_event({**MSK, "records": records}, now)] == [
        {"partition": f"{record['topic']}-{record['partition']}", "offset": record["offset"]}
        for partition in records.values()
        for record in partition
    ]
