"""The position: moved only by who claimed last, and true of every object it speaks of."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.hours import HOUR
from glue_jobs.curate.zones.ledger import Ledger, Position
from glue_jobs.curate.zones.raw import RawObject, raw_object
from tests.unit.curate.deployed import NOW, Aws
from tests.unit.curate.samples import ARRIVED, key


def ledger(aws: Aws, run_id: str) -> Ledger:
    return Ledger(aws.dynamodb, aws.s3, table="curation", bucket="lake", run_id=run_id, now=NOW)


def found(hours: int, name: str = "a") -> RawObject:
    moment = ARRIVED + hours * HOUR
    made = raw_object(key(moment, name), 1, moment)
    assert made is not None
    return made


def test_should_come_back_to_where_the_last_run_came(aws: Aws) -> None:
    first = ledger(aws, "first")
    assert first.claim() == (Position(), [])
    first.begin(["2026-11-22", "2026-11-23"])
    position = Position().after([found(0), found(-1)])
    first.commit(position)
    first.settle(["2026-11-22"])
    assert ledger(aws, "second").look() == position
    assert ledger(aws, "second").claim() == (position, ["2026-11-23"])


def test_should_keep_one_state_object(aws: Aws) -> None:
    mine = ledger(aws, "mine")
    position, _ = mine.claim()
    for hours in range(3):
        position = position.after([found(hours)])
        mine.commit(position)
    assert [item["Key"] for item in aws.s3.list_objects_v2(Bucket="lake")["Contents"]] == [
        "curate/state/mine-3.json.gz"
    ]


@pytest.mark.parametrize("step", ["begin", "check_claim", "commit", "settle"])
def test_should_refuse_every_step_of_a_run_that_another_has_overtaken(aws: Aws, step: str) -> None:
    mine, other = ledger(aws, "mine"), ledger(aws, "other")
    mine.claim()
    other.claim()
    other.commit(Position().after([found(0)]))
    steps = {
        "begin": lambda: mine.begin(["2026-11-23"]),
        "check_claim": mine.check_claim,
        "commit": lambda: mine.commit(Position().after([found(1)])),
        "settle": lambda: mine.settle(["2026-11-23"]),
    }
    with pytest.raises(CurateError, match="another run has begun since this one"):
        steps[step]()
    assert ledger(aws, "third").look() == Position().after([found(0)])


@given(st.lists(st.integers(0, 200), min_size=1, max_size=40, unique=True), st.integers(1, 5))
def test_should_know_of_every_object_whether_it_was_curated(hours: list[int], size: int) -> None:
    objects = sorted((found(hour) for hour in hours), key=lambda item: item.key)
    position = Position()
    for start in range(0, len(objects), size):
        position = position.after(objects[start : start + size])
        done, rest = objects[: start + size], objects[start + size :]
        assert position.watermark == max(item.arrived for item in done)
        since = position.since
        assert since is not None

        def is_new(item: RawObject, since: dt.datetime = since, position: Position = position) -> bool:
            return item.hour.start >= since and item.key not in position.seen

        assert not any(map(is_new, done))
        assert all(map(is_new, rest))
    assert len(position.seen) <= sum(hour > max(hours) - 28 for hour in hours)
