"""What Powertools writes for a function arrives as it was meant, and what breaks the format counts for nothing."""

from __future__ import annotations

import contextlib
import io
import json
import string
import time
from collections import Counter, defaultdict
from typing import Any, get_args

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from hypothesis import given
from hypothesis import strategies as st

from local.emf import BadLineError, Sample, Series, Unit, parse

LINE: dict[str, Any] = {
    "_aws": {
        "Timestamp": 1_763_900_000_123,
        "CloudWatchMetrics": [
            {
                "Namespace": "Some",
                "Dimensions": [["stage", "service"], []],
                "Metrics": [{"Name": "Delay", "Unit": "Milliseconds"}, {"Name": "Count"}],
            }
        ],
    },
    "service": "s",
    "stage": "dev",
    "Delay": [1, 2.5],
    "Count": 3,
    "other": {"is": "ignored"},
}

# A dimension and a metric of the same name would be one member of the line.
metric_names = st.text(string.ascii_uppercase, min_size=1, max_size=5)
dimensions = st.dictionaries(
    st.sampled_from(["stage", "site", "reason"]), st.text(min_size=1).filter(str.strip), max_size=3
)
values = st.floats(-(2.0**360), 2.0**360)
written = st.lists(st.tuples(metric_names, st.sampled_from(list(MetricUnit)), values), min_size=1, max_size=250)


@given(written, dimensions)
def test_should_read_all_that_powertools_writes(
    some: list[tuple[str, MetricUnit, float]], extra: dict[str, str]
) -> None:
    unit_of = {name: unit for name, unit, _ in some}
    began = int(time.time() * 1000)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        metrics = EphemeralMetrics(namespace="IoTPipeline", service="detector")
        for name, value in extra.items():
            metrics.add_dimension(name, value)
        for name, _, number in some:
            metrics.add_metric(name=name, unit=unit_of[name], value=number)
        metrics.flush_metrics()

    read = defaultdict[Series, Counter[float]](Counter)
    for line in output.getvalue().splitlines():
        for sample in parse(line):
            assert began <= sample.timestamp <= time.time() * 1000
            read[sample.series].update(sample.values)
    expected = defaultdict[Series, Counter[float]](Counter)
    of_all = tuple(sorted({"service": "detector", **extra}.items()))
    for name, _, number in some:
        expected[Series("IoTPipeline", name, of_all, unit_of[name].value)][number] += 1
    assert read == expected


def test_should_know_every_unit_there_is() -> None:
    assert set(get_args(Unit)) == {unit.value for unit in MetricUnit}


def test_should_make_a_sample_for_each_set_of_dimensions_and_metric() -> None:
    both = (("service", "s"), ("stage", "dev"))
    assert parse(json.dumps(LINE)) == [
        Sample(series, 1_763_900_000_123, values)
        for dimensions in (both, ())
        for series, values in (
            (Series("Some", "Delay", dimensions, "Milliseconds"), (1.0, 2.5)),
            (Series("Some", "Count", dimensions, "None"), (3.0,)),
        )
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "START RequestId: 1",
        '{"message": "no metrics"}',
        '"_aws"',
        'prefix {"_aws": {}}',
        '["_aws"]',
        '{"m": "\\"_aws\\""}',
    ],
)
def test_should_leave_other_lines_alone(line: str) -> None:
    assert parse(line) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_aws": 1}, "Expected `object`, got `int`"),
        ({"_aws": {"Timestamp": 1}}, "missing required field `CloudWatchMetrics`"),
        ({"Delay": "1"}, "Delay: Expected `float | array`, got `str`"),
        ({"Delay": True}, "Delay: Expected `float | array`, got `bool`"),
        ({"Delay": [1] * 101}, "Delay: Expected `array` of length <= 100"),
        ({"stage": 7}, "stage: Expected `str`, got `int`"),
        ({"Delay": 1e300}, "Delay: Expected `float` <="),
        ({"_aws": LINE["_aws"] | {"Timestamp": 1_763_900_000_123_000_000}}, "Expected `int` <="),
    ],
)
def test_should_say_what_is_wrong_with_a_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadLineError, match=message.replace("|", r"\|")):
        parse(json.dumps(LINE | change))


def test_should_say_which_member_is_missing() -> None:
    with pytest.raises(BadLineError, match=r"^Count is named and not there$"):
        parse(json.dumps({name: value for name, value in LINE.items() if name != "Count"}))
