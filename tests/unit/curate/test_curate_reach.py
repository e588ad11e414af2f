"""How far back a run reaches: what it leaves as it is, what it says about it, and who curates it then."""

from __future__ import annotations

import datetime as dt

import pytest

from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.partition import HOUR, start_of_hour
from tests.unit.curate.deployed import NOW, Aws, at
from tests.unit.curate.samples import ARRIVED

DAY = dt.timedelta(days=1)


def test_should_leave_an_hour_whose_raw_objects_may_have_expired_as_it_is(
    aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    taken = ARRIVED - DAY
    gone = aws.put(taken, at(taken, seq=1), at(taken + 2 * HOUR, seq=2))
    aws.curate(taken, NOW, raw_retention_days=30)
    aws.s3.delete_object(Bucket="raw", Key=gone)
    aws.put(ARRIVED - HOUR, at(taken, seq=9))
    aws.put(ARRIVED, at(taken, seq=3), at(taken, seq=3), at(taken + 2 * HOUR, seq=4), at(ARRIVED, seq=5))
    summary = aws.curate(ARRIVED, NOW, raw_retention_days=1)
    assert (summary.readings, summary.expired_readings, summary.postponed_readings) == (2, 2, 0)
    assert [(row["partition"], row["seq"]) for row in aws.rows()["readings"]] == [
        ("2026-11-22 12", 1),
        ("2026-11-22 14", 4),
        ("2026-11-23 12", 5),
    ]
    (message,) = caplog.messages
    assert message == (
        "2 readings are not curated: raw objects of their hours may be gone (raw_retention_days is 1): "
        "2026-11-22T12:00:00Z"
    )


@pytest.mark.parametrize(("hours_back", "curated"), [(22, 1), (23, 0)])
def test_should_curate_an_hour_exactly_if_its_first_possible_arrival_is_kept(
    aws: Aws, hours_back: int, curated: int
) -> None:
    # The oldest hour kept is 13:00 of the day before; the readings of 14:00 may have come from then on.
    aws.put(ARRIVED, at(ARRIVED - hours_back * HOUR))
    assert aws.curate(raw_retention_days=1).readings == curated


def test_should_refuse_a_window_that_may_have_expired_and_change_nothing(aws: Aws) -> None:
    aws.put(ARRIVED - DAY, at(ARRIVED - DAY), b"oops")
    aws.curate(ARRIVED - DAY, NOW)
    before = aws.rows()
    with pytest.raises(CurateError, match=r"begin it at 2026-11-22T13:00:00Z or later$"):
        aws.curate(ARRIVED - DAY, NOW, raw_retention_days=1)
    assert aws.rows() == before


def test_should_postpone_what_is_very_late_and_name_the_command_that_curates_it(
    aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    late = ARRIVED - 20 * DAY
    aws.put(late, at(late, seq=1))
    aws.put(ARRIVED, at(late, seq=2), at(late - HOUR, seq=3), at(ARRIVED, seq=4))
    summary = aws.curate()
    assert (summary.objects, summary.partitions, summary.readings) == (1, 1, 1)
    assert (summary.postponed_readings, summary.expired_readings) == (2, 0)
    assert [row["seq"] for row in aws.rows()["readings"]] == [4]
    (message,) = caplog.messages
    assert message == (
        "2 readings are postponed: a run over the default window curates no hour older than 48 hours: "
        "2026-11-03T11:00:00Z, 2026-11-03T12:00:00Z; to curate them: "
        "iot etl run --from 2026-11-23T10:00:00Z --to 2026-11-23T13:00:00Z"
    )
    window = (dt.datetime(2026, 11, 23, hour, tzinfo=dt.UTC) for hour in (10, 13))
    assert aws.curate(*window).postponed_readings == 0
    assert [row["seq"] for row in aws.rows()["readings"]] == [3, 1, 2, 4]


@pytest.mark.parametrize(("hours_back", "postponed"), [(47, 0), (48, 1)])
def test_should_postpone_hours_that_began_more_than_48_hours_ago(aws: Aws, hours_back: int, postponed: int) -> None:
    # At 12:50, the hour that began at 12:00 two days before is older, the one after it is not.
    aws.put(ARRIVED, at(start_of_hour(NOW) - hours_back * HOUR))
    summary = aws.curate()
    assert (summary.postponed_readings, summary.readings) == (postponed, 1 - postponed)
