"""The index: what was said of an object once is found for each of its hours, however often it is said."""

from __future__ import annotations

import pytest

from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.hours import HOUR, start_of_hour
from glue_jobs.curate.zones.index import PREFIX, Index, ObjectHour
from tests.unit.curate.deployed import Aws
from tests.unit.curate.samples import ARRIVED, stored

NOON = start_of_hour(ARRIVED)
FIRST, SECOND, THIRD = (stored(b"1", ARRIVED, name).found for name in ("a", "b", "c"))


def test_should_find_the_objects_of_hours(aws: Aws) -> None:
    index = Index(aws.s3, "lake")
    index.add([ObjectHour(NOON, FIRST, 1), ObjectHour(NOON, SECOND, 9), ObjectHour(NOON - HOUR, SECOND, 1)])
    index.add([ObjectHour(NOON, THIRD, 1)])
    assert index.objects([NOON]) == [FIRST, SECOND, THIRD]
    assert index.objects([NOON - HOUR]) == [SECOND]
    assert index.objects([NOON, NOON - HOUR]) == [FIRST, SECOND, THIRD]
    assert index.objects([NOON + HOUR]) == []
    assert index.objects([]) == []


def test_should_leave_the_same_when_the_same_is_said_again(aws: Aws) -> None:
    index = Index(aws.s3, "lake")
    said = [ObjectHour(NOON, FIRST, 1), ObjectHour(NOON, SECOND, 1)]
    index.add(said)
    before = [item["Key"] for item in aws.s3.list_objects_v2(Bucket="lake")["Contents"]]
    index.add(said[::-1])
    assert [item["Key"] for item in aws.s3.list_objects_v2(Bucket="lake")["Contents"]] == before
    assert len(before) == 1


def test_should_say_which_entry_cannot_be_read_and_what_to_do(aws: Aws) -> None:
    where = f"{PREFIX}dt=2026-11-23/hour=12/x.json"
    aws.s3.put_object(Bucket="lake", Key=where, Body=b"oops")
    with pytest.raises(
        CurateError, match=f"s3://lake/{where} is not a valid index entry .*: remove it and run with --full"
    ):
        Index(aws.s3, "lake").objects([NOON])
