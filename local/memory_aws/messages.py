"""SQS, SNS and Firehose in memory."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.memory_aws.faults import Faults


class SQS:
    """One standard queue."""

    def __init__(self, faults: Faults, clock: Callable[[], dt.datetime]) -> None:
        self._faults = faults
        self._clock = clock
        self.messages: list[tuple[float, str]] = []

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        entries: Sequence[Mapping[str, Any]] = request["Entries"]
        assert 0 < len(entries) <= 10
        assert sum(len(entry["MessageBody"].encode()) for entry in entries) <= 256 * 1024

        def sent(refused: set[str]) -> dict[str, Any]:
            for entry in entries:
                if entry["Id"] not in refused:
                    self._put(entry["MessageBody"], entry.get("DelaySeconds", 0))
            return {"Failed": [{"Id": entry_id, "Code": "InternalError"} for entry_id in sorted(refused)]}

        return self._faults.call("SendMessageBatch", lambda: sent(set()), partly=lambda: sent({entries[0]["Id"]}))

    def _put(self, body: str, delay: int) -> None:
        assert 0 <= delay <= 900
        self.put_back([body], delay)

    def next_visible_at(self) -> dt.datetime | None:
        """Return when the next message is or was visible; None where there is none."""
        earliest = min((visible_at for visible_at, _ in self.messages), default=None)
        return None if earliest is None else dt.datetime.fromtimestamp(earliest, dt.UTC)

    def receive(self, most: int) -> list[str]:
        """Take out at most so many of the messages that are visible by now."""
        now = self._clock().timestamp()
        visible = [message for message in self.messages if message[0] <= now][:most]
        for message in visible:
            self.messages.remove(message)
        return [body for _, body in visible]

    def put_back(self, bodies: Sequence[str], after: float) -> None:
        """Make messages that were received and not processed visible again after so many seconds."""
        self.messages += [(self._clock().timestamp() + after, body) for body in bodies]


class SNS:
    """Topics; ``inbox`` is what a program got that subscribes to the topic of programs, ``texts`` what people got.

    As SNS itself, it sends no attributes with a message of the structure JSON; unlike it, it says so.
    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.messages: dict[str, list[Mapping[str, Any]]] = {}

    @property
    def inbox(self) -> list[dict[str, Any]]:
        """The messages that are JSON."""
        bodies = [message["Message"] for messages in self.messages.values() for message in messages]
        return [json.loads(body) for body in bodies if body.startswith("{")]

    @property
    def texts(self) -> list[str]:
        """The messages that are not."""
        bodies = [message["Message"] for messages in self.messages.values() for message in messages]
        return [body for body in bodies if not body.startswith("{")]

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        entries: Sequence[Mapping[str, Any]] = request["PublishBatchRequestEntries"]
        assert 0 < len({entry["Id"] for entry in entries}) == len(entries) <= 10
        assert sum(map(_size, entries)) <= 256 * 1024
        for entry in entries:
            assert 0 < len(entry["Subject"]) < 100
            assert "MessageStructure" not in entry or not entry.get("MessageAttributes"), "SNS sends no attributes then"

        def published(refused: set[str]) -> dict[str, Any]:
            accepted = [entry for entry in entries if entry["Id"] not in refused]
            self.messages.setdefault(request["TopicArn"], []).extend(accepted)
            return {"Failed": [{"Id": entry_id, "Code": "InternalError"} for entry_id in sorted(refused)]}

        return self._faults.call("PublishBatch", lambda: published(set()), partly=lambda: published({entries[0]["Id"]}))


def _size(entry: Mapping[str, Any]) -> int:
    texts = [text for name, value in entry["MessageAttributes"].items() for text in (name, *value.values())]
    assert all(texts), "SNS accepts no empty value"
    return sum(len(text.encode()) for text in (entry["Message"], entry["Subject"], *texts))


class Firehose:
    """One delivery stream; ``lines`` is what it delivered."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.lines: list[dict[str, Any]] = []

    def put_record_batch(self, **request: Any) -> dict[str, Any]:
        records = [record["Data"] for record in request["Records"]]
        assert 0 < len(records) <= 500

        def put(first: int) -> dict[str, Any]:
            for data in records[first:]:
                self.lines += [json.loads(line) for line in data.splitlines()]
            responses = [{"ErrorCode": "ServiceUnavailableException"}] * first + [{"RecordId": "r"}] * (
                len(records) - first
            )
            return {"FailedPutCount": first, "RequestResponses": responses}

        return self._faults.call("PutRecordBatch", lambda: put(0), partly=lambda: put(1))
