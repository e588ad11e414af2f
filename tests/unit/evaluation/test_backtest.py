"""Playing readings back through rules, beside the rules in use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.backtest import Alert, Backtest, RuleHistory, backtest, shared
from telemetry.alerting.evaluate import advance, evaluate, silent
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GatewayState
from telemetry.alerting.transitions import Transition
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from tests.unit.evaluation.played import START, batches

MINUTE = dt.timedelta(minutes=1)


def reading(seconds: float, temperature: float | None = 20.0, *, device: str = "d1", **given: object) -> Reading:
    told = {"site": "s1", "seq": int(seconds), "status": "ok", "temperature": temperature, **given}
    return Reading(device_id=device, ts=START + dt.timedelta(seconds=seconds), **told)  # type: ignore[arg-type]


def play(readings: Sequence[Reading], rules: RuleSet, live: RuleSet | None = None, size: int = 1000) -> Backtest:
    return backtest(batches(readings, size), rules, live or RuleSet(()), max(each.ts for each in readings))


def rules_of(*rules: str) -> RuleSet:
    return parse_rules("rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules))


HOT = rules_of('name: hot, when: "temperature > 40", clear: "temperature < 38"')


def test_should_count_alerts_by_rule_and_day_and_say_how_long_they_fired() -> None:
    day = 86_400
    sent = [
        reading(at, t) for at, t in ((0, 41), (60, 37), (day, 41), (day + 180, 37), (day + 300, 41), (day + 360, 45))
    ]
    (history,) = play(sent, HOT).rules
    assert history == RuleHistory(
        rule="hot",
        alerts=3,
        flapping=0,
        open=1,
        median_seconds=120.0,
        by_day={"2026-11-01": 1, "2026-11-02": 2},
        live=0,
        in_both=0,
        only_new=3,
        only_live=0,
    )


def test_should_count_an_alert_that_flaps_once() -> None:
    rules = rules_of('name: hot, when: "temperature > 40", flapping: {changes: 4, window: 30m}')
    (history,) = play([reading(at * 60, 41 if at % 2 else 39) for at in range(12)], rules).rules
    assert (history.alerts, history.flapping) == (3, 1)


def test_should_name_the_noisiest_devices() -> None:
    rules = rules_of('name: hot, when: "temperature > 40", flapping: {changes: 99, window: 30m}')
    sent = [reading(at * 60, 41 if at % 2 else 37, device=f"d{n:02}") for n in range(12) for at in range(2 * n)]
    result = play(sent, rules)
    assert result.devices == 11
    assert [(noisy.device, noisy.alerts) for noisy in result.noisiest[:2]] == [("d11", 11), ("d10", 10)]
    assert len(result.noisiest) == 10


def test_should_compare_with_the_rules_in_use() -> None:
    live = rules_of('name: hot, when: "temperature > 45"', 'name: gone, when: "temperature > 60"')
    sent = [reading(at * 60, t) for at, t in enumerate((20, 42, 47, 20, 42, 20, 70, 20))]
    result = play(sent, rules_of('name: hot, when: "temperature > 40"', 'name: new, when: "temperature > 60"'), live)
    compared = {
        each.rule: (each.alerts, each.live, each.in_both, each.only_new, each.only_live) for each in result.rules
    }
    assert compared == {"hot": (3, 2, 2, 1, 0), "new": (1, 0, 0, 1, 0), "gone": (0, 1, 0, 0, 1)}


def test_should_leave_out_rules_about_gateways_and_rejected_lines_and_say_so() -> None:
    rules = rules_of(
        "name: gateway-down, when: no_data(gateway), for: 5m",
        "name: silent, when: no_data, for: 5m",
        "name: clock-wrong, when: rejected(from_future)",
    )
    result = play([reading(0), reading(3600)], rules)
    assert result.not_tested == ["clock-wrong", "gateway-down"]
    assert [(history.rule, history.alerts) for history in result.rules] == [("silent", 1)]


def test_should_judge_silence_up_to_the_newest_reading_of_all() -> None:
    rules = rules_of("name: silent, when: no_data, for: 5m")
    sent = [reading(0, device="quiet"), *(reading(at * 60, device="talks") for at in range(20))]
    (history,) = play(sent, rules).rules
    assert (history.alerts, history.open) == (1, 1)
    (history,) = play(sent[:6], rules).rules
    assert history.alerts == 0


def test_should_tell_how_far_it_is() -> None:
    told: list[int] = []
    sent = [reading(at) for at in range(25)]
    backtest(batches(sent, 10), HOT, HOT, sent[-1].ts, told.append)
    assert told == [10, 20, 25]


def test_should_make_nothing_of_no_readings() -> None:
    result = backtest([], HOT, HOT, START)
    assert (result.readings, result.devices, result.noisiest) == (0, 0, [])


@pytest.mark.parametrize(
    ("ones", "others", "expected"),
    [
        ([(0, 10)], [(10, 20)], 1),
        ([(0, 10)], [(11, 20)], 0),
        ([(0, 100)], [(1, 2), (3, 4)], 1),
        ([(1, 2), (3, 4)], [(0, 100)], 2),
        ([(0, 1), (5, 6), (9, 9)], [(2, 3), (6, 9)], 2),
        ([], [(0, 1)], 0),
    ],
)
def test_should_find_alerts_that_fired_at_the_same_time(
    ones: list[tuple[int, int]], others: list[tuple[int, int]], expected: int
) -> None:
    def alerts(spans: list[tuple[int, int]]) -> list[Alert]:
        return [Alert("r", START + a * MINUTE, START + b * MINUTE, ended=True, flapping=False) for a, b in spans]

    assert shared(alerts(ones), alerts(others)) == expected


# The whole of it, against the watchdog's ticks one by one and every reading evaluated.

RULES = {
    "plain": 'name: hot, when: "temperature > 40", clear: "temperature < 38"',
    "held": 'name: hot, when: "temperature > 40 or status == fault", for: 3m, keep_firing_for: 4m',
    "escalating": 'name: hot, when: "temperature > 40", escalate: {after: 5m, to: page}',
    "flapping": 'name: hot, when: "temperature > 40", flapping: {changes: 2, window: 10m}',
    "rising": 'name: rising, when: "rate(temperature, 4m) > 2"',
    "silent": "name: silent, when: no_data, for: 2m",
    "here": 'name: here, match: {site: s1}, when: "temperature > 40"',
    "kept": "name: kept, when: no_data, for: 4m, keep_firing_for: 3m",
}

STREAMS = st.lists(
    st.tuples(
        st.sampled_from([1, 20, 60, 61, 200, 600, 2000]),
        st.sampled_from([None, 20.0, 39.0, 41.0, 60.0]),
        st.sampled_from(["ok", "ok", "ok", "fault"]),
        st.sampled_from(["s1", "s1", "s1", "s2"]),
    ),
    min_size=1,
    max_size=30,
)


@given(
    st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=3, unique_by=lambda key: RULES[key].split(",")[0]),
    STREAMS,
    st.integers(0, 3000),
    st.integers(1, 8),
)
def test_should_alert_as_the_pipeline_does(
    keys: list[str], stream: list[tuple[int, float | None, str, str]], after: int, size: int
) -> None:
    rules = rules_of(*(RULES[key] for key in keys))
    at, sent = 0, []
    for step, temperature, status, site in stream:
        at += step
        sent.append(reading(at, temperature, status=status, site=site))
    until = sent[-1].ts + dt.timedelta(seconds=after)
    result = backtest(batches(sent, size), rules, RuleSet(()), until)
    expected = _minute_by_minute(rules, sent, until)
    for history in result.rules:
        of_rule = [each for each in expected if each.rule == history.rule]
        assert history.alerts == sum(each.change in ("firing", "flapping") for each in of_rule)
        assert history.flapping == sum(each.change == "flapping" for each in of_rule)
        assert history.alerts - history.open == sum(each.change == "resolved" for each in of_rule)


def _minute_by_minute(rules: RuleSet, sent: Sequence[Reading], until: dt.datetime) -> list[Transition]:
    state, recent, happened = GatewayState("d1"), Recent(), list[Transition]()
    tick = START
    for each in [*sent, None]:
        end = until + dt.timedelta.resolution if each is None else each.ts
        while tick < end:
            state, some = advance(rules, state, tick)
            state, more = silent(rules, state, recent, tick)
            happened += some + more
            tick += MINUTE
        if each:
            state, some = evaluate(rules, state, recent, Heard("d1", each.ts, [each]))
            recent.accept()
            happened += some
    return happened
