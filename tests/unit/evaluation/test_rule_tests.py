"""Tests of rules: the file they are written in, and what becomes of them."""

from __future__ import annotations

import datetime as dt
import re
import textwrap
from pathlib import Path

import pytest

from evaluation.rule_tests import notation
from evaluation.rule_tests.outcome import Item, Outcome, Row, compare
from evaluation.rule_tests.parse import RuleTestError, parse_tests, path_of_tests
from telemetry.reading.codec import decode_batch

RULES = """
rules:
  - name: freezer-warm
    match: {site: "cold-*"}
    when: temperature > -15
    clear: temperature < -17
    for: 2m
    keep_firing_for: 5m
    severity: critical
    escalate: {after: 15m, to: page}
  - {name: silent, when: no_data, for: 5m}
  - {name: gateway-down, when: no_data(gateway), for: 10m, severity: critical}
"""
#: A test of a device, to which something is to be added.
SENT = "series: [{device: f1, battery: 1}], transitions: [], "
DOOR = "{device: f1, site: cold-1, temperature: -20 -10x2 -20x3}"


def run(tests: str, rules: str = RULES) -> list[Outcome]:
    return [test.run() for test in parse_tests(textwrap.dedent(tests), rules)]


def refused(tests: str) -> str:
    with pytest.raises(RuleTestError) as caught:
        run(tests)
    return str(caught.value)


def rows(outcome: Outcome) -> list[str]:
    return [f"{row.at} {row.kind}: {row.expected} / {row.seen}" for row in outcome.rows if not row.agrees]


def test_should_pass_the_example_of_its_documentation() -> None:
    documented = (notation.__doc__ or "").split("::\n")[1].split("\nA test has")[0]
    (outcome,) = run(documented)
    assert rows(outcome) == []
    assert outcome.passed
    assert len(outcome.rows) == 7


def test_should_see_exactly_what_is_active() -> None:
    (outcome,) = run(f"""
        tests:
          - name: door
            series: [{DOOR}]
            expect:
              - {{at: 0m, alerts: []}}
              - {{at: 1m, alerts: [{{rule: freezer-warm, device: f1, status: pending, severity: critical}}]}}
              - {{at: 3m, alerts: [{{rule: freezer-warm, device: f1, gateway: gateway}}]}}
              - {{at: 12m, alerts: []}}
              - {{at: 13m, alerts: [{{rule: silent, device: f1}}]}}
        """)
    assert rows(outcome) == []


def test_should_show_what_is_missing_unexpected_and_different() -> None:
    (outcome,) = run(f"""
        tests:
          - name: door
            series: [{DOOR}]
            expect:
              - {{at: 1m, alerts: []}}
              - {{at: 2m, alerts: [{{rule: freezer-warm, device: f1}}, {{rule: silent, device: f1}}]}}
            transitions: []
        """)
    assert not outcome.passed
    assert rows(outcome) == [
        "0:01:00 alert: None / freezer-warm f1 pending critical",
        "0:02:00 alert: freezer-warm f1 firing / freezer-warm f1 pending critical",
        "0:02:00 alert: silent f1 firing / None",
        "0:01:00 transition: None / freezer-warm f1 pending critical",
        "0:03:00 transition: None / freezer-warm f1 firing critical",
    ]


def test_should_let_the_clock_decide_where_nothing_is_sent() -> None:
    """Between readings the watchdog looks each whole minute: timers have 15 s of grace, silences a minute."""
    (outcome,) = run("""
        tests:
          - name: sends twice and falls silent, alone behind its gateway
            series: [{device: f1, site: cold-1, gateway: g1, temperature: "-10 - -10"}]
            interval: 30s
            transitions:
              - {at: 0s, rule: freezer-warm, device: f1, change: pending}
              - {at: 3m, rule: freezer-warm, device: f1, change: firing, severity: critical}
              - {at: 7m, rule: silent, device: f1, change: firing}
              - {at: 12m, rule: gateway-down, gateway: g1, change: firing}
              - {at: 19m, rule: freezer-warm, device: f1, change: escalated, severity: page}
        """)
    assert rows(outcome) == []


def test_should_send_nulls_and_statuses_and_be_silent_only_where_no_column_has_more() -> None:
    (test,) = parse_tests(
        textwrap.dedent("""
            tests:
              - name: columns
                series: [{device: d, temperature: "1 _ - -", humidity: "- - - 5", status: fault}]
                interval: 10s
                start: 2026-11-23T12:00:00+01:00
                transitions: []
            """),
        RULES,
    )
    sent = [reading for record in test.records for reading in decode_batch(record.data).readings]
    assert [(r.seq, r.temperature, r.humidity, r.status) for r in sent] == [
        (0, 1.0, None, "fault"),
        (1, None, None, "ok"),
        (3, None, 5.0, "ok"),
    ]
    assert sent[0].ts == dt.datetime(2026, 11, 23, 11, tzinfo=dt.UTC)
    assert sent[2].ts == dt.datetime(2026, 11, 23, 11, 0, 30, tzinfo=dt.UTC)


def test_should_put_the_readings_of_a_gateway_and_time_into_one_record() -> None:
    (test,) = parse_tests(
        """tests: [{name: t, transitions: [], series: [{device: a, battery: 3x1}, {device: b, battery: 3},
                   {device: c, gateway: other, battery: 3}]}]""",
        RULES,
    )
    assert [(record.gateway, len(decode_batch(record.data).readings)) for record in test.records] == [
        ("gateway", 2),
        ("other", 1),
        ("gateway", 1),
    ]


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("series: [{device: f1, temperature: 20}]", "it expects nothing: say what with 'expect', 'transitions' or "),
        ("series: [{device: f1}], transitions: []", "its devices send nothing"),
        ("series: [{temperature: 1}], transitions: []", "series: it needs a device"),
        (
            "series: [{device: f1, pressure: 1}], transitions: []",
            "series: pressure: there is no such key; there are device, ",
        ),
        ("series: [{device: [f1], battery: 1}], transitions: []", "series: device: only a gateway can be a list"),
        ("series: [{device: 'f{1..9999999}', battery: 1}], transitions: []", "stands for more than 1,000,000 names"),
        (
            "series: [{device: f1, battery: 1, order: random}], transitions: []",
            "write 'oldest first' or ",
        ),
        (
            "series: [{device: f1, battery: 1, batch: 0}], transitions: []",
            "batch: invalid number 0.0: write a w",
        ),
        ("series: [{device: f1, battery: 1x9, arrives: 8m}], transitions: []", "the last value is measured at 9m, and"),
        ("series: [{device: f1, battery: 1, arrives: 8m, delay: 1m}], transitions: []", "all arrive at one time"),
        ("series: [{device: f1, battery: 1, clock: back}], transitions: []", "clock: invalid duration 'back'"),
        ("series: [{device: f1, rejected: broken}], transitions: []", "invalid reason 'broken': write missing_field, "),
        (
            SENT + "orders: [{at: 1m, order: snooze, rule: silent, device: f1}]",
            "orders: it needs 'for', such as 'for: 2h'",
        ),
        (
            SENT + "orders: [{at: 1m, order: ack, rule: warm, device: f1}]",
            "orders: rule: there is no rule 'warm'",
        ),
        (
            SENT + "orders: [{at: 1m, order: retire, rule: silent}]",
            "orders: retire is about a device: give its name as 'device', and no rule",
        ),
        (
            SENT + "edits: [{at: 1m, rules: {warm: null}}]",
            "edits: there is no rule 'warm' to remove; there are freezer-warm, silent, gateway-down",
        ),
        (
            SENT + "edits: [{at: 1m, rules: {silent: {for: 1s, severity: x}}}]",
            "edits: rule 'silent': severity: there is no severity 'x'; there are info, ",
        ),
        (
            "series: [{device: f1, battery: 1}], notifications: [{at: 1m, receivers: [oncall]}]",
            "there is no receiver 'oncall'; there are none: name them under 'receivers' of the test",
        ),
        (
            SENT + "receivers: {oncall: {severity: [{like: x}]}}",
            "receivers: oncall: severity: invalid filter {'like': 'x'}: write a text or one of prefix",
        ),
        ("series: [{device: f1, temperature: 1 hot}], transitions: []", "series: temperature: invalid value 'hot'"),
        (
            "series: [{device: f1, temperature: 100+20x5}], transitions: []",
            "series: at 3m: no device can send that: t",
        ),
        ("series: [{device: f1, status: fine}], transitions: []", "series: status: invalid status 'fine'"),
        ("series: [{device: f1, battery: 1}], transitions: [], interval: 0s", "interval: it must be more than zero"),
        ("series: [{device: f1, battery: 1}], transitions: [], interval: fast", "interval: invalid duration 'fast'"),
        ("series: [{device: f1, battery: 1}], transitions: [], start: 2026-01-01T00:00:00", "needs a time zone"),
        ("series: [{device: f1, battery: 1}], expect: [{at: soon, alerts: []}]", "expect: at: invalid duration 'soon'"),
        (
            "series: [{device: f1, battery: 1}], expect: [{at: 1m, alerts: [{rule: warm, device: f1}]}]",
            "expect: alerts: rule: there is no rule 'warm'; there are freezer-warm, silent, gateway-down",
        ),
        (
            "series: [{device: f1, battery: 1}], transitions: [{at: 1m, rule: silent, device: f2, change: firing}]",
            "transitions: device: no series has the device 'f2'",
        ),
        (
            "series: [{device: f1, battery: 1}], expect: [{at: 1m, alerts: [{rule: silent, device: f1, gateway: g}]}]",
            "no series has the device 'f1' behind 'g'",
        ),
    ],
)
def test_should_say_what_is_wrong_with_a_test_and_where(test: str, message: str) -> None:
    said = refused(f"tests: [{{name: one, {test}}}]")
    assert re.match(r"line 1, column \d+: test 'one': ", said)
    assert message in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: expected keys with values, got nothing"),
        ("tests: [{name: t}]", "line 1, column 9: test 't': the key 'series' is missing here; add it"),
        ("tests: [{name: t, serise: []}]", "line 1, column 19: test 't': serise: there is no such key; there are edit"),
        ("tests: [{name: t, series: [], expects: []}]", "test 't': expects: there is no such key"),
        (
            "tests: [{name: t, series: [{device: {a: d}}]}]",
            "line 1, column 37: test 't': series: device: expected a number or text or a list, g",
        ),
        (
            "tests: [{name: t, series: [], transitions: [{at: 1m, rule: r, change: fires}]}]",
            "column 71: test 't': transitions: change: there is no such change; there are pending, inactive, firing",
        ),
        ("tests: [{name: t, name: u, series: []}]", "'name' is given twice"),
        ("tests: {", "iot rules test --help"),
        ("tests: []", "there are no tests in it"),
    ],
)
def test_should_say_what_is_no_test(text: str, message: str) -> None:
    said = refused(text)
    assert message in said
    assert "'iot rules test --help'" in said


def test_should_lie_beside_the_rules() -> None:
    assert path_of_tests(Path("some/rules.yaml")) == Path("some/rules.test.yaml")


def test_should_pair_the_like_before_the_merely_similar() -> None:
    at = dt.timedelta(minutes=1)
    pending, firing = (
        Item(at, ("r", "d"), {"status": status, "severity": "warning"}) for status in ("pending", "firing")
    )
    wanted = Item(at, ("r", "d"), {"status": "firing"})
    assert compare("alert", [wanted], [pending, firing]) == [
        Row("alert", at, wanted, firing),
        Row("alert", at, None, pending),
    ]


def test_should_compare_notifications_with_their_attributes_and_receivers() -> None:
    (outcome,) = run(f"""
        tests:
          - name: door
            series: [{DOOR}]
            receivers: {{oncall: {{severity: [page]}}, office: {{site: [{{prefix: cold-}}]}}}}
            until: 11m
            notifications:
              - at: 3m5s
                reason: new
                state: firing
                severity: page
                group: {{site: cold-1, rule: freezer-warm}}
                firing: 1
                resolved: 0
                alerts: [{{rule: freezer-warm, device: f1, severity: critical, held: none}}]
                attributes: {{state: firing, site: [cold-1], zone: []}}
                receivers: [office]
        """)
    told, unexpected = outcome.rows
    assert str(told.expected) == (
        "new firing page firing 1 resolved 0 group rule freezer-warm, site cold-1 alerts [freezer-warm f1 critical "
        "held none] attributes {state: firing, site: cold-1, zone: []} receivers office"
    )
    assert str(told.seen) == (
        "new firing critical firing 1 resolved 0 group rule freezer-warm, site cold-1 alerts [freezer-warm f1 firing "
        "critical held none] attributes {state: firing, site: cold-1, zone: []} receivers office"
    )
    assert not told.agrees
    assert unexpected.expected is None
    assert str(unexpected.seen) == (
        "update resolved critical firing 0 resolved 1 alerts [freezer-warm f1 resolved critical]"
    )


def test_should_show_why_an_order_cannot_be_carried_out() -> None:
    (outcome,) = run(f"""
        tests:
          - name: door
            series: [{DOOR}]
            orders:
              - {{at: 0s, order: ack, rule: freezer-warm, device: f1}}
              - {{at: 0s, order: unsnooze, rule: freezer-warm, device: f1}}
              - {{at: 0s, order: close, rule: freezer-warm, device: f1}}
            expect: [{{at: 0s, alerts: []}}]
        """)
    assert [row.split(": ", 1)[1] for row in rows(outcome)] == [
        "ack freezer-warm f1 / freezer-warm does not fire at f1: there is nothing to acknowledge",
        "unsnooze freezer-warm f1 / freezer-warm is not snoozed at f1",
        "close freezer-warm f1 / freezer-warm is not active at f1: there is nothing to close",
    ]


def test_should_add_change_and_remove_rules_in_between() -> None:
    (outcome,) = run(f"""
        tests:
          - name: door
            series: [{DOOR.replace("-20 -10x2 -20x3", "-20x9")}]
            edits:
              - {{at: 2m, rules: {{cold: {{when: temperature < -10, severity: info}}}}}}
              - {{at: 4m, rules: {{cold: {{severity: warning, when: temperature < -11}}}}}}
              - {{at: 6m30s, rules: {{cold: null}}}}
            transitions:
              - {{at: 3m, rule: cold, device: f1, change: firing, severity: info}}
              - {{at: 5m, rule: cold, device: f1, change: severity, severity: warning}}
              - {{at: 7m, rule: cold, device: f1, change: resolved}}
        """)
    assert rows(outcome) == []
