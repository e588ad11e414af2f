"""Records put directly on a delivery stream of the embedded AWS arrive in its bucket."""

from __future__ import annotations

import uuid

import boto3
import pytest

from simulator.sinks.firehose import FirehoseSink
from simulator.sinks.record import Record
from simulator.sinks.sink import SinkError
from tests.waiting import wait_for

ROLE = "arn:aws:iam::000000000000:role/firehose"


def test_should_bring_every_line_to_the_bucket(aws: boto3.Session) -> None:
    name = f"direct-{uuid.uuid4().hex[:8]}"
    s3, firehose = aws.client("s3"), aws.client("firehose")
    s3.create_bucket(Bucket=name)
    firehose.create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration={
            "RoleARN": ROLE,
            "BucketARN": f"arn:aws:s3:::{name}",
            "Prefix": "raw/",
        },
    )
    sent = [
        Record(f"gw-{gateway}", b'{"gateway":%d,"number":%d}\n' % (gateway, number), 1)
        for number in range(2)
        for gateway in range(260)
    ]

    assert FirehoseSink(firehose, name).send(sent) == (0, (), "")

    def lines() -> list[bytes]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="raw/")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        bodies = (s3.get_object(Bucket=name, Key=key)["Body"].read() for key in keys)
        return [line for body in bodies for line in body.splitlines(keepends=True)]

    wait_for(lambda: len(lines()) >= len(sent), "all lines in the bucket")
    assert sorted(lines()) == sorted(record.payload for record in sent)


def test_should_name_a_delivery_stream_that_is_not_there(aws: boto3.Session) -> None:
    with pytest.raises(
        SinkError, match=r"no delivery stream 'nowhere' at http://127\.0\.0\.1:\d+; check the name in --sink"
    ):
        FirehoseSink(aws.client("firehose"), "nowhere").send([Record("gw-1", b"1\n", 1)])
