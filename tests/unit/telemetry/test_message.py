"""What subscribers receive."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import pytest

from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import Notification, headline, notified
from tests.unit.notifier.samples import NOW, firing, then


def notification(*transitions: Transition, **fields: Any) -> Notification:
    alerts = list(transitions or [firing()])
    count = sum(alert.status == "firing" for alert in alerts)
    group = {"rule": "too-hot", "site": "s1"}
    usual: dict[str, Any] = {
        "notification_id": "0123456789abcdef0123",
        "reason": "new",
        "state": "firing" if count else "resolved",
        "severity": "critical",
        "group": group,
        "firing": count,
        "resolved": len(alerts) - count,
        "at_least": False,
        "summary": headline(group, count, len(alerts) - count, False, alerts),
        "rules": ["too-hot"],
        "sites": ["s1"],
        "alerts": [notified(alert) for alert in alerts],
        "omitted": 0,
        "published_at": NOW,
    }
    return Notification(**{**usual, **fields})


def test_should_say_when_an_alert_began_fired_and_ended() -> None:
    alert = notified(firing())
    assert (alert.status, alert.value, alert.condition, alert.resolved_at) == ("firing", 41.5, "temperature > 40", None)
    over = then(firing(), "resolved", value=30.0)
    assert notified(over).resolved_at == over.changed_at
    assert notified(over).fired_at == firing().fired_at


def test_should_say_times_in_utc() -> None:
    here = dt.timezone(dt.timedelta(hours=1))
    told = json.loads(notification(firing(changed_at=NOW.astimezone(here)), published_at=NOW).json())
    assert told["published_at"] == "2026-11-23T12:00:00Z"
    assert told["alerts"][0]["changed_at"] == "2026-11-23T12:00:00Z"


def test_should_be_summed_up_by_its_only_alert_or_else_by_counts() -> None:
    one, other = firing("d1"), firing("d2")
    assert headline({"site": "s1"}, 1, 0, False, [one]) == "d1 at 41.5 °C"
    assert headline({"site": "s1"}, 2, 0, False, [one]) == "2 firing: site s1"
    assert (
        headline({"site": "s1"}, 12000, 1, True, [one, other]) == "at least 12,000 firing, at least 1 resolved: site s1"
    )
    assert headline({}, 0, 2, False, [one, other]) == "2 resolved: all alerts"
    assert headline({"site": ""}, 1, 0, False, [firing(summary="")]) == "1 firing: site -"


def test_should_carry_attributes_to_filter_on() -> None:
    assert notification().attributes() == {
        "severity": ["critical"],
        "state": ["firing"],
        "rule": ["too-hot"],
        "site": ["s1"],
    }
    several = notification(rules=["a", "b"], sites=[""])
    assert several.attributes()["rule"] == ["a", "b"]
    assert "site" not in several.attributes(), "SNS takes no empty value"


def test_should_read_well_in_an_email() -> None:
    over = then(firing("d2", runbook=""), "resolved", after=dt.timedelta(minutes=9), summary="too-hot is over at d2")
    text = notification(firing(flapping=True, held="acknowledged"), over, firing("d3", summary=""), omitted=1200).text()
    assert text.splitlines() == [
        "[FIRING] critical: 2 firing, 1 resolved: rule too-hot, site s1",
        "",
        "FIRING warning: d1 at 41.5 °C (since 2026-11-23 11:59:59 UTC, flapping, acknowledged)",
        "RESOLVED warning: too-hot is over at d2 (2026-11-23 11:59:59 UTC to 2026-11-23 12:08:59 UTC)",
        "FIRING warning: too-hot at d3 (since 2026-11-23 11:59:59 UTC)",
        "and 1,200 more: iot alerts list",
        "",
        "Group: rule too-hot, site s1: 2 firing, 1 resolved",
        "Runbook: docs/hot.md",
        "Notification: 0123456789abcdef0123 (new)",
    ]


@pytest.mark.parametrize("summary", ["", "hot " * 20, "\N{FIRE}" * 5000])
def test_should_fit_into_a_text_message(summary: str) -> None:
    told = notification(*(firing(f"d{number}", summary=summary) for number in range(100)), summary=f"hot {summary}")
    lines = told.text().splitlines()
    assert len(told.text().encode()) <= 1600, "https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html"
    assert lines[0].startswith("[FIRING] critical: hot")
    listed = [line for line in lines if line.startswith("FIRING")]
    assert f"and {100 - len(listed)} more: iot alerts list" in lines
    assert lines[-1] == "Notification: 0123456789abcdef0123 (new)"


def test_should_say_who_ended_an_alert_and_why() -> None:
    told = notification(then(firing(), "resolved", summary="too-hot is over at d1", who="jo", why="is broken"))
    assert (told.alerts[0].who, told.alerts[0].why) == ("jo", "is broken")
    assert "2026-11-23 12:00:59 UTC, ended by jo: is broken)" in told.text()


def test_should_say_in_the_subject_what_an_email_is_about() -> None:
    assert notification().subject() == "[FIRING] critical: d1 at 41.5 ?C"
    assert notification(reason="repeat").subject() == "[FIRING, still] critical: d1 at 41.5 ?C"


def test_should_keep_the_subject_within_what_sns_takes() -> None:
    subject = notification(summary="µ\n" * 64).subject()
    assert len(subject) == 99
    assert subject.isascii()
    assert subject.isprintable()


def test_should_keep_control_characters_out_of_what_sqs_and_mail_get() -> None:
    told = notification(
        firing(summary="evil\u0001\r\nBcc: x"), firing("d2"), group={"site": "plant\u0000"}, sites=["plant\u0000\uffff"]
    )
    assert "\nBcc" not in told.text()
    assert told.text().replace("\n", "").isprintable()
    assert told.attributes()["site"] == ["plant??"]
    assert all(char >= " " and char != "\uffff" for char in told.json())


def test_should_halve_what_is_too_long_and_count_the_rest() -> None:
    names = [f"n{number}" for number in range(10)]
    told = notification(*(firing(name) for name in names), sites=names, omitted=5)
    short = told.shortened()
    assert [alert.device for alert in short.alerts] == names[:5]
    assert short.omitted == 10
    assert short.attributes() == told.attributes(), "filter policies match it as before"
    assert short.shortened().shortened().shortened().alerts == []


@pytest.mark.parametrize("name", ["recorded_at", "change"])
def test_should_not_tell_subscribers_what_is_internal(name: str) -> None:
    (alert,) = msgspec.to_builtins(notification(firing()))["alerts"]
    assert name not in alert


@pytest.mark.parametrize("change", ["acknowledged", "unsnoozed", "enabled"])
def test_should_not_tell_subscribers_who_holds_an_alert_and_why(change: str) -> None:
    for alert in (firing(), then(firing(), "resolved")):
        (told,) = notification(then(alert, change, who="jo", why="a secret")).alerts
        assert (told.who, told.why) == ("", "")
