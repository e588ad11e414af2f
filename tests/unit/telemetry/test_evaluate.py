"""Alert semantics by example; test_alerting_against_reference.py holds them in general."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pytest

from telemetry.alerting.evaluate import AlertError, Evaluation, advance, evaluate, hold, next_silence, release, silent
from telemetry.alerting.heard import Heard
from telemetry.alerting.machine import CLOCK_GRACE
from telemetry.alerting.recent import RECENT_EVERY, Recent
from telemetry.alerting.snapshots import Snapshot
from telemetry.alerting.state import GatewayState, Hold
from telemetry.alerting.transitions import Transition
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet

START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
EMPTY = GatewayState("gw")
TOO_HOT = parse_rules("rules: [{name: too-hot, when: temperature > 40, clear: temperature < 38}]")


def at(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def reading(second: float, temperature: float | None = 20.0, **other: object) -> Reading:
    fields: dict[str, object] = {"device_id": "d", "site": "s", "humidity": None, "battery": 3.0, "status": "ok"}
    return Reading(**(fields | {"ts": at(second), "seq": int(second), "temperature": temperature} | other))  # type: ignore[arg-type]


class Gateway:
    """A gateway whose records come one after the other; each arrives with its newest reading."""

    def __init__(self, rules: RuleSet | str) -> None:
        self.rules = rules if isinstance(rules, RuleSet) else parse_rules(rules)
        self.state = EMPTY
        self.recent = Recent()
        self.all: list[Transition] = []

    def sends(self, *readings: Reading, arrived: float | None = None) -> list[Transition]:
        now = at(arrived) if arrived is not None else max(reading.ts for reading in readings)
        evaluation = evaluate(self.rules, self.state, self.recent, Heard("gw", now, readings))
        self.recent.accept()
        return self._keep(evaluation)

    def waits_until(self, second: float) -> list[Transition]:
        return self._keep(advance(self.rules, self.state, at(second)))

    def is_watched(self, second: float) -> list[Transition]:
        return self._keep(silent(self.rules, self.state, self.recent, at(second)))

    def _keep(self, evaluation: Evaluation) -> list[Transition]:
        self.state = evaluation.state
        self.all += evaluation.transitions
        return evaluation.transitions


def changes(transitions: Iterable[Transition]) -> list[str]:
    return [transition.change for transition in transitions]


def seen(transitions: Iterable[Transition]) -> list[tuple[str, str, str, float]]:
    return [(t.rule, t.device, t.change, (t.changed_at - START).total_seconds()) for t in transitions]


def test_should_fire_once_and_resolve_once_with_hysteresis() -> None:
    gateway = Gateway(TOO_HOT)
    gateway.sends(*(reading(i, t) for i, t in enumerate([39, 41, 45, 39, 38.5, 41, 37.9, 39, 36])))
    assert seen(gateway.all) == [("too-hot", "d", "firing", 1), ("too-hot", "d", "resolved", 6)]
    assert len({transition.alert_id for transition in gateway.all}) == 1
    assert [transition.sequence for transition in gateway.all] == [1, 2]


def test_should_give_each_alert_its_own_id() -> None:
    gateway = Gateway(TOO_HOT)
    gateway.sends(*(reading(i, t) for i, t in enumerate([41, 30, 41, 30])), reading(0, 50, device_id="e"))
    assert len({transition.alert_id for transition in gateway.all}) == 3


def test_should_keep_devices_and_rules_apart() -> None:
    gateway = Gateway("""
rules:
  - {name: too-hot, when: temperature > 40}
  - {name: battery-low, when: battery < 2.4, match: {site: "north*"}}
""")
    gateway.sends(
        reading(1, 50, device_id="a", site="north-1", battery=2.0), reading(1, 50, device_id="b", battery=2.0)
    )
    assert {(t.rule, t.device) for t in gateway.all} == {("too-hot", "a"), ("battery-low", "a"), ("too-hot", "b")}


def test_should_take_no_value_for_no_news() -> None:
    gateway = Gateway(TOO_HOT)
    gateway.sends(reading(1, 50), reading(2, None), reading(3, 50))
    assert seen(gateway.all) == [("too-hot", "d", "firing", 1)]


def test_should_not_let_a_late_or_repeated_reading_undo_what_came_after_it() -> None:
    gateway = Gateway(TOO_HOT)
    gateway.sends(reading(5, 50), reading(6, 20))
    before = gateway.state
    assert gateway.sends(reading(4, 50), reading(5, 50), arrived=7) == []
    assert gateway.state is before


def test_should_forget_what_ended_only_when_no_reading_can_come_before_it() -> None:
    gateway = Gateway(TOO_HOT)
    gateway.sends(reading(1, 50), reading(2, 20))
    lateness = MAX_LATENESS.total_seconds()
    gateway.sends(reading(lateness, 50, device_id="e"))
    assert gateway.state.past.keys() == {"d"}
    gateway.sends(reading(lateness + 3601, 20, device_id="e"))
    assert gateway.state.past.keys() == {"e"}


def test_should_hold_the_state_still_where_nothing_changes() -> None:
    state, transitions = evaluate(TOO_HOT, EMPTY, Recent(), Heard("gw", START, [reading(1, 20)]))
    assert state is EMPTY
    assert transitions == []


def test_should_change_nothing_of_the_state_it_was_given() -> None:
    state, _ = evaluate(TOO_HOT, EMPTY, Recent(), Heard("gw", START, [reading(1, 50)]))
    before = state.alerts["d"]["too-hot"]
    evaluate(TOO_HOT, state, Recent(), Heard("gw", START, [reading(2, 20)]))
    assert state.alerts == {"d": {"too-hot": before}}


FOR = "rules: [{name: hot, when: temperature > 40, for: 2m}]"


def test_should_fire_when_the_condition_has_held_for_long_enough_by_event_time() -> None:
    gateway = Gateway(FOR)
    gateway.sends(reading(0, 41), reading(60, 41), reading(119, 41), reading(120, 41), reading(121, 41))
    assert seen(gateway.all) == [("hot", "d", "pending", 0), ("hot", "d", "firing", 120)]
    assert gateway.all[1].active_at == START


def test_should_be_inactive_again_when_the_condition_ends_before_that() -> None:
    gateway = Gateway(FOR)
    gateway.sends(reading(0, 41), reading(60, 39), reading(90, 41), reading(150, 41), reading(210, 41))
    assert changes(gateway.all) == ["pending", "inactive", "pending", "firing"]
    assert gateway.all[0].alert_id != gateway.all[2].alert_id


def test_should_fire_by_the_clock_when_readings_stop() -> None:
    gateway = Gateway(FOR)
    gateway.sends(reading(0, 41))
    due = 120 + CLOCK_GRACE.total_seconds()
    assert gateway.state.due == at(due)
    assert gateway.waits_until(due - 1) == []
    assert seen(gateway.waits_until(due)) == [("hot", "d", "firing", due)]
    assert gateway.waits_until(due + 60) == []


def test_should_let_another_devices_record_bring_the_clock() -> None:
    gateway = Gateway(FOR)
    gateway.sends(reading(0, 41))
    assert seen(gateway.sends(reading(140, device_id="e"))) == [("hot", "d", "firing", 140)]


def test_should_look_at_readings_that_are_older_than_what_the_clock_did() -> None:
    gateway = Gateway(FOR)
    gateway.sends(reading(0, 41))
    gateway.waits_until(200)
    assert changes(gateway.sends(reading(190, 39), arrived=210)) == ["resolved"]


def test_should_give_the_same_id_whether_reading_or_clock_fires() -> None:
    by_reading, by_clock = Gateway(FOR), Gateway(FOR)
    by_reading.sends(reading(0, 41), reading(120, 41))
    by_clock.sends(reading(0, 41))
    by_clock.waits_until(200)
    assert by_reading.all[-1].alert_id == by_clock.all[-1].alert_id


def test_should_never_resolve_for_missing_data() -> None:
    gateway = Gateway("rules: [{name: hot, when: temperature > 40, keep_firing_for: 1m}]")
    gateway.sends(reading(0, 41))
    assert gateway.waits_until(10**6) == []


KEEP = "rules: [{name: hot, when: temperature > 40, clear: temperature < 38, keep_firing_for: 5m}]"


def test_should_keep_firing_for_a_while_after_it_cleared() -> None:
    gateway = Gateway(KEEP)
    gateway.sends(reading(0, 41), reading(60, 37), reading(200, 41), reading(300, 37), reading(599, 37))
    assert changes(gateway.all) == ["firing"]
    assert seen(gateway.sends(reading(600, 39))) == [("hot", "d", "resolved", 600)]


def test_should_resolve_by_the_clock_what_cleared_before_readings_stopped() -> None:
    gateway = Gateway(KEEP)
    gateway.sends(reading(0, 41), reading(60, 37))
    assert gateway.waits_until(374) == []
    assert seen(gateway.waits_until(375)) == [("hot", "d", "resolved", 375)]


ESCALATE = """
rules: [{name: hot, when: temperature > 40, severity: critical, escalate: {after: 15m, to: page}}]
"""


def test_should_escalate_what_still_fires_and_begin_anew_with_the_next_alert() -> None:
    gateway = Gateway(ESCALATE)
    gateway.sends(reading(0, 41), reading(899, 41), reading(900, 41), reading(1000, 30), reading(1100, 41))
    assert [(t.change, t.severity) for t in gateway.all] == [
        ("firing", "critical"),
        ("escalated", "page"),
        ("resolved", "page"),
        ("firing", "critical"),
    ]


def test_should_escalate_by_the_clock_but_not_what_is_acknowledged() -> None:
    gateway = Gateway(ESCALATE)
    gateway.sends(reading(0, 41))
    acknowledged = hold(gateway.rules, gateway.state, "d", "hot", Hold("acknowledged", "ann", "on my way", at(60)))
    assert advance(gateway.rules, acknowledged.state, at(10_000)).transitions == []
    assert changes(gateway.waits_until(915)) == ["escalated"]


FLAPPING = """
rules: [{name: hot, when: temperature > 40, flapping: {changes: 4, window: 10m}}]
"""


def test_should_report_flapping_once_and_resolve_when_it_was_quiet_for_the_window() -> None:
    gateway = Gateway(FLAPPING)
    gateway.sends(*(reading(10 * i, 41 if i % 2 else 39) for i in range(40)))
    assert changes(gateway.all) == ["firing", "resolved", "firing", "resolved", "flapping"]
    assert gateway.sends(reading(400, 39), reading(999, 39)) == []
    (resolved,) = gateway.sends(reading(1000, 39))
    assert resolved.change == "resolved"
    assert resolved.alert_id == gateway.all[-2].alert_id


def test_should_not_take_changes_far_apart_for_flapping() -> None:
    gateway = Gateway(FLAPPING)
    gateway.sends(*(reading(300 * i, 41 if i % 2 else 39) for i in range(40)))
    assert "flapping" not in changes(gateway.all)


SILENT = "rules: [{name: silent, when: no_data, for: 10m}]"
MARGIN = RECENT_EVERY.total_seconds()


def test_should_fire_for_a_device_that_is_silent_and_resolve_with_its_next_reading() -> None:
    gateway = Gateway(SILENT)
    gateway.sends(reading(0), reading(1, device_id="e"))
    gateway.sends(reading(500, device_id="e"))
    assert next_silence(gateway.rules, gateway.state, gateway.recent) == at(1 + 600 + MARGIN)
    assert gateway.is_watched(600 + MARGIN) == []
    fired = gateway.is_watched(601 + MARGIN)
    assert [(t.device, t.change, t.active_at, t.value) for t in fired] == [("d", "firing", at(1), None)]
    assert gateway.is_watched(700 + MARGIN) == []
    resolved = gateway.sends(reading(2000))
    assert changes(resolved) == ["resolved"]
    assert resolved[0].alert_id == fired[0].alert_id


def test_should_not_fire_again_for_a_return_that_is_not_written_yet() -> None:
    gateway = Gateway(SILENT)
    gateway.sends(reading(0))
    gateway.is_watched(700)
    as_written = gateway.recent.merged_into(Snapshot(), START.timestamp())
    gateway.sends(reading(1000))
    assert silent(gateway.rules, gateway.state, Recent(as_written), at(1100)).transitions == []


def test_should_go_on_firing_when_a_device_falls_silent_again_before_it_resolved() -> None:
    gateway = Gateway("rules: [{name: silent, when: no_data, for: 1m, keep_firing_for: 10m}]")
    gateway.sends(reading(0))
    assert changes(gateway.is_watched(300)) == ["firing"]
    assert gateway.sends(reading(602)) == []
    assert gateway.is_watched(602 + 60 + MARGIN) == []
    assert gateway.waits_until(10_000) == []
    assert gateway.sends(reading(10_001)) == []
    assert gateway.sends(reading(10_600)) == []
    assert changes(gateway.sends(reading(10_601))) == ["resolved"]


def test_should_fire_for_a_gateway_of_which_nothing_comes() -> None:
    gateway = Gateway('rules: [{name: gateway-down, when: no_data(gateway), for: 2m, match: {site: "s"}}]')
    gateway.sends(reading(0), reading(1, device_id="e"))
    (fired,) = gateway.is_watched(121 + MARGIN)
    assert (fired.rule, fired.device, fired.gateway, fired.site) == ("gateway-down", "", "gw", "s")
    assert changes(gateway.sends(arrived=500)) == ["resolved"]


def test_should_resolve_what_a_rule_that_is_gone_left_behind() -> None:
    gateway = Gateway(TOO_HOT)
    gateway.sends(reading(1, 50))
    gateway.rules = parse_rules("rules: []")
    (resolved,) = gateway.sends(reading(2, 50))
    assert (resolved.change, resolved.sequence) == ("resolved", 2)
    assert "no longer watches" in resolved.summary
    assert gateway.state.alerts == {}


def test_should_end_nothing_before_it_began_where_a_devices_clock_is_ahead() -> None:
    gateway = Gateway("rules: [{name: too-hot, when: temperature > 40, for: 10s}]")
    gateway.sends(reading(30, 41), arrived=0)
    gateway.rules = parse_rules("rules: []")
    (gone,) = gateway.waits_until(25)
    assert (gone.change, gone.active_at, gone.changed_at) == ("inactive", at(30), at(30))


def test_should_judge_by_the_state_of_a_status_and_by_compound_conditions() -> None:
    gateway = Gateway("""
rules:
  - {name: broken, when: status == fault}
  - {name: muggy, when: temperature > 30 and humidity > 80}
""")
    gateway.sends(
        reading(0, 35, humidity=70.0),
        reading(1, 35, humidity=85.0),
        reading(2, 35, humidity=None, status="fault"),
        reading(3, 29, humidity=None),
    )
    assert seen(gateway.all) == [
        ("muggy", "d", "firing", 1),
        ("broken", "d", "firing", 2),
        ("broken", "d", "resolved", 3),
        ("muggy", "d", "resolved", 3),
    ]


def test_should_watch_how_fast_a_value_moves() -> None:
    gateway = Gateway("rules: [{name: fast, when: 'rate(temperature, 5m) > 2'}]")
    steady = [reading(10 * i, 20 + i / 60) for i in range(60)]
    rising = [reading(600 + 10 * i, 21 + i / 2) for i in range(60)]
    gateway.sends(*steady)
    assert gateway.all == []
    gateway.sends(*rising)
    assert changes(gateway.all) == ["firing"]
    assert gateway.all[0].metric == "rate(temperature, 5m)"
    assert 2 < (gateway.all[0].value or 0) < 3.1


def test_should_keep_an_acknowledgement_until_the_alert_resolves() -> None:
    gateway = Gateway(TOO_HOT)
    gateway.sends(reading(1, 50))
    with pytest.raises(AlertError, match="nothing to acknowledge"):
        hold(gateway.rules, gateway.state, "e", "too-hot", Hold("acknowledged", "ann", "why", at(2)))
    evaluation = hold(gateway.rules, gateway.state, "d", "too-hot", Hold("acknowledged", "ann", "on my way", at(2)))
    (transition,) = evaluation.transitions
    assert (transition.change, transition.held, transition.who, transition.sequence) == (
        "acknowledged",
        "acknowledged",
        "ann",
        2,
    )
    gateway.state = evaluation.state
    (resolved,) = gateway.sends(reading(3, 20))
    assert (resolved.held, resolved.sequence) == ("acknowledged", 3)
    assert gateway.state.holds == {}


def test_should_end_a_snooze_by_the_clock_and_a_disabling_only_by_hand() -> None:
    gateway = Gateway(TOO_HOT)
    gateway.sends(reading(1, 50))
    snoozed = hold(gateway.rules, gateway.state, "d", "too-hot", Hold("snoozed", "ann", "", at(2), until=at(60)))
    assert snoozed.state.due == at(60)
    awake = advance(gateway.rules, snoozed.state, at(60))
    assert changes(awake.transitions) == ["unsnoozed"]
    assert awake.transitions[0].held is None
    disabled = hold(gateway.rules, awake.state, "quiet", "too-hot", Hold("disabled", "ann", "broken", at(70)))
    assert [(t.change, t.alert_id, t.status) for t in disabled.transitions] == [("disabled", "", "inactive")]
    assert advance(gateway.rules, disabled.state, at(10**7)).transitions == []
    enabled = release(gateway.rules, disabled.state, "quiet", "too-hot", who="bob", why="mended", now=at(80))
    assert changes(enabled.transitions) == ["enabled"]
    assert enabled.state.holds == {}
    with pytest.raises(AlertError, match="neither snoozed nor disabled"):
        release(gateway.rules, enabled.state, "quiet", "too-hot", who="bob", why="", now=at(81))
