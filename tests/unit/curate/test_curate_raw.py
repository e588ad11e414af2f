"""What a raw object's key says, and which objects can hold an hour's readings."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.response import StreamingBody
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.hours import HOUR, Partition, start_of_hour
from glue_jobs.curate.zones.raw import Content, RawObject, RawZone, arrivals_of, raw_object
from telemetry.reading.codec import decode_batch
from tests.unit.curate.samples import ARRIVED, key, line, stored

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_MINUTE = dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("last_modified", "arrived"),
    [
        (ARRIVED, ARRIVED),
        (ARRIVED + 5 * _MINUTE, ARRIVED + 5 * _MINUTE),
        (ARRIVED + dt.timedelta(days=9), ARRIVED + 15 * _MINUTE),
        (ARRIVED - dt.timedelta(seconds=1), ARRIVED),
    ],
)
def test_should_take_an_object_to_have_arrived_when_firehose_wrote_it(
    last_modified: dt.datetime, arrived: dt.datetime
) -> None:
    found = raw_object(key(), 1, last_modified)
    assert found is not None
    assert (found.hour, found.arrived) == (Partition("2026-11-23", "12"), arrived)


def test_should_take_the_end_of_the_hour_where_the_name_has_no_time() -> None:
    found = raw_object("raw/dt=2026-11-23/hour=12/by-hand.json", 1, ARRIVED)
    assert found is not None
    assert found.arrived == start_of_hour(ARRIVED) + HOUR


@given(
    st.timedeltas(dt.timedelta(), HOUR), st.timedeltas(dt.timedelta(), HOUR / 2), st.timedeltas(-HOUR / 2, HOUR * 722)
)
def test_should_look_for_an_hours_readings_wherever_an_accepted_one_can_be(
    into_hour: dt.timedelta, collecting: dt.timedelta, late: dt.timedelta
) -> None:
    began = start_of_hour(ARRIVED) + into_hour
    found = raw_object(key(began), 1, began + collecting)
    assert found is not None
    taken = found.arrived - late
    start, end = arrivals_of(start_of_hour(taken))
    if decode_batch(line(ts=taken.isoformat()), found.arrived).readings:
        assert start <= found.hour.start < end


class Dropping:
    """Has S3's connection drop in the middle of a body, a number of times."""

    def __init__(self, s3: S3Client, times: int) -> None:
        self.left = times
        self.asked = 0
        s3.meta.events.register("after-call.s3.GetObject", self._drop)

    def _drop(self, parsed: dict[str, Any], **_: object) -> None:
        self.asked += 1
        if self.left:
            self.left -= 1
            whole = parsed["Body"].read()
            parsed["Body"] = StreamingBody(io.BytesIO(whole[:-1]), len(whole))


@pytest.fixture
def s3() -> Iterator[S3Client]:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="raw")
        yield client


@pytest.fixture
def found(s3: S3Client) -> RawObject:
    found, text, _ = stored(line())
    s3.put_object(Bucket="raw", Key=found.key, Body=text)
    return found


def test_should_ask_again_for_an_object_whose_connection_dropped(s3: S3Client, found: RawObject) -> None:
    dropping = Dropping(s3, times=2)
    assert list(RawZone(s3, "raw").read([found])) == [Content(found, line())]
    assert dropping.asked == 3


def test_should_give_up_on_an_object_whose_connection_always_drops(s3: S3Client, found: RawObject) -> None:
    dropping = Dropping(s3, times=99)
    with pytest.raises(CurateError, match=rf"^cannot read s3://raw/{found.key}: "):
        list(RawZone(s3, "raw").read([found]))
    assert dropping.asked == 3


def test_should_give_contents_in_order_decompressed_and_leave_out_what_is_gone(
    s3: S3Client, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [b"%d\n" % number for number in range(40)]
    bodies = {f"{number:02}": gzip.compress(text) if number % 2 else text for number, text in enumerate(texts)}
    bodies["05"] = b"\x1f\x8bnothing"
    objects = [stored(body, name=name).found for name, body in bodies.items()]
    for found, body in zip(objects, bodies.values(), strict=True):
        s3.put_object(Bucket="raw", Key=found.key, Body=body)
    s3.delete_object(Bucket="raw", Key=objects[7].key)
    contents = list(RawZone(s3, "raw").read(objects))
    assert [content.found for content in contents] == [*objects[:7], *objects[8:]]
    assert [content.text for content in contents if not content.corrupt] == [
        text for number, text in enumerate(texts) if number not in (5, 7)
    ]
    assert [content.found for content in contents if content.corrupt] == [objects[5]]
    assert f"gone since it was listed: s3://raw/{objects[7].key}" in caplog.text


def test_should_list_the_objects_of_hours_in_order(s3: S3Client) -> None:
    keys = [key(ARRIVED + number * HOUR, f"{other}") for number in range(4) for other in range(2)]
    for name in keys:
        s3.put_object(Bucket="raw", Key=name, Body=b"")
    zone = RawZone(s3, "raw")
    assert [found.key for found in zone.objects(ARRIVED + HOUR, start_of_hour(ARRIVED) + 3 * HOUR)] == keys[2:6]
    assert [found.key for found in zone.objects(ARRIVED + 2 * HOUR)] == keys[4:]
