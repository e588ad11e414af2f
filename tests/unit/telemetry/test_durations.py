"""Durations as people write them: one grammar, of whole seconds for rules and of any for the simulator."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.text.durations import format_duration, parse_duration, parse_seconds
from telemetry.text.errors import TextError

TEN_YEARS = dt.timedelta(days=3_650)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("7d", 604800),
        ("1h30m", 5400),
        ("1d2h3m4s", 93784),
        ("1.5h", 5400),
        ("1.15m", 69),
        ("5000ms", 5),
        ("1m1h", 3660),
        ("365d", 365 * 86_400),
    ],
)
def test_should_read_a_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == dt.timedelta(seconds=seconds)
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("1.5m", 90.0),
        ("2h", 7_200.0),
        ("1d", 86_400.0),
        ("1h30m", 5_400.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("0s", 0.0),
        ("3650d", TEN_YEARS.total_seconds()),
    ],
)
def test_should_read_parts_of_a_second(text: str, seconds: float) -> None:
    assert parse_seconds(text, TEN_YEARS) == seconds


@pytest.mark.parametrize("text", ["500ms", "1.5s", "0.01m", "1h1ms"])
def test_should_refuse_parts_of_a_second_where_whole_ones_are_needed(text: str) -> None:
    with pytest.raises(TextError, match=f"invalid duration '{text}': write whole seconds, such as 90s, 5m, 2h, 7d"):
        parse_duration(text)


@given(st.integers(0, 365 * 86400).map(lambda seconds: dt.timedelta(seconds=seconds)))
def test_should_read_what_it_writes(duration: dt.timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (90, "1m30s"), (86400, "1d"), (5400.9, "1h30m")],
)
def test_should_write_a_duration_in_one_way(seconds: float, text: str) -> None:
    assert format_duration(dt.timedelta(seconds=seconds)) == text


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(["ms", "s", "m", "h"])), min_size=1, max_size=5))
def test_should_add_up_the_parts(parts: list[tuple[int, str]]) -> None:
    each = [f"{number}{unit}" for number, unit in parts]
    assert parse_seconds("".join(each)) == pytest.approx(sum(map(parse_seconds, each)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "m",
        "s",
        "5min",
        "-5m",
        "5 m",
        "1h 30m",
        ".5s",
        "1e3s",
        "nans",
        "5x",
        "5M",
        "PT5M",
        "\N{ARABIC-INDIC DIGIT FIVE}m",
        "5m\n",
        "1w",
    ],
)
def test_should_say_how_a_duration_is_written(text: str) -> None:
    with pytest.raises(TextError) as error:
        parse_duration(text)
    assert str(error.value) == f"invalid duration {text!r}: write 90s, 5m, 2h, 7d"
    with pytest.raises(TextError, match="write 500ms, 90s, 5m, 2h, 7d"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["366d", "365d1s", "9" * 5_000 + "d"])
def test_should_refuse_what_is_longer_than_a_year(text: str) -> None:
    with pytest.raises(TextError, match="it can be at most 365d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3651d", "3650d1ms", "9" * 400 + "s"])
def test_should_refuse_what_is_longer_than_asked_for(text: str) -> None:
    with pytest.raises(TextError, match="it can be at most 3650d"):
        parse_seconds(text, TEN_YEARS)
