"""Whole runs against S3 and Glue: what a reader finds after a run, a second run, and a run that failed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import boto3
import pytest

from glue_jobs.curate import lake
from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.partition import HOUR
from telemetry.tables import CURATED
from tests.unit.curate.deployed import NOW, Aws, at
from tests.unit.curate.samples import ARRIVED, key, line


def test_should_leave_only_the_files_the_catalog_points_at(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1), line(seq=1), b"oops", packed=True)
    for _ in range(2):
        summary = aws.curate()
        assert (summary.objects, summary.readings, summary.duplicates, summary.quarantined) == (1, 1, 1, 1)
        assert aws.files() == sorted(
            f"{table.name}/dt=2026-11-23/hour=12/{summary.run_id}/0.parquet" for table in CURATED
        )
        for table in CURATED:
            folder = f"{table.name}/dt=2026-11-23/hour=12/{summary.run_id}/"
            assert aws.registered(table.name) == {"2026-11-23 12": folder}


def test_should_find_the_same_rows_after_a_second_run(aws: Aws) -> None:
    for number in range(30):
        aws.put(ARRIVED, *(line(seq=seq) for seq in range(number, number + 3)), name=f"{number:02}")
    aws.curate()
    first = aws.rows()
    aws.curate()
    assert aws.rows() == first
    assert len(first["readings"]) == 32


def test_should_make_the_same_tables_of_a_window_in_pieces_in_any_order(aws: Aws) -> None:
    hours = [ARRIVED - back * HOUR for back in range(5)]
    for hour in hours:
        late = [at(hour - back * HOUR, seq=back, device_id=f"d{hour:%H}") for back in range(3)]
        aws.put(hour, *late, *late, at(hours[2], seq=99, device_id="copied"), b"oops")
    whole = aws.curate(hours[-1], NOW)
    expected = aws.rows()
    # For the two earliest arrivals the copied reading lies in the future.
    assert (whole.readings, whole.duplicates, whole.quarantined) == (15 + 1, 15 + 2, 5 + 2)
    for folder in aws.files():
        aws.s3.delete_object(Bucket="lake", Key=folder)
    for hour in (hours[1], hours[4], hours[0], hours[3], hours[2]):
        aws.curate(hour, hour + HOUR / 2)
    assert aws.rows() == expected


def test_should_recompute_an_hour_with_the_readings_that_came_before_and_after_the_window(aws: Aws) -> None:
    taken = ARRIVED - 3 * HOUR
    ahead = taken.replace(minute=2)
    aws.put(taken.replace(minute=0) - dt.timedelta(minutes=1), at(ahead, seq=1), name="clock-ahead")
    aws.put(taken, at(taken, seq=2), name="in-time")
    aws.put(ARRIVED - HOUR, at(taken, seq=3), name="late")
    aws.put(ARRIVED, at(taken, seq=4), name="later")
    aws.curate(ARRIVED - HOUR, ARRIVED - HOUR + dt.timedelta(minutes=1))
    rows = aws.rows()
    assert [(row["partition"], row["seq"]) for row in rows["readings"]] == [
        ("2026-11-23 09", seq) for seq in (1, 2, 3, 4)
    ]
    assert rows["quarantine"] == []


def test_should_replace_only_the_hours_the_window_touches(aws: Aws) -> None:
    aws.put(ARRIVED - HOUR, at(ARRIVED - HOUR, seq=1))
    aws.curate()
    before = aws.registered("readings")
    aws.put(ARRIVED, at(ARRIVED, seq=2))
    aws.curate(ARRIVED, NOW)
    assert aws.registered("readings")["2026-11-23 11"] == before["2026-11-23 11"]
    assert [row["seq"] for row in aws.rows()["readings"]] == [1, 2]


def test_should_empty_a_quarantine_partition_whose_lines_are_gone(aws: Aws) -> None:
    where = aws.put(ARRIVED, b"oops")
    aws.curate()
    assert len(aws.rows()["quarantine"]) == 1
    aws.s3.delete_object(Bucket="raw", Key=where)
    summary = aws.curate()
    assert summary.quarantined == 0
    assert aws.rows()["quarantine"] == []
    assert aws.files() == []


def test_should_do_nothing_where_nothing_arrived(aws: Aws) -> None:
    summary = aws.curate()
    assert (summary.objects, summary.readings, summary.newest_reading) == (0, 0, None)
    assert aws.files() == []
    assert aws.registered("quarantine") == {}


def test_should_leave_alone_what_is_no_raw_object(aws: Aws) -> None:
    for name in ("raw/dt=2026-11-23/hour=12/", "raw/dt=2026-11-23/hour=12.txt", "raw/dt=2026-11-23/hour=77/x"):
        aws.s3.put_object(Bucket="raw", Key=name, Body=line())
    aws.put(ARRIVED, line())
    assert aws.curate().objects == 1


def test_should_keep_replaced_files_until_their_grace_is_over(aws: Aws) -> None:
    aws.put(ARRIVED, line())
    runs = [aws.curate(grace_seconds=10**9).run_id for _ in range(3)]
    assert {name.split("/")[3] for name in aws.files()} == set(runs)
    last = aws.curate(grace_seconds=0).run_id
    assert {name.split("/")[3] for name in aws.files()} == {last}


def test_should_register_more_partitions_than_one_call_takes(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake, "_PARTITIONS_A_CALL", 3)
    calls: list[int] = []
    for operation, items in (("BatchCreatePartition", "PartitionInputList"), ("BatchUpdatePartition", "Entries")):
        aws.glue.meta.events.register(
            f"provide-client-params.glue.{operation}",
            lambda params, items=items, **_: calls.append(len(params[items])),
        )
    aws.put(ARRIVED, *(at(ARRIVED - back * HOUR) for back in range(7)))
    for _ in range(2):
        assert aws.curate().partitions == 7
        assert len(aws.registered("readings")) == 7
        assert len(aws.rows()["readings_hourly"]) == 7
    assert calls == 4 * [3, 3, 1]


def test_should_go_on_without_an_object_that_is_gone_since_it_was_listed(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1), name="a")
    aws.put(ARRIVED, line(seq=2), name="b")

    def delete(**_: object) -> None:
        boto3.client("s3").delete_object(Bucket="raw", Key=key(ARRIVED, "a"))

    aws.s3.meta.events.register("after-call.s3.ListObjectsV2", delete)
    aws.curate()
    assert [row["seq"] for row in aws.rows()["readings"]] == [2]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"raw_bucket": "nowhere"}, r"cannot list s3://nowhere/raw/: .*NoSuchBucket"),
        ({"lake_bucket": "nowhere"}, r"cannot write s3://nowhere/readings/.*NoSuchBucket"),
        ({"database": "nowhere"}, r"cannot list partitions of nowhere\.readings.*"),
    ],
)
def test_should_say_what_it_could_not_reach(aws: Aws, broken: dict[str, Any], message: str) -> None:
    aws.put(ARRIVED, line())
    with pytest.raises(CurateError, match=message):
        aws.curate(**broken)


def test_should_leave_the_old_rows_to_readers_when_a_run_dies_before_the_switch(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1))
    aws.curate()
    before = aws.rows()
    aws.put(ARRIVED, line(seq=2), name="b")

    def die(**_: object) -> None:
        raise KeyboardInterrupt

    aws.glue.meta.events.register_first("before-call.glue.GetTable", die)
    with pytest.raises(KeyboardInterrupt):
        aws.curate()
    assert aws.rows() == before
    aws.glue.meta.events.unregister("before-call.glue.GetTable", die)
    aws.curate()
    assert [row["seq"] for row in aws.rows()["readings"]] == [1, 2]
    assert len(aws.files()) == 2
