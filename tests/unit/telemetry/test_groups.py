"""Which alerts are told together, and how they are stored."""

from __future__ import annotations

import datetime as dt
import zlib

import msgspec
import pytest

from telemetry.notifying import merge as merging
from telemetry.notifying.dispatch import due_at, look, publications, settled
from telemetry.notifying.groups import (
    DEFAULT_POLICY,
    MAX_GROUP_BYTES,
    Group,
    decode_group,
    encode_group,
    group_key,
    labels_of,
    policy_of,
)
from telemetry.notifying.merge import MAX_MEMBERS, concerns_groups, merge
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from tests.unit.notifier.desk import RULES, Desk
from tests.unit.notifier.samples import MINUTE, NOW, SECOND, firing, then

EMPTY = parse_rules("rules: []")


def rules(group_by: str) -> RuleSet:
    return parse_rules(f"rules: [{{name: too-hot, when: temperature > 40, group_by: {group_by}, group_wait: 0s}}]")


def test_should_group_by_site_and_rule_unless_told_otherwise() -> None:
    (without,) = parse_rules("rules: [{name: plain, when: temperature > 40}]").rules
    assert set(without.group_by) == set(DEFAULT_POLICY.group_by)
    assert policy_of(EMPTY, "gone") == DEFAULT_POLICY
    for name in ("group_wait", "group_interval", "repeat_interval"):
        assert getattr(without, name) == getattr(DEFAULT_POLICY, name)


def test_should_name_a_group_by_what_its_alerts_have_in_common() -> None:
    alert = firing("d1", site="plant-1", gateway="gw-7")
    assert group_key(labels_of(RULES, alert)) == '{"rule":"too-hot","site":"plant-1"}'
    assert labels_of(rules("[gateway]"), alert) == {"gateway": "gw-7"}
    assert group_key(labels_of(rules("[]"), alert)) == "{}"


def test_should_keep_an_alert_in_its_group_when_it_escalates() -> None:
    by_severity, alert = rules("[severity]"), firing()
    escalated = then(alert, "escalated", severity="critical")
    assert labels_of(by_severity, alert) == labels_of(by_severity, escalated) == {"severity": "warning"}


def test_should_have_a_key_that_dynamodb_takes_for_the_longest_names() -> None:
    longest = dict.fromkeys(("device", "gateway", "site"), "\u0001" * 128)
    other = {**longest, "site": "\u0001" * 127}
    assert len(group_key(longest).encode()) <= 2048
    assert group_key(longest) != group_key(other)


def test_should_not_care_for_what_never_fired() -> None:
    assert concerns_groups(firing())
    assert not concerns_groups(firing(status="pending", change="pending", fired_at=None))
    assert not concerns_groups(firing(status="inactive", change="inactive", fired_at=None))
    assert not concerns_groups(firing(alert_id="", sequence=0, change="disabled", status="inactive"))


def test_should_not_repeat_what_is_grouped_otherwise_since_the_rules_were_edited() -> None:
    desk, alert = Desk(), firing()
    desk.take(alert)
    desk.wait(MINUTE)
    desk.rules = rules("[gateway]")
    assert desk.wait(dt.timedelta(days=1)) == []
    assert desk.group.empty


def realistic(count: int) -> Group:
    """A group in the worst moment of an outage: a notification on its way, and as much again to be told."""
    labels = {"rule": "freezer-warm", "site": "cold-store-eu-1"}
    group = Group(key=group_key(labels), labels=labels)
    alerts = [
        firing(
            f"freezer-{number * 7919 % 100_000:05}",
            rule="freezer-warm",
            site="cold-store-eu-1",
            gateway=f"gateway-{number % 211:03}",
            at=NOW + number * dt.timedelta(milliseconds=137),
        )
        for number in range(count)
    ]
    group, _ = merge(group, EMPTY, alerts[: count // 2], NOW)
    group = look(group, EMPTY, lambda _: False, NOW + MINUTE)
    group, _ = merge(group, EMPTY, alerts[count // 2 :], NOW + MINUTE)
    return group


def test_should_store_as_many_alerts_as_it_tracks_in_one_item() -> None:
    group = realistic(MAX_MEMBERS)
    assert len(group.members) == MAX_MEMBERS
    assert group.outbox
    stored = encode_group(group)
    assert len(stored) < MAX_GROUP_BYTES
    assert decode_group(stored) == group


def test_should_count_alerts_whose_names_do_not_fit() -> None:
    unlike = [
        firing(f"{number:x}" + "".join(chr(0x4E00 + (number * prime) % 20_000) for prime in PRIMES))
        for number in range(6_000)
    ]
    desk = Desk()
    group, _ = merge(desk.group, RULES, unlike, NOW)
    stored = encode_group(group)
    assert len(stored) <= MAX_GROUP_BYTES
    smaller = decode_group(stored)
    assert 0 < len(smaller.members) < 6_000
    assert len(smaller.members) + smaller.overflow.firing == 6_000
    told = look(smaller, RULES, lambda _: False, NOW + MINUTE).outbox
    assert told
    (notification,) = told.notifications
    assert (notification.firing, notification.at_least) == (6_000, True)
    assert notification.summary == "at least 6,000 firing: rule too-hot, site s1"


PRIMES = [prime for prime in range(3, 600) if all(prime % divisor for divisor in range(2, prime))]


class TestOverflow:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(merging, "MAX_MEMBERS", 3)

    def test_should_count_what_is_too_much_to_be_tracked(self) -> None:
        desk, alerts = Desk(), [firing(f"d{number}") for number in range(5)]
        desk.take(*alerts)
        (told,) = desk.wait(MINUTE)
        assert (told.firing, len(told.alerts), told.omitted, told.at_least) == (5, 3, 2, True)
        desk.take(*(then(alert, "resolved") for alert in alerts))
        (over,) = desk.wait(MINUTE)
        assert (over.state, over.firing, over.resolved, over.at_least) == ("resolved", 0, 5, True)

    def test_should_make_room_by_forgetting_what_is_over(self) -> None:
        desk, alerts = Desk(), [firing(f"d{number}") for number in range(5)]
        desk.take(*alerts[:3])
        desk.wait(MINUTE)
        desk.take(*(then(alert, "resolved") for alert in alerts[:3]))
        desk.wait(2 * MINUTE)
        desk.take(*alerts[3:])
        (told,) = desk.wait(MINUTE)
        assert (told.firing, told.at_least) == (2, False)

    def test_should_not_stay_alarmed_by_what_was_only_counted(self) -> None:
        desk, alerts = Desk(), [firing(f"d{number}") for number in range(5)]
        desk.take(*alerts)
        desk.wait(MINUTE)
        desk.take(*(then(alert, "resolved") for alert in alerts[:3]))
        (told,) = desk.wait(MINUTE)
        assert (told.state, told.firing, told.at_least) == ("firing", 2, True)
        assert desk.wait(dt.timedelta(days=2)) == []
        assert desk.group.empty


def test_should_give_back_a_stored_group_as_it_was() -> None:
    desk = Desk()
    desk.take(firing("d1"), firing("d2", held="acknowledged"))
    desk.now += 10 * SECOND
    for group in (desk.group, look(desk.group, RULES, lambda _: False, desk.now)):
        assert decode_group(encode_group(group)) == group
    assert settled(desk.group, []) is desk.group


def test_should_read_what_an_earlier_version_stored() -> None:
    desk = Desk()
    desk.take(firing("d1"), firing("d2", severity="page"))
    group = look(desk.group, RULES, lambda _: False, NOW + MINUTE)
    assert group.outbox
    stored, packed = msgspec.json.decode(zlib.decompress(encode_group(group)))
    outbox = stored["outbox"]
    del outbox["published"], outbox["notifications"], stored["more"]
    added = {"severities", "reports", "who", "why"}
    outbox["notification"] = {name: value for name, value in outbox["notification"].items() if name not in added}
    for alert in outbox["notification"]["alerts"]:
        del alert["who"], alert["why"]
    before = zlib.compress(msgspec.json.encode((stored, packed)))

    read = decode_group(before)
    assert read.outbox
    (waiting,) = read.outbox.notifications
    assert waiting.attributes() == {**group.outbox.notifications[0].attributes(), "severity": ["page"]}
    assert [member.severities for member in read.members.values()] == [("warning",), ("page",)]
    assert due_at(settled(read, publications(read.outbox)), RULES) == NOW + MINUTE + 60 * MINUTE, "as if reported then"


def test_should_store_groups_so_that_the_version_before_can_read_them() -> None:
    """A deployment may be rolled back: that version takes 14 fields of a member, and one notification."""
    desk = Desk()
    desk.take(firing("d1"), firing("d2", severity="page"))
    group = look(desk.group, RULES, lambda _: False, NOW + MINUTE)
    assert group.outbox
    stored, packed = msgspec.json.decode(zlib.decompress(encode_group(group)))
    assert [len(column) for column in packed] == [2] * 14
    assert stored["outbox"]["notification"]["notification_id"] == group.outbox.notifications[0].notification_id
