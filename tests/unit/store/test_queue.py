"""The transitions queue, against moto and against one that refuses."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.store.queue import SendError, TransitionsQueue
from telemetry.notifying.queue import Batch, Wake, decode_message
from tests.unit.notifier.samples import firing


class Recorder:
    """SQS, as far as it takes what it is given; refuses the message of the n-th call whose number is ``refused``."""

    def __init__(self, refused: int | None = None) -> None:
        self._refused = refused
        self.requests: list[list[str]] = []

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "url"
        assert 0 < len(Entries) <= 10
        assert sum(len(entry["MessageBody"].encode()) for entry in Entries) <= 256 * 1024
        self.requests.append([entry["MessageBody"] for entry in Entries])
        failed = [{"Id": "0", "Code": "InternalError"}] if len(self.requests) == self._refused else []
        return {"Successful": [], "Failed": failed}


def test_should_deliver_transitions_and_wake_ups() -> None:
    with mock_aws():
        client = boto3.client("sqs")
        url = client.create_queue(QueueName="transitions")["QueueUrl"]
        queue = TransitionsQueue(client, url)
        queue.send([firing("d1"), firing("d2")])
        queue.wake({'{"rule":"too-hot"}': 0, "later": 900})
        received = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [decode_message(message["Body"]) for message in received] == [
        Batch([firing("d1"), firing("d2")]),
        Wake('{"rule":"too-hot"}'),
    ]


def test_should_send_any_number_in_order_within_the_limits_of_a_request() -> None:
    recorder, transitions = Recorder(), [firing(f"d{number}") for number in range(3000)]
    TransitionsQueue(recorder, "url").send(transitions)  # type: ignore[arg-type]
    messages = [decode_message(body) for request in recorder.requests for body in request]
    assert [t for batch in messages if isinstance(batch, Batch) for t in batch.transitions] == transitions
    assert len(recorder.requests) > 1


def test_should_send_nothing_where_there_is_nothing() -> None:
    recorder = Recorder()
    TransitionsQueue(recorder, "url").send([])  # type: ignore[arg-type]
    assert recorder.requests == []


def test_should_raise_when_a_message_is_refused_and_send_nothing_after_it() -> None:
    recorder, transitions = Recorder(refused=2), [firing(f"d{number}") for number in range(3000)]
    with pytest.raises(SendError, match="SQS refused 1 of 1 messages with transitions: InternalError"):
        TransitionsQueue(recorder, "url").send(transitions)  # type: ignore[arg-type]
    assert len(recorder.requests) == 2


def test_should_wake_any_number_of_groups_also_where_a_wake_up_is_refused() -> None:
    recorder = Recorder(refused=1)
    with pytest.raises(SendError, match="SQS refused 1 of 25 wake-ups: InternalError"):
        TransitionsQueue(recorder, "url").wake({f"g{number}": number for number in range(25)})  # type: ignore[arg-type]
    assert [len(request) for request in recorder.requests] == [10, 10, 5]


def test_should_make_messages_visible_at_once() -> None:
    with mock_aws():
        client = boto3.client("sqs")
        url = client.create_queue(QueueName="transitions")["QueueUrl"]
        queue = TransitionsQueue(client, url)
        queue.wake({f"g{number}": 0 for number in range(12)})
        handles: list[str] = []
        while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            handles += [message["ReceiptHandle"] for message in messages]
        assert len(handles) == 12
        queue.release(handles)
        assert len(client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 10
