"""What subscribers receive."""

from __future__ import annotations

import datetime as dt

import msgspec

from telemetry.alerting import GatewayState, evaluate
from telemetry.message import AlertMessage, alert_message
from telemetry.reading import Reading
from telemetry.rules import parse_rules

RULES = parse_rules("""
rules:
  - {name: too-hot, when: temperature > 40, clear: temperature < 38, severity: critical, runbook: docs/hot.md}
""")
NOW = dt.datetime(2026, 11, 23, 12, 1, tzinfo=dt.UTC)


def messages(device: str = "d") -> list[AlertMessage]:
    readings = [
        Reading(
            device_id=device,
            site="s",
            ts=dt.datetime(2026, 11, 23, 13, second, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            seq=second,
            temperature=temperature,
            status="ok",
        )
        for second, temperature in enumerate([41.5, 30.0])
    ]
    _, transitions = evaluate(RULES, GatewayState("gw"), readings, NOW)
    return [alert_message(transition, NOW) for transition in transitions]


def test_should_tell_what_fired_and_what_resolved_it() -> None:
    firing, resolved = messages()
    assert (firing.state, firing.value, firing.condition, firing.threshold) == ("firing", 41.5, "temperature > 40", 40)
    assert (resolved.state, resolved.value, resolved.condition) == ("resolved", 30, "temperature < 38")
    assert firing.summary == "d at s: temperature is 41.5, limit > 40"
    assert resolved.summary == "too-hot is over at d, s: temperature is 30"
    assert firing.alert_id == resolved.alert_id
    assert firing.started_at == resolved.started_at == firing.changed_at


def test_should_say_times_in_utc() -> None:
    (firing, _) = messages()
    assert msgspec.to_builtins(firing)["started_at"] == "2026-11-23T12:00:00Z"


def test_should_carry_attributes_to_filter_on() -> None:
    assert messages()[0].attributes() == {"severity": "critical", "site": "s", "rule": "too-hot", "state": "firing"}


def test_should_read_well_in_an_email() -> None:
    firing, _ = messages()
    assert firing.subject() == "[FIRING] critical: too-hot d"
    assert firing.text().startswith("d at s: temperature is 41.5, limit > 40\n")
    assert "docs/hot.md" in firing.text()


def test_should_keep_the_subject_within_what_sns_takes() -> None:
    subject = messages("µ\n" * 64)[0].subject()
    assert len(subject) == 99
    assert subject.isascii()
    assert subject.isprintable()


def test_should_keep_control_characters_out_of_what_sqs_and_mail_get() -> None:
    firing = messages("evil\u0001\r\nBcc: x")[0]
    assert "\nBcc" not in firing.text()
    assert firing.text().replace("\n", "").isprintable()
    named = msgspec.structs.replace(firing, site="plant\u0000\u0007")
    assert named.attributes()["site"] == "plant??"
