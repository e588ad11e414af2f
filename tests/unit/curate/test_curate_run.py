"""Whole runs against S3, Glue and DynamoDB: what a reader finds after one, the next, and one that failed."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from glue_jobs.curate import batch
from glue_jobs.curate.batch import Outcome
from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.hours import DAY, HOUR
from glue_jobs.curate.zones import curated as lake
from glue_jobs.curate.zones import layout
from glue_jobs.curate.zones.index import Index, ObjectHour
from glue_jobs.curate.zones.raw import RawZone
from telemetry.tables.curated import CURATED
from tests.unit.curate.deployed import NOW, Aws, at
from tests.unit.curate.samples import ARRIVED, key, line

TODAY, YESTERDAY = "2026-11-23", "2026-11-22"


def live(aws: Aws) -> set[str]:
    """The keys of all files that the catalog points at."""
    return {name for table in CURATED for keys in aws.keys(table.name).values() for name in keys}


def test_should_leave_only_the_files_the_catalog_points_at(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1), line(seq=1), b"oops", packed=True)
    summary = aws.curate()
    assert (summary.objects, summary.lines, summary.hours, summary.days) == (1, 3, 1, 1)
    assert (summary.readings, summary.duplicates, summary.quarantined) == (1, 1, 1)
    assert aws.files() == sorted(live(aws))
    assert aws.keys("readings") == {TODAY: [f"readings/dt={TODAY}/{summary.run_id}-1/12-12-1.parquet"]}
    assert {table.name for table in CURATED} == {name.split("/")[0] for name in aws.files()}


def test_should_take_only_what_arrived_since_the_run_before(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1), name="a")
    assert aws.curate().objects == 1
    files, rows = aws.files(), aws.rows()
    nothing = aws.curate()
    assert (nothing.objects, nothing.hours, nothing.watermark) == (0, 0, nothing.watermark)
    assert (aws.files(), aws.rows()) == (files, rows)
    aws.put(ARRIVED, line(seq=2), name="b")
    summary = aws.curate()
    assert (summary.objects, summary.readings) == (1, 2)
    assert aws.seqs() == [1, 2]


def test_should_take_an_object_that_came_hours_after_the_ones_of_its_time(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1))
    aws.curate()
    late = ARRIVED - 20 * HOUR
    aws.put(late, at(late, seq=2))
    assert aws.curate().objects == 1
    assert aws.seqs() == [1, 2]


def test_should_put_a_reading_that_is_days_late_into_its_day_once(aws: Aws) -> None:
    taken = ARRIVED - 9 * DAY
    for number in range(3):
        aws.put(taken + number * HOUR, at(taken + number * HOUR, seq=number))
        aws.curate(now=taken + number * HOUR + HOUR / 2)
    aws.put(ARRIVED, line(seq=10), at(taken + HOUR, seq=11), at(taken + HOUR, seq=11))
    summary = aws.curate()
    assert (summary.objects, summary.hours, summary.days) == (1, 2, 2)
    days = {row["seq"]: row["dt"] for row in aws.rows()["readings"]}
    assert days == {0: "2026-11-14", 1: "2026-11-14", 2: "2026-11-14", 11: "2026-11-14", 10: TODAY}
    assert aws.curate().objects == 0


def test_should_compute_an_hour_anew_from_just_the_objects_that_hold_readings_of_it(aws: Aws) -> None:
    aws.put(ARRIVED - 3 * HOUR, at(ARRIVED - 3 * HOUR, seq=1), name="other")
    aws.put(ARRIVED - HOUR, at(ARRIVED - HOUR, seq=2), name="same")
    aws.curate()
    got: list[str] = []
    aws.s3.meta.events.register(
        "provide-client-params.s3.GetObject", lambda params, **_: got.append(params["Key"].rpartition("-")[2])
    )
    aws.put(ARRIVED, at(ARRIVED - HOUR, seq=3), name="late")
    aws.curate()
    assert {name for name in got if name in ("other", "same", "late")} == {"same", "late"}
    assert aws.seqs() == [1, 2, 3]


def test_should_make_the_same_tables_of_a_window_in_pieces_in_any_order(aws: Aws) -> None:
    hours = [ARRIVED - back * HOUR for back in range(5)]
    for hour in hours:
        late = [at(hour - back * HOUR, seq=back, device_id=f"d{hour:%H}") for back in range(3)]
        aws.put(hour, *late, *late, at(hours[2], seq=99, device_id="copied"), b"oops")
    whole = aws.curate_window(hours[-1], NOW)
    expected = aws.rows()
    # For the two earliest arrivals the copied reading lies in the future.
    assert (whole.readings, whole.duplicates, whole.quarantined) == (15 + 1, 15 + 2, 5 + 2)
    for hour in (hours[1], hours[4], hours[0], hours[3], hours[2]):
        aws.curate_window(hour, hour + HOUR / 2)
        assert aws.rows() == expected


def test_should_curate_hours_of_event_time_again(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1, temperature=1), at(ARRIVED - 5 * HOUR, seq=2, temperature=2))
    aws.curate()
    aws.register("device,site,model,calibration_offset\nd1,s1,freezer,0.5\n")
    start = ARRIVED - 5 * HOUR
    summary = aws.curate_window(start, start + dt.timedelta(minutes=1), window_by="event")
    assert summary.hours == 1
    assert {row["seq"]: (row["temperature"], row["temperature_raw"]) for row in aws.rows()["readings"]} == {
        1: (1.0, 1.0),
        2: (2.5, 2.0),
    }


def test_should_curate_everything_again(aws: Aws) -> None:
    aws.put(ARRIVED - DAY, at(ARRIVED - DAY, seq=1, temperature=1))
    aws.put(ARRIVED, line(seq=2, temperature=2))
    aws.curate()
    aws.register("device,site,model,calibration_offset\nd1,s1,freezer,0.5\n")
    summary = aws.curate(full=True)
    assert (summary.objects, summary.hours) == (2, 2)
    assert sorted(row["temperature"] for row in aws.rows()["readings"]) == [1.5, 2.5]
    assert aws.curate().objects == 0


def test_should_not_move_the_watermark_when_a_window_is_curated_again(aws: Aws) -> None:
    aws.put(ARRIVED - 2 * HOUR, at(ARRIVED - 2 * HOUR, seq=1))
    before = aws.curate().watermark
    aws.put(ARRIVED, line(seq=2))
    assert aws.curate_window(ARRIVED, NOW).watermark == before
    assert aws.seqs() == [1, 2]
    assert aws.curate().objects == 1


@pytest.mark.parametrize("window", [{}, {"full": True}, {"window_from": ARRIVED - HOUR, "window_to": NOW}])
def test_should_say_what_would_change_and_change_nothing(aws: Aws, window: dict[str, Any]) -> None:
    aws.put(ARRIVED - HOUR, at(ARRIVED - HOUR, seq=1))
    aws.curate()
    aws.put(ARRIVED, line(seq=2), line(seq=2), at(ARRIVED - 30 * HOUR, seq=3), b"oops")
    before = (aws.s3.list_objects_v2(Bucket="lake")["Contents"], [aws.registered(table.name) for table in CURATED])
    item = aws.dynamodb.get_item(TableName="curation", Key={"id": {"S": "curate"}})["Item"]
    summary = aws.curate(dry_run=True, **window)
    changes = {f"{touch.hour:%d %H}": touch.readings for touch in summary.would_change}
    assert changes == {"22 06": 1, "23 12": 2, **({"23 11": 1} if window else {})}
    assert (summary.objects, summary.quarantined) == (2 if window else 1, 1)
    after = (aws.s3.list_objects_v2(Bucket="lake")["Contents"], [aws.registered(table.name) for table in CURATED])
    assert after == before
    assert aws.dynamodb.get_item(TableName="curation", Key={"id": {"S": "curate"}})["Item"] == item
    assert aws.curate().objects == 1


def test_should_copy_the_files_of_a_day_that_stay_as_they_are(aws: Aws) -> None:
    for number in range(3):
        moment = ARRIVED - number * HOUR
        aws.put(moment, at(moment, seq=number))
        aws.curate()
    tags = {
        item["Key"].rpartition("/")[2]: item["ETag"]
        for item in aws.s3.list_objects_v2(Bucket="lake", Prefix="readings/")["Contents"]
    }
    assert set(tags) == {"10-10-1.parquet", "11-11-1.parquet", "12-12-1.parquet"}
    aws.put(ARRIVED - HOUR, at(ARRIVED - HOUR, seq=9), name="b")
    aws.curate()
    after = {
        item["Key"].rpartition("/")[2]: item["ETag"]
        for item in aws.s3.list_objects_v2(Bucket="lake", Prefix="readings/")["Contents"]
    }
    assert {name for name in after if after[name] == tags.get(name)} == {"10-10-1.parquet", "12-12-1.parquet"}
    assert aws.seqs() == [0, 1, 2, 9]


def test_should_never_have_more_than_a_handful_of_files_in_a_partition(aws: Aws) -> None:
    start = ARRIVED.replace(hour=0)
    most = 0
    for hour in range(24):
        moment = start + hour * HOUR
        aws.put(moment, at(moment, seq=hour))
        aws.curate(now=moment + HOUR / 2)
        most = max(most, len(aws.keys("readings")[TODAY]))
    assert 1 < most <= layout.MOST_FILES
    assert aws.seqs() == list(range(24))


def test_should_merge_the_files_of_a_day_that_is_over(aws: Aws) -> None:
    for number in range(3):
        moment = ARRIVED - number * HOUR
        aws.put(moment, at(moment, seq=number))
        aws.curate()
    rows = aws.rows()
    assert aws.curate(now=ARRIVED + DAY).merged == 0
    summary = aws.curate(now=ARRIVED.replace(hour=0, minute=0) + 2 * DAY)
    assert (summary.merged, summary.readings) == (1, 0)
    assert [name.rpartition("/")[2] for name in aws.keys("readings")[TODAY]] == ["10-12-3.parquet"]
    assert aws.rows() == rows
    assert aws.curate(now=ARRIVED + 3 * DAY).merged == 0


def test_should_settle_a_day_that_stays_in_several_files(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_ROWS_A_FILE", 3)
    for number in range(3):
        moment = ARRIVED - number * HOUR
        aws.put(moment, *(at(moment, seq=10 * number + seq) for seq in range(2)))
        aws.curate(grace_seconds=3600)
    merged = [aws.curate(now=ARRIVED + 3 * DAY + number * HOUR, grace_seconds=3600).merged for number in range(3)]
    assert merged == [0, 0, 0]
    assert len(aws.keys("readings")[TODAY]) == 3


def test_should_cut_a_day_into_files_of_a_bounded_number_of_rows(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_ROWS_A_FILE", 3)
    aws.put(ARRIVED, *(at(ARRIVED - back * HOUR, seq=seq) for back in range(4) for seq in range(2)))
    aws.curate()
    assert len(aws.keys("readings")[TODAY]) == 4
    assert len(aws.rows()["readings"]) == 8


def test_should_curate_many_objects_in_batches_and_commit_each(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        moment = ARRIVED - number * HOUR
        aws.put(moment, at(moment, seq=number), at(ARRIVED - 4 * HOUR, seq=9), b"oops")
    aws.curate()
    expected = aws.rows()
    monkeypatch.setattr(batch, "BATCH_BYTES", 1)
    summary = aws.curate(full=True)
    assert (summary.objects, summary.run_id in str(aws.keys("readings"))) == (5, True)
    assert aws.rows() == expected
    assert set(aws.files()) == live(aws)


def die_at_the_third_commit(aws: Aws) -> None:
    commits = iter(range(10))

    def die(params: dict[str, Any], **_: object) -> None:
        if "watermark" in params["UpdateExpression"] and next(commits) == 2:
            raise KeyboardInterrupt

    aws.dynamodb.meta.events.register("provide-client-params.dynamodb.UpdateItem", die)


def test_should_go_on_from_the_last_batch_of_a_run_that_died(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BATCH_BYTES", 1)
    for number in range(3):
        aws.put(ARRIVED - number * HOUR, at(ARRIVED - number * HOUR, seq=number))
    die_at_the_third_commit(aws)
    with pytest.raises(KeyboardInterrupt):
        aws.curate()
    assert aws.curate().objects == 1
    assert aws.seqs() == [0, 1, 2]


def test_should_compute_hours_in_pieces_where_they_take_more_than_a_batch(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        aws.put(ARRIVED - number * HOUR, at(ARRIVED - number * HOUR, seq=number), name="a")
    aws.curate()
    monkeypatch.setattr(batch, "BATCH_BYTES", 1)
    # One object has readings of all these hours, as of a gateway that was offline.
    late = [at(ARRIVED - number * HOUR, seq=10 + number) for number in range(4)]
    aws.put(ARRIVED, *late, b"oops", name="b")
    pieces: list[int] = []
    monkeypatch.setattr("glue_jobs.curate.run.curate_batch", counted(batch.curate_batch, pieces))
    summary = aws.curate()
    assert pieces == [0, 1, 1, 1, 1]
    assert (summary.hours, summary.readings, summary.quarantined) == (4, 8, 1)
    rows = aws.rows()
    assert aws.seqs() == [0, 1, 2, 3, 10, 11, 12, 13]
    aws.curate(full=True)
    assert aws.rows() == rows


def counted(curate_batch: Callable[..., Outcome], hours: list[int]) -> Callable[..., Outcome]:
    def counting(*arguments: Any) -> Outcome:
        outcome = curate_batch(*arguments)
        hours.append(outcome.hours)
        return outcome

    return counting


def test_should_go_on_with_the_hours_that_a_run_left(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        aws.put(ARRIVED - number * HOUR, at(ARRIVED - number * HOUR, seq=number), name="a")
    aws.curate()
    monkeypatch.setattr(batch, "BATCH_BYTES", 1)
    aws.put(ARRIVED, *(at(ARRIVED - number * HOUR, seq=10 + number) for number in range(3)), name="b")
    die_at_the_third_commit(aws)
    with pytest.raises(KeyboardInterrupt):
        aws.curate()
    summary = aws.curate(dry_run=True)
    assert (summary.objects, len(summary.would_change)) == (0, 2)
    summary = aws.curate()
    assert (summary.objects, summary.hours) == (0, 2)
    assert aws.seqs() == [0, 1, 2, 10, 11, 12]


def test_should_leave_an_object_alone_whose_hour_is_to_come(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    aws.put(ARRIVED + 300 * DAY, line(seq=1))
    aws.put(ARRIVED, line(seq=2))
    aws.curate()
    assert "left alone, its hour of arrival is to come: s3://raw/raw/dt=2027-09-19/" in caplog.text
    aws.put(ARRIVED, line(seq=3), name="b")
    assert aws.curate().objects == 1
    assert aws.seqs() == [2, 3]


def test_should_read_an_object_once_that_was_put_again(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    name = aws.put(ARRIVED, line(seq=1))
    aws.curate()
    aws.s3.put_object(Bucket="raw", Key=name, Body=line(seq=1))
    found = next(iter(RawZone(aws.s3, "raw").objects(ARRIVED)))
    Index(aws.s3, "lake").add([ObjectHour(ARRIVED.replace(minute=0), found._replace(arrived=found.arrived + HOUR), 1)])
    aws.put(ARRIVED, line(seq=2), name="b")
    aws.curate()
    assert [row["copies"] for row in aws.rows()["readings"]] == [1, 1]


def test_should_curate_though_a_device_is_expected_to_send_without_end(aws: Aws) -> None:
    aws.register("device,site,model,interval\nd1,s1,freezer,1e-17\n")
    aws.put(ARRIVED, at(ARRIVED, seq=1), at(ARRIVED - HOUR / 4, seq=2))
    aws.curate()
    (row,) = aws.rows()["device_health"]
    assert row["expected"] == 9_200_000_000_000_000_000


def test_should_say_how_many_of_the_readings_expected_of_the_days_it_wrote_have_come(aws: Aws) -> None:
    aws.register("device,site,model,interval\nd1,s1,freezer,60\n")
    # By its interval, three are expected of d1, and four came: that makes up for none of those that d2 lost.
    aws.put(ARRIVED, *(at(ARRIVED - HOUR / 60 * minute, seq=seq) for minute, seq in ((3, 1), (2, 2), (1, 3), (1, 4))))
    aws.put(ARRIVED, *(line(device_id="d2", seq=seq) for seq in (1, 5)), name="b")
    assert aws.curate().completeness == 100 * (3 + 2) / (3 + 5)
    aws.put(ARRIVED, *(at(ARRIVED - DAY, device_id="d3", seq=seq) for seq in (1, 4)), name="c")
    assert aws.curate().completeness == 100 * 2 / 4
    assert aws.curate().completeness is None


def test_should_count_a_day_once_that_several_batches_wrote(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BATCH_BYTES", 1)
    for number in range(3):
        aws.put(ARRIVED + number * HOUR, at(ARRIVED + number * HOUR, seq=2 * number))
    assert aws.curate(now=ARRIVED + 3 * HOUR).completeness == 100 * 3 / 5


def test_should_refuse_to_switch_anything_once_another_run_has_begun(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1))
    overtaken = False

    def overtake(**_: object) -> None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            aws.put(ARRIVED, line(seq=2), name="b")
            aws.curate()

    aws.s3.meta.events.register("before-call.s3.PutObject", overtake)
    with pytest.raises(CurateError, match="another run has begun since this one"):
        aws.curate()
    assert aws.seqs() == [1, 2]
    assert aws.curate().objects == 0


def test_should_keep_what_is_in_quarantine_of_other_objects_and_hours(aws: Aws) -> None:
    aws.put(ARRIVED, b"oops", line(seq=1, temperature=1), line(seq=1, temperature=2), name="a")
    aws.curate()
    aws.put(ARRIVED, b"again", line(seq=2), name="b")
    aws.put(ARRIVED - 2 * HOUR, at(ARRIVED - 2 * HOUR, seq=3), name="c")
    aws.curate()
    found = [(row["reason"], row["raw_line"]) for row in aws.rows()["quarantine"]]
    assert sorted(found) == [("conflict", 3), ("not_json", 1), ("not_json", 1)]


def test_should_let_the_first_arrival_win_even_if_it_is_curated_later(aws: Aws) -> None:
    first = aws.put(ARRIVED - HOUR, at(ARRIVED - HOUR, seq=1, temperature=1), name="first")
    aws.put(ARRIVED, at(ARRIVED - HOUR, seq=1, temperature=2), name="second")
    aws.curate_window(ARRIVED, NOW)
    assert [row["temperature"] for row in aws.rows()["readings"]] == [2.0]
    aws.curate_window(ARRIVED - HOUR, ARRIVED)
    rows = aws.rows()
    assert [(row["temperature"], row["raw_object"]) for row in rows["readings"]] == [(1.0, first)]
    assert [(row["reason"], json.loads(row["line"])["temperature"]) for row in rows["quarantine"]] == [("conflict", 2)]


def test_should_leave_the_hours_alone_whose_raw_objects_may_be_gone(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    aws.put(ARRIVED, line(seq=1), at(ARRIVED - 50 * HOUR, seq=2))
    summary = aws.curate(raw_retention_days=2)
    assert (summary.readings, summary.expired_readings) == (1, 1)
    assert aws.seqs() == [1]
    assert "1 readings are not curated: raw objects of their hours may be gone: 2026-11-21T10:00:00Z" in caplog.text


def test_should_say_beforehand_what_comes_too_late(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1), at(ARRIVED - 50 * HOUR, seq=2))
    summary = aws.curate(raw_retention_days=2, dry_run=True)
    assert ([touch.readings for touch in summary.would_change], summary.expired_readings) == ([1], 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("site,device\n", "the registry is not used: s3://settings/registry/devices.csv: line 1: column 1 has to be"),
        (
            "device,site,model,latitude\nd1,s1,freezer,north\n",
            "left out of the registry: .*: latitude 'north' is not a number",
        ),
    ],
)
def test_should_curate_though_the_registry_is_broken(
    aws: Aws, caplog: pytest.LogCaptureFixture, text: str, said: str
) -> None:
    aws.register(text)
    aws.put(ARRIVED, line(seq=1))
    aws.curate()
    assert aws.seqs() == [1]
    assert re.search(said, caplog.text)


def test_should_write_the_registry_as_a_table(aws: Aws) -> None:
    aws.register("device,site,model,interval,room\nd1,s1,freezer,60,7\n")
    aws.curate()
    (row,) = aws.read("devices/devices.parquet")
    assert (row["device_id"], row["model"], row["interval_seconds"], row["latitude"]) == ("d1", "freezer", 60.0, None)
    assert json.loads(row["attributes"])["room"] == "7"


def test_should_do_nothing_where_nothing_arrived(aws: Aws) -> None:
    summary = aws.curate()
    assert (summary.objects, summary.readings, summary.newest_reading, summary.watermark) == (0, 0, None, None)
    assert aws.files() == []
    assert aws.registered("quarantine") == {}


def test_should_leave_alone_what_is_no_raw_object(aws: Aws) -> None:
    for name in ("raw/dt=2026-11-23/hour=12/", "raw/dt=2026-11-23/hour=12.txt", "raw/dt=2026-11-23/hour=77/x"):
        aws.s3.put_object(Bucket="raw", Key=name, Body=line())
    aws.put(ARRIVED, line())
    assert aws.curate().objects == 1


def test_should_keep_replaced_files_until_their_grace_is_over(aws: Aws) -> None:
    runs = []
    for number in range(3):
        aws.put(ARRIVED, line(seq=number), name=f"{number}")
        runs.append(aws.curate(grace_seconds=10**9).run_id)
    assert {name.split("/")[2] for name in aws.files()} == {f"{run}-1" for run in runs}
    aws.curate()
    assert {name.split("/")[2] for name in aws.files()} == {f"{runs[-1]}-1"}
    assert set(aws.files()) == live(aws)


def test_should_register_more_partitions_than_one_call_takes(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake, "_PARTITIONS_A_CALL", 3)
    calls: list[int] = []
    for operation, items in (("BatchCreatePartition", "PartitionInputList"), ("BatchUpdatePartition", "Entries")):
        aws.glue.meta.events.register(
            f"provide-client-params.glue.{operation}",
            lambda params, items=items, **_: calls.append(len(params[items])),
        )
    aws.put(ARRIVED, *(at(ARRIVED - back * DAY) for back in range(7)))
    for _ in range(2):
        assert aws.curate(full=True).days == 7
        assert len(aws.registered("readings")) == 7
        assert len(aws.rows()["readings_hourly"]) == 7
    assert calls == 2 * 4 * [3, 3, 1]


def test_should_go_on_without_an_object_that_is_gone_since_it_was_listed(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1), name="a")
    aws.put(ARRIVED, line(seq=2), name="b")

    def delete(**_: object) -> None:
        boto3.client("s3").delete_object(Bucket="raw", Key=key(ARRIVED, "a"))

    aws.s3.meta.events.register("after-call.s3.ListObjectsV2", delete)
    aws.curate()
    assert aws.seqs() == [2]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"raw_bucket": "nowhere"}, r"cannot list s3://nowhere/raw/: .*NoSuchBucket"),
        ({"lake_bucket": "nowhere"}, r"cannot write s3://nowhere/curate/index/.*NoSuchBucket"),
        ({"database": "nowhere"}, r"cannot list partitions of nowhere\.readings.*"),
        ({"state_table": "nowhere"}, r"cannot write the run's progress to table nowhere.*"),
        ({"config_bucket": "nowhere"}, r"cannot read s3://nowhere/registry/devices.csv.*"),
    ],
)
def test_should_say_what_it_could_not_reach(aws: Aws, broken: dict[str, Any], message: str) -> None:
    aws.put(ARRIVED, line())
    with pytest.raises(CurateError, match=message):
        aws.curate(**broken)


def test_should_tell_how_it_is_getting_on_and_how_it_ended(aws: Aws) -> None:
    aws.put(ARRIVED, line(seq=1), b"oops")
    phases: list[str] = []
    aws.dynamodb.meta.events.register(
        "provide-client-params.dynamodb.PutItem", lambda params, **_: phases.append(params["Item"]["phase"]["S"])
    )
    summary = aws.curate(run_id="from-outside")
    assert summary.run_id == "from-outside"
    assert list(dict.fromkeys(phases)) == ["listing", "reading", "computing", "switching", "done"]
    item = aws.dynamodb.get_item(TableName="curation", Key={"id": {"S": "run#from-outside"}})["Item"]
    assert (item["objects"]["N"], item["objects_total"]["N"], item["rows"]["N"]) == ("1", "1", "2")
    assert json.loads(item["summary"]["S"])["readings"] == 1
    assert int(item["expires"]["N"]) > NOW.timestamp()
