"""Which files of a day are copied and which are merged."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_jobs.curate.zones import layout
from glue_jobs.curate.zones.layout import DayFile, day_file, file_name, groups, plan

MOST = layout._ROWS_A_FILE
#: Rows of an hour: few, a good part of a file, more than one.
ROWS = st.sampled_from([1, MOST // 5, MOST // 2, MOST // 2 + 1, MOST, 2 * MOST])


def named(hours: list[int], rows: int) -> DayFile:
    return day_file(f"readings/dt=2026-11-23/run/{file_name(hours, rows)}")


#: The rows of the hours of a day, and its files with the hours of each.
Day = tuple[dict[int, int], dict[DayFile, list[int]]]


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Files that share the hours of a day among them."""
    rows = draw(st.dictionaries(st.integers(0, 23), ROWS))
    hours = sorted(rows)
    files = {}
    while hours:
        count = draw(st.integers(1, len(hours)))
        files[named(hours[:count], sum(rows[hour] for hour in hours[:count]))] = hours[:count]
        hours = hours[count:]
    return rows, files


@given(days(), st.sets(st.integers(0, 23)), st.booleans())
def test_should_copy_or_merge_each_file_and_merge_what_is_touched(day: Day, touched: set[int], closed: bool) -> None:
    files = list(day[1])
    made = plan(files, touched, closed=closed)
    assert sorted([*made.copied, *made.merged]) == sorted(files)
    for file in files:
        if any(file.first <= hour <= file.last for hour in touched):
            assert file in made.merged


@given(days())
def test_should_merge_a_closed_day_until_no_neighbours_fit_into_one_file(day: Day) -> None:
    rows, files = day
    while merged := plan(files, [], closed=True).merged:
        before = len(files)
        hours = {hour: rows[hour] for file in merged for hour in files.pop(file)}
        files |= {named(group, sum(hours[hour] for hour in group)): group for group in groups(hours)}
        assert len(files) < before
    left = sorted(files, key=lambda file: file.first)
    assert all(one.rows + other.rows > MOST for one, other in itertools.pairwise(left))
    assert sum(file.rows for file in left) == sum(rows.values())


@given(st.lists(st.integers(0, 23), unique=True), st.sets(st.integers(0, 23), max_size=2))
def test_should_leave_a_handful_of_files_where_they_are_small(hours: list[int], touched: set[int]) -> None:
    made = plan([named([hour], 1000) for hour in hours], touched, closed=False)
    assert len(made.copied) <= layout.MOST_FILES


def test_should_not_write_files_of_full_size_again_because_they_are_many() -> None:
    files = [named([hour], MOST // 2 + 1) for hour in range(24)]
    assert plan(files, [7], closed=False).merged == [files[7]]
    assert plan(files, [], closed=True).merged == []


@pytest.mark.parametrize("name", ["0.parquet", "00-23.parquet", "00-23-5.parquet.gz", "x"])
def test_should_take_a_file_that_does_not_say_its_hours_for_one_of_all_hours(name: str) -> None:
    assert day_file(f"readings/{name}")[1:] == (0, 23, 0)


@given(st.dictionaries(st.integers(0, 23), st.integers(1, 8_000_000)))
def test_should_put_every_hour_into_one_file_of_a_bounded_size(rows: dict[int, int]) -> None:
    made = list(groups(rows))
    assert [hour for group in made for hour in group] == sorted(rows)
    for group in made:
        assert sum(rows[hour] for hour in group) <= layout._ROWS_A_FILE or len(group) == 1
