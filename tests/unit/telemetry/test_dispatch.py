"""When a group of alerts is told, and what of it."""

from __future__ import annotations

import datetime as dt
import itertools

import msgspec
import pytest

from telemetry.notifying.dispatch import OUTBOX_PATIENCE, Publication, clamped, due_at, look, publications, settled
from telemetry.notifying.groups import decode_group, encode_group
from telemetry.notifying.merge import FORGET_AFTER
from telemetry.notifying.message import Notification
from telemetry.rules.parse import parse_rules
from tests.unit.notifier.desk import RULES, Desk
from tests.unit.notifier.samples import MINUTE, NOW, SECOND, firing, then

HOUR = dt.timedelta(hours=1)


def devices(notification: Notification) -> list[tuple[str, str]]:
    return [(alert.device, alert.status) for alert in notification.alerts]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_should_tell_of_an_alert_after_its_group_has_waited(desk: Desk) -> None:
    desk.take(firing())
    assert desk.wait(4 * SECOND) == []
    (told,) = desk.wait(SECOND)
    assert (told.reason, told.state, told.severity, told.firing, told.resolved) == ("new", "firing", "warning", 1, 0)
    assert devices(told) == [("d1", "firing")]
    assert told.group == {"rule": "too-hot", "site": "s1"}
    assert told.summary == "d1 at 41.5 °C"


def test_should_tell_together_what_comes_together(desk: Desk) -> None:
    desk.take(firing("d1"))
    desk.now += SECOND
    desk.take(firing("d2", severity="critical"))
    desk.take(firing("d3", at=NOW - SECOND))
    severe, told = desk.wait(MINUTE)
    assert (severe.severity, severe.firing, devices(severe)) == ("critical", 1, [("d2", "firing")])
    assert devices(told) == [("d3", "firing"), ("d1", "firing")], "the oldest first"
    assert (told.severity, told.firing) == ("warning", 2)
    assert told.summary == "2 firing: rule too-hot, site s1"


def test_should_tell_the_end_of_an_alert(desk: Desk) -> None:
    alert = firing()
    desk.take(alert)
    desk.wait(MINUTE)
    desk.take(then(alert, "resolved", summary="too-hot is over at d1"))
    (told,) = desk.wait(MINUTE)
    assert (told.reason, told.state, told.firing, told.resolved) == ("update", "resolved", 0, 1)
    assert told.alerts[0].resolved_at == told.alerts[0].changed_at
    assert told.summary == "too-hot is over at d1"
    assert desk.wait(HOUR) == []


def test_should_tell_as_resolved_what_began_and_ended_between_two_messages(desk: Desk) -> None:
    alert = firing()
    desk.take(alert, then(alert, "resolved", after=SECOND))
    (told,) = desk.wait(MINUTE)
    assert (told.reason, told.state, devices(told)) == ("new", "resolved", [("d1", "resolved")])
    assert told.alerts[0].fired_at == alert.fired_at


def test_should_not_raise_an_alert_from_the_dead_when_its_end_came_first(desk: Desk) -> None:
    alert = firing()
    desk.take(then(alert, "resolved", after=SECOND))
    assert [told.state for told in desk.wait(MINUTE)] == ["resolved"]
    assert desk.take(alert) == []
    assert desk.wait(3 * HOUR) == []


def test_should_tell_nothing_twice_when_transitions_come_again(desk: Desk) -> None:
    alert = firing()
    over = then(alert, "resolved")
    desk.take(alert, alert)
    desk.wait(MINUTE)
    desk.take(alert, over)
    desk.wait(MINUTE)
    assert desk.take(over, alert) == []
    assert len(desk.sent) == 2
    assert desk.wait(HOUR) == []


def test_should_forget_a_group_in_which_nothing_happens_any_more(desk: Desk) -> None:
    alert = firing()
    desk.take(alert, then(alert, "resolved"))
    desk.wait(FORGET_AFTER - MINUTE)
    assert desk.group.members
    desk.wait(2 * MINUTE)
    assert desk.group.empty
    assert due_at(desk.group, RULES) is None


def test_should_wait_twice_as_long_each_time_while_changes_go_on_coming(desk: Desk) -> None:
    for number in range(400):
        desk.take(firing(f"d{number}"))
        desk.wait(SECOND)
    moments = [int((told.published_at - NOW).total_seconds()) for told in desk.sent]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    # The next change comes a second after each message, and the wait begins there; group_interval is a minute.
    assert (moments[0], gaps[:3]) == (5, [10, 20, 40])
    assert set(gaps[3:]) == {60}


def test_should_be_quick_again_after_a_quiet_interval(desk: Desk) -> None:
    for number in range(3):
        desk.take(firing(f"d{number}"))
        desk.wait(30 * SECOND)
    assert [told.published_at - NOW for told in desk.sent] == [5 * SECOND, 40 * SECOND, 80 * SECOND]
    desk.wait(MINUTE)
    before = desk.now
    desk.take(firing("late"))
    (told,) = desk.wait(MINUTE)
    assert told.published_at - before == 5 * SECOND


def test_should_be_quick_after_a_repetition(desk: Desk) -> None:
    for number in range(20):
        desk.take(firing(f"d{number}"))
        desk.wait(5 * SECOND)
    desk.wait(5 * MINUTE)
    assert desk.group.burst > 2
    while desk.sent[-1].reason != "repeat":
        desk.wait(10 * SECOND)
    before = desk.now
    desk.take(firing("late"))
    (told,) = desk.wait(2 * MINUTE)
    assert told.published_at - before == 5 * SECOND


def test_should_tell_at_once_where_the_rule_does_not_wait() -> None:
    desk = Desk(parse_rules("rules: [{name: too-hot, when: temperature > 40, group_wait: 0s}]"))
    desk.take(firing("d1"))
    assert len(desk.sent) == 1
    desk.take(firing("d2"))
    assert len(desk.wait(SECOND)) == 0
    assert len(desk.wait(SECOND)) == 1


def test_should_tell_again_what_still_fires(desk: Desk) -> None:
    desk.take(firing())
    desk.wait(MINUTE)
    first, second = desk.wait(2 * HOUR)
    assert (first.reason, devices(first)) == ("repeat", [("d1", "firing")])
    assert second.published_at - first.published_at == HOUR
    assert first.notification_id != second.notification_id


def test_should_tell_that_an_alert_escalated(desk: Desk) -> None:
    alert = firing()
    desk.take(alert)
    desk.wait(MINUTE)
    desk.take(then(alert, "escalated", severity="page"))
    (told,) = desk.wait(MINUTE)
    assert (told.reason, told.severity) == ("update", "page")


def test_should_not_repeat_what_was_acknowledged_but_tell_its_end(desk: Desk) -> None:
    alert = firing()
    desk.take(alert)
    desk.wait(MINUTE)
    acknowledged = then(alert, "acknowledged")
    desk.take(acknowledged)
    assert desk.wait(3 * HOUR) == []
    desk.take(then(acknowledged, "resolved"))
    assert [told.state for told in desk.wait(MINUTE)] == ["resolved"]


@pytest.mark.parametrize(("hold", "release"), [("snoozed", "unsnoozed"), ("disabled", "enabled")])
class TestHolds:
    def test_should_tell_nothing_while_held_and_what_still_fires_when_released(
        self, desk: Desk, hold: str, release: str
    ) -> None:
        alert = firing()
        held = then(alert, hold, after=SECOND)
        desk.take(alert, held)
        assert desk.wait(3 * HOUR) == []
        desk.take(then(held, release))
        assert [devices(told) for told in desk.wait(MINUTE)] == [[("d1", "firing")]]

    def test_should_tell_again_what_was_told_before_it_was_held(self, desk: Desk, hold: str, release: str) -> None:
        alert = firing()
        desk.take(alert)
        desk.wait(MINUTE)
        held = then(alert, hold)
        desk.take(held)
        assert desk.wait(3 * HOUR) == []
        desk.take(then(held, release))
        assert [(told.reason, told.firing) for told in desk.wait(MINUTE)] == [("update", 1)]

    def test_should_never_tell_what_began_and_ended_while_held(self, desk: Desk, hold: str, release: str) -> None:
        alert = firing(held=hold)
        over = then(alert, "resolved")
        desk.take(alert)
        desk.wait(MINUTE)
        desk.take(over)
        desk.wait(HOUR)
        desk.take(then(over, release))
        desk.wait(HOUR)
        assert desk.sent == []

    def test_should_tell_the_end_of_what_was_told_and_only_once(self, desk: Desk, hold: str, release: str) -> None:
        alert = firing()
        desk.take(alert)
        desk.wait(MINUTE)
        held = then(alert, hold)
        over = then(held, "resolved")
        desk.take(held, over)
        assert [told.state for told in desk.wait(MINUTE)] == ["resolved"]
        desk.take(then(over, release))
        assert desk.wait(HOUR) == []


class TestInhibition:
    def test_should_tell_what_still_fires_once_it_is_no_longer_inhibited(self, desk: Desk) -> None:
        desk.inhibited = lambda member: member.device == "d1"
        desk.take(firing("d1"), firing("d2"))
        (told,) = desk.wait(10 * MINUTE)
        assert (devices(told), told.firing) == ([("d2", "firing")], 1)
        desk.inhibited = lambda _: False
        (told,) = desk.wait(MINUTE)
        assert (devices(told), told.firing) == ([("d1", "firing")], 2)

    def test_should_never_tell_what_ended_before_it_could_be_told(self, desk: Desk) -> None:
        alert = firing()
        desk.inhibited = lambda _: True
        desk.take(alert)
        desk.wait(10 * MINUTE)
        desk.inhibited = lambda _: False
        desk.take(then(alert, "resolved"))
        assert desk.wait(3 * HOUR) == []

    def test_should_drop_what_is_over_when_it_is_first_looked_at(self, desk: Desk) -> None:
        alert = firing()
        desk.inhibited = lambda _: True
        desk.take(alert, then(alert, "resolved"))
        desk.wait(10 * MINUTE)
        desk.inhibited = lambda _: False
        assert desk.wait(3 * HOUR) == []

    def test_should_not_stay_due_while_what_is_to_be_repeated_is_inhibited(self, desk: Desk) -> None:
        """The queue would wake the group without end."""
        desk.take(firing("d1"))
        desk.wait(MINUTE)
        desk.inhibited = lambda _: True
        assert desk.wait(5 * HOUR) == []
        due = due_at(look(desk.group, RULES, desk.inhibited, desk.now), RULES)
        assert due
        assert due > desk.now
        desk.inhibited = lambda _: False
        (told,) = desk.wait(2 * MINUTE)
        assert (told.reason, told.firing) == ("repeat", 1)

    def test_should_tell_the_end_of_what_was_told_before_it_was_inhibited(self, desk: Desk) -> None:
        alert = firing()
        desk.take(alert)
        desk.wait(MINUTE)
        desk.inhibited = lambda _: True
        assert desk.wait(3 * HOUR) == [], "nor is it repeated"
        desk.take(then(alert, "resolved"))
        assert desk.wait(10 * MINUTE) == []
        desk.inhibited = lambda _: False
        assert [told.state for told in desk.wait(MINUTE)] == ["resolved"]


class TestOutbox:
    def test_should_publish_what_a_crash_left_as_it_was_before_anything_new(self, desk: Desk) -> None:
        desk.take(firing("d1"))
        now = NOW + 5 * SECOND
        crashed = look(desk.group, RULES, desk.inhibited, now)
        assert crashed.outbox
        desk.group, desk.now = crashed, now
        desk.take(firing("d2"))
        assert desk.group.outbox is None, "the desk publishes whatever is in the outbox"
        desk.group, desk.sent = crashed, []
        assert look(crashed, RULES, desk.inhibited, now + OUTBOX_PATIENCE - SECOND) is crashed
        taken_over = look(crashed, RULES, desk.inhibited, now + OUTBOX_PATIENCE)
        assert taken_over.outbox
        assert taken_over.outbox.notifications == crashed.outbox.notifications
        assert look(taken_over, RULES, desk.inhibited, now + OUTBOX_PATIENCE) is taken_over, "one takes it over"

    def test_should_make_the_same_notification_when_a_look_is_repeated(self, desk: Desk) -> None:
        desk.take(firing("d1"), firing("d2"))
        first, second = (look(desk.group, RULES, desk.inhibited, NOW + wait * SECOND).outbox for wait in (5, 9))
        assert first is not None
        assert second is not None
        assert [each.notification_id for each in first.notifications] == [
            each.notification_id for each in second.notifications
        ]

    def test_should_leave_another_notification_in_the_outbox(self, desk: Desk) -> None:
        desk.take(firing())
        waiting = look(desk.group, RULES, desk.inhibited, NOW + MINUTE)
        assert waiting.outbox
        another = msgspec.structs.replace(waiting.outbox.notifications[0], notification_id="another")
        assert settled(waiting, [Publication(another, "people")]) is waiting

    def test_should_keep_what_one_topic_refused(self, desk: Desk) -> None:
        desk.take(firing("d1"), firing("d2", severity="page"))
        waiting = look(desk.group, RULES, desk.inhibited, NOW + MINUTE)
        assert waiting.outbox
        every = publications(waiting.outbox)
        assert [(each.notification.severity, each.audience) for each in every] == [
            ("page", "programs"),
            ("page", "people"),
            ("warning", "programs"),
            ("warning", "people"),
        ]
        partly = decode_group(encode_group(settled(waiting, every[1:3])))
        assert partly.outbox
        assert publications(partly.outbox) == [every[0], every[3]]
        assert settled(partly, every).outbox is None


class TestRepetitionsInBusyGroups:
    def test_should_remind_of_all_that_is_due_however_busy_the_group_is(self, desk: Desk) -> None:
        desk.take(firing("d1"), firing("d2"))
        for number in range(150):
            over = firing(f"x{number}", at=desk.now)
            desk.take(over)
            desk.wait(MINUTE)
            desk.take(then(over, "resolved"))
            desk.wait(MINUTE)
        repeats = [told for told in desk.sent if told.reason == "repeat"]
        assert [told.published_at - NOW for told in repeats] == [number * HOUR + 5 * SECOND for number in (1, 2, 3, 4)]
        assert all({name for name, _ in devices(told)} == {"d1", "d2"} for told in repeats)

    def test_should_have_one_reminder_for_alerts_that_fired_one_after_another(self, desk: Desk) -> None:
        for number in range(10):
            desk.take(firing(f"d{number}", at=desk.now))
            desk.wait(5 * MINUTE)
        told = [told for told in desk.wait(3 * HOUR) if told.reason == "repeat"]
        assert sum(len(each.alerts) for each in told) >= 3 * 10
        assert len(told) <= 2 * 4, "twice an interval at the most, and not ten times"

    def test_should_not_remind_of_what_was_told_less_than_half_of_the_interval_ago(self, desk: Desk) -> None:
        desk.take(firing("d1"))
        desk.wait(45 * MINUTE)
        desk.take(firing("d2", at=desk.now))
        told = [told for told in desk.wait(2 * HOUR) if told.reason == "repeat"]
        assert [[name for name, _ in devices(each)] for each in told] == [["d1"], ["d1", "d2"]]

    def test_should_not_be_quick_again_in_a_storm_because_of_a_reminder(self, desk: Desk) -> None:
        desk.take(firing("first"))
        for number in range(400):
            desk.take(firing(f"d{number}", at=desk.now))
            desk.wait(10 * SECOND)
        reminded = next(told.published_at for told in desk.sent if told.reason == "repeat")
        news = [told.published_at for told in desk.sent if told.reason != "repeat"]
        before, after = max(at for at in news if at < reminded), min(at for at in news if at > reminded)
        assert after - before >= MINUTE


class TestClocks:
    """What an execution wrote whose clock was two hours ahead or behind."""

    @pytest.mark.parametrize("off", [2 * HOUR, -2 * HOUR])
    def test_should_hold_nothing_back(self, desk: Desk, off: dt.timedelta) -> None:
        desk.now += off
        desk.take(firing("d1"))
        desk.now -= off
        desk.look()
        desk.wait(5 * SECOND)
        assert len(desk.sent) == 1

    @pytest.mark.parametrize("off", [2 * HOUR, -2 * HOUR])
    def test_should_report_what_comes_next_and_repeat_it_in_time(self, desk: Desk, off: dt.timedelta) -> None:
        desk.now += off
        desk.take(firing("d1"))
        desk.wait(10 * SECOND)
        desk.now -= off
        desk.take(firing("d2"))
        sent = desk.wait(2 * HOUR)
        news, repeats = ([each for each in sent if (each.reason == "repeat") is again] for again in (False, True))
        assert [devices(each) for each in news] == [[("d2", "firing")]]
        assert devices(repeats[-1]) == [("d1", "firing"), ("d2", "firing")]
        assert repeats[0].published_at <= NOW + HOUR + MINUTE
        assert len(repeats) <= 3

    def test_should_take_over_an_outbox_that_was_claimed_in_the_future(self, desk: Desk) -> None:
        desk.take(firing("d1"))
        ahead = look(desk.group, RULES, desk.inhibited, NOW + 2 * HOUR)
        assert ahead.outbox
        claimed = clamped(ahead, NOW)
        assert due_at(claimed, RULES) == NOW + OUTBOX_PATIENCE
        assert clamped(claimed, NOW) is claimed

    def test_should_look_again_at_what_was_inhibited(self, desk: Desk) -> None:
        desk.inhibited = lambda _: True
        desk.now += 2 * HOUR
        desk.take(firing("d1"))
        desk.wait(10 * SECOND)
        desk.now -= 2 * HOUR
        desk.look()
        desk.inhibited = lambda _: False
        assert len(desk.wait(2 * MINUTE)) == 1
