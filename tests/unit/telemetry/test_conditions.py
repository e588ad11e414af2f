"""The language of conditions: what it means, and what a mistake in it says."""

from __future__ import annotations

import datetime as dt
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.reading.codec import REASONS_WITH_DEVICE, decode_batch
from telemetry.reading.model import Reading
from telemetry.reading.model import Status as Verdict
from telemetry.rules.condition_parser import parse_condition
from telemetry.rules.conditions import (
    And,
    Comparison,
    Condition,
    ConditionError,
    Metric,
    NoData,
    Or,
    Rejected,
    Status,
    Window,
    culprit,
    holds,
    leaves,
    negate,
)
from tests.unit.telemetry.condition_strategies import close_readings, conditions, rejections

HOT = Comparison(Metric("temperature"), ">", 40.0)
HUMID = Comparison(Metric("humidity"), ">", 90.0)
FAULT = Status("==", "fault")


def reading(temperature: float | None = None, humidity: float | None = None, status: Verdict = "ok") -> Reading:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return Reading(
        device_id="d", site="s", ts=at, seq=1, temperature=temperature, humidity=humidity, battery=None, status=status
    )


def unknown(_: Window) -> None:
    return None


def kleene_not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


# What texts mean.


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("temperature>-15", Comparison(Metric("temperature"), ">", -15.0)),
        (" battery <=\n 2.4e0 ", Comparison(Metric("battery"), "<=", 2.4)),
        ("humidity >= .5", Comparison(Metric("humidity"), ">=", 0.5)),
        ("temperature < +1E2", Comparison(Metric("temperature"), "<", 100.0)),
        ("status == fault", FAULT),
        ("status != ok", Status("!=", "ok")),
        ("rate(temperature, 5m) > 2", Comparison(Window("rate", "temperature", 300), ">", 2.0)),
        ("deviation( battery,1h30m )>3.5", Comparison(Window("deviation", "battery", 5400), ">", 3.5)),
        ("avg(humidity, 10s) < 1", Comparison(Window("avg", "humidity", 10), "<", 1.0)),
        ("min(humidity, 24h) < 1", Comparison(Window("min", "humidity", 86400), "<", 1.0)),
        ("max(humidity, 1d) < 1", Comparison(Window("max", "humidity", 86400), "<", 1.0)),
        ("no_data", NoData("device")),
        ("no_data(device)", NoData("device")),
        ("no_data ( gateway )", NoData("gateway")),
        ("rejected", Rejected()),
        ("rejected(too_late)", Rejected(("too_late",))),
        (" rejected ( too_late,from_future )", Rejected(("too_late", "from_future"))),
        ("(((status == fault)))", FAULT),
    ],
)
def test_should_read_a_comparison(text: str, condition: Condition) -> None:
    assert parse_condition(text) == condition


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("temperature > 40 or humidity > 90 and status == fault", Or((HOT, And((HUMID, FAULT))))),
        ("(temperature > 40 or humidity > 90) and status == fault", And((Or((HOT, HUMID)), FAULT))),
        ("temperature > 40 and (humidity > 90 and status == fault)", And((HOT, HUMID, FAULT))),
        ("not temperature > 40 and status == fault", And((negate(HOT), FAULT))),
        ("not (temperature > 40 and status == fault)", Or((negate(HOT), negate(FAULT)))),
        ("not not temperature > 40", HOT),
        ("not (temperature > 40 or humidity > 90) and status == fault", And((negate(HOT), negate(HUMID), FAULT))),
    ],
)
def test_should_bind_not_before_and_before_or(text: str, condition: Condition) -> None:
    assert parse_condition(text) == condition


@given(conditions | rejections)
def test_should_read_what_it_writes(condition: Condition) -> None:
    assert parse_condition(str(condition)) == condition


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("temperature>40.0", "temperature > 40"),
        ("temperature > -0", "temperature > 0"),
        ("temperature > 0.1000000001", "temperature > 0.1000000001"),
        ("rate(temperature,90s)>=1e3", "rate(temperature, 1m30s) >= 1000"),
        ("no_data( device )", "no_data"),
        ("no_data(gateway)", "no_data(gateway)"),
        ("rejected(too_late ,from_future)", "rejected(too_late, from_future)"),
        (
            "not (humidity > 90 and status == fault) or battery < 2 and status != ok",
            "humidity <= 90 or status != fault or (battery < 2 and status != ok)",
        ),
    ],
)
def test_should_write_a_condition_in_one_way(text: str, normalised: str) -> None:
    assert str(parse_condition(text)) == normalised


def test_should_know_every_reason_with_which_a_line_still_names_its_device() -> None:
    arrived = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    lines = [
        b'{"device_id": "d"}',
        b'{"device_id": "d", "site": "s", "ts": "2026-01-01T00:00:00Z", "seq": "one"}',
        b'{"device_id": "d", "site": "s", "ts": "2026-01-01T00:00:00Z", "seq": -1}',
        b'{"device_id": "d", "site": "s", "ts": "2027-01-01T00:00:00Z", "seq": 1, "status": "ok"}',
        b'{"device_id": "d", "site": "s", "ts": "2025-01-01T00:00:00Z", "seq": 1, "status": "ok"}',
    ]
    rejected = decode_batch(b"\n".join(lines), arrived).rejected
    assert tuple(line.reason for line in rejected) == REASONS_WITH_DEVICE


# Whether they hold.


@pytest.mark.parametrize(
    ("op", "below", "at", "above"),
    [("<", True, False, False), ("<=", True, True, False), (">", False, False, True), (">=", False, True, True)],
)
def test_should_compare_a_metric_with_a_number(op: str, below: bool, at: bool, above: bool) -> None:
    condition = parse_condition(f"temperature {op} 40")
    assert [holds(condition, reading(value), unknown) for value in (39.9, 40.0, 40.1)] == [below, at, above]


def test_should_compare_the_status() -> None:
    assert holds(FAULT, reading(status="fault"), unknown) is True
    assert holds(FAULT, reading(status="ok"), unknown) is False
    assert holds(Status("!=", "ok"), reading(status="degraded"), unknown) is True
    assert holds(Status("!=", "ok"), reading(status="ok"), unknown) is False


def test_should_ask_for_the_value_of_a_window() -> None:
    condition = parse_condition("rate(temperature, 5m) > 2")
    values = {Window("rate", "temperature", 300): 2.5}
    assert holds(condition, reading(), values.get) is True
    assert holds(condition, reading(temperature=99.0), unknown) is None


def test_should_have_no_news_of_what_is_null_or_about_arrival() -> None:
    assert holds(HOT, reading(), unknown) is None
    assert holds(NoData("device"), reading(temperature=50.0), unknown) is None
    assert holds(Rejected(), reading(temperature=50.0), unknown) is None


@pytest.mark.parametrize("values", list(itertools.product([True, False, None], repeat=3)))
def test_should_decide_as_kleene_does(values: tuple[bool | None, ...]) -> None:
    windows = [Window("avg", "temperature", seconds) for seconds in (10, 20, 30)]
    numbers = {w: None if v is None else float(v) for w, v in zip(windows, values, strict=True)}
    terms = tuple(Comparison(window, ">", 0.5) for window in windows)
    all_of_them = False if False in values else None if None in values else True
    any_of_them = True if True in values else None if None in values else False
    assert holds(And(terms), reading(), numbers.get) is all_of_them
    assert holds(Or(terms), reading(), numbers.get) is any_of_them


@given(conditions)
def test_should_be_itself_when_negated_twice(condition: Condition) -> None:
    assert negate(negate(condition)) == condition


@given(conditions, close_readings(), st.dictionaries(st.integers(0, 3), st.floats(-50, 50)))
def test_should_hold_where_its_negation_does_not(
    condition: Condition, near: Reading, numbers: dict[int, float]
) -> None:
    def value_of(window: Window) -> float | None:
        return numbers.get(window.seconds % 4)

    assert holds(negate(condition), near, value_of) is kleene_not(holds(condition, near, value_of))
    assert holds(parse_condition(f"not ({condition})"), near, value_of) is kleene_not(holds(condition, near, value_of))


@pytest.mark.parametrize("condition", [NoData("gateway"), Rejected(("too_late",)), Rejected()])
def test_should_not_negate_what_is_about_arrival(condition: Condition) -> None:
    with pytest.raises(ConditionError, match=f"{re.escape(str(condition))} has no opposite"):
        negate(condition)


def test_should_be_usable_as_a_key() -> None:
    text = "temperature > 40 and (status == fault or rate(humidity, 5m) > 1)"
    assert {parse_condition(text): 1}[parse_condition(text)] == 1


# What it was that held.


def test_should_name_its_leaves_from_left_to_right() -> None:
    assert list(leaves(parse_condition("temperature > 40 and (humidity > 90 or status == fault)"))) == [
        HOT,
        HUMID,
        FAULT,
    ]
    assert list(leaves(NoData("device"))) == [NoData("device")]
    assert list(leaves(Rejected())) == [Rejected()]


def test_should_name_the_first_leaf_that_holds_and_its_value() -> None:
    either = parse_condition("temperature > 40 or humidity > 90 or status == fault")
    assert culprit(either, reading(50.0, 95.0, "fault"), unknown) == (HOT, 50.0)
    assert culprit(either, reading(None, 95.0, "fault"), unknown) == (HUMID, 95.0)
    assert culprit(either, reading(30.0, 50.0, "fault"), unknown) == (FAULT, None)
    assert culprit(either, reading(30.0, 50.0, "ok"), unknown) == (None, None)


def test_should_name_a_window_with_its_value() -> None:
    condition = parse_condition("temperature > 40 or rate(temperature, 5m) > 2")
    window = Window("rate", "temperature", 300)
    assert culprit(condition, reading(20.0), {window: 2.5}.get) == (Comparison(window, ">", 2.0), 2.5)


@given(conditions, close_readings())
def test_should_find_a_culprit_wherever_a_condition_holds(condition: Condition, near: Reading) -> None:
    leaf, _ = culprit(condition, near, unknown)
    if holds(condition, near, unknown):
        assert leaf in list(leaves(condition))


# What mistakes say.


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "expected a condition such as temperature > 40, but the condition ends"),
        ("   ", 1, "the condition ends"),
        ("temperature > 40 and", 21, "expected a condition"),
        ("and temperature > 40", 1, "expected a condition such as temperature > 40, but there is 'and'"),
        ("temperature", 12, "expected a comparison: < <= > >="),
        ("temperature 40", 13, "but there is '40'"),
        ("temperature >", 14, "expected a number"),
        ("temperature >> 40", 13, "invalid comparison '>>'; compare a number with < <= > >="),
        ("temperature = 40", 13, "compare a number with < <= > >="),
        ("temperature == 40", 13, "== is for status; compare a number with < <= > >="),
        ("temperature != 40", 13, "!= is for status"),
        ("temperature > hot", 15, "temperature is compared with a number without a unit, not with 'hot'"),
        ("temperature > 40C", 15, "without a unit"),
        ("temperature > 1e999", 15, "too large"),
        ("temperature > 1,000", 16, "there is ','"),
        ("temperature > 40 humidity > 3", 18, "expected 'and', 'or' or the end, but there is 'humidity'"),
        ("temperature > 40 && humidity > 3", 18, "write and"),
        ("temperature > 40 || humidity > 3", 18, "write or"),
        ("temperature > 40 AND humidity > 3", 18, "write and"),
        ("NOT temperature > 40", 5, "write not"),
        ("temperature > 0 < 40", 17, "temperature > 0 and temperature < 40"),
        ("0 < temperature", 1, "write temperature > 40"),
        ("(temperature > 40", 18, "expected ')', but the condition ends"),
        ("(temperature > 40 humidity", 19, "'and', 'or' or ')'"),
        ("temperature > 40)", 17, "expected the end, but there is ')'"),
        ("pressure > 1", 1, "no metric 'pressure'; there are temperature, humidity, battery, and status"),
        ("Temperature > 1", 1, "no metric 'Temperature'"),
        ("status > ok", 8, "== or !="),
        ("status == broken", 11, "no status 'broken'; there are ok, degraded, fault"),
        ("status == 3", 11, "no status '3'"),
        ("rate > 1", 1, "write rate(temperature, 5m)"),
        ("mean(temperature, 5m) > 1", 1, "no function 'mean'; there are rate, avg"),
        ("rate(pressure, 5m) > 1", 6, "no metric 'pressure'"),
        ("rate(status, 5m) > 1", 6, "no metric 'status' for rate"),
        ("rate() > 1", 6, "expected a metric"),
        ("rate(temperature) > 1", 17, "how long the window is"),
        ("rate(temperature, ) > 1", 19, "how long the window is"),
        ("rate(temperature, 5m", 21, "expected ')'"),
        ("rate(temperature, 5m)", 22, "expected a comparison"),
        ("rate(temperature, 5min) > 1", 19, "invalid duration '5min'"),
        ("rate(temperature, 9s) > 1", 19, "too short; it can be 10s to 1d"),
        ("rate(temperature, 24h1s) > 1", 19, "too long; it can be 10s to 1d"),
        ("rate(temperature, 5m) == 1", 23, "== is for status"),
        ("no_data or temperature > 40", 1, "no_data must be the whole condition"),
        ("temperature > 40 and no_data(gateway)", 22, "no_data must be the whole condition"),
        ("not no_data", 5, "no_data must be the whole condition"),
        ("no_data(site)", 9, "write no_data or no_data(gateway)"),
        ("rejected or temperature > 40", 1, "rejected must be the whole condition"),
        ("temperature > 40 and rejected(too_late)", 22, "rejected must be the whole condition"),
        ("not rejected", 5, "rejected must be the whole condition"),
        ("rejected()", 10, "expected a reason: missing_field, wrong_type, out_of_bounds, from_future, too_late, but"),
        ("rejected(too_late,)", 19, "expected a reason: missing_field"),
        ("rejected(too_late from_future)", 19, "expected ',' and another reason, or ')'"),
        ("rejected(too_late", 18, "expected ',' and another reason, or ')', but the condition ends"),
        ("rejected(too_late, too_late)", 20, "too_late is given twice"),
        (
            "rejected(not_json)",
            10,
            "no line of a device is rejected as 'not_json'; the reasons are missing_field, wrong",
        ),
        ("rejected > 3", 10, "expected 'and', 'or' or the end, but there is '>'"),
        ("not " * 30 + "status == ok", 121, "nested too deep"),
    ],
)
def test_should_say_what_is_wrong_and_point_at_it(text: str, column: int, words: str) -> None:
    with pytest.raises(ConditionError) as error:
        parse_condition(text)
    assert words in error.value.message
    assert (error.value.line, error.value.column, error.value.offset) == (1, column, column - 1)


def test_should_show_the_line_with_a_caret_under_the_place() -> None:
    with pytest.raises(ConditionError) as error:
        parse_condition("temperature > 40\n  and\thumidity >> 3\n  or status == ok")
    assert str(error.value).splitlines() == [
        "line 2, column 16: invalid comparison '>>'; compare a number with < <= > >=",
        "  and\thumidity >> 3",
        "     \t         ^",
    ]


def test_should_show_the_part_of_a_long_line_around_the_place() -> None:
    with pytest.raises(ConditionError) as error:
        parse_condition("status == ok or " * 20 + "humidity >> 3" + " or status == ok" * 20)
    _, shown, caret = str(error.value).splitlines()
    assert len(shown) < 180
    assert shown[len(caret) - 1 :].startswith(">> 3")


@pytest.mark.parametrize("text", ["(" * 900, "status == ok and " * 10_000, "(" * 490 + "status == ok" + ")" * 490])
def test_should_take_a_condition_of_any_length_or_refuse_it(text: str) -> None:
    try:
        parse_condition(text)
    except ConditionError:
        return
    assert len(text) <= 1_000


WORDS = [
    "temperature",
    "status",
    "rate",
    "no_data",
    "rejected",
    "too_late",
    "and",
    "or",
    "not",
    "(",
    ")",
    ",",
    ">",
    "==",
    "5m",
    "40",
    "ok",
]


@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_should_refuse_anything_else_and_nothing_worse(text: str) -> None:
    try:
        condition = parse_condition(text)
    except ConditionError as error:
        assert 0 <= error.offset <= len(text)  # noqa: PT017 (it need not be raised)
        return
    assert parse_condition(str(condition)) == condition
