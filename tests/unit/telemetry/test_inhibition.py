"""Alerts that are not told because another one explains them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from telemetry.alerting.transitions import Transition
from telemetry.notifying import inhibition as inhibiting
from telemetry.notifying.groups import Member
from telemetry.notifying.inhibition import (
    Inhibitor,
    Sources,
    decode_sources,
    encode_sources,
    remember,
    source_key,
    source_rules,
)
from telemetry.notifying.merge import FORGET_AFTER, merge
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import Inhibition, RuleSet
from tests.unit.notifier.desk import Desk
from tests.unit.notifier.samples import MINUTE, NOW, firing, then

RULES = parse_rules("""
inhibit: [{source: "gateway-*", target: "*", equal: [gateway]}]
rules:
  - {name: gateway-down, when: no_data(gateway), for: 2m}
  - {name: too-hot, when: temperature > 40}
""")
DOWN = firing("", rule="gateway-down", site="")


def member(transition: Transition) -> Member:
    group, _ = merge(Desk().group, RULES, [transition], NOW)
    return group.members[transition.alert_id]


def inhibits(source: Transition, target: Transition, *inhibitions: tuple[str, str, tuple[str, ...]]) -> bool:
    other = [Inhibition(source=glob, target=other, equal=equal) for glob, other, equal in inhibitions]
    rules = RuleSet(RULES.rules, other or RULES.inhibitions)
    return Inhibitor(rules, remember({}, [source], NOW).values(), NOW)(member(target))


class TestAfterTheSource:
    """A gateway is back with its first device that reports; the others are not silent, they have not reported yet."""

    RULES = parse_rules("""
    inhibit: [{source: "gateway-*", target: "*", equal: [gateway]}]
    rules:
      - {name: gateway-down, when: no_data(gateway), for: 3m}
      - {name: silent, when: no_data, for: 10m}
      - {name: too-hot, when: temperature > 40}
    """)
    OVER = remember({}, [then(DOWN, "resolved")], NOW)

    def inhibits(self, alert: Member, after: dt.timedelta, sources: Sources = OVER) -> bool:
        return Inhibitor(self.RULES, sources.values(), NOW + after)(alert)

    def test_should_inhibit_silences_until_they_would_be_known_without_the_source(self) -> None:
        silent = member(firing(rule="silent"))
        assert self.inhibits(silent, 12 * MINUTE)
        assert not self.inhibits(silent, 13 * MINUTE), "it has not reported since"
        assert not self.inhibits(member(firing(rule="silent", gateway="another")), MINUTE)

    def test_should_not_inhibit_what_readings_said(self) -> None:
        assert not self.inhibits(member(firing()), dt.timedelta(0))

    def test_should_not_hold_back_the_end_of_what_was_told(self) -> None:
        over = member(then(firing(rule="silent"), "resolved"))
        assert self.inhibits(over, MINUTE), "nobody was told of it, and nobody needs to be"
        assert not self.inhibits(msgspec.structs.replace(over, notified="firing"), MINUTE)

    def test_should_not_last_longer_when_the_end_was_written_by_a_clock_that_was_ahead(self) -> None:
        ahead = remember({}, [then(DOWN, "resolved")], NOW + dt.timedelta(hours=2))
        assert not self.inhibits(member(firing(rule="silent")), MINUTE, ahead)


def test_should_know_the_rules_that_may_inhibit() -> None:
    assert source_rules(RULES) == ["gateway-down"]
    assert source_rules(parse_rules("rules: [{name: plain, when: temperature > 1}]")) == []


def test_should_inhibit_what_has_the_same_labels_while_the_source_fires() -> None:
    assert inhibits(DOWN, firing())
    assert not inhibits(DOWN, firing(gateway="another"))
    assert not inhibits(then(DOWN, "resolved"), firing())
    assert inhibits(then(DOWN, "snoozed"), firing()), "a source that nobody wants to hear of explains as well"


@pytest.mark.parametrize(("label", "other"), [("site", "s2"), ("device", "d2"), ("severity", "info")])
def test_should_compare_any_label(label: str, other: str) -> None:
    alike: dict[str, Any] = {"site": "s1", "device": "d1", "severity": "warning", "gateway": "gw"}
    source, inhibition = firing(**alike, rule="gateway-down"), ("gateway-*", "too-*", (label,))
    assert inhibits(source, firing(**{**alike, "gateway": "gw2"}), inhibition)
    assert not inhibits(source, firing(**{**alike, label: other}), inhibition)


def test_should_inhibit_no_alert_by_itself_or_by_one_that_it_inhibits() -> None:
    assert not inhibits(DOWN, DOWN)
    other = firing("", rule="gateway-hot", site="")
    assert not inhibits(DOWN, other), "each is the other's source and target: neither would be told"
    assert inhibits(DOWN, other, ("gateway-down", "gateway-hot", ("gateway",)))


def test_should_only_inhibit_the_targets() -> None:
    assert not inhibits(DOWN, firing(), ("gateway-down", "battery-*", ("gateway",)))
    assert not inhibits(firing(), firing("d2"), ("gateway-down", "*", ("gateway",)))


def test_should_remember_sources_whatever_the_order_in_which_they_come() -> None:
    over = then(DOWN, "resolved")
    late = remember(remember({}, [over], NOW), [DOWN], NOW)
    assert [source.firing for source in late.values()] == [False]
    assert remember(late, [DOWN, over], NOW) is late


def test_should_forget_sources_that_are_long_over() -> None:
    known = remember({}, [DOWN, then(DOWN, "resolved")], NOW)
    another = firing("", rule="gateway-down", gateway="gw2")
    assert DOWN.alert_id in remember(known, [another], NOW + FORGET_AFTER - MINUTE)
    assert DOWN.alert_id not in remember(known, [another], NOW + FORGET_AFTER)


def test_should_keep_sources_small_enough_for_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inhibiting, "MAX_MEMBERS", 3)
    alerts = [firing("", rule="gateway-down", gateway=f"gw{number}") for number in range(5)]
    known: Sources = {}
    for minute, alert in enumerate(alerts):
        known = remember(known, [alert], NOW + minute * dt.timedelta(minutes=1))
    assert [source.gateway for source in known.values()] == ["gw4", "gw3", "gw2"]


def test_should_give_back_stored_sources_as_they_were() -> None:
    known = remember({}, [DOWN, firing("", rule="gateway-down", gateway="gw2")], NOW)
    assert decode_sources(encode_sources(known)) == known
    assert decode_sources(encode_sources({})) == {}


def test_should_keep_sources_apart_from_groups() -> None:
    assert not source_key("gateway-down").startswith("{")
