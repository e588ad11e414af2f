"""What a raw object's key says, and which objects can hold an hour's readings."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_jobs.curate.partition import HOUR, Partition, start_of_hour
from glue_jobs.curate.raw import arrivals_of, raw_object
from telemetry.codec import decode_batch
from tests.unit.curate.samples import ARRIVED, key, line

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
    start, end = arrivals_of([start_of_hour(taken)])
    if decode_batch(line(ts=taken.isoformat()), found.arrived).readings:
        assert start <= found.hour.start < end
