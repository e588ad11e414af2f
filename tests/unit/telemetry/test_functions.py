"""The functions of conditions: each entry of the table is all that there is to one."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.reading.model import Reading
from telemetry.rules.condition_parser import parse_condition
from telemetry.rules.conditions import Window
from telemetry.rules.functions import FUNCTIONS, Range

START = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
TEMPERATURE = Range(-100, 150)

#: What the documentation calls each unit.
UNITS = {"that of `m`": "of the metric", "that of `m` **per minute**": "of the metric per minute", "none": "none"}


def documented() -> dict[str, str]:
    """The unit of each function in the table of docs/alerting.md."""
    rows = re.findall(
        r"^\| ((?:`\w+\(m, w\)`(?:, )?)+) \| ([^|]+) \|", Path("docs/alerting.md").read_text(), re.MULTILINE
    )
    return {name: UNITS[unit] for names, unit in rows for name in re.findall(r"`(\w+)\(", names)}


def test_should_document_every_function_with_its_unit() -> None:
    assert documented() == {name: function.unit for name, function in FUNCTIONS.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_should_parse_every_function(name: str) -> None:
    assert str(parse_condition(f"{name}(battery, 5m) > 1")) == f"{name}(battery, 5m) > 1"


@pytest.mark.parametrize("name", FUNCTIONS)
@given(values=st.lists(st.none() | st.floats(*TEMPERATURE), min_size=16, max_size=40))
def test_should_have_values_in_the_range_that_the_check_of_rules_assumes(name: str, values: list[float | None]) -> None:
    window, recent = Window(name, "temperature", 160), Recent()
    low, high = FUNCTIONS[name].values(TEMPERATURE)
    for second, value in enumerate(values):
        ts = START + dt.timedelta(seconds=7 * second)
        reading = Reading(device_id="d", site="s", ts=ts, seq=second, temperature=value, status="ok")
        recent.begin(Heard("g", ts, [reading]))
        recent.look(reading, [window])
        recent.accept()
        found = recent.value(window, reading)
        assert found is None or low - 1e-9 <= found <= high + 1e-9
