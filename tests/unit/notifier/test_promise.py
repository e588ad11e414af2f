"""What is promised of notifications, held against everything that may go wrong between the queue and the topic."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from local.memory_aws.faults import Fault
from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import Notification, NotifiedAlert
from tests.unit.notifier.deployment import Deployment
from tests.unit.notifier.histories import Delivery, check_each_alert, deliveries, silenced
from tests.unit.notifier.samples import SECOND

STEP = 5 * SECOND

#: Each fault may cost a message one time of waiting until it is seen again, and a look at a group a minute.
LONG_ENOUGH = dt.timedelta(minutes=45)

faults = st.dictionaries(st.integers(0, 40), st.sampled_from(Fault), max_size=8)


@given(deliveries(), faults)
def test_should_tell_how_each_alert_ended_up_whatever_fails_on_the_way(
    delivered: tuple[list[list[Transition]], list[Delivery]], planned: dict[int, Fault]
) -> None:
    alerts, way = delivered
    deployment = Deployment(planned)
    for delivery in way:
        deployment.run(delivery.wait, step=STEP)
        deployment.send(*delivery.transitions)
    deployment.run(LONG_ENOUGH, step=STEP)

    first_of_each: dict[str, Notification] = {}
    for notification in deployment.notifications:
        known = first_of_each.setdefault(notification.notification_id, notification)
        assert known == notification, "what is published again is the same"
        assert notification.reason != "repeat"
    by_alert: dict[str, list[NotifiedAlert]] = {}
    for notification in first_of_each.values():
        for alert in notification.alerts:
            by_alert.setdefault(alert.alert_id, []).append(alert)
    check_each_alert(alerts, by_alert)
    for life in alerts:
        if not any(silenced(transition) for transition in life):
            assert by_alert[life[0].alert_id][-1].status == life[-1].status

    in_texts = {text.rsplit("Notification: ", 1)[1].split()[0] for text in deployment.sns.texts}
    assert in_texts == set(first_of_each), "people are told what programs are told"
    in_lake = {(line["alert_id"], line["sequence"]) for line in deployment.firehose.lines}
    assert in_lake == {(transition.alert_id, transition.sequence) for life in alerts for transition in life}
    assert deployment.sqs.messages == []
