"""Durations as people write them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.text.durations import DurationError, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("5m", 300), ("2h", 7200), ("7d", 604800), ("1h30m", 5400), ("1d2h3m4s", 93784)],
)
def test_should_read_a_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == dt.timedelta(seconds=seconds)


@given(st.integers(0, 365 * 86400).map(lambda seconds: dt.timedelta(seconds=seconds)))
def test_should_read_what_it_writes(duration: dt.timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "1m30s"), (86400, "1d"), (5400.9, "1h30m")],
)
def test_should_write_a_duration_in_one_way(seconds: float, text: str) -> None:
    assert format_duration(dt.timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "m",
        "5min",
        "-5m",
        "5 m",
        "1m1h",
        "1m1m",
        "1.5h",
        "5M",
        "PT5M",
        "\N{ARABIC-INDIC DIGIT FIVE}m",
        "5m\n",
        "1w",
    ],
)
def test_should_say_how_a_duration_is_written(text: str) -> None:
    with pytest.raises(DurationError, match="such as 7d, 1h30m or 90s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["366d", "365d1s", "9" * 5_000 + "d"])
def test_should_refuse_what_is_longer_than_a_year(text: str) -> None:
    with pytest.raises(DurationError, match="at most 365d"):
        parse_duration(text)
