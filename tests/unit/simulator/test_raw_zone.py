"""Objects in the raw zone as Firehose would have written them at the time."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from glue_jobs.curate.zones.raw import RawObject, raw_object
from simulator.run.simulation import plan, records, simulate
from simulator.sinks.raw_zone import WINDOW, RawZoneSink
from simulator.sinks.record import Record
from simulator.sinks.sink import SinkError
from telemetry.reading.codec import decode_batch
from tests.unit.simulator.samples import START, scenario

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "lake"


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def objects(s3: S3Client) -> dict[str, tuple[RawObject, bytes]]:
    """What is in the bucket, as the curation finds it."""
    found = {}
    for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        key = item["Key"]
        parsed = raw_object(key, item["Size"], item["LastModified"])
        assert parsed, key
        found[key] = parsed, gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    return found


MADE = scenario(length="150m", interval="10m")


def test_should_put_every_line_under_the_quarter_of_an_hour_in_which_it_was_sent(s3: S3Client) -> None:
    with RawZoneSink(s3, BUCKET) as sink:
        manifest = simulate(plan(MADE, length=MADE.duration, start=START, speed=0), sink)
    found = objects(s3)
    assert sum(text.count(b"\n") for _, text in found.values()) == manifest.sent == 300
    assert len(found) == len({key.rsplit("-", 6)[0] for key in found}) >= 10
    for key, (parsed, text) in found.items():
        batch = decode_batch(text, parsed.arrived)
        assert batch.rejected == []
        began = parsed.arrived - dt.timedelta(seconds=WINDOW)
        assert key.startswith(f"raw/dt={began:%Y-%m-%d}/hour={began:%H}/")
        assert began.timestamp() % WINDOW == 0
        # A gateway may have waited for its batch to fill.
        assert all(began - dt.timedelta(minutes=2) <= reading.ts <= parsed.arrived for reading in batch.readings)


def test_should_write_what_it_is_handed_at_once_into_one_object_a_window(s3: S3Client) -> None:
    given = [Record("g", b"%d\n" % n, 1, at) for n, at in enumerate((0.0, 1.0, 899.9, 900.0, 2_000.0))]
    with RawZoneSink(s3, BUCKET) as sink:
        assert sink.send(given) == (0, (), "")
        sink.send(given[:1])
    texts = sorted((parsed.arrived.timestamp(), text) for parsed, text in objects(s3).values())
    assert texts == [(900, b"0\n"), (900, b"0\n1\n2\n"), (1_800, b"3\n"), (2_700, b"4\n")]


def test_should_write_nothing_of_nothing(s3: S3Client) -> None:
    with RawZoneSink(s3, BUCKET) as sink:
        sink.send([])
    assert objects(s3) == {}


class FullBucket:
    """Takes so many objects."""

    def __init__(self, left: int) -> None:
        self.left = left

    def put_object(self, **_: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")


def test_should_say_what_was_not_written() -> None:
    given = list(records(MADE, START))
    windows = len({record.at // WINDOW for record in given})
    bucket: Any = FullBucket(windows - 2)
    with (
        RawZoneSink(bucket, BUCKET) as sink,
        pytest.raises(SinkError, match=r"s3://lake refuses an object: .*AccessDenied") as caught,
    ):
        sink.send(given)
    assert len({record.at // WINDOW for record in caught.value.unsent}) == 2
    assert all(any(record is one for one in given) for record in caught.value.unsent)


def test_should_say_that_there_is_no_bucket(s3: S3Client) -> None:
    with (
        RawZoneSink(s3, "nowhere") as sink,
        pytest.raises(SinkError, match=r"s3://nowhere refuses an object: .*NoSuchBucket"),
    ):
        simulate(plan(MADE, length=MADE.duration, start=START, speed=0), sink)
