"""Scenario files: what they say, and what is said of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.models.devices import BUILT_IN, Battery, Freezer
from simulator.models.sites import Site, Weather
from simulator.scenario.faults import Drift, SiteOutage
from simulator.scenario.scenario import LARGEST_SEED, NAMES, Group, Scenario, ScenarioError, load, parse, text_of

WHOLE = """
name: whole
description: All there is
seed: 7
duration: 90m
interval: 15s
sites:
  - {name: here, timezone: Europe/Berlin, latitude: 52.5, longitude: 13.4, gateways: 2, mean: 9, swing: 3, season: 8}
  - {name: there}
weather: {spread: 1, memory: 12h, shared: 0.5}
models:
  cellar: {kind: freezer, setpoint: 4, battery: {new: 3, old: 2.5}}
devices:
  - {model: cellar, count: 3, sites: [he*], interval: 1m}
  - {model: indoor, count: 1}
faults:
  - {kind: drift, start: 10m, duration: 1h, models: [cellar], share: 0.5, per_hour: 3, expect: [warm], tolerate: [hot]}
  - {kind: site_outage, start: 0s, duration: 1m, sites: [there], backlog: true}
"""


def test_should_read_all_that_a_scenario_says() -> None:
    made = parse(WHOLE)
    assert made == Scenario(
        name="whole",
        description="All there is",
        seed=7,
        length="90m",
        interval="15s",
        sites=(
            Site(
                name="here",
                timezone="Europe/Berlin",
                latitude=52.5,
                longitude=13.4,
                gateways=2,
                mean=9,
                swing=3,
                season=8,
            ),
            Site(name="there"),
        ),
        weather=Weather(spread=1, memory="12h", shared=0.5),
        models={"cellar": Freezer(setpoint=4, battery=Battery(new=3, old=2.5))},
        devices=(Group(model="cellar", count=3, sites=("he*",), interval="1m"), Group(model="indoor", count=1)),
        faults=(
            Drift(
                start="10m",
                duration="1h",
                models=("cellar",),
                share=0.5,
                per_hour=3,
                expect=("warm",),
                tolerate=("hot",),
            ),
            SiteOutage(start="0s", duration="1m", sites=("there",), backlog=True),
        ),
    )
    assert made.duration == 5_400
    assert made.size == 4


def test_should_need_a_name_and_devices_only() -> None:
    made = parse("{name: short, devices: [{model: indoor, count: 1}]}")
    assert (made.seed, made.duration, made.interval, made.faults) == (0, 3_600, "10s", ())
    assert [site.name for site in made.sites] == ["site-1"]


def test_should_take_a_model_of_its_own_in_place_of_a_built_in_one() -> None:
    made = parse("name: own\nmodels: {indoor: {kind: freezer}}\ndevices: [{model: indoor, count: 1}]")
    assert made.all_models == {**BUILT_IN, "indoor": Freezer()}


@pytest.mark.parametrize("seed", [0, LARGEST_SEED])
def test_should_take_any_seed(seed: int) -> None:
    assert parse(f"name: s\nseed: {seed}\ndevices: [{{model: indoor, count: 1}}]").seed == seed


BASE = """name: mine
sites: [{name: here}, {name: there}]
devices:
  - {model: indoor, count: 3}
"""
STEP = "faults:\n  - {kind: step, start: 1m, duration: 1m, size: 9"

#: What stands after the base, and where and what has to be said of it.
MISTAKES = {
    "colour: red": ("line 5, column 1", "colour: there is no such key; there are description, devices, duration"),
    "weather: {wind: 3}": ("line 5, column 11", "weather: wind: there is no such key; there are"),
    "seed: x": ("line 5, column 7", "seed: expected a whole number, got text"),
    "seed: -1": ("line 5, column 7", "seed: expected a whole number >= 0"),
    f"seed: {2**63}": ("line 5, column 7", f"seed: expected a whole number <= {2**63 - 1}"),
    f"seed: {2**80}": ("line 5, column 7", "seed: expected a whole number <="),
    "seed: 1.5": ("line 5, column 7", "seed: expected a whole number"),
    "description: 5": ("line 5, column 14", "description: expected text, got a whole number"),
    "faults: {}": ("line 5, column 9", "faults: expected a list, got keys with values"),
    "faults: [5]": ("line 5, column 10", "faults: expected keys with values, got a whole number"),
    "5: 5": ("line 5, column 1", "5: expected text, got a whole number"),
    "duration: 30": ("line 5, column 11", "invalid duration 30: write more than zero, such as 500ms, 90s"),
    "duration: soon": ("line 5, column 11", "duration: invalid duration 'soon': write more than zero, such as 500ms"),
    "duration: 0s": ("line 5, column 11", "duration: invalid duration '0s': write more than zero"),
    "duration: 99999d": ("line 5, column 11", "invalid duration '99999d': it can be at most 3650d"),
    "interval: 0.0s": ("line 5, column 11", "interval: invalid duration '0.0s': write more than zero"),
    "weather: {memory: 0s}": ("line 5, column 19", "weather: memory: invalid duration '0s': write more than zero"),
    "weather: {memory: 4000d}": ("line 5, column 19", "it can be at most 3650d"),
    "weather: {shared: 1.5}": ("line 5, column 19", "weather: shared: expected a number <= 1"),
    "models: {cold room: {kind: freezer}}": ("line 5, column 10", "invalid name 'cold room': write letters, digits"),
    "models: {x: {kind: fridge}}": ("line 5, column 20", "no such kind; there are indoor, outdoor, freezer"),
    "models: {x: {setpoint: 4}}": ("line 5, column 13", "models: x: the key 'kind' is missing here; add it"),
    "models: {a: {kind: indoor}, x: {kind: freezer, dyu: 4}}": ("line 5, column 48", "models: x: dyu: there is no"),
    "models: {x: {kind: freezer, duty: 1}}": ("line 5, column 35", "models: x: duty: expected a number < 1"),
    "models: {x: {kind: freezer, duty: .nan}}": ("line 5, column 35", "models: x: duty: expected a number > 0"),
    "models: {x: {kind: freezer, battery: {life: 0d}}}": ("line 5, column 45", "battery: life: invalid duration '0d'"),
    "models: {x: {kind: freezer, period: 0s}}": ("line 5, column 37", "models: x: period: invalid duration '0s'"),
    "models: {5: {kind: freezer}}": ("line 5, column 10", "models: 5: invalid name 5"),
    "faults: [{kind: spikes, start: 0s, duration: 1s}]": ("line 5, column 17", "there are spike, step, drift, stuck"),
    "faults: [{start: 0s, duration: 1s}]": ("line 5, column 10", "the key 'kind' is missing here; add it"),
    f"{STEP[:-8]}}}": ("line 6, column 5", "faults: the key 'size' is missing here; add it"),
    f"{STEP}, metric: heat}}": ("line 6, column 60", "no such metric; there are temperature, humidity, battery"),
    f"{STEP}, count: 2, share: 0.5}}": ("line 6, column 5", "count and share both say how many; give one of them"),
    f"{STEP}, share: 50%}}": ("line 6, column 59", "faults: share: expected a number, got text"),
    f"{STEP}, share: 0}}": ("line 6, column 59", "faults: share: expected a number > 0"),
    f"{STEP}, count: 0}}": ("line 6, column 59", "faults: count: expected a whole number >= 1"),
    f"{STEP}, models: indoor}}": ("line 6, column 60", "faults: models: expected a list, got text"),
    f"{STEP}, chance: 1}}": ("line 6, column 52", "faults: chance: there is no such key; there are"),
    STEP.replace("start: 1m", "start: 1h") + "}": ("line 6, column 25", "the run is over by then: it takes 1h"),
    STEP.replace("start: 1m", "start: 90m") + "}": ("line 6, column 25", "the run is over by then: it takes 1h"),
    STEP.replace("start: 1m", "start: -1m") + "}": ("line 6, column 25", "start: invalid duration '-1m': write 500ms"),
    STEP.replace("duration: 1m", "duration: 0m") + "}": ("line 6, column 39", "write more than zero, such as"),
    STEP.replace("size: 9", "size: .inf") + "}": ("line 6, column 49", "faults: size: expected a number <= 1000"),
}  # fmt: skip

#: The same of files that begin otherwise.
OTHERS = {
    "": ("line 1, column 1", "expected keys with values, got nothing"),
    "just words": ("line 1, column 1", "expected keys with values, got text"),
    "- a\n- b": ("line 1, column 1", "expected keys with values, got a list"),
    "name: [": ("line 1, column 8", "invalid YAML"),
    "name: a": ("line 1, column 1", "the key 'devices' is missing here; add it"),
    "name: a\nname: b": ("line 2, column 1", "'name' is given twice"),
    "name: a b\ndevices: [{model: indoor, count: 1}]": ("line 1, column 7", "name: invalid name 'a b': write letters"),
    "name: a\ndevices: []": ("line 2, column 10", "devices: expected a list of length >= 1"),
    "name: a\nsites: []\ndevices: [{model: x, count: 1}]": ("line 2, column 8", "sites: expected a list of length >="),
    "name: a\ndevices: [{model: zoo, count: 1}]": (
        "line 2, column 19",
        "devices: model: there is no model 'zoo'; there are freezer, greenhouse, indoor, outdoor",
    ),
    "name: a\ndevices: [{model: indoor, count: 0}]": ("line 2, column 34", "count: expected a whole number >= 1"),
    "name: a\ndevices: [{model: indoor, count: 99999999}]": ("line 2, column 34", "a whole number <= 10000000"),
    "name: a\ndevices: [{model: indoor, count: 1, interval: never}]": ("line 2, column 47", "invalid duration 'never'"),
    "name: a\ndevices: [{model: indoor, count: 1, sites: [x*]}]": (
        "line 2, column 44",
        "devices: sites: no site matches; the scenario's sites are site-1",
    ),
    "name: a\ndevices: [{model: indoor, count: 1}]\nsites: [{name: s, timezone: Berlin}]": (
        "line 3, column 29",
        "sites: timezone: there is no such time zone; write one like Europe/Berlin",
    ),
    "name: a\ndevices: [{model: indoor, count: 1}]\nsites: [{name: s}, {name: s}]": (
        "line 3, column 27",
        "sites: name: there are two sites 's'; give one another name",
    ),
    "name: a\ndevices: [{model: indoor, count: 1}]\nsites: [{name: s/1}]": ("line 3, column 16", "invalid name 's/1'"),
    "name: a\ndevices: [{model: indoor, count: 1}]\nsites: [{name: s, latitude: 91}]": (
        "line 3, column 29",
        "sites: latitude: expected a number <= 90",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        *((BASE + text, *said) for text, said in MISTAKES.items()),
        *((text, *said) for text, said in OTHERS.items()),
    ],
)  # fmt: skip
def test_should_say_where_the_mistake_is_and_what_to_write(text: str, place: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "mine.yaml")
    said, shown, caret = str(caught.value).split("\n")
    assert said.startswith(f"mine.yaml: {place}: ")
    assert words in said
    assert caret.strip() == "^"
    assert "$" not in said
    assert shown.strip() in text


@given(st.text() | st.binary())
def test_should_refuse_whatever_is_no_scenario_with_an_error_of_its_own(text: str | bytes) -> None:
    with pytest.raises(ScenarioError):
        parse(text)


def test_should_read_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(WHOLE)
    assert load(str(file)) == parse(WHOLE)
    assert text_of(str(file)) == WHOLE


def test_should_name_the_file_with_the_mistake(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: [")
    with pytest.raises(ScenarioError, match=rf"^{file}: line 1"):
        load(str(file))


@pytest.mark.parametrize("name", ["clam", "", ".", "/dev/null/x", "no/such.yaml"])
def test_should_name_the_library_where_there_is_no_such_scenario(name: str) -> None:
    with pytest.raises(
        ScenarioError, match=rf"there is no scenario '{name}': give a file, or one of bad-clocks, calm, .*storm-10k"
    ):
        load(name)
    assert "calm" in NAMES


def test_should_say_that_a_file_cannot_be_read() -> None:
    with pytest.raises(ScenarioError, match=r"cannot read x*: File name too long"):
        load("x" * 5_000)
