"""Who is notified of what: filter policies as SNS matches them, against the alerts that messages are about."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.sns.utils import FilterPolicyMatcher

from lambdas.store.topic import message_attributes
from telemetry.alerting.transitions import Transition
from telemetry.notifying.groups import group_key, labels_of
from telemetry.notifying.message import MAX_NAMES, Notification
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import SEVERITIES, RuleSet
from tests.unit.notifier.desk import Desk
from tests.unit.notifier.samples import MINUTE, NOW, SECOND, firing, then

HOUR = dt.timedelta(hours=1)
Policy = Mapping[str, Sequence[str]]


def rules(group_by: str) -> RuleSet:
    return parse_rules(f"""
    defaults: {{group_by: {group_by}, group_wait: 5s, group_interval: 1m, repeat_interval: 1h}}
    rules:
      - {{name: too-hot, when: temperature > 40}}
      - {{name: too-cold, when: temperature < 0}}
      - {{name: battery-low, when: battery < 2}}
    """)


def matches(policy: Policy, notification: Notification) -> bool:
    """Return whether SNS delivers the notification, with its attributes as they are published."""
    attributes = {
        name: {"Type": value["DataType"], "Value": value["StringValue"]}
        for name, value in message_attributes(notification).items()
    }
    return FilterPolicyMatcher(dict(policy), "MessageAttributes").matches(attributes, "")


class Room:
    """All groups, each with its desk."""

    def __init__(self, group_by: str = "[site, rule]") -> None:
        self.rules = rules(group_by)
        self.desks: dict[str, Desk] = {}

    def take(self, *transitions: Transition) -> None:
        by_group: dict[str, list[Transition]] = {}
        for transition in transitions:
            by_group.setdefault(group_key(labels_of(self.rules, transition)), []).append(transition)
        for key, some in by_group.items():
            self.desks.setdefault(key, Desk(self.rules, alert=some[0])).take(*some)

    def wait(self, time: dt.timedelta) -> None:
        for desk in self.desks.values():
            desk.wait(time)

    @property
    def sent(self) -> list[Notification]:
        return [notification for desk in self.desks.values() for notification in desk.sent]

    def received(self, policy: Policy) -> list[tuple[str, str, str]]:
        """What a subscriber was told: devices, their statuses and severities."""
        return [
            (alert.device, alert.status, alert.severity)
            for notification in self.sent
            if matches(policy, notification)
            for alert in notification.alerts
        ]


class TestEnds:
    def test_should_tell_the_end_to_whom_the_alert_was_told_whatever_else_its_group_does(self) -> None:
        """Case 7: d1 pages and ends, while d2 of the same group fires and is acknowledged."""
        room, d1, d2 = Room(), firing("d1", severity="critical"), firing("d2", severity="critical")
        room.take(d1)
        room.wait(15 * MINUTE)
        paged = then(d1, "escalated", severity="page")
        room.take(paged)
        room.wait(10 * MINUTE)
        room.take(d2, then(d2, "acknowledged", after=SECOND))
        room.wait(5 * MINUTE)
        room.take(then(paged, "resolved"))
        room.wait(5 * MINUTE)
        assert room.received({"severity": ["page"]}) == [("d1", "firing", "page"), ("d1", "resolved", "page")]
        over = room.sent[-1]
        assert (over.state, over.severities) == ("resolved", ["critical", "page"])
        assert over.attributes()["state"] == ["resolved"]

    def test_should_not_tell_a_pager_of_the_warnings_of_a_group(self) -> None:
        """Case 7b: a battery warning fires all the time, and a critical alert fires and ends."""
        room, hot = Room("[site]"), firing("d1", severity="critical")
        room.take(firing("d2", rule="battery-low"))
        room.wait(MINUTE)
        room.take(hot, firing("d3", rule="battery-low"))
        room.wait(5 * MINUTE)
        room.take(then(hot, "resolved"))
        room.wait(5 * MINUTE)
        assert room.received({"severity": ["critical", "page"]}) == [
            ("d1", "firing", "critical"),
            ("d1", "resolved", "critical"),
        ]
        assert [device for device, *_ in room.received({"severity": ["warning"]})] == ["d2", "d3"]

    def test_should_tell_everybody_who_heard_of_an_alert_that_its_severity_is_another_one(self) -> None:
        room, alert = Room(), firing("d1", severity="page")
        room.take(alert)
        room.wait(MINUTE)
        milder = then(alert, "severity", severity="warning")
        room.take(milder)
        room.wait(5 * MINUTE)
        room.take(then(milder, "resolved"))
        room.wait(5 * MINUTE)
        told = [("d1", "firing", "page"), ("d1", "firing", "warning"), ("d1", "resolved", "warning")]
        assert room.received({"severity": ["page"]}) == told
        assert room.received({"severity": ["warning"]}) == told[1:]

    def test_should_remind_only_those_whom_the_alert_concerns_now(self) -> None:
        room, alert = Room(), firing("d1", severity="page")
        room.take(alert)
        room.wait(MINUTE)
        room.take(then(alert, "severity", severity="warning"))
        room.wait(5 * HOUR)
        assert len(room.received({"severity": ["page"]})) == 2
        assert len(room.received({"severity": ["warning"]})) > 4

    def test_should_not_tell_a_pager_of_the_end_of_what_never_paged(self) -> None:
        room, alert = Room(), firing("d1")
        room.take(alert)
        room.wait(MINUTE)
        paged = then(alert, "escalated", severity="page")
        room.take(paged, then(paged, "resolved", after=SECOND))
        room.wait(5 * MINUTE)
        assert room.received({"severity": ["page"]}) == []
        assert [status for _, status, _ in room.received({"severity": ["warning"]})] == ["firing", "resolved"]


class TestSplitting:
    def test_should_not_take_one_alerts_rule_and_anothers_site_for_an_alert(self) -> None:
        room = Room("[]")
        room.take(firing("d1", rule="too-hot", site="s1"), firing("d2", rule="too-cold", site="s2"))
        room.wait(MINUTE)
        assert room.received({"rule": ["too-hot"], "site": ["s2"]}) == []
        assert room.received({"rule": ["too-hot"], "site": ["s1"]}) == [("d1", "firing", "warning")]

    def test_should_have_as_few_messages_as_attributes_allow(self) -> None:
        """One of a site, whatever the rules; of many sites, rules with the same sites together."""
        room = Room("[]")
        room.take(
            *(firing(f"d{n}", site=f"s{n % 50}", rule=rule) for n in range(100) for rule in ("too-hot", "too-cold"))
        )
        room.take(firing("b", site="s1", rule="battery-low"))
        room.wait(MINUTE)
        assert [(told.rules, len(told.sites), told.firing) for told in room.sent] == [
            (["battery-low"], 1, 1),
            (["too-cold", "too-hot"], 50, 200),
        ]

    def test_should_name_every_site_in_some_message(self) -> None:
        room = Room("[rule]")
        room.take(*(firing(f"d{number}", site=f"s{number:03}") for number in range(250)))
        room.wait(MINUTE)
        assert [len(told.sites) for told in room.sent] == [MAX_NAMES, MAX_NAMES, 50]
        assert all(matches({"site": [f"s{number:03}"]}, room.sent[number // MAX_NAMES]) for number in range(250))


class Life(NamedTuple):
    """An alert with all its transitions, and how long to wait before each of them."""

    transitions: list[Transition]
    waits: list[dt.timedelta]


@st.composite
def lives(draw: st.DrawFn, device: str) -> Life:
    sites, names = ["s1", "s2", "s2", ""], ["too-hot", "too-cold", "battery-low"]
    severities = st.sampled_from(["warning", "warning", "warning", "critical", "page"])
    life = [
        firing(device, site=draw(st.sampled_from(sites)), rule=draw(st.sampled_from(names)), severity=draw(severities))
    ]
    for severity in draw(st.lists(severities, max_size=2)):
        life.append(then(life[-1], "escalated", severity=severity))
    if draw(st.booleans()):
        life.append(then(life[-1], "resolved"))
    waits = st.sampled_from([dt.timedelta(0), SECOND, 20 * SECOND, 2 * MINUTE, HOUR])
    return Life(life, [draw(waits) for _ in life])


def values(*names: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)


some = {
    "severity": values("warning", "critical", "page"),
    "rule": values("too-hot", "too-cold", "battery-low"),
    "site": values("s1", "s2"),
}
policies = st.one_of(
    st.fixed_dictionaries({}, optional=some),
    st.fixed_dictionaries({"rule": st.just(["too-hot"]), "site": st.just(["s1"])}),
    st.fixed_dictionaries({"severity": st.just(["page"]), "rule": st.just(["too-hot"])}),
)
groupings = st.sampled_from(["[]", "[]", "[site]", "[rule]", "[site, rule]", "[device, rule]", "[severity]"])


@given(st.data(), groupings, policies)
def test_should_tell_the_end_to_whoever_heard_of_an_alert_and_nothing_to_whom_no_alert_concerns(
    data: st.DataObject, group_by: str, policy: dict[str, list[str]]
) -> None:
    alerts = [data.draw(lives(f"d{number}")) for number in range(data.draw(st.integers(1, 6)))]
    room = Room(group_by)
    for turn in itertools.zip_longest(*(zip(life.transitions, life.waits, strict=True) for life in alerts)):
        for transition, wait in filter(None, turn):
            room.wait(wait)
            room.take(transition)
    room.wait(10 * MINUTE)

    def concerns(alert: Any, severities: set[str]) -> bool:
        """Return whether the policy selects an alert that is or was told with these severities."""
        return (
            bool(severities & set(policy.get("severity", severities)))
            and alert.rule in policy.get("rule", [alert.rule])
            and alert.site in policy.get("site", [alert.site])
        )

    told_with: dict[str, set[str]] = {}
    heard: set[str] = set()
    for notification in sorted(room.sent, key=lambda each: each.published_at):
        received = matches(policy, notification)
        assert notification.omitted == 0
        selected = [concerns(alert, set(notification.severities)) for alert in notification.alerts]
        assert received is any(selected), "it is about an alert that the policy selects, and all of those are received"
        for alert in notification.alerts:
            before = told_with.setdefault(alert.alert_id, set())
            if alert.status == "firing":
                assert alert.severity in notification.severities
                assert set(notification.severities) <= before | {alert.severity}, "no severity that it never had"
                before.add(alert.severity)
            mine = concerns(alert, before | {alert.severity} if alert.status == "firing" else before)
            if alert.alert_id in heard and notification.reason != "repeat":
                assert received, "what was heard of is heard of to its end"
            if received and mine and alert.status == "firing":
                heard.add(alert.alert_id)
    over = {life.transitions[-1].alert_id for life in alerts if life.transitions[-1].status == "resolved"}
    ended = {
        alert.alert_id
        for notification in room.sent
        if matches(policy, notification)
        for alert in notification.alerts
        if alert.status == "resolved"
    }
    assert heard & over <= ended


@pytest.mark.parametrize("severity", SEVERITIES)
def test_should_never_page_for_a_warning(severity: str) -> None:
    room = Room("[]")
    room.take(*(firing(f"d{number}", severity=each) for number, each in enumerate(SEVERITIES * 3)), firing("x", at=NOW))
    room.wait(MINUTE)
    assert {told for *_, told in room.received({"severity": [severity]})} == {severity}
