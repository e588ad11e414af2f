"""Which files of a day are copied and which are merged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_jobs.curate import layout
from glue_jobs.curate.layout import DayFile, day_file, file_name, groups, plan

LARGE = 2**30


@st.composite
def days(draw: st.DrawFn) -> list[DayFile]:
    """Files that share the hours of a day among them."""
    hours = sorted(draw(st.sets(st.integers(0, 23))))
    files = []
    while hours:
        count = draw(st.integers(1, len(hours)))
        size = draw(st.sampled_from([1, LARGE]))
        files.append(day_file(f"readings/dt=2026-11-23/run/{file_name(hours[:count])}", size))
        hours = hours[count:]
    return files


@given(days(), st.sets(st.integers(0, 23)), st.booleans())
def test_should_copy_or_merge_each_file_and_merge_what_is_touched(
    files: list[DayFile], touched: set[int], closed: bool
) -> None:
    made = plan(files, touched, closed=closed)
    assert sorted([*made.copied, *made.merged]) == sorted(files)
    for file in files:
        if any(file.first <= hour <= file.last for hour in touched):
            assert file in made.merged
    small = [file for file in made.copied if file.size < LARGE]
    if closed:
        assert len(small) <= (0 if touched or made.merged else 1)
    if len([file for file in files if file.size == LARGE]) < layout.MOST_FILES:
        assert len(made.copied) <= layout.MOST_FILES


@given(days())
def test_should_leave_a_merged_day_alone(files: list[DayFile]) -> None:
    merged = plan(files, [], closed=True).merged
    assert len(merged) != 1
    rest = [file for file in files if file not in merged]
    if merged:
        rest.append(DayFile("0/00-23.parquet", 1, 0, 23))
        assert len(rest) < len(files)
    assert plan(rest, [], closed=True).merged == []


@pytest.mark.parametrize("name", ["0.parquet", "00-23.parquet.gz", "x"])
def test_should_take_a_file_that_does_not_say_its_hours_for_one_of_all_hours(name: str) -> None:
    assert day_file(f"readings/{name}", 1)[2:] == (0, 23)


@given(st.dictionaries(st.integers(0, 23), st.integers(1, 8_000_000)))
def test_should_put_every_hour_into_one_file_of_a_bounded_size(rows: dict[int, int]) -> None:
    made = list(groups(rows))
    assert [hour for group in made for hour in group] == sorted(rows)
    for group in made:
        assert sum(rows[hour] for hour in group) <= layout._ROWS_A_FILE or len(group) == 1
