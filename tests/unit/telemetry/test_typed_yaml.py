"""Typed values of a YAML text: whatever is wrong in it, the error says where, in a person's words."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from evaluation.rule_tests import notation
from evaluation.rule_tests.parse import RuleTestError, parse_tests
from simulator.scenario.scenario import ScenarioError
from simulator.scenario.scenario import parse as parse_scenario
from telemetry.rules.parse import parse_rules
from telemetry.text.errors import Hint, TextError
from telemetry.text.typed_yaml import convert
from telemetry.text.yaml_text import YamlText
from tests.unit.simulator.test_scenario import WHOLE

Code = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]+$"), Hint("code", "capital letters, such as AB")]


class Round(msgspec.Struct, tag_field="shape", tag="round", forbid_unknown_fields=True):
    radius: float


class Square(msgspec.Struct, tag_field="shape", tag="square", forbid_unknown_fields=True):
    side: Annotated[float, msgspec.Meta(gt=0)]
    colour: Literal["red", "blue"] = "red"


class Drawing(msgspec.Struct, forbid_unknown_fields=True):
    shapes: dict[Code, list[Round | Square]]
    owner: Code | None = None
    size: int | str = 1


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("shapes: {A: [{shape: round, radius: x}]}", 37, "shapes: A: radius: expected a number, got text"),
        ("shapes: {A: [{shape: oval}]}", 22, "shapes: A: shape: there is no such shape; there are round, square"),
        (
            "shapes: {A: [{shape: square, radius: 1}]}",
            30,
            "radius: there is no such key; there are colour, ",
        ),
        ("shapes: {A: [{shape: square}]}", 14, "shapes: A: the key 'side' is missing here; add it"),
        ("shapes: {A: [{side: 1}]}", 14, "shapes: A: the key 'shape' is missing here; add it"),
        ("shapes: {A: [], B: [{shape: square, side: 0}]}", 43, "shapes: B: side: expected a number > 0"),
        ("shapes: {A: [{shape: square, side: 1, colour: pink}]}", 47, "there is no such colour; there are red, blue"),
        ("shapes: {a: []}", 10, "shapes: a: invalid code 'a': write capital letters, such as AB"),
        ("shapes: {1: []}", 10, "shapes: 1: invalid code 1: write capital letters"),
        ("shapes: {A: []}\nowner: me", 8, "owner: invalid code 'me': write capital letters, such as AB"),
        ("shapes: {A: []}\nsize: [1]", 7, "size: expected a whole number or text, got a list"),
        ("shapes: {A: 2026-01-01}", 13, "shapes: A: expected a list, got a date"),
    ],
)
def test_should_say_what_does_not_fit_and_point_at_it(text: str, place: int, words: str) -> None:
    with pytest.raises(TextError) as error:
        convert(YamlText(text), Drawing)
    line = text.count("\n") + 1
    assert str(error.value).startswith(f"line {line}, column {place}: ")
    assert words in str(error.value).splitlines()[0]


RULES = yaml.safe_load(Path("rules.yaml").read_text())
RULES_TEXT = yaml.safe_dump(RULES)
TESTS = yaml.safe_load(Path("rules.test.yaml").read_text())["tests"]
#: The example of the help, which has every section.
EXAMPLE = yaml.safe_load((notation.__doc__ or "").split("::\n")[1].split("\nA test has")[0])["tests"]


def nodes(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from nodes(value, (*path, key))


ANYTHING: list[Any] = [
    *(None, True, 0, -1, 2**70, 1.5, float("nan"), "", "x", "1h", "oval"),
    *([], {}, [1], {"a": 1}, {1: 2}, [[]], [{}]),
]


@st.composite
def mistakes(draw: st.DrawFn, data: Any) -> str:
    """A file with any value in place of another, or under one more key."""
    path = draw(st.sampled_from(list(nodes(data))))
    value, key = draw(st.sampled_from(ANYTHING)), draw(st.sampled_from([None, None, "zzz", 7]))
    if not path:
        return yaml.safe_dump(value)
    new = copy.deepcopy(data)
    parent = new
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1] if key is None or isinstance(parent, list) else key] = value
    return yaml.safe_dump(new)


def explains(parse: Callable[[str], object], text: str, error: type[Exception]) -> None:
    try:
        parse(text)
    except error as found:
        assert not re.search(r"[$`]", str(found).split("\n")[0])  # noqa: PT017 (it need not be raised)


@given(mistakes(yaml.safe_load(WHOLE)))
def test_should_explain_whatever_is_wrong_in_a_scenario(text: str) -> None:
    explains(parse_scenario, text, ScenarioError)


@given(mistakes(RULES))
def test_should_explain_whatever_is_wrong_in_rules(text: str) -> None:
    explains(parse_rules, text, TextError)


@given(mistakes({"tests": EXAMPLE + TESTS[:2]}))
def test_should_explain_whatever_is_wrong_in_tests_of_rules(text: str) -> None:
    explains(lambda text: parse_tests(text, RULES_TEXT), text, RuleTestError)
