"""From messages of the queue to notifications, on a fake AWS."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lambdas.store.groups import GroupTable
from lambdas.store.items import ItemConflictError
from local.memory_aws.faults import Fault, client_error
from telemetry.alerting.transitions import Transition
from telemetry.notifying.merge import FORGET_AFTER
from telemetry.notifying.queue import Batch, Wake, encode_message
from tests.unit.notifier.deployment import VISIBILITY, Deployment
from tests.unit.notifier.samples import MINUTE, NOW, SECOND, firing, then

HOUR = dt.timedelta(hours=1)
DOWN = firing("", rule="gateway-down", site="", severity="critical")


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def calls(deployment: Deployment, *names: str) -> list[str]:
    """The operations that the deployment calls from now on, if they are named."""
    seen: list[str] = []
    original = deployment.faults.call

    def call(operation: str, *args: Any, **more: Any) -> Any:
        if operation in names:
            seen.append(operation)
        return original(operation, *args, **more)

    deployment.faults.call = call  # type: ignore[method-assign]
    return seen


def _refuse(**_: Any) -> Any:
    raise client_error("AuthorizationError", "PublishBatch")


def test_should_notify_by_its_own_wake_up_when_the_group_has_waited(deployment: Deployment) -> None:
    deployment.send(firing())
    assert deployment.run(4 * SECOND, watchdog=False) == []
    (told,) = deployment.run(SECOND, watchdog=False)
    assert [alert.device for alert in told.alerts] == ["d1"]
    assert deployment.run(HOUR, watchdog=False) == []
    assert deployment.sqs.messages == []


def test_should_write_each_transition_to_the_lake_even_those_that_are_never_told(deployment: Deployment) -> None:
    deployment.send(firing(status="pending", change="pending", fired_at=None), firing(alert_id="", change="disabled"))
    deployment.run(MINUTE)
    assert [line["change"] for line in deployment.firehose.lines] == ["pending", "disabled"]
    assert deployment.notifications == []
    assert deployment.dynamodb.tables["groups"] == {}


def test_should_write_a_group_once_for_all_messages_that_come_together(deployment: Deployment) -> None:
    seen = calls(deployment, "PutItem", "PutRecordBatch", "BatchGetItem", "SendMessageBatch")
    deployment.execute([encode_message(Batch([firing(f"d{number}")])) for number in range(30)])
    assert seen == ["PutRecordBatch", "BatchGetItem", "PutItem", "SendMessageBatch"]


def test_should_change_nothing_for_a_message_that_comes_again(deployment: Deployment) -> None:
    message = encode_message(Batch([firing()]))
    deployment.execute([message])
    seen = calls(deployment, "PutItem", "SendMessageBatch", "PublishBatch")
    deployment.execute([message, encode_message(Wake("no such group"))])
    assert seen == []
    assert deployment.total(lambda tally: tally.firing.total()) == 1


def test_should_be_woken_once_for_all_that_a_group_waits_for(deployment: Deployment) -> None:
    seen = calls(deployment, "PutItem", "SendMessageBatch")
    for device in ("d1", "d2", "d3"):
        deployment.execute([encode_message(Batch([firing(device)]))])
    assert seen == ["PutItem", "SendMessageBatch", "PutItem", "PutItem"]


def test_should_commit_publish_and_commit_again(deployment: Deployment) -> None:
    seen = calls(deployment, "PutItem", "PublishBatch")
    deployment.execute([encode_message(Batch([firing(rule="too-cold")]))])
    assert seen == ["PutItem", "PublishBatch", "PublishBatch", "PutItem"]


def test_should_repeat_by_the_watchdog_what_fires_for_long(deployment: Deployment) -> None:
    deployment.send(firing())
    deployment.run(MINUTE)
    (told,) = deployment.run(6 * HOUR + MINUTE, step=10 * SECOND)
    assert told.reason == "repeat"


def test_should_notify_by_the_watchdog_when_a_wake_up_is_lost(deployment: Deployment) -> None:
    deployment.send(firing())
    deployment.run(0 * SECOND)
    deployment.sqs.messages.clear()
    assert len(deployment.run(2 * MINUTE)) == 1


def test_should_delete_a_group_in_which_nothing_happens_any_more(deployment: Deployment) -> None:
    deployment.send(firing(), then(firing(), "resolved"))
    deployment.run(MINUTE)
    assert deployment.dynamodb.tables["groups"]
    deployment.clock.now += FORGET_AFTER
    deployment.run(2 * MINUTE)
    assert deployment.dynamodb.tables["groups"] == {}


def test_should_count_what_fired_and_resolved_by_severity(deployment: Deployment) -> None:
    deployment.send(firing("d1"), firing("d2", severity="page"), then(firing("d1"), "resolved"))
    deployment.run(MINUTE)
    (tally,) = [tally for tally in deployment.tallies if tally.firing]
    assert (tally.firing, tally.resolved) == ({"warning": 1, "page": 1}, {"warning": 1})
    (published,) = [tally for tally in deployment.tallies if tally.published]
    assert published.delays == [5.0], "from when it was seen to fire"


class TestInhibition:
    def test_should_not_tell_what_a_source_explains_that_comes_with_it(self, deployment: Deployment) -> None:
        silent = firing(rule="too-cold")
        deployment.send(silent, DOWN)
        told = deployment.run(10 * MINUTE)
        assert [alert.rule for one in told for alert in one.alerts] == ["gateway-down"]
        deployment.send(then(DOWN, "resolved"))
        assert [one.state for one in deployment.run(10 * SECOND)] == ["resolved"]
        assert [one.alerts[0].rule for one in deployment.run(2 * MINUTE)] == ["too-cold"]

    def test_should_tell_others_meanwhile(self, deployment: Deployment) -> None:
        deployment.send(DOWN)
        deployment.run(MINUTE)
        deployment.send(firing(gateway="another"))
        assert len(deployment.run(MINUTE)) == 1


class TestFailures:
    def test_should_tell_of_alerts_while_the_lake_takes_nothing(self) -> None:
        deployment = Deployment({0: Fault.DENIED})
        deployment.send(firing())
        assert len(deployment.run(MINUTE)) == 1
        assert deployment.firehose.lines == []
        deployment.run(VISIBILITY)
        assert len(deployment.firehose.lines) == 1, "it was delivered again"
        assert len(deployment.notifications) == 1

    def test_should_go_on_with_other_groups_when_one_cannot_be_written(self, deployment: Deployment) -> None:
        poison = encode_message(Batch([firing("poison")]))
        good = encode_message(Batch([firing(rule="too-cold")]))
        assert deployment.execute([poison, good]) == [poison]
        assert len(deployment.notifications) == 1

    def test_should_not_need_the_transitions_again_when_only_publishing_failed(self) -> None:
        # Calls: the lake, the groups, the sources, the commit, and then the topics.
        deployment = Deployment(dict.fromkeys((4, 5), Fault.DENIED))
        message = encode_message(Batch([firing(rule="too-cold")]))
        seen = calls(deployment, "PublishBatch")
        assert deployment.execute([message]) == []
        assert (len(seen), deployment.notifications) == (2, [])
        (told,) = deployment.run(MINUTE, watchdog=False)
        assert told.published_at == NOW, "the same as was to be published then"
        assert len(deployment.sns.texts) == 1

    def test_should_try_once_a_minute_while_sns_refuses_and_not_more_often_with_time(self) -> None:
        deployment = Deployment()
        deployment.sns.publish_batch = _refuse  # type: ignore[method-assign]
        seen = calls(deployment, "PutItem", "SendMessageBatch")
        for minute in range(40):
            deployment.send(firing(f"d{minute}", at=deployment.clock.now))
            deployment.run(MINUTE, step=5 * SECOND)
            assert seen.count("PutItem") + seen.count("SendMessageBatch") <= 6
            seen.clear()
        assert len(deployment.sqs.messages) < 10

    @pytest.mark.parametrize(("refusing", "programs", "people"), [(4, 0, 1), (5, 1, 0)])
    def test_should_publish_again_only_to_the_topic_that_refused(
        self, refusing: int, programs: int, people: int
    ) -> None:
        deployment = Deployment({refusing: Fault.DENIED})
        deployment.execute([encode_message(Batch([firing(rule="too-cold")]))])
        assert (len(deployment.sns.inbox), len(deployment.sns.texts)) == (programs, people)
        deployment.run(5 * MINUTE)
        assert (len(deployment.sns.inbox), len(deployment.sns.texts)) == (1, 1)

    def test_should_deliver_a_wake_up_again_when_publishing_failed(self, deployment: Deployment) -> None:
        deployment.execute([encode_message(Batch([firing()]))])
        deployment.clock.now += 5 * SECOND
        ((_, wake),) = deployment.sqs.messages
        next_calls = {deployment.faults.calls + offset: Fault.DENIED for offset in range(20)}
        planned = Deployment(next_calls)
        planned.dynamodb.tables = deployment.dynamodb.tables
        planned.clock.now = deployment.clock.now
        planned.faults.calls = deployment.faults.calls
        assert planned.execute([wake]) == [wake]

    def test_should_fail_everything_while_groups_cannot_be_read(self) -> None:
        deployment = Deployment(dict.fromkeys(range(1, 7), Fault.PARTLY_DONE))
        message = encode_message(Batch([firing()]))
        assert deployment.execute([message]) == [message]

    @pytest.mark.parametrize("transition", [firing(), DOWN])
    def test_should_deliver_again_what_others_keep_it_from_writing(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, transition: Transition
    ) -> None:
        tries: list[str] = []

        def overtaken(_: GroupTable, key: str, *__: Any) -> Any:
            tries.append(key)
            raise ItemConflictError(key)

        monkeypatch.setattr(GroupTable, "commit", overtaken)
        message = encode_message(Batch([transition]))
        assert deployment.execute([message]) == [message]
        assert all(tries.count(key) == 6 for key in tries)

    def test_should_publish_once_when_two_executions_meet(self) -> None:
        message = encode_message(Batch([firing(rule="too-cold")]))
        undisturbed = Deployment()
        undisturbed.execute([message])
        for call in range(undisturbed.faults.calls):
            deployment = Deployment({call: Fault.OVERTAKEN})
            assert deployment.execute([message]) == []
            deployment.run(5 * MINUTE)
            assert len(deployment.notifications) == 1, call
