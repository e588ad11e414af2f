"""What goes through the transitions queue, and what becomes of it whatever its order."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import NotifiedAlert
from telemetry.notifying.queue import MAX_BYTES_PER_MESSAGE, Batch, Wake, batches, decode_message, encode_message
from tests.unit.notifier.desk import Desk
from tests.unit.notifier.histories import Delivery, check_each_alert, deliveries, silenced
from tests.unit.notifier.samples import MINUTE, NOW, SECOND, firing, then


class TestMessages:
    def test_should_give_back_what_was_sent(self) -> None:
        for message in (Batch([firing(), then(firing(), "resolved")]), Wake('{"rule":"too-hot"}')):
            assert decode_message(encode_message(message)) == message

    def test_should_cut_many_transitions_into_messages_that_the_queue_takes(self) -> None:
        transitions = [firing(f"d{number}") for number in range(2000)]
        cut = list(batches(transitions))
        assert [transition for batch in cut for transition in batch.transitions] == transitions
        sizes = [len(encode_message(batch).encode()) for batch in cut]
        assert max(sizes) <= MAX_BYTES_PER_MESSAGE + 100
        assert min(sizes[:-1]) > MAX_BYTES_PER_MESSAGE - 2000, "no more messages than need be"
        assert list(batches([])) == []

    def test_should_hold_no_character_that_the_queue_refuses(self) -> None:
        batch = Batch([firing("evil\u0000\ufffe\uffff")])
        text = encode_message(batch)
        assert all(char >= " " and char not in "\ufffe\uffff" for char in text)
        assert decode_message(text) == batch

    @pytest.mark.parametrize("body", ["", "{}", '{"type":"wake"}', '{"type":"transitions","transitions":[{}]}'])
    def test_should_refuse_what_is_no_message(self, body: str) -> None:
        with pytest.raises(msgspec.DecodeError):
            decode_message(body)


def told(desk: Desk, way: list[Delivery]) -> dict[str, list[NotifiedAlert]]:
    """What was told of each alert once all is delivered and quiet: in updates, as repetitions are asked for."""
    for wait, transitions, inhibited in way:
        desk.inhibited = lambda member, inhibited=inhibited: member.device in inhibited  # type: ignore[misc]
        desk.wait(wait)
        desk.take(*transitions)
    desk.inhibited = lambda _: False
    desk.wait(10 * MINUTE)
    by_alert: dict[str, list[NotifiedAlert]] = {}
    for notification in desk.sent:
        assert notification.reason != "repeat", "an hour has not passed"
        assert notification.omitted == 0
        for alert in notification.alerts:
            by_alert.setdefault(alert.alert_id, []).append(alert)
    return by_alert


@given(deliveries())
def test_should_tell_how_each_alert_ended_up_whatever_the_order_of_its_transitions(
    delivered: tuple[list[list[Transition]], list[Delivery]],
) -> None:
    alerts, way = delivered
    by_alert = told(Desk(), way)
    check_each_alert(alerts, by_alert)
    for life in alerts:
        if not any(silenced(transition) for transition in life):
            assert by_alert[life[0].alert_id][-1].status == life[-1].status
            assert by_alert[life[0].alert_id][-1].severity == life[-1].severity


@given(deliveries(inhibiting=True))
def test_should_tell_what_still_fires_when_nothing_inhibits_it_any_more(
    delivered: tuple[list[list[Transition]], list[Delivery]],
) -> None:
    alerts, way = delivered
    check_each_alert(alerts, told(Desk(), way))


def test_should_tell_of_a_large_outage_in_a_handful_of_messages() -> None:
    desk = Desk()
    alerts = [firing(f"device-{number:05}", at=NOW + number // 100 * SECOND) for number in range(10_000)]
    for start in range(0, len(alerts), 500):
        desk.take(*alerts[start : start + 500])
        desk.wait(5 * SECOND)
    desk.wait(5 * MINUTE)
    assert len(desk.sent) <= 5
    assert desk.sent[-1].firing == 10_000
    listed = [len(told.alerts) for told in desk.sent]
    assert listed == [100] * len(desk.sent)
    assert sum(told.omitted + len(told.alerts) for told in desk.sent) == 10_000
    desk.take(*(then(alert, "resolved", after=10 * MINUTE) for alert in alerts))
    (over,) = desk.wait(5 * MINUTE)
    assert (over.state, over.firing, over.resolved, len(over.alerts)) == ("resolved", 0, 10_000, 100)
