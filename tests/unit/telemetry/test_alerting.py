"""Alert semantics: fires once, resolves once, whatever is delivered twice or late."""

from __future__ import annotations

import datetime as dt
import itertools

from hypothesis import given
from hypothesis import strategies as st

from telemetry.alerting import GatewayState, Transition, evaluate
from telemetry.reading import MAX_LATENESS, Reading
from telemetry.rules import parse_rules

START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
RULES = parse_rules("""
rules:
  - {name: too-hot, when: temperature > 40, clear: temperature < 38}
  - {name: battery-low, when: battery < 2.4, clear: battery > 2.6, match: {site: "north*"}}
""")
EMPTY = GatewayState("gw")


def reading(seq: int, temperature: float | None = 20.0, *, device: str = "d", site: str = "s", battery: float = 3.0):
    return Reading(
        device_id=device,
        site=site,
        ts=START + dt.timedelta(seconds=seq),
        seq=seq,
        temperature=temperature,
        battery=battery,
        status="ok",
    )


def seen(transitions: list[Transition]) -> list[tuple[str, str, str, int]]:
    return [(t.rule.name, t.reading.device_id, t.state.status, t.reading.seq) for t in transitions]


def test_should_fire_once_and_resolve_once_with_hysteresis() -> None:
    temperatures = [39, 41, 45, 39, 38.5, 41, 37.9, 39, 36]
    _, transitions = evaluate(RULES, EMPTY, [reading(i, t) for i, t in enumerate(temperatures)], START)
    assert seen(transitions) == [("too-hot", "d", "firing", 1), ("too-hot", "d", "resolved", 6)]
    assert len({t.alert_id for t in transitions}) == 1


def test_should_give_each_alert_its_own_id() -> None:
    hot_twice = [reading(i, t) for i, t in enumerate([41, 30, 41, 30])]
    _, transitions = evaluate(RULES, EMPTY, [*hot_twice, reading(0, 50, device="e")], START)
    assert len({t.alert_id for t in transitions}) == 3


def test_should_keep_devices_and_rules_apart() -> None:
    readings = [
        reading(1, 50, device="a", site="north-1", battery=2.0),
        reading(1, 50, device="b", site="south", battery=2.0),
    ]
    _, transitions = evaluate(RULES, EMPTY, readings, START)
    assert {(rule, device) for rule, device, *_ in seen(transitions)} == {
        ("too-hot", "a"),
        ("battery-low", "a"),
        ("too-hot", "b"),
    }


def test_should_take_no_value_for_no_news() -> None:
    _, transitions = evaluate(RULES, EMPTY, [reading(1, 50), reading(2, None), reading(3, 50)], START)
    assert seen(transitions) == [("too-hot", "d", "firing", 1)]


def test_should_order_a_batch_by_event_time() -> None:
    _, transitions = evaluate(RULES, EMPTY, [reading(3, 20), reading(1, 20), reading(2, 50)], START)
    assert seen(transitions) == [("too-hot", "d", "firing", 2), ("too-hot", "d", "resolved", 3)]


def test_should_not_let_a_late_reading_undo_what_came_after_it() -> None:
    state, _ = evaluate(RULES, EMPTY, [reading(5, 50), reading(6, 20)], START)
    late, transitions = evaluate(RULES, state, [reading(4, 50)], START)
    assert transitions == []
    assert late is state


def test_should_forget_a_resolved_alert_only_when_no_reading_can_come_before_it() -> None:
    state, _ = evaluate(RULES, EMPTY, [reading(1, 50), reading(2, 20)], START)
    soon, _ = evaluate(RULES, state, [reading(3, 50, device="e")], START + MAX_LATENESS)
    assert set(soon.alerts) == {"d", "e"}
    much_later = START + MAX_LATENESS + dt.timedelta(seconds=3)
    later, _ = evaluate(RULES, soon, [reading(4, 20, device="e")], much_later)
    assert set(later.alerts) == {"e"}


def test_should_fire_again_after_a_rule_was_taken_away_and_put_back() -> None:
    firing, _ = evaluate(RULES, EMPTY, [reading(1, 50), reading(1, 50, device="quiet")], START)
    nothing = parse_rules("rules: []")
    without, transitions = evaluate(nothing, firing, [reading(2, 20)], START)
    assert transitions == []
    assert without.alerts.keys() == {"quiet"}, "a device that says nothing keeps its alert"
    _, transitions = evaluate(RULES, without, [reading(3, 45)], START)
    assert seen(transitions) == [("too-hot", "d", "firing", 3)]


def test_should_leave_the_state_alone_where_nothing_changes() -> None:
    state, transitions = evaluate(RULES, EMPTY, [reading(1, 20)], START)
    assert state is EMPTY
    assert transitions == []


def test_should_forget_nothing_of_the_state_it_was_given() -> None:
    state, _ = evaluate(RULES, EMPTY, [reading(1, 50)], START)
    before = state.alerts["d"]["too-hot"]
    evaluate(RULES, state, [reading(2, 20)], START)
    assert state.alerts == {"d": {"too-hot": before}}


series = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([20.0, 37.0, 39.0, 41.0, None])), max_size=40).map(
    lambda steps: [reading(seq, value, device=device) for seq, (device, value) in enumerate(steps)]
)


@given(series)
def test_should_alternate_between_firing_and_resolved(readings: list[Reading]) -> None:
    _, transitions = evaluate(RULES, EMPTY, readings, START)
    for device in "abc":
        statuses = [t.state.status for t in transitions if t.reading.device_id == device]
        assert statuses == list(itertools.islice(itertools.cycle(["firing", "resolved"]), len(statuses)))


@given(series, st.data())
def test_should_see_the_same_however_a_series_is_cut_and_redelivered(
    readings: list[Reading], data: st.DataObject
) -> None:
    whole_state, whole = evaluate(RULES, EMPTY, readings, START)
    state, transitions, position = EMPTY, [], 0
    while position < len(readings):
        size = data.draw(st.integers(1, 10))
        for _ in range(data.draw(st.integers(1, 2))):
            state, new = evaluate(RULES, state, readings[position : position + size], START)
            transitions += new
        position += size
    assert seen(transitions) == seen(whole)
    assert state == whole_state
