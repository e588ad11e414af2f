"""Rules files: what they mean, and what a mistake in one says."""

from __future__ import annotations

import datetime as dt
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.reading.codec import REASONS_WITH_DEVICE
from telemetry.reading.model import Reading
from telemetry.registry.registry import parse_registry
from telemetry.rules import rule_set
from telemetry.rules.condition_parser import parse_condition
from telemetry.rules.conditions import (
    Comparison,
    Condition,
    Metric,
    NoData,
    Rejected,
    Window,
    culprit,
    holds,
    leaves,
    negate,
)
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import Escalation, Flapping, Inhibition, Rule, RuleSet, Watch
from telemetry.rules.summaries import fill_summary
from telemetry.text.errors import MistakesError, TextError
from tests.unit.telemetry import condition_strategies
from tests.unit.telemetry.condition_strategies import close_readings

MINUTE = dt.timedelta(minutes=1)


def rules(body: str, more: str = "") -> str:
    return f"rules:\n  - {{name: r, {body}}}\n{more}"


def only(body: str) -> Rule:
    (rule,) = parse_rules(rules(body)).rules
    return rule


def unknown(_: Window) -> None:
    return None


# What a file means.


def test_should_read_a_rule_with_everything_in_it() -> None:
    (rule,) = parse_rules("""
        rules:
          - name: freezer-warm
            match: {site: "cold-*", device: "f-?"}
            when: temperature > -15 and status != fault
            clear: temperature < -17.5
            for: 2m
            keep_firing_for: 5m
            severity: critical
            escalate: {after: 15m, to: page}
            summary: "{device_id} at {value:.1f} °C"
            runbook: docs/freezer.md
            repeat_interval: 1h
            group_by: [gateway]
            group_wait: 0s
            group_interval: 1m
            flapping: {changes: 4, window: 1h}
    """).rules
    assert rule == Rule(
        name="freezer-warm",
        when=parse_condition("temperature > -15 and status != fault"),
        clear=Comparison(Metric("temperature"), "<", -17.5),
        hold_for=2 * MINUTE,
        keep_firing_for=5 * MINUTE,
        severity="critical",
        escalate=Escalation(15 * MINUTE, "page"),
        summary="{device_id} at {value:.1f} °C",
        runbook="docs/freezer.md",
        device="f-?",
        site="cold-*",
        attributes=(),
        repeat_interval=60 * MINUTE,
        group_wait=dt.timedelta(0),
        group_interval=MINUTE,
        group_by=("gateway",),
        flapping=Flapping(4, 60 * MINUTE),
    )


def test_should_take_what_a_rule_leaves_out_from_the_defaults() -> None:
    text = rules(
        "when: battery < 2, for: 3m, flapping: {changes: 9}",
        "defaults: {severity: info, for: 1m, keep_firing_for: 2m, repeat_interval: 1d, group_by: [], group_wait: 1m,"
        " group_interval: 1h, flapping: {window: 2h}}",
    )
    (rule,) = parse_rules(text).rules
    assert (rule.severity, rule.hold_for, rule.keep_firing_for) == ("info", 3 * MINUTE, 2 * MINUTE)
    assert (rule.repeat_interval, rule.group_by) == (dt.timedelta(days=1), ())
    assert (rule.group_wait, rule.group_interval) == (MINUTE, 60 * MINUTE)
    assert rule.flapping == Flapping(9, 120 * MINUTE)


def test_should_take_each_key_of_flapping_by_itself() -> None:
    text = rules("when: battery < 2, flapping: {window: 1h}", "defaults: {flapping: {changes: 4}}")
    assert parse_rules(text).rules[0].flapping == Flapping(4, 60 * MINUTE)


def test_should_have_defaults_of_its_own() -> None:
    rule = only("when: battery < 2")
    assert (rule.severity, rule.hold_for, rule.keep_firing_for) == ("warning", dt.timedelta(0), dt.timedelta(0))
    assert (rule.repeat_interval, rule.group_by) == (dt.timedelta(hours=4), ("site", "rule"))
    assert (rule.group_wait, rule.group_interval) == (dt.timedelta(seconds=5), 5 * MINUTE)
    assert (rule.flapping, rule.escalate, rule.device, rule.site) == (Flapping(6, 30 * MINUTE), None, "*", "*")


@pytest.mark.parametrize("when", ["battery < 2.4", "temperature > 40 and (status != ok or humidity <= 3)"])
def test_should_clear_on_the_opposite_by_default(when: str) -> None:
    assert only(f"when: '{when}'").clear == negate(parse_condition(when))


def test_should_watch_for_silence() -> None:
    rule = only("when: no_data(gateway), for: 1m")
    assert (rule.when, rule.clear, rule.no_data) == (NoData("gateway"), NoData("gateway"), "gateway")
    assert only("when: no_data, for: 10m").no_data == "device"
    assert only("when: battery < 2").no_data is None


def test_should_watch_for_rejected_lines_with_any_for() -> None:
    rule = only("when: 'rejected(from_future, too_late)'")
    assert (rule.when, rule.clear, rule.hold_for) == (Rejected(("from_future", "too_late")), rule.when, 0 * MINUTE)
    assert [reason for reason in REASONS_WITH_DEVICE if rule.rejects(reason)] == ["from_future", "too_late"]
    assert all(only("when: rejected, for: 1m").rejects(reason) for reason in REASONS_WITH_DEVICE)
    assert not any(only("when: no_data, for: 1m").rejects(reason) for reason in REASONS_WITH_DEVICE)


@pytest.mark.parametrize(
    ("body", "by_arrival", "until"),
    [
        ("when: no_data, for: 1m", True, "readings arrive again"),
        ("when: rejected(too_late)", True, "readings are accepted again"),
        ("when: battery < 2, clear: battery > 2.5", False, "battery > 2.5"),
    ],
)
def test_should_say_what_ends_an_alert(body: str, by_arrival: bool, until: str) -> None:
    assert (only(body).by_arrival, only(body).until) == (by_arrival, until)


def test_should_read_inhibitions() -> None:
    text = rules(
        "when: no_data(gateway), for: 1m",
        "inhibit: [{source: r, equal: [gateway]}, {source: '?', target: 'r*', equal: [site, rule]}]",
    )
    assert parse_rules(text).inhibitions == (
        Inhibition("r", "*", ("gateway",)),
        Inhibition("?", "r*", ("site", "rule")),
    )


def test_should_find_a_rule_by_its_name() -> None:
    found = parse_rules("rules: [{name: a, when: battery < 1}, {name: b, when: battery < 2}]")
    assert found.named("b") is found.rules[1]
    assert found.named("c") is None


def test_should_ship_default_rules_that_parse() -> None:
    names = {rule.name for rule in parse_rules(Path("rules.yaml").read_bytes()).rules}
    assert {"too-hot", "too-cold", "battery-low", "too-humid"} <= names


@pytest.mark.parametrize("text", ["rules: []", b"rules: []", "\ufeffrules: []", b"\xef\xbb\xbfrules: []"])
def test_should_read_text_and_bytes(text: str | bytes) -> None:
    assert parse_rules(text).rules == ()


# Who is watched by what.


def test_should_watch_devices_by_glob() -> None:
    found = parse_rules("""
        rules:
          - {name: all, when: temperature > 40}
          - {name: cold, when: temperature > -15, match: {site: "cold-*", device: "f-?"}}
          - {name: quiet, when: no_data, for: 5m, match: {site: "cold-*"}}
          - {name: gateway, when: no_data(gateway), for: 5m}
          - {name: clock, when: rejected(from_future), match: {site: "cold-*"}}
    """)
    everything, cold, quiet, gateway, clock = found.rules
    watch = found.watching("f-1", "cold-north")
    assert watch.rules == (everything, cold, quiet, clock)
    assert (watch.no_data, watch.rejected) == ((quiet,), (clock,))
    assert [rule for rule, _ in watch.by_readings] == [everything, cold]
    assert found.watching("f-10", "cold-north").rules == (everything, quiet, clock)
    assert found.watching("f-1", "warm").rules == (everything,)
    assert found.gateway_rules == (gateway,)
    assert gateway.matches("", "anywhere", {})


REGISTRY = parse_registry("""device,site,model,door
f-1,cold-north,freezer XL,
f-2,cold-south,freezer,north
fan,hall,fan,south
""")


def test_should_watch_devices_by_their_attributes_in_the_registry() -> None:
    found = parse_rules(
        """
        rules:
          - {name: cold, when: temperature > -15, match: {site: "cold-*", model: "freezer*"}}
          - {name: both, when: temperature > -15, match: {model: "f*", door: "?*"}}
          - {name: any, when: no_data, for: 5m, match: {door: "*"}}
          - {name: site, when: no_data(gateway), for: 5m, match: {device: "*", site: "c*"}}
        """,
        REGISTRY,
    )
    cold, both, any_door, _ = found.rules
    assert cold.attributes == (("model", "freezer*"),)
    assert both.attributes == (("model", "f*"), ("door", "?*"))
    assert found.watching("f-1", "cold-north").rules == (cold, any_door)
    assert found.watching("f-2", "cold-north").rules == (cold, both, any_door)
    assert found.watching("f-2", "warm").rules == (both, any_door), "a device is where its readings say"
    assert found.watching("fan", "cold-north").rules == (both, any_door)
    assert found.watching("f-3", "cold-north").rules == (), "not registered"


@pytest.mark.parametrize(
    ("match", "column", "words"),
    [
        (
            "{colour: red}",
            47,
            "colour: the registry has no such attribute; rules can match by device, site, model, door",
        ),
        ("{model: 7}", 54, "match: model: expected text, got a whole number"),
        ("{model: 2026-11-23}", 54, "match: model: expected text, got a date"),
        ("{model: ''}", 54, "match: model: expected text of length >= 1"),
        ("{7: x}", 47, "match: 7: expected text, got a whole number"),
        ("[model]", 46, "match: expected keys with values, got a list"),
    ],
)
def test_should_say_what_cannot_be_matched(match: str, column: int, words: str) -> None:
    with pytest.raises(TextError) as error:
        parse_rules(rules(f"when: temperature > 40, match: {match}"), REGISTRY)
    assert words in str(error.value)
    assert str(error.value).startswith(f"line 2, column {column}: rule 'r': ")


def test_should_not_match_gateways_by_attributes_of_devices() -> None:
    with pytest.raises(TextError, match=r"column 72: rule 'r': match: model: .* match it by site only"):
        parse_rules(rules("when: no_data(gateway), for: 1m, match: {site: s, model: a}"), REGISTRY)


_GLOBS = st.sampled_from(["*", "a", "a*", "?", "[!a]", "*b"])
_NAMES = st.sampled_from(["a", "b", "ab", "c", ""])


@given(_GLOBS, _GLOBS, st.dictionaries(st.sampled_from(["model", "door"]), _GLOBS), _NAMES, st.booleans())
def test_should_match_what_each_glob_matches(
    device: str, site: str, attributes: dict[str, str], value: str, registered: bool
) -> None:
    text = "device,site,model,door\n" + (f"ab,elsewhere,{value},b\n" if registered else "")
    match = {"device": device, "site": site, **attributes}
    written = ", ".join(f"{name}: '{glob}'" for name, glob in match.items())
    found = parse_rules(rules(f"when: temperature > 40, match: {{{written}}}"), parse_registry(text))
    facts = {"device": "ab", "site": "a"} | ({"model": value, "door": "b"} if registered else {})
    matches = all(name in facts and fnmatchcase(facts[name], glob) for name, glob in match.items())
    assert found.watching("ab", "a").rules == (found.rules if matches else ())


def test_should_remember_no_more_than_so_many_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_set, "_REMEMBERED_DEVICES", 10)
    found = parse_rules(rules("when: temperature > 40, match: {device: 'd-1*'}"))
    for number in range(100):
        watch = found.watching(f"d-{number}", "s")
        assert watch.rules == (found.rules if str(number).startswith("1") else ())
        assert watch is found.watching(f"d-{number}", "s")
        assert len(found._watch_of_device) <= 10


def test_should_keep_one_window_for_each_metric_and_length() -> None:
    found = parse_rules("""
        rules:
          - {name: a, when: "rate(temperature, 5m) > 1", clear: "avg(temperature, 5m) < 1"}
          - {name: b, when: "max(temperature, 10m) > 1 or min(battery, 5m) < 1", clear: "battery > 3"}
    """)
    assert [(window.metric, window.seconds) for window in found.watching("d", "s").windows] == [
        ("temperature", 300),
        ("temperature", 600),
        ("battery", 300),
    ]
    a, b = found.rules
    assert a.windows == (Window("rate", "temperature", 300), Window("avg", "temperature", 300))
    assert b.windows == (Window("max", "temperature", 600), Window("min", "battery", 300))


def test_should_know_the_readings_that_no_comparison_is_about() -> None:
    found = parse_rules("""
        rules:
          - {name: a, when: temperature > 40 or temperature <= -5}
          - {name: b, when: temperature >= 50 and status == fault}
          - {name: c, when: "humidity >= 95 and rate(battery, 5m) < -1"}
          - {name: d, when: no_data, for: 5m}
          - {name: e, when: rejected}
    """)
    watch = found.watching("d", "s")
    assert watch.quiet_ranges == (
        ("temperature", -4.999999999999999, 40.0),
        ("humidity", float("-inf"), 94.99999999999999),
    )
    assert watch.matching_statuses == {"fault"}


def quiet(watch: Watch, reading: Reading) -> bool:
    values = ((getattr(reading, metric), low, high) for metric, low, high in watch.quiet_ranges)
    in_range = all(value is None or low <= value <= high for value, low, high in values)
    return in_range and reading.status not in watch.matching_statuses


def rule_set_of(conditions: list[Condition]) -> RuleSet:
    body = "".join(f"  - {{name: r{place}, when: '{condition}'}}\n" for place, condition in enumerate(conditions))
    return parse_rules("rules:\n" + body)


@given(st.lists(condition_strategies.conditions, min_size=1, max_size=4), close_readings())
def test_should_hold_no_condition_of_a_quiet_reading(conditions: list[Condition], reading: Reading) -> None:
    watch = rule_set_of(conditions).watching(reading.device_id, reading.site)
    if quiet(watch, reading):
        assert not any(holds(rule.when, reading, unknown) for rule in watch.rules)


@given(st.lists(condition_strategies.plain_leaves, min_size=1, max_size=4), close_readings())
def test_should_hold_a_comparison_of_every_other_reading(conditions: list[Condition], reading: Reading) -> None:
    watch = rule_set_of(conditions).watching(reading.device_id, reading.site)
    assert quiet(watch, reading) is not any(holds(rule.when, reading, unknown) for rule in watch.rules)


# What the summary says.


def filled(rule: Rule, value: float | None, leaf: int = 0) -> str:
    part = list(leaves(rule.when))[leaf]
    return fill_summary(rule, device_id="f-1", site="cold-1", gateway="gw-7", value=value, leaf=part)


def test_should_fill_in_a_summary() -> None:
    every = "{device_id} {device} {site} {gateway} {rule} {metric} {value:.1f} {threshold:g} {condition} {{}}"
    rule = only(f"when: 'rate(temperature, 5m) > -15', summary: '{every}'")
    condition = "rate(temperature, 5m) > -15"
    assert filled(rule, -12.34) == f"f-1 f-1 cold-1 gw-7 r rate(temperature, 5m) -12.3 -15 {condition} {{}}"


def test_should_say_the_condition_and_the_value_by_default() -> None:
    rule = only("when: temperature > 40 or status == fault")
    assert filled(rule, 41.5) == "f-1 at cold-1: temperature > 40 or status == fault (temperature is 41.5)"
    assert filled(rule, None, leaf=1) == "f-1 at cold-1: temperature > 40 or status == fault"


@pytest.mark.parametrize(
    ("when", "text"),
    [("status != ok", "status ? ? ?"), ("no_data, for: 5m", " ? ? ?"), ("battery < 2", "battery ? ? 2.0")],
)
def test_should_put_a_dash_for_a_number_that_there_is_not(when: str, text: str) -> None:
    rule = only(f"when: {when}, summary: '{{metric}} {{value:.1f}} {{value!r}} {{threshold}}'")
    assert filled(rule, None) == text.replace("?", "\N{EN DASH}")


def test_should_fill_in_a_summary_without_a_leaf() -> None:
    rule = only("when: battery < 2, summary: '{device} {metric}{value:g}{threshold:.2f}'")
    found = fill_summary(rule, device_id="d", site="s", gateway="g", value=None, leaf=None)
    assert found == "d \N{EN DASH}\N{EN DASH}"


@given(condition_strategies.conditions, close_readings())
def test_should_fill_in_whatever_holds(condition: Condition, reading: Reading) -> None:
    rule = only(f"when: '{condition}', summary: '{{device_id:>8}} {{value:.1f}} {{threshold:g}} {{metric}}'")
    leaf, value = culprit(rule.when, reading, unknown)
    summary = fill_summary(rule, device_id="d", site="s", gateway="g", value=value, leaf=leaf)
    assert summary.startswith("       d ")


# What mistakes say.

HOT = "when: temperature > 40"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        # The file
        ("rules: [", (1, 9), "invalid YAML: did not find expected node content"),
        ("rules: []\ngroups: []", (2, 1), "groups: there is no such key; there are defaults, inhibit, rules"),
        ("rules: {}", (1, 8), "rules: expected a list, got keys with values"),
        ("rules: [3]", (1, 9), "rule 1: expected keys with values, got a whole number"),
        ("[1]", (1, 1), "expected keys with values, got a list"),
        ("rules: []\nrules: []", (2, 1), "'rules' is given twice"),
        ("--- a\n--- b", (2, 1), "another document"),
        ("rules: " + "[" * 100_000, (1, 17), "nested too deep"),
        ("- " * 100_000, (1, 21), "nested too deep"),
        # The keys of a rule
        (rules(f"{HOT}, whne: x"), (2, 39), "rule 'r': whne: there is no such key; there are clear, escalate,"),
        (rules("summary: x"), (2, 5), "rule 'r': the key 'when' is missing"),
        (rules(f"{HOT}, when: battery < 2"), (2, 39), "'when' is given twice"),
        (f"rules:\n - {HOT}", (2, 4), "rule 1: the key 'name' is missing"),
        ("rules: [{name: 'Not Good', when: battery < 1}]", (1, 16), "a name is 1 to 63 of a-z, 0-9 and -"),
        ("rules: [{name: 7, when: battery < 1}]", (1, 16), "rule 1: name: expected text, got a whole number"),
        ("rules: [{name: a, when: battery < 1}, {name: a, when: battery < 2}]", (1, 46), "the name is used twice"),
        (rules("when: {a: b}"), (2, 21), "rule 'r': when: expected text, got keys with values"),
        (rules(f"{HOT}, match: {{model: x}}"), (2, 47), "no registry of devices was applied: iot registry apply"),
        (rules(f"{HOT}, match: {{site: ''}}"), (2, 53), "match: site: expected text"),
        (rules(f"{HOT}, severity: terrible"), (2, 49), "'terrible'; there are info, warning, critical, page"),
        (rules(f"{HOT}, escalate: {{after: 5m}}"), (2, 49), "escalate: the key 'to' is missing"),
        (rules(f"{HOT}, escalate: {{after: 5m, to: warning}}"), (2, 65), "warning is not above the rule's severity"),
        (
            rules(f"{HOT}, escalate: {{after: x, to: page}}"),
            (2, 57),
            "escalate: after: invalid duration 'x': write 90s, 5m, 2h, 7d",
        ),
        (rules(f"{HOT}, for: 5"), (2, 44), "for: invalid duration 5: write 90s, 5m, 2h, 7d"),
        (rules(f"{HOT}, for: 5min"), (2, 44), "for: invalid duration '5min': write 90s, 5m, 2h, 7d"),
        (rules(f"{HOT}, for: -5m"), (2, 44), "for: invalid duration '-5m': write 90s, 5m, 2h, 7d"),
        (rules(f"{HOT}, keep_firing_for: 400d"), (2, 56), "at most 365d"),
        (rules(f"{HOT}, repeat_interval: 59s"), (2, 56), "repeat_interval: at least 1m"),
        (rules(f"{HOT}, group_by: [site, zone]"), (2, 56), "'zone'; there are rule, site, gateway, device, severity"),
        (rules(f"{HOT}, group_by: [site, site]"), (2, 56), "site is given twice"),
        (rules(f"{HOT}, group_by: site"), (2, 49), "group_by: expected a list, got text"),
        (rules(f"{HOT}, flapping: {{changes: 1}}"), (2, 59), "flapping: changes: expected a whole number >= 2"),
        (
            rules(f"{HOT}, flapping: {{window: x}}"),
            (2, 58),
            "flapping: window: invalid duration 'x': write 90s, 5m, 2h, 7d",
        ),
        (rules(f"{HOT}, summary: {'x' * 501}"), (2, 48), "summary: expected text of length <= 500"),
        # The defaults
        ("defaults: {for: x}\nrules: []", (1, 17), "defaults: for: invalid duration 'x': write 90s, 5m, 2h, 7d"),
        ("defaults: {name: x}\nrules: []", (1, 12), "defaults: name: there is no such key"),
        ("defaults: {repeat_interval: 1s}\nrules: []", (1, 29), "defaults: repeat_interval: at least 1m"),
        # Silence
        (rules("when: no_data"), (2, 21), 'no_data needs a "for" of at least 1m: arrivals are known to the minute'),
        (rules("when: no_data, for: 59s"), (2, 35), 'no_data needs a "for" of at least 1m'),
        (rules("when: no_data, for: 1m, clear: battery > 1"), (2, 39), "leave clear out"),
        (rules(f"{HOT}, clear: no_data"), (2, 46), "no_data can only begin an alert"),
        (rules("when: rejected, clear: battery > 1"), (2, 31), "rejected ends when readings are accepted again; leave"),
        (rules(f"{HOT}, clear: rejected"), (2, 46), "rejected can only begin an alert; write it under when"),
        (rules("when: no_data(gateway), for: 1m, match: {device: a}"), (2, 64), "match it by site only"),
        # Hysteresis
        (rules(f"{HOT}, clear: temperature < 41"), (2, 46), "temperature < 41 does not lie on the other side of when"),
        (rules("when: temperature < 2, clear: temperature > 1"), (2, 45), "the other side"),
        (rules(f"{HOT}, clear: temperature > 38"), (2, 46), "the other side"),
        (rules("when: battery >= 40, clear: battery <= 40"), (2, 43), "the other side"),
        (rules("when: status == fault, clear: status != ok"), (2, 45), "the other side"),
        (rules("when: 'rate(battery, 5m) > 1', clear: 'rate(battery, 5m) < 2'"), (2, 53), "the other side"),
        # Inhibitions
        (rules(HOT, "inhibit: [{source: x, equal: [site]}]"), (3, 20), "inhibit: source: no rule has a name like 'x'"),
        (rules(HOT, "inhibit: [{source: r, target: y, equal: [site]}]"), (3, 31), "no rule has a name like 'y'"),
        (rules(HOT, "inhibit: [{source: r, equal: []}]"), (3, 30), "name at least one of rule, site"),
        (rules(HOT, "inhibit: [{source: r, equal: [zone]}]"), (3, 31), "there is no label 'zone'"),
        (rules(HOT, "inhibit: [{source: r}]"), (3, 11), "inhibit: the key 'equal' is missing"),
    ],
)
def test_should_say_what_is_wrong_and_point_at_it(text: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(TextError) as error:
        parse_rules(text)
    assert words in str(error.value)
    assert str(error.value).startswith(f"line {place[0]}, column {place[1]}: ")


@pytest.mark.parametrize(
    ("when", "clear"),
    [
        ("temperature > 40", "temperature < 40"),
        ("temperature > 40", "temperature <= 40"),
        ("temperature >= 40", "temperature < 40"),
        ("battery < 2", "battery >= 2"),
        ("status == fault", "status == ok"),
        ("temperature > 40", "humidity < 10"),
        ("rate(temperature, 5m) > 2", "rate(temperature, 10m) < 3"),
        ("temperature > 40 or humidity > 3", "temperature < 50"),
    ],
)
def test_should_take_a_clear_that_does_not_contradict(when: str, clear: str) -> None:
    assert only(f"when: '{when}', clear: '{clear}'").clear == parse_condition(clear)


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        ("{who} is hot", "{who} is not known here; a summary can name {device_id}, {device}, {site}"),
        ("{device.secret}", "{device.secret} is not known here"),
        ("{device[0]}", "is not known here"),
        ("{}", "{} is not known here"),
        ("{0}", "{0} is not known here"),
        ("{value:d}", "cannot be filled in: Unknown format code 'd'"),
        ("{site:.1f}", "cannot be filled in"),
        ("{value!x}", "cannot be filled in"),
        ("{", "a brace itself is written {{ or }}"),
        ("{value:.5000f}", "too elaborate; write one such as .1f"),
        ("{site:>{value}}", "too elaborate"),
        ("{{ $labels.instance }} is {{ $value }} °C", "not filled in here; write '{device} is {value:g} °C'"),
        ('{{$labels.site}}: {{ printf "%.1f" $value }}', "write '{site}: {value:.1f}'"),
        ("{{- .Labels.alertname -}} {{device}}", "write '{rule} {device}'"),
        ("{{ $externalURL }} {site}", "write '{…} {site}'; a summary can name {device_id}, {device}, {site}"),
    ],
)
def test_should_refuse_a_summary_that_cannot_be_filled_in(summary: str, words: str) -> None:
    with pytest.raises(TextError) as error:
        parse_rules(rules(f"{HOT}, summary: '{summary}'"))
    assert words in str(error.value)
    assert str(error.value).startswith("line 2, column 48: rule 'r': summary: ")


#: Mistakes of a rule, and what is said of each.
MISTAKES = {
    "when: pressure > 1": "there is no metric 'pressure'",
    "when: temperature >> 1": "invalid comparison '>>'",
    "when: 7": "when: expected text, got a whole number",
    "when: temperature > 40, whne: x": "whne: there is no such key",
    "when: temperature > 40, for: soon": "invalid duration 'soon'",
    "when: temperature > 40, severity: bad": "there is no severity 'bad'",
    "when: temperature > 40, summary: '{who}'": "{who} is not known here",
    "when: temperature > 40, match: {colour: red}": "rules match by device and site",
    "when: temperature > 40, clear: temperature > 38": "does not lie on the other side of when",
    "when: temperature > 40, group_by: [zone]": "there is no label 'zone'",
    "when: temperature > 40, escalate: {after: 5m, to: info}": "info is not above the rule's severity",
    "when: no_data": "no_data needs a",
    "for: 1m": "the key 'when' is missing",
}


@given(st.lists(st.sampled_from([None, *MISTAKES]), min_size=1, max_size=8))
def test_should_list_every_mistake_of_a_file_and_nothing_that_follows_from_one(bodies: list[str | None]) -> None:
    written = [f"  - {{name: r{number}, {body or HOT}}}\n" for number, body in enumerate(bodies)]
    wrong = [(number + 2, MISTAKES[body]) for number, body in enumerate(bodies) if body]
    text = "rules:\n" + "".join(written) + "inhibit: [{source: 'r*', target: r0, equal: [site]}]"
    if not wrong:
        assert len(parse_rules(text).rules) == len(bodies)
        return
    with pytest.raises(TextError) as error:
        parse_rules(text)
    said = [line for line in str(error.value).splitlines() if line.startswith("line ")]
    assert [int(line.partition(",")[0].removeprefix("line ")) for line in said] == [line for line, _ in wrong]
    assert all(words in message for message, (_, words) in zip(said, wrong, strict=True))
    assert str(error.value).startswith(f"{len(wrong)} mistakes:\n") is (len(wrong) > 1)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        # Two mistakes of one rule, and one of the inhibitions.
        (
            rules("when: pressure > 1, for: soon, severity: bad", "inhibit: [{source: x, equal: []}]"),
            [(2, 21), (2, 40), (2, 56), (3, 20), (3, 30)],
        ),
        # What a rule has of wrong defaults is not wrong again.
        (rules("when: no_data", "defaults: {for: x, repeat_interval: 1s, severity: bad}"), [(3, 17), (3, 37), (3, 51)]),
        (rules(f"{HOT}, escalate: {{after: 5m, to: warning}}", "defaults: {severity: bad}"), [(3, 22)]),
        (rules("when: no_data, for: x"), [(2, 35)]),
        (rules(f"{HOT}, severity: page, escalate: {{after: 5m, to: y}}"), [(2, 81)]),
        # A rule that cannot be read has a name all the same.
        (rules(f"{HOT}, whne: x", "inhibit: [{source: r, equal: [site]}, 3]"), [(2, 39), (3, 39)]),
        ("rules: 3\ninhibit: {}\ndefaults: []", [(1, 8), (2, 10), (3, 11)]),
    ],
)
def test_should_report_each_mistake_once_at_its_place(text: str, places: list[tuple[int, int]]) -> None:
    with pytest.raises(MistakesError) as error:
        parse_rules(text)
    assert [mistake.place for mistake in error.value.mistakes] == places


def test_should_list_fifty_mistakes_and_count_the_others() -> None:
    text = "rules:\n" + "".join(f"  - {{name: r{number}, when: pressure > 1}}\n" for number in range(70))
    with pytest.raises(TextError) as error:
        parse_rules(text)
    said = str(error.value).splitlines()
    assert (said[0], said[-1]) == ("70 mistakes:", "… and 20 more")
    assert sum(line.startswith("line ") for line in said) == 50


@pytest.mark.parametrize(
    "scalar",
    [
        "temperature > 40 and humidity >> 3",
        "'temperature > 40 and humidity >> 3'",
        '"temperature > 40 and humidity >> 3"',
        "temperature > 40\n        and humidity\n        >> 3",
        "'temperature > 40\n        and humidity\n\n        >> 3'",
        "|\n        temperature > 40\n        and humidity >> 3",
        "|2-\n\n        temperature > 40\n           and humidity >> 3",
        "> # folded\n        temperature > 40\n        and humidity\n        >> 3",
        "&anchor 'temperature > 40 and humidity >> 3'",
    ],
)
def test_should_point_at_the_place_in_a_condition_however_it_is_written(scalar: str) -> None:
    text = f"# °C\nrules:\n  - name: r\n    severity: info\n    when: {scalar}\n    for: 1m\n"
    before = text[: text.index(">>")]
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    with pytest.raises(TextError) as error:
        parse_rules(text)
    message, shown, caret = str(error.value).splitlines()
    assert message == (
        f"line {line}, column {column}: rule 'r': when: invalid comparison '>>'; compare a number with < <= > >="
    )
    assert shown[len(caret) - 1 :].startswith(">>")


def test_should_point_at_the_value_where_its_characters_are_escaped() -> None:
    with pytest.raises(TextError) as error:
        parse_rules('rules: [{name: r, when: "temperature \\x3e> 40"}]')
    assert str(error.value).startswith("line 1, column 25: rule 'r': when: invalid comparison '>>'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        (b"\xff", "not written in UTF-8"),
        ("a: \x01", "control characters"),
        ("a: 2026-99-99", "month must be in 1..12"),
        ("a: !!int x", "invalid YAML: "),
        ("a: !!timestamp x", "invalid YAML: "),
        ("a: !!bool x", "invalid YAML: "),
        ("rules: &x [*x]", "rule 1: expected keys with values, got a list"),
    ],
)
def test_should_refuse_what_is_no_rules_file(text: str | bytes, words: str) -> None:
    with pytest.raises(TextError) as error:
        parse_rules(text)
    assert words in str(error.value)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_should_refuse_anything_else_as_rules_and_nothing_worse(text: bytes | str) -> None:
    try:
        parse_rules(text)
    except TextError:
        return
