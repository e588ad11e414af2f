"""The notation of a rule test's series."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.rule_tests.series import MAX_VALUES, SeriesError, numbers, statuses


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("21.5", [21.5]),
        ("-20 -18+2x5", [-20, -18, -16, -14, -12, -10, -8]),
        ("1-1x3", [1, 0, -1, -2]),
        ("-5-1.5x1", [-5, -6.5]),
        ("20x2", [20, 20, 20]),
        ("20x0", [20]),
        ("1e2 +3", [100, 3]),
        ("0+0.1x3", [0, 0.1, 0.2, 0.3]),
        ("1 _ _x3 - -x2 _x0", [1, "_", "_", "_", "_", "-", "-", "-"]),
    ],
)
def test_should_expand_numbers_as_promtool_does(text: str, values: list[float | str]) -> None:
    assert numbers(text) == values


def test_should_expand_statuses() -> None:
    assert statuses("okx2 fault -x2 degraded") == ["ok", "ok", "ok", "fault", "-", "-", "degraded"]


@given(st.integers(-1000, 1000), st.integers(-50, 50), st.integers(0, 100))
def test_should_read_a_ramp_as_its_first_value_and_so_many_more(first: int, step: int, more: int) -> None:
    assert numbers(f"{first}{step:+}x{more}") == [first + step * number for number in range(more + 1)]


@pytest.mark.parametrize("text", ["warm", "1+x3", "1x", "x3", "--", "1,2", "nan", "inf", f"1x{MAX_VALUES + 1}", "_x"])
def test_should_name_the_part_that_is_no_value(text: str) -> None:
    with pytest.raises(SeriesError, match=text.replace("+", r"\+")):
        numbers(f"20 {text} 21")


def test_should_limit_a_series_as_a_whole() -> None:
    with pytest.raises(SeriesError, match="more than 100,000 values"):
        numbers("1x99999 1")


@pytest.mark.parametrize("text", ["fine", "_", "_x3", "1", "okx", "ok+1x3"])
def test_should_say_which_statuses_there_are(text: str) -> None:
    with pytest.raises(SeriesError, match="ok, degraded, fault"):
        statuses(f"ok {text}")
