"""What is suspicious in valid rules."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.reading.model import Reading
from telemetry.registry.registry import EMPTY, Registry, parse_registry
from telemetry.rules import registered
from telemetry.rules.conditions import And, Comparison, Condition, Metric, Or, Status, Window, holds, negate
from telemetry.rules.functions import FUNCTIONS
from telemetry.rules.lint import can_hold, lint
from telemetry.rules.parse import parse_rules
from telemetry.rules.registered import Registered, count

THRESHOLDS = (-100.0, 0.0, 40.0, 100.0, 200.0)
MEAN = Window("avg", "temperature", 600)

LEAVES = st.one_of(
    st.builds(
        Comparison,
        st.sampled_from([Metric("temperature"), Metric("humidity"), MEAN]),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.sampled_from(THRESHOLDS),
    ),
    st.builds(Status, st.sampled_from(["==", "!="]), st.sampled_from(["ok", "degraded", "fault"])),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    LEAVES,
    lambda terms: st.one_of(
        st.lists(terms, min_size=2, max_size=3).map(tuple).map(And),
        st.lists(terms, min_size=2, max_size=3).map(tuple).map(Or),
    ),
    max_leaves=6,
)


def interesting(low: float, high: float) -> list[float]:
    """All that thresholds can tell apart between two bounds."""
    near = {low, high, *(math.nextafter(t, towards) for t in THRESHOLDS for towards in (-math.inf, math.inf, t))}
    return [value for value in near if low <= value <= high]


def everything() -> list[tuple[Reading, float]]:
    temperatures, humidities = interesting(-100, 150), interesting(0, 100)
    statuses = ("ok", "degraded", "fault")
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return [
        (Reading(device_id="d", site="s", ts=start, seq=0, temperature=t, humidity=h, status=status), mean)  # type: ignore[arg-type]
        for t, h, status, mean in itertools.product(temperatures, humidities, statuses, temperatures)
    ]


EVERYTHING = everything()


def holds_somewhere(condition: Condition) -> bool:
    return any(holds(condition, reading, lambda _, mean=mean: mean) for reading, mean in EVERYTHING)  # type: ignore[misc]


@given(CONDITIONS)
def test_should_know_whether_any_reading_makes_a_condition_true(condition: Condition) -> None:
    assert can_hold(condition) is holds_somewhere(condition)


@given(CONDITIONS)
def test_should_allow_a_condition_or_its_opposite(condition: Condition) -> None:
    assert can_hold(condition) or can_hold(negate(condition))


def said(*rules: str, registry: Registry = EMPTY) -> list[str]:
    """What lint says of rules, each given as its keys in YAML's flow style."""
    text = "rules:\n" + "".join(f"  - {{name: r{number}, {rule}}}\n" for number, rule in enumerate(rules, 1))
    return [str(suspicion) for suspicion in lint(parse_rules(text, registry))]


@pytest.mark.parametrize(
    ("condition", "bounds"),
    [
        ("temperature > 200", "temperature is from -100 to 150"),
        ("humidity < 10 and humidity > 20", "humidity is from 0 to 100"),
        ("status == ok and (status == fault or battery < 0)", "status is ok, degraded, fault; battery is from 0 to 60"),
        ("avg(temperature, 10m) < -100", "avg(temperature, 10m) is from -100 to 150"),
        ("deviation(temperature, 1h) < 0", "deviation(temperature, 1h) is at least 0"),
    ],
)
def test_should_warn_of_a_rule_that_can_never_fire(condition: str, bounds: str) -> None:
    (warning,) = said(f'when: "{condition}", clear: "temperature < 0"')
    assert warning.startswith("rule 'r1': when (")
    assert "can never hold, so it will never fire" in warning
    assert warning.endswith(f"({bounds})")


@pytest.mark.parametrize("condition", ["temperature >= -100", "humidity < 90 or humidity > 10"])
def test_should_warn_of_a_rule_that_always_fires_and_so_never_resolves(condition: str) -> None:
    always, never = said(f'when: "{condition}"')
    assert "holds for every reading that has the values" in always
    assert "can never hold, so its alerts will never resolve" in never


def test_should_warn_of_alerts_that_never_resolve() -> None:
    (warning,) = said('when: "temperature > 40", clear: "temperature < 40 and temperature < -100"')
    assert "clear (temperature < 40 and temperature < -100) can never hold" in warning


@pytest.mark.parametrize(
    "rule",
    [
        'when: "temperature > 40", clear: "temperature < 38"',
        'when: "rate(temperature, 10m) > 1000"',
        'when: "min(humidity, 10m) > 95"',
        "when: status == fault",
        "when: no_data, for: 5m",
        "when: no_data(gateway), for: 5m",
        "when: rejected",
        "when: rejected(from_future)",
    ],
)
def test_should_have_nothing_to_say_of_what_may_be_meant(rule: str) -> None:
    assert said(rule) == []


def test_should_warn_of_two_alerts_about_the_same() -> None:
    (warning,) = said('when: "temperature > 30", severity: critical', 'when: "temperature >= 40", severity: critical')
    assert warning.startswith("rule 'r2': wherever it holds (temperature >= 40), rule 'r1' does too (temperature > 30)")


@pytest.mark.parametrize(
    "other",
    [
        'when: "temperature > 40"',
        'when: "temperature > 40", match: {site: "cold-*"}',
        'when: "temperature > 40", match: {device: "freezer-?"}',
    ],
)
def test_should_warn_wherever_both_can_match(other: str) -> None:
    assert len(said('when: "temperature > 30", match: {device: "*-1"}', other)) == 1


@pytest.mark.parametrize(
    "other",
    [
        'when: "temperature > 40", severity: critical',
        'when: "temperature < -20"',
        'when: "humidity > 40"',
        'when: "max(temperature, 10m) > 40"',
        'when: "temperature > 40 and humidity > 40"',
        'when: "temperature > 40", match: {device: "*-2"}',
    ],
)
def test_should_not_warn_of_rules_that_differ(other: str) -> None:
    assert said('when: "temperature > 30", match: {device: "*-1"}', other) == []


def test_should_not_call_a_rule_that_never_fires_a_double() -> None:
    (warning,) = said('when: "temperature > 40"', 'when: "temperature > 200"')
    assert "can never hold" in warning


REGISTRY = parse_registry("device,site,model,maker\nf-1,cold,freezer,acme\nfan-1,hall,fan,other\n")


@pytest.mark.parametrize("match", ["{device: 'f-?'}", "{site: hall}", "{model: f*, site: cold}", "{maker: acme}"])
def test_should_have_nothing_to_say_of_rules_that_match_a_registered_device(match: str) -> None:
    assert said(f"when: status == fault, match: {match}", registry=REGISTRY) == []


@pytest.mark.parametrize(
    "rule",
    [
        "when: status == fault, match: {device: 'g-*'}",
        "when: status == fault, match: {model: fan, site: cold}",
        "when: status == fault, match: {model: freezer, maker: other}",
        "when: no_data(gateway), for: 5m, match: {site: nowhere}",
    ],
)
def test_should_warn_of_a_rule_that_matches_no_registered_device(rule: str) -> None:
    (warning,) = said(rule, registry=REGISTRY)
    assert warning.startswith("rule 'r1': it matches no registered device")


def test_should_warn_of_every_rule_where_a_registry_is_without_devices() -> None:
    nobody = parse_registry("device,site,model")
    assert len(said("when: status == fault", "when: battery < 2, match: {model: x}", registry=nobody)) == 2


@pytest.mark.parametrize(("match", "warnings"), [("{maker: acme}", 1), ("{maker: other}", 0), ("{device: 'f-*'}", 1)])
def test_should_warn_of_two_alerts_about_a_registered_device(match: str, warnings: int) -> None:
    found = said(
        'when: "temperature > 30", match: {model: freezer}',
        f'when: "temperature > 40", match: {match}',
        registry=REGISTRY,
    )
    assert len(found) == warnings


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("{device: 'g-*'}", "none has a device like 'g-*': there are f-1, fan-1"),
        ("{model: freezr}", "none has a model like 'freezr': there are fan, freezer"),
        ("{site: hall, door: north}", "none has a door like 'north': it is empty for all"),
        ("{device: f-1, site: hall}", "each of its globs (match) matches some, but no device has them all"),
        ("{device: 'd*'}", "none has a device like 'd*': there are f-1, fan-1"),
    ],
)
def test_should_say_which_glob_of_a_rule_no_device_is_like(match: str, words: str) -> None:
    registry = parse_registry("device,site,model,door\nf-1,cold,freezer,\nfan-1,hall,fan,\n")
    assert said(f"when: status == fault, match: {match}", registry=registry) == [
        f"rule 'r1': it matches no registered device; {words}"
    ]


# What a device's interval can never fill.

FLEET = parse_registry("device,site,model,interval\na,s,m,60\nb,s,m,900\nc,s,m,600\nd,s,n,\ne,s,n,often\n")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            'when: "avg(temperature, 10m) > 30"',
            "for 2 of the 5 devices, such as b, which reports every 15m: make the window longer than 15m, so",
        ),
        (
            'when: "temperature > 40", clear: "max(temperature, 10m) < 30", match: {device: b}',
            "max(temperature, 10m) never has a value for the device b, which reports every 15m: make",
        ),
        (
            'when: "deviation(humidity, 2h) > 3.5", keep_firing_for: 1h',
            "which reports every 15m: make the window longer than 2h, so that it has 8 other readings in it",
        ),
        (
            "when: no_data, for: 10m",
            "it fires between two readings of 1 of the 5 devices, such as b, which reports every 15m: make for longer",
        ),
    ],
)
def test_should_warn_of_devices_that_report_too_seldom_for_a_rule(rule: str, words: str) -> None:
    (warning,) = said(rule, registry=FLEET)
    assert words in warning


@pytest.mark.parametrize(
    "rule",
    [
        'when: "avg(temperature, 16m) > 30"',
        'when: "avg(temperature, 10m) > 30", match: {device: a}',
        'when: "avg(temperature, 10m) > 30", match: {model: n}',
        "when: no_data, for: 15m",
        "when: no_data(gateway), for: 5m",
        "when: rejected",
    ],
)
def test_should_have_nothing_to_say_of_what_devices_can_fill(rule: str) -> None:
    assert said(rule, registry=FLEET) == []


def is_ever_known(window: Window, interval: float, phase: float) -> bool:
    """Whether a device that reports each ``interval`` ever has a value of the window."""
    recent, start = Recent(), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for number in range(40):
        ts = start + dt.timedelta(seconds=phase + number * interval)
        reading = Reading(device_id="d", site="s", ts=ts, seq=number, temperature=number % 7, status="ok")
        recent.begin(Heard("g", ts, [reading]))
        recent.look(reading, [window])
        recent.accept()
        if recent.value(window, reading) is not None:
            return True
    return False


@given(st.sampled_from(sorted(FUNCTIONS)), st.integers(1, 40), st.integers(2, 60))
def test_should_warn_of_exactly_the_intervals_with_which_a_window_never_has_a_value(
    function: str, sixteenths: int, length: int
) -> None:
    """Whatever the phase of the device against the fixed times at which parts begin."""
    window = Window(function, "temperature", 16 * length)
    registry = parse_registry(f"device,site,model,interval\nd,s,m,{sixteenths * length / 2}\n")
    warnings = said(f'when: "{window} > 3", keep_firing_for: 1h', registry=registry)
    phases = [length * part / 4 for part in range(8)]
    known = any(is_ever_known(window, sixteenths * length / 2, phase) for phase in phases)
    assert (warnings == []) is known


@pytest.mark.parametrize(
    ("rule", "warned"),
    [
        ('when: "deviation(temperature, 2h) > 3.5"', True),
        ('when: "deviation(temperature, 2h) > 3.5", keep_firing_for: 30m', False),
        ('when: "deviation(temperature, 2h) > 3.5", clear: "temperature < 30"', False),
    ],
)
def test_should_warn_of_a_deviation_that_ends_as_soon_as_it_is_usual(rule: str, warned: bool) -> None:
    assert [warning for warning in said(rule) if "give it keep_firing_for" in warning] == said(rule)
    assert bool(said(rule)) is warned


# Large fleets.

PARTS_OF_NAMES = st.sampled_from(["a", "b", "ab", "*", "?", "[ab]", "[!a]", "*b", "a*", "", "[", "a[b"])
NAMES = st.sampled_from(["a", "b", "ab", "ba", "aab", "[", "a[b", "", "é"])


@given(
    st.lists(st.tuples(NAMES, NAMES), max_size=9),
    st.tuples(PARTS_OF_NAMES, PARTS_OF_NAMES).map("".join).filter(bool),
    PARTS_OF_NAMES.filter(bool),
)
def test_should_count_the_devices_that_a_rule_matches(values: list[tuple[str, str]], device: str, model: str) -> None:
    lines = [f"{name}-{number},{site},{site}" for number, (name, site) in enumerate(values)]
    registry = parse_registry("\n".join(["device,site,model", *lines]))
    text = f"rules: [{{name: r, when: battery < 1, match: {{device: '{device}', site: '{model}', model: '{model}'}}}}]"
    (rule,) = parse_rules(text, registry).rules
    matching = Registered(registry).matching(rule)
    expected = [rule.matches(name, each.site, each.attributes) for name, each in registry.devices.items()]
    assert [bool(matching >> place & 1) for place in range(len(expected))] == expected
    assert count(matching) == sum(expected)


def test_should_look_each_glob_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that hundreds of rules are checked against tens of thousands of devices in seconds."""
    asked: list[str] = []
    places_of = registered._Column.places_of

    def noted(column: registered._Column, glob: str) -> Iterable[int]:
        asked.append(glob)
        return places_of(column, glob)

    monkeypatch.setattr(registered._Column, "places_of", noted)
    rule = 'when: "avg(temperature, 10m) > {}", severity: {}, match: {{device: "b*", site: "?"}}'
    said(*(rule.format(number, "info" if number % 2 else "page") for number in range(40)), registry=FLEET)
    assert sorted(asked) == ["?", "b*"]
