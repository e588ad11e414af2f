"""Corners of order and arrival that the reference model found, each by example."""

from __future__ import annotations

import datetime as dt

from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from tests.unit.telemetry.alerting.histories import START
from tests.unit.telemetry.alerting.home import Home
from tests.unit.telemetry.alerting.reference_events import RecordArrives, Refused, RulesAreReviewed, SilenceIsChecked

HOT = "rules: [{name: hot, when: temperature > 40, for: 2m}]"


def at(second: float) -> dt.datetime:
    return START + dt.timedelta(seconds=second)


def reading(second: float, seq: int, temperature: float = 20.0) -> Reading:
    return Reading(device_id="d", site="s", ts=at(second), seq=seq, temperature=temperature, status="ok")


def home(rules: str) -> Home:
    return Home(rules=parse_rules(rules))


def changes(one: Home) -> list[str]:
    return [transition.change for transition in one.told]


def test_should_know_when_the_readings_of_a_later_part_were_taken() -> None:
    """The part before has a quiet reading of the same device, and is known by then."""
    batch = (reading(0, 1), *(reading(60 * n, n + 1, 50.0) for n in range(1, 4)))
    whole, parts = home(HOT), Home(rules=parse_rules(HOT), cuts=lambda _: (1, 2))
    for one in (whole, parts):
        one.happens(RecordArrives(at(180), batch))
    assert changes(whole) == changes(parts) == ["pending", "firing"]
    assert whole.state.alerts == parts.state.alerts


def test_should_count_a_step_back_from_the_arrival_of_the_record_before() -> None:
    one = home("rules: [{name: hot, when: temperature > 40, for: 10s}]")
    one.happens(RecordArrives(at(0), (reading(0, 1, 50.0),)))
    one.happens(RecordArrives(at(1), (reading(-4, 2, 50.0), reading(-4, 3, 50.0))))
    assert one.state.alerts["d"]["hot"].active_at == at(-5)


def test_should_begin_no_alert_of_rejected_lines_with_a_record_that_has_a_good_reading_or_comes_again() -> None:
    one = home("rules: [{name: refused, when: rejected}]")
    record = RecordArrives(at(0), (reading(0, 1),), (Refused("d", "s", "from_future"),))
    one.happens(record)
    one.happens(record)
    assert one.told == []
    one.happens(RecordArrives(at(1), (), record.refused))
    assert changes(one) == ["firing"]


def test_should_watch_no_device_for_silence_that_only_rejected_lines_name() -> None:
    """Its name may be a damaged one. From its first reading on, its rejected lines are signs of life."""
    one = home("rules: [{name: silent, when: no_data, for: 10m}]")
    refused = (Refused("d", "s", "wrong_type"),)
    one.happens(RecordArrives(at(0), (), refused))
    one.happens(SilenceIsChecked(at(3600)))
    one.happens(RecordArrives(at(4000), (reading(4000, 1),)))
    one.happens(RecordArrives(at(4500), (), refused))
    one.happens(SilenceIsChecked(at(4800)))
    assert one.told == []
    one.happens(SilenceIsChecked(at(5200)))
    assert changes(one) == ["firing"]


def test_should_give_the_silence_of_a_rule_that_comes_back_an_id_of_its_own() -> None:
    one = home("rules: [{name: silent, when: no_data, for: 1m}]")
    watching, nothing = one.rules, parse_rules("rules: []")
    one.happens(RecordArrives(at(0), (reading(0, 1),)))
    one.happens(SilenceIsChecked(at(200)))
    one.rules = nothing
    one.happens(RulesAreReviewed(at(210)))
    one.rules = watching
    one.happens(SilenceIsChecked(at(240)))
    assert changes(one) == ["firing", "resolved"]
    one.happens(SilenceIsChecked(at(400)))
    assert changes(one) == ["firing", "resolved", "firing"]
    assert one.told[0].alert_id != one.told[2].alert_id


def test_should_not_let_an_old_record_of_another_gateway_end_a_silence_that_knows_better() -> None:
    one = home("rules: [{name: silent, when: no_data, for: 1m, keep_firing_for: 1m}]")
    one.happens(RecordArrives(at(0), (reading(0, 1),)))
    one.happens(SilenceIsChecked(at(200)))
    one.happens(RecordArrives(at(300), (reading(300, 2),)))
    one.happens(RecordArrives(at(310), (reading(310, 3),)))
    one.happens(SilenceIsChecked(at(450)))
    one.happens(RecordArrives(at(305), (reading(311, 4),), gateway="other"))
    assert one.state.alerts["d"]["silent"].clearing_at is None
