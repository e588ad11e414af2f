"""Lengths of time as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.models.lengths import LONGEST, seconds


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("1.5m", 90.0),
        ("2h", 7_200.0),
        ("1d", 86_400.0),
        ("1h30m", 5_400.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("0s", 0.0),
        ("3650d", LONGEST),
    ],
)
def test_should_read_lengths(text: str, found: float) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "5 s", "5x", "1e3s", "nans", "1h 30m", "5s\n", ".5s", "٣s"])
def test_should_refuse_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write one like 500ms, 30s, 5m, 1h30m or 1d"):
        seconds(text)


@pytest.mark.parametrize("text", ["3651d", "3650d1ms", "9" * 400 + "s"])
def test_should_refuse_more_than_ten_years(text: str) -> None:
    with pytest.raises(ValueError, match="is too long; write 3650d at most"):
        seconds(text)


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(["ms", "s", "m", "h"])), min_size=1, max_size=5))
def test_should_add_up_the_parts(parts: list[tuple[int, str]]) -> None:
    each = [f"{number}{unit}" for number, unit in parts]
    assert seconds("".join(each)) == pytest.approx(sum(map(seconds, each)))
