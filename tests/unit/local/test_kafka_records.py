"""The event that the bridge makes is the one of an MSK event source mapping."""

from __future__ import annotations

import base64
import json

from lambdas.detector.records import decode_event
from local.kafka.records import Record
from tests.unit.local.kafka_records import NOW, SOURCE

AT = round(NOW.timestamp() * 1000)


def event_of(*records: Record) -> bytes:
    return SOURCE.event((record.partition, SOURCE.entry(record)) for record in records)


def test_should_write_the_event_that_lambda_documents() -> None:
    first = Record(0, 15, AT, b"gw-1", b"Hello", (("trace", b"h\xe9"),), "CREATE_TIME")
    assert json.loads(event_of(first, Record(1, 7, AT, b"gw-2", b"x"))) == {
        "eventSource": "aws:kafka",
        "eventSourceArn": SOURCE.arn,
        "bootstrapServers": "127.0.0.1:9092",
        "records": {
            "readings-0": [
                {
                    "topic": "readings",
                    "partition": 0,
                    "offset": 15,
                    "timestamp": AT,
                    "timestampType": "CREATE_TIME",
                    "headers": [{"trace": [104, -23]}],
                    "key": base64.b64encode(b"gw-1").decode(),
                    "value": base64.b64encode(b"Hello").decode(),
                }
            ],
            "readings-1": [
                {
                    "topic": "readings",
                    "partition": 1,
                    "offset": 7,
                    "timestamp": AT,
                    "timestampType": "LOG_APPEND_TIME",
                    "headers": [],
                    "key": base64.b64encode(b"gw-2").decode(),
                    "value": base64.b64encode(b"x").decode(),
                }
            ],
        },
    }


def test_should_leave_out_a_key_and_a_value_that_are_null() -> None:
    ((entry,),) = json.loads(event_of(Record(0, 1, AT)))["records"].values()
    assert not {"key", "value"} & entry.keys()


def test_should_be_what_the_detector_decodes() -> None:
    sent = [Record(0, 1, AT, b"gw-1", b"one\n"), Record(2, 1, AT, b"gw-2", b"two\n"), Record(2, 2, AT, None, None)]
    found = decode_event(json.loads(event_of(*sent)), lambda: NOW)
    assert [(each.gateway, each.data, each.identifier, each.arrived) for each in found] == [
        ("gw-1", b"one\n", {"partition": "readings-0", "offset": 1}, NOW),
        ("gw-2", b"two\n", {"partition": "readings-2", "offset": 1}, NOW),
        ("readings-2", b"", {"partition": "readings-2", "offset": 2}, NOW),
    ]
