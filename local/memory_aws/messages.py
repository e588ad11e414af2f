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

    def send_message(self, **request: Any) -> None:
        self._faults.call("SendMessage", lambda: self._put(request["MessageBody"], request.get("DelaySeconds", 0)))

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
    """One topic; ``inbox`` is what a subscriber got."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.inbox: list[dict[str, Any]] = []

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        batch = request["PublishBatchRequestEntries"]
        entries = {entry["Id"]: json.loads(json.loads(entry["Message"])["default"]) for entry in batch}
        assert 0 < len(entries) == len(batch) <= 10

        def published(refused: set[str]) -> dict[str, Any]:
            self.inbox += [message for entry_id, message in entries.items() if entry_id not in refused]
            return {"Failed": [{"Id": entry_id, "Code": "InternalError"} for entry_id in sorted(refused)]}

        return self._faults.call(
            "PublishBatch", lambda: published(set()), partly=lambda: published({next(iter(entries))})
        )

    def publish(self, **request: Any) -> None:
        message = json.loads(json.loads(request["Message"])["default"])
        self._faults.call("Publish", lambda: self.inbox.append(message))


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
