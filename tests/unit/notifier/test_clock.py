"""The notifier while its clock is hours ahead or behind, and the clocks of SQS and the watchdog are right."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lambdas.notifier.clock import corrected
from local.memory_aws.faults import Fault
from telemetry.notifying.queue import Batch, encode_message
from tests.unit.notifier.deployment import VISIBILITY, Deployment
from tests.unit.notifier.samples import MINUTE, NOW, SECOND, firing, then

HOUR = dt.timedelta(hours=1)

pytestmark = pytest.mark.parametrize("off", [2 * HOUR, -2 * HOUR], ids=["ahead", "behind"])


def test_should_report_what_came_while_the_clock_was_wrong(off: dt.timedelta) -> None:
    deployment = Deployment()
    deployment.ahead = off
    deployment.send(firing("d1"))
    deployment.run(2 * SECOND)
    deployment.ahead = dt.timedelta(0)
    assert len(deployment.run(MINUTE, watchdog=False)) == 1, "its wake-up was on its way"


def test_should_report_in_a_busy_group_what_waits_longer_than_a_wake_up(off: dt.timedelta) -> None:
    deployment = Deployment()
    deployment.ahead = off
    for number in range(12):
        deployment.send(firing(f"d{number}", at=deployment.clock.now))
        deployment.run(20 * SECOND)
    deployment.ahead = dt.timedelta(0)
    deployment.run(3 * MINUTE)
    told = {alert.device for each in deployment.notifications for alert in each.alerts}
    assert told == {f"d{number}" for number in range(12)}


def test_should_publish_again_what_was_refused_while_the_clock_was_wrong(off: dt.timedelta) -> None:
    deployment = Deployment(dict.fromkeys((4, 5), Fault.DENIED))
    deployment.ahead = off
    deployment.execute([encode_message(Batch([firing(rule="too-cold")]))])
    assert deployment.notifications == []
    deployment.ahead = dt.timedelta(0)
    assert len(deployment.run(3 * MINUTE, watchdog=False)) == 1


def test_should_publish_what_an_execution_left_that_was_killed(off: dt.timedelta) -> None:
    deployment = Deployment({4: Fault.KILLED_BEFORE})
    deployment.ahead = off
    deployment.send(firing(rule="too-cold"))
    deployment.run(SECOND)
    deployment.ahead = dt.timedelta(0)
    assert len(deployment.run(VISIBILITY + 2 * MINUTE)) == 1


def test_should_report_the_end_of_what_it_reported(off: dt.timedelta) -> None:
    deployment, alert = Deployment(), firing("d1")
    deployment.ahead = off
    deployment.send(alert)
    deployment.run(MINUTE)
    deployment.ahead = dt.timedelta(0)
    deployment.send(then(alert, "resolved"))
    deployment.run(2 * MINUTE)
    assert [each.state for each in deployment.notifications] == ["firing", "resolved"]


def test_should_take_its_time_from_sqs_when_its_clock_cannot_be_right(off: dt.timedelta) -> None:
    def record(received_after: dt.timedelta, count: str = "1") -> dict[str, Any]:
        sent, received = NOW.timestamp() * 1000, (NOW + received_after).timestamp() * 1000
        return {
            "attributes": {
                "SentTimestamp": f"{sent:.0f}",
                "ApproximateFirstReceiveTimestamp": f"{received:.0f}",
                "ApproximateReceiveCount": count,
            }
        }

    wrong = corrected(lambda: NOW + off, [record(SECOND), record(2 * SECOND)])
    assert abs(wrong() - NOW) <= 2 * SECOND
    right = lambda: NOW + 3 * SECOND  # noqa: E731
    assert corrected(right, [record(SECOND)]) is right
    assert corrected(right, [{}]) is right, "an emulator may say nothing"
    late = lambda: NOW + 2 * HOUR  # noqa: E731
    assert corrected(late, [record(SECOND, count="2")]) is late, "a message that was tried before may be as old as that"
