"""The registry as rows of the table ``devices``: values, and what is wrong with them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.registry.devices import TYPED_COLUMNS, DeviceRow, devices
from telemetry.registry.registry import EMPTY, Registry, parse_registry
from telemetry.tables.curated import DEVICES

HEADER = "device,site,model,latitude,longitude,installed,interval,calibration_offset,door"


def test_should_have_the_columns_of_the_table() -> None:
    assert DeviceRow._fields == DEVICES.column_names


def test_should_give_the_values_of_columns_that_mean_something() -> None:
    found = devices(
        parse_registry(f"{HEADER}\nd1,cold,freezer,53.55,-9.99,2026-03-14,60,-0.3,south\nd2,,,,,,,,\n".encode())
    )
    assert found.problems == []
    assert found.rows == [
        DeviceRow(
            "d1",
            "cold",
            "freezer",
            53.55,
            -9.99,
            dt.date(2026, 3, 14),
            60.0,
            -0.3,
            '{"model":"freezer","latitude":"53.55","longitude":"-9.99","installed":"2026-03-14","interval":"60",'
            '"calibration_offset":"-0.3","door":"south"}',
        ),
        DeviceRow(
            "d2",
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            '{"model":"","latitude":"","longitude":"","installed":"","interval":"","calibration_offset":"","door":""}',
        ),
    ]


def test_should_take_a_registry_without_these_columns() -> None:
    assert devices(parse_registry("device,site,model\nd1,cold,fan\n")) == (
        [DeviceRow("d1", "cold", "fan", None, None, None, None, None, '{"model":"fan"}')],
        [],
    )
    assert devices(EMPTY) == ([], [])


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("latitude", "91", "latitude '91' is out of range; write degrees north from -90 to 90, such as 53.55"),
        ("latitude", "-90.001", "latitude '-90.001' is out of range"),
        ("latitude", '"53,55"', "latitude '53,55' is not a number"),
        ("longitude", "180.5", "longitude '180.5' is out of range; write degrees east from -180 to 180"),
        ("longitude", "E 10", "longitude 'E 10' is not a number"),
        ("interval", "0", "interval '0' is out of range; write the seconds between two readings, more than 0"),
        ("interval", "-5", "interval '-5' is out of range"),
        ("interval", "1e999", "interval '1e999' is out of range"),
        ("interval", "60s", "interval '60s' is not a number"),
        ("interval", "1_000", "interval '1_000' is not a number"),
        ("interval", "inf", "interval 'inf' is not a number"),
        ("interval", "6\N{FULLWIDTH DIGIT ZERO}", "interval '6\N{FULLWIDTH DIGIT ZERO}' is not a number"),
        ("calibration_offset", "50.1", "calibration_offset '50.1' is out of range; write degrees Celsius from -50 to"),
        ("calibration_offset", "nan", "calibration_offset 'nan' is not a number"),
        ("installed", "2026-02-30", "installed '2026-02-30' is not a date; write it as YYYY-MM-DD, such as 2026-03-14"),
        ("installed", "20260314", "installed '20260314' is not a date"),
        ("installed", "14.3.2026", "installed '14.3.2026' is not a date"),
        ("installed", "2026-W11-6", "installed '2026-W11-6' is not a date"),
        ("installed", "x" * 50, f"installed '{'x' * 40}…' is not a date"),
    ],
)
def test_should_say_what_is_wrong_with_a_value_and_where(column: str, value: str, said: str) -> None:
    found = devices(parse_registry(f"device,site,model,{column}\nd1,s,m,\nd2,s,m,{value}\n"))
    (problem,) = found.problems
    assert str(problem).startswith(f"line 3: device 'd2': {said}")
    assert str(problem).endswith(", or leave it empty")
    assert [row[1:8] for row in found.rows] == [("s", "m", None, None, None, None, None)] * 2


def test_should_name_every_value_that_cannot_be_used() -> None:
    found = devices(parse_registry("device,site,model,latitude,interval\nd1,s,m,x,0\nd2,s,m,1,60\nd3,s,m,99,\n"))
    assert [(problem.line, problem.device, problem.column) for problem in found.problems] == [
        (2, "d1", "latitude"),
        (2, "d1", "interval"),
        (4, "d3", "latitude"),
    ]
    assert [row.interval_seconds for row in found.rows] == [None, 60.0, None]


def test_should_do_without_a_line_where_the_registry_has_none() -> None:
    registry = parse_registry("device,site,model,latitude\nd1,s,m,x\n")
    (problem,) = devices(Registry(registry.attributes, registry.devices)).problems
    assert str(problem).startswith("device 'd1': latitude 'x' is not a number")


_NUMBERS = {
    "latitude": st.floats(-90, 90),
    "longitude": st.floats(-180, 180),
    "interval": st.floats(0, exclude_min=True, allow_infinity=False) | st.integers(1, 10**6).map(float),
    "calibration_offset": st.floats(-50, 50),
}
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).map(str.strip)
_WRITTEN = _TEXTS | st.floats().map(repr) | st.dates().map(str) | st.integers().map(str)


def _csv(rows: list[list[str]]) -> Registry:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["device", "site", "model", *TYPED_COLUMNS], *rows])
    return parse_registry(text.getvalue())


@given(st.lists(st.fixed_dictionaries({**_NUMBERS, "installed": st.dates()}), max_size=5))
def test_should_read_back_every_value_that_can_be_used(values: list[dict[str, float | dt.date]]) -> None:
    found = devices(
        _csv([[f"d{n}", "s", "m", *(str(of[name]) for name in TYPED_COLUMNS)] for n, of in enumerate(values)])
    )
    assert found.problems == []
    assert [row[3:8] for row in found.rows] == [tuple(of[name] for name in TYPED_COLUMNS) for of in values]


@given(st.lists(st.lists(_WRITTEN, min_size=len(TYPED_COLUMNS), max_size=len(TYPED_COLUMNS)), max_size=5))
def test_should_give_a_value_a_problem_or_nothing_for_whatever_is_written(values: list[list[str]]) -> None:
    found = devices(_csv([[f"d{n}", "s", "m", *of] for n, of in enumerate(values)]))
    assert [row.device_id for row in found.rows] == [f"d{n}" for n in range(len(values))]
    wrong = {(problem.device, problem.column): problem for problem in found.problems}
    assert len(wrong) == len(found.problems)
    for row, written in zip(found.rows, values, strict=True):
        assert msgspec.json.decode(row.attributes) == {"model": "m", **dict(zip(TYPED_COLUMNS, written, strict=True))}
        for column, text, value in zip(TYPED_COLUMNS, written, row[3:8], strict=True):
            problem = wrong.get((row.device_id, column))
            assert (value is None) == (problem is not None or not text)
            assert problem is None or problem.value == text
            if isinstance(value, float):
                assert math.isfinite(value)
                assert value == float(text)
