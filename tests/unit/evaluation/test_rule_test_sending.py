"""From the series of a rule test to the records that arrive."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.rule_tests.sending import Sending, expanded
from telemetry.reading.codec import decode_batch
from telemetry.text.errors import TextError

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def fail(path: object, message: str) -> TextError:
    return TextError(f"{path}: {message}")


def sent(*series: dict[str, Any], interval: dt.timedelta = MINUTE) -> list[tuple[float, str, list[tuple[Any, ...]]]]:
    """What arrives: minutes since the start, the gateway, and (device, minute of the device's clock, seq, value)."""
    return [
        (
            (record.at - START) / MINUTE,
            record.gateway,
            [(r.device_id, (r.ts - START) / MINUTE, r.seq, r.temperature) for r in decode_batch(record.data).readings],
        )
        for record in Sending(series, interval, START, fail).records()
    ]


def test_should_send_each_value_when_it_is_measured() -> None:
    assert sent({"device": "d", "temperature": "1 - 3"}) == [
        (0, "gateway", [("d", 0, 0, 1)]),
        (2, "gateway", [("d", 2, 2, 3)]),
    ]


def test_should_number_the_values_of_a_device_in_the_order_in_which_they_are_measured() -> None:
    late = {"device": "d", "from": "90s", "arrives": "5m", "temperature": "9"}
    assert sent({"device": "d", "temperature": "0 1 2"}, late) == [
        (0, "gateway", [("d", 0, 0, 0)]),
        (1, "gateway", [("d", 1, 1, 1)]),
        (2, "gateway", [("d", 2, 3, 2)]),
        (5, "gateway", [("d", 1.5, 2, 9)]),
    ]


def test_should_begin_to_count_again_where_a_series_says_so() -> None:
    restarted = {"device": "d", "from": "2m", "seq": 0, "temperature": "2 3"}
    numbers = [
        seq for _, _, readings in sent({"device": "d", "temperature": "0 1"}, restarted) for _, _, seq, _ in readings
    ]
    assert numbers == [0, 1, 0, 1]


def test_should_send_batches_in_either_order_and_what_is_left_with_the_last_value() -> None:
    series = {"device": "d", "batch": 2, "delay": "30s", "temperature": "1 2 3"}
    assert sent(series) == [
        (1.5, "gateway", [("d", 0, 0, 1), ("d", 1, 1, 2)]),
        (2.5, "gateway", [("d", 2, 2, 3)]),
    ]
    newest_first = sent({**series, "order": "newest first"})
    assert newest_first[0] == (1.5, "gateway", [("d", 1, 1, 2), ("d", 0, 0, 1)])


def test_should_send_through_each_gateway_and_again() -> None:
    series = {"device": "d", "gateway": ["a", "b"], "again": "3m", "temperature": "1"}
    reading = [("d", 0, 0, 1)]
    assert sent(series) == [(0, "a", reading), (0, "b", reading), (3, "a", reading), (3, "b", reading)]


def test_should_stamp_by_the_clock_of_the_device() -> None:
    behind = sent({"device": "d", "clock": "-3h", "temperature": "1"}, interval=MINUTE)
    assert behind == [(0, "gateway", [("d", -180, 0, 1)])]


def test_should_put_the_series_of_a_gateway_into_one_record_in_their_order() -> None:
    ((_, _, readings),) = sent({"device": "d{2..3}", "temperature": "1"}, {"device": "d1", "temperature": "2"})
    assert [device for device, *_ in readings] == ["d2", "d3", "d1"]


@pytest.mark.parametrize("reason", ["missing_field", "wrong_type", "out_of_bounds", "from_future", "too_late"])
def test_should_send_lines_that_are_refused_for_the_reason_and_name_their_device(reason: str) -> None:
    series: dict[str, Any] = {"device": "d", "site": "hall", "temperature": "1x2", "rejected": f"- {reason}"}
    accepted, refused, after = Sending([series], MINUTE, START, fail).records()
    assert decode_batch(accepted.data, accepted.at).rejected == decode_batch(after.data, after.at).rejected == []
    (line,) = decode_batch(refused.data, refused.at).rejected
    assert (line.reason, line.device, line.site) == (reason, "d", "hall")


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("d", ["d"]),
        ("d{1..3}", ["d1", "d2", "d3"]),
        ("d{08..10}-x", ["d08-x", "d09-x", "d10-x"]),
        ("{1..2}-{1..2}", ["1-1", "1-2", "2-1", "2-2"]),
        ("d{3..1}", []),
        ("d{a..b}", ["d{a..b}"]),
    ],
)
def test_should_expand_ranges_of_names(name: str, names: list[str]) -> None:
    assert expanded(name) == names


@st.composite
def series(draw: st.DrawFn) -> dict[str, Any]:
    """A series of one device, sent in any way."""
    drawn: dict[str, Any] = {
        "device": "d",
        "temperature": " ".join(draw(st.lists(st.sampled_from(["1", "-", "_"]), min_size=1, max_size=12))),
        "batch": draw(st.integers(1, 5)),
        "delay": f"{draw(st.integers(0, 90))}s",
        "order": draw(st.sampled_from(["oldest first", "newest first"])),
        "gateway": draw(st.sampled_from([["a"], ["a", "b"]])),
    }
    again = draw(st.none() | st.integers(1, 90))
    return drawn | ({"again": f"{again}s"} if again else {})


@given(series())
def test_should_deliver_each_reading_once_through_each_gateway_and_none_before_it_is_measured(
    series: dict[str, Any],
) -> None:
    arrived = sent(series)
    times = Counter((seq, gateway) for _, gateway, readings in arrived for _, _, seq, _ in readings)
    measured = [place for place, value in enumerate(series["temperature"].split()) if value != "-"]
    copies = 2 if "again" in series else 1
    assert times == {(seq, gateway): copies for seq in measured for gateway in series["gateway"]}
    assert all(at >= minute for at, _, readings in arrived for _, minute, _, _ in readings)
    assert [at for at, *_ in arrived] == sorted(at for at, *_ in arrived)
