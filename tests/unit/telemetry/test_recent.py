"""Soft state: statistics over windows agree with the readings they stand for, in bounded space, however it is split."""

from __future__ import annotations

import datetime as dt
import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.alerting.heard import Heard, is_late
from telemetry.alerting.recent import Recent
from telemetry.alerting.snapshots import Snapshot, decode, encode
from telemetry.alerting.windows import PARTS
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.conditions import Window
from telemetry.rules.functions import Part

START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
WINDOW = 160
PART = WINDOW // PARTS


def window(function, seconds: int = WINDOW, metric: str = "temperature") -> Window:
    return Window(function=function, metric=metric, seconds=seconds)


AVERAGE, LOWEST, HIGHEST = window("avg"), window("min"), window("max")
RATE, DEVIATION = window("rate"), window("deviation")


def reading(second: float, temperature: float | None, device: str = "d", humidity: float | None = None) -> Reading:
    return Reading(
        device_id=device,
        site="s",
        ts=START + dt.timedelta(seconds=second),
        seq=max(0, round(second * 1000)),
        temperature=temperature,
        humidity=humidity,
        status="ok",
    )


def seen(readings, *windows: Window, recent: Recent | None = None) -> Recent:
    recent = recent or Recent()
    for one in readings:
        arrived = one.ts.timestamp() + 1
        recent.begin(Heard("g", dt.datetime.fromtimestamp(arrived, dt.UTC), [one]))
        newest = recent.newest(one.device_id)
        if newest is None or not is_late(one, newest):
            recent.look(one, windows or (AVERAGE,))
        recent.accept()
    return recent


def written(*environments: Recent, before: Snapshot | None = None) -> Snapshot:
    """What is stored after each environment has written what it saw."""
    snapshot = before or Snapshot()
    for recent in environments:
        snapshot = decode(encode(recent.merged_into(snapshot, 0.0)).data)
    return snapshot


def about(value: float | None) -> object:
    """What is written is rounded: equal to a thousandth."""
    return value if value is None else pytest.approx(value, rel=1e-3, abs=1e-3)


# Readings every 1..9 s, of 0.01 °C as sensors have them, over up to six windows.
temperatures = st.integers(-1000, 4000).map(lambda hundredths: hundredths / 100)
series = st.lists(st.tuples(st.integers(1, 9), temperatures), min_size=1, max_size=200).map(
    lambda steps: [
        reading(second, temperature)
        for second, (_, temperature) in zip(
            [sum(gap for gap, _ in steps[: end + 1]) for end in range(len(steps))], steps, strict=True
        )
    ]
)


def covered(readings: list[Reading]) -> list[Reading]:
    """The readings in the window's 16 parts at the last one: between 15 and 16 parts of time, ending now."""
    last = readings[-1].ts.timestamp()
    begin = (math.floor(last / PART) - PARTS + 1) * PART
    return [one for one in readings if one.ts.timestamp() >= begin]


@given(series)
def test_should_give_the_statistics_of_the_windows_readings_to_a_sixteenth_of_its_length(readings) -> None:
    recent, last = seen(readings, AVERAGE), readings[-1]
    values = [one.temperature or 0 for one in covered(readings)]
    span = last.ts.timestamp() // PART - covered(readings)[0].ts.timestamp() // PART
    if span < PARTS / 2:
        assert recent.value(AVERAGE, last) is None
        return
    assert recent.value(AVERAGE, last) == pytest.approx(statistics.fmean(values), abs=1e-3)
    assert recent.value(LOWEST, last) == min(values)
    assert recent.value(HIGHEST, last) == max(values)


@given(series)
def test_should_never_take_in_a_reading_that_left_the_window(readings) -> None:
    recent, last = seen(readings, AVERAGE), readings[-1]
    inside = [one.temperature for one in readings if (last.ts - one.ts).total_seconds() < WINDOW]
    if recent.value(LOWEST, last) is not None:
        assert recent.value(LOWEST, last) >= min(inside)
        assert recent.value(HIGHEST, last) <= max(inside)


@given(
    start=st.integers(-5, 30),
    per_minute=st.sampled_from([-6, -1.5, -0.3, 0, 0.3, 1.2, 6]),
    gaps=st.lists(st.sampled_from([0.5, 1, 2, 7]), min_size=60, max_size=150),
)
def test_should_give_a_straight_lines_rate_exactly_however_unevenly_it_is_measured(start, per_minute, gaps) -> None:
    seconds = [sum(gaps[:end]) for end in range(len(gaps) + 1)]
    readings = [reading(second, start + per_minute * second / 60) for second in seconds]
    recent = seen(readings, RATE)
    rate = recent.value(RATE, readings[-1])
    if seconds[-1] < WINDOW / 2 - PART:
        assert rate is None
    elif seconds[-1] > WINDOW / 2 + PART:
        assert rate == pytest.approx(per_minute, abs=1e-2)


@given(series)
def test_should_give_the_slope_of_the_least_squares_line_where_each_part_has_one_reading(readings) -> None:
    thinned = list({one.ts.timestamp() // PART: one for one in readings}.values())
    recent, inside = seen(thinned, RATE), covered(thinned)
    rate = recent.value(RATE, thinned[-1])
    if rate is not None:
        slope = statistics.linear_regression(
            [one.ts.timestamp() for one in inside], [one.temperature or 0 for one in inside]
        ).slope
        assert rate == pytest.approx(slope * 60, rel=1e-6, abs=1e-6)


def test_should_score_known_data_as_the_formula_does() -> None:
    """The median is 2.45 and the MAD 0.15, so that 9.4 scores 0.6745 * 6.95 / 0.15: far above the 3.5 of an outlier."""
    history = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]
    readings = [reading(PART * n, temperature) for n, temperature in enumerate([*history, 9.4])]
    recent = seen(readings, DEVIATION)
    assert recent.value(DEVIATION, readings[-1]) == pytest.approx(0.6745 * 6.95 / 0.15)


def test_should_score_what_lies_below_the_median_like_what_lies_above() -> None:
    history = [20, 21, 22, 20, 21, 22, 20, 21, 22]
    scores = []
    for value in (11, 31):
        readings = [reading(PART * n, temperature) for n, temperature in enumerate([*history, value])]
        scores.append(seen(readings, DEVIATION).value(DEVIATION, readings[-1]))
    assert scores == [pytest.approx(0.6745 * 10), pytest.approx(0.6745 * 10)]


def test_should_not_count_a_reading_into_what_it_is_compared_with() -> None:
    history = [20, 21, 22, 20, 21, 22, 20, 21, 22]
    readings = [reading(PART * n, temperature) for n, temperature in enumerate(history)]
    spike = [*readings, reading(PART * 9, 100), reading(PART * 9 + 1, 100)]
    first, second = (seen(spike[:end], DEVIATION).value(DEVIATION, spike[end - 1]) for end in (10, 11))
    assert first == second == pytest.approx(0.6745 * 79)


def test_should_have_no_score_before_there_is_a_history_or_where_nothing_varies() -> None:
    constant = [reading(PART * n, 20) for n in range(20)]
    assert seen(constant, DEVIATION).value(DEVIATION, constant[-1]) is None
    few = [reading(PART * n, 20 + n) for n in range(5)]
    assert seen(few, DEVIATION).value(DEVIATION, few[-1]) is None


def test_should_leave_out_what_was_not_measured() -> None:
    readings = [reading(n, None if n % 2 else 10 + n % 4) for n in range(WINDOW)]
    assert seen(readings, AVERAGE).value(AVERAGE, readings[-1]) == pytest.approx(11, abs=0.05)
    assert seen(readings, DEVIATION).value(DEVIATION, readings[-1]) is None


def test_should_know_nothing_of_a_device_that_was_silent_for_longer_than_the_window() -> None:
    readings = [*(reading(n, 10) for n in range(WINDOW)), reading(3 * WINDOW, 30)]
    assert seen(readings, AVERAGE).value(AVERAGE, readings[-1]) is None


def test_should_keep_a_rate_rule_blind_for_half_a_window_when_a_device_begins() -> None:
    readings = [reading(n, float(n % 5)) for n in range(WINDOW)]
    known = [seen(readings[: n + 1], RATE).value(RATE, readings[n]) is not None for n in range(WINDOW)]
    assert known == sorted(known)
    assert WINDOW / 2 - PART <= known.index(True) <= WINDOW / 2 + PART


@given(series, st.randoms(use_true_random=False))
def test_should_count_a_reading_that_is_delivered_again_only_once(readings, chance) -> None:
    again = [copy for one in readings for copy in [one] * chance.randint(1, 3)]
    once, often = seen(readings), seen(again)
    for asked in (AVERAGE, LOWEST, HIGHEST, RATE):
        assert often.value(asked, readings[-1]) == once.value(asked, readings[-1])


@given(series, st.data())
def test_should_know_the_same_from_two_environments_as_one_that_sees_all(readings, data) -> None:
    """As when Lambda moves a shard to another execution environment, which begins with what was written."""
    cut = data.draw(st.integers(0, len(readings)))
    first = seen(readings[:cut])
    second = seen(readings[cut:], recent=Recent(written(first)))
    alone = seen(readings)
    both = Recent(written(second, before=written(first)))
    for asked in (AVERAGE, LOWEST, HIGHEST, RATE, DEVIATION):
        assert both.value(asked, readings[-1]) == about(alone.value(asked, readings[-1]))


@given(series, st.data())
def test_should_add_up_what_two_environments_saw_of_one_gateway(readings, data) -> None:
    """Each begins with nothing and sees some of the records, as two that work on a shard at the same time do."""
    firsts = data.draw(st.lists(st.booleans(), min_size=len(readings), max_size=len(readings)))
    one = seen([r for r, first in zip(readings, firsts, strict=True) if first])
    other = seen([r for r, first in zip(readings, firsts, strict=True) if not first])
    alone, both = seen(readings), Recent(written(one, other))
    for asked in (AVERAGE, LOWEST, HIGHEST, RATE):
        assert both.value(asked, readings[-1]) == about(alone.value(asked, readings[-1]))
    assert both.arrived == alone.arrived
    assert both.devices["d"].seen == alone.devices["d"].seen


@given(series)
def test_should_survive_being_written_and_read_at_every_step(readings) -> None:
    straight, snapshot = seen(readings), Snapshot()
    for one in readings:
        snapshot = written(seen([one], recent=Recent(snapshot)), before=decode(encode(snapshot).data))
    reread = Recent(snapshot)
    for asked in (AVERAGE, LOWEST, HIGHEST, RATE, DEVIATION):
        assert reread.value(asked, readings[-1]) == about(straight.value(asked, readings[-1]))


@given(series)
def test_should_keep_at_most_sixteen_parts_of_a_window(readings) -> None:
    recent = seen(readings, AVERAGE, window("avg", 10), window("avg", 40))
    assert all(len(parts) <= PARTS for parts in recent.devices["d"].windows.values())


def test_should_forget_a_device_once_its_readings_would_be_refused() -> None:
    recent = seen([reading(0, 20, "gone"), reading(0, 20, "alive")])
    later = reading(MAX_LATENESS.total_seconds() + 60, 20, "alive")
    snapshot = written(seen([later], recent=recent))
    assert snapshot.devices.keys() == {"alive"}


def busy_gateway(devices: int, windows: tuple[Window, ...]) -> Snapshot:
    """Devices that each fill all parts of their windows with noise: nothing that compresses well."""
    noise = random.Random(1)
    recent = Recent()
    for second in range(0, 2 * max(window.seconds for window in windows), 7):
        for number in range(devices):
            temperature, humidity = noise.uniform(-20, 60), noise.uniform(0, 100)
            one = reading(second + number / 100, temperature, f"device-{number:05}", humidity)
            seen([one], *windows, recent=recent)
    return recent.merged_into(Snapshot(), 0.0)


def test_should_need_little_space_for_each_device() -> None:
    """50 devices with two full windows each fit far below DynamoDB's 400 KB."""
    two = (window("avg", 600), window("rate", 3600, "humidity"))
    snapshot = busy_gateway(50, two)
    assert all(len(parts) == PARTS for device in snapshot.devices.values() for parts in device.windows.values())
    assert len(encode(snapshot).data) < 50 * 1000


def test_should_fit_into_an_item_and_keep_who_was_seen_when_the_windows_do_not_fit() -> None:
    parts = busy_gateway(1, (window("avg", 600),)).devices["device-00000"]
    noise = random.Random(2)
    crowd = {}
    for number in range(1000):
        windows = {
            f"temperature/{seconds}": [
                Part(part.index, 99, noise.uniform(0, 9999), *(noise.uniform(0, 99) for _ in range(4)))
                for part in parts.windows["temperature/600"]
            ]
            for seconds in (600, 3600)
        }
        crowd[f"device-{number:05}"] = type(parts)("s", parts.seen + number, parts.newest, windows)
    stored = encode(Snapshot(arrived=parts.seen, site="s", devices=crowd)).data
    assert len(stored) < 390_000
    kept = decode(stored)
    assert {name: device.seen for name, device in kept.devices.items()} == {
        name: device.seen for name, device in crowd.items()
    }
