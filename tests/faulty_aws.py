"""AWS as the alerting functions use it, and a plan of what goes wrong at which of its calls."""

from __future__ import annotations

import datetime as dt
import enum
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.eventsource import Clock, Killed

T = TypeVar("T")


class Fault(enum.Enum):
    """What may go wrong at a call."""

    THROTTLED = "ThrottlingException"
    DENIED = "AccessDeniedException"
    PARTLY_DONE = "some keys are left unprocessed, or some entries refused"
    TIMED_OUT = "the call is done, but its answer never comes"
    KILLED_BEFORE = "the execution environment dies before the call"
    KILLED_AFTER = "the execution environment dies after the call"
    OVERTAKEN = "another execution of the same event runs from start to end before the call"


class Faults:
    """The plan: the fault at the n-th call, counted over all clients and executions."""

    def __init__(self, planned: Mapping[int, Fault]) -> None:
        self.planned = planned
        self.calls = 0
        self.overtake: Callable[[], None] = lambda: None

    def call(self, operation: str, do: Callable[[], T], *, partly: Callable[[], T] | None = None) -> T:
        """``do`` or what the plan has instead."""
        fault = self.planned.get(self.calls)
        self.calls += 1
        match fault:
            case Fault.PARTLY_DONE if partly:
                return partly()
            case Fault.THROTTLED | Fault.DENIED:
                raise client_error(fault.value, operation)
            case Fault.KILLED_BEFORE:
                raise Killed
            case Fault.OVERTAKEN:
                self.overtake()
        answer = do()
        if fault is Fault.TIMED_OUT:
            raise ReadTimeoutError(endpoint_url="https://aws")
        if fault is Fault.KILLED_AFTER:
            raise Killed
        return answer


class ConditionalCheckFailedException(ClientError):  # noqa: N818 - the SDK's name
    """As the client's ``exceptions`` have it."""


class _Exceptions:
    ConditionalCheckFailedException = ConditionalCheckFailedException


def client_error(code: str, operation: str) -> ClientError:
    """The error as the SDK raises it."""
    kind = ConditionalCheckFailedException if code == "ConditionalCheckFailedException" else ClientError
    return kind({"Error": {"Code": code, "Message": code}}, operation)


Key = tuple[str, ...]


class DynamoDB:
    """Tables by name, with the names of their keys, and a sparse index "due" of each.

    A read that does not ask for consistency gets each item's version before the last. A state that speaks of a device
    "poison" is never accepted. It knows the expressions that
    the alerting functions use, and refuses others.
    """

    exceptions = _Exceptions

    def __init__(self, faults: Faults, keys: Mapping[str, tuple[str, ...]]) -> None:
        self._faults = faults
        self._keys = keys
        self.tables: dict[str, dict[Key, dict[str, Any]]] = {table: {} for table in keys}
        self._before: dict[str, dict[Key, dict[str, Any]]] = {table: {} for table in keys}

    def _key(self, table: str, item: Mapping[str, Any]) -> Key:
        return tuple(item[name]["S"] for name in self._keys[table])

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        ((table, wanted),) = request["RequestItems"].items()
        keys = wanted["Keys"]
        assert 0 < len(keys) <= 100
        assert len({self._key(table, key) for key in keys}) == len(keys)
        source = self.tables[table] if wanted.get("ConsistentRead") else self._before[table]

        def got(first: int) -> dict[str, Any]:
            found = [source[key] for key in (self._key(table, item) for item in keys[:first]) if key in source]
            left = {table: {**wanted, "Keys": keys[first:]}} if keys[first:] else {}
            return {"Responses": {table: found}, "UnprocessedKeys": left}

        return self._faults.call("BatchGetItem", lambda: got(len(keys)), partly=lambda: got(len(keys) // 2))

    def put_item(self, **request: Any) -> None:
        table, item = request["TableName"], request["Item"]
        if b'"poison"' in zlib.decompress(item["state"]["B"]):
            raise client_error("ValidationException", "PutItem")
        self._write("PutItem", table, self._key(table, item), request, lambda _: dict(item))

    def delete_item(self, **request: Any) -> None:
        table = request["TableName"]
        self._write("DeleteItem", table, self._key(table, request["Key"]), request, lambda _: None)

    def update_item(self, **request: Any) -> None:
        table, key = request["TableName"], self._key(request["TableName"], request["Key"])
        self._write("UpdateItem", table, key, request, lambda old: _updated({**request["Key"], **(old or {})}, request))

    def _write(
        self,
        operation: str,
        table: str,
        key: Key,
        request: Mapping[str, Any],
        change: Callable[[dict[str, Any] | None], dict[str, Any] | None],
    ) -> None:
        def write() -> None:
            old = self.tables[table].get(key)
            if not _holds(request["ConditionExpression"], old, request.get("ExpressionAttributeValues", {})):
                raise client_error("ConditionalCheckFailedException", operation)
            if old:
                self._before[table][key] = old
            new = change(old)
            if new is None:
                self.tables[table].pop(key, None)
            else:
                self.tables[table][key] = new

        self._faults.call(operation, write)

    def get_paginator(self, operation: str) -> _DuePages:
        assert operation == "query"
        return _DuePages(self, self._faults)


class _DuePages:
    def __init__(self, dynamodb: DynamoDB, faults: Faults) -> None:
        self._dynamodb = dynamodb
        self._faults = faults

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        assert request["IndexName"] == "due"
        assert request["KeyConditionExpression"] == "timer = :timer AND due <= :now"
        timer, now = (request["ExpressionAttributeValues"][name]["N"] for name in (":timer", ":now"))
        items = self._dynamodb.tables[request["TableName"]].values()
        due = [
            item
            for item in items
            if "due" in item and item["timer"]["N"] == timer and int(item["due"]["N"]) <= int(now)
        ]
        yield self._faults.call("Query", lambda: {"Items": sorted(due, key=lambda item: int(item["due"]["N"]))})


def _holds(condition: str, item: Mapping[str, Any] | None, values: Mapping[str, Any]) -> bool:
    return any(_clause_holds(clause, item, values) for clause in condition.split(" OR "))


def _clause_holds(clause: str, item: Mapping[str, Any] | None, values: Mapping[str, Any]) -> bool:
    if absent := re.fullmatch(r"attribute_not_exists\((\w+)\)", clause):
        return item is None or absent[1] not in item
    equal = re.fullmatch(r"(\w+) = (:\w+)", clause)
    assert equal, clause
    return item is not None and item.get(equal[1]) == values[equal[2]]


def _updated(item: dict[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    clauses = re.fullmatch(r"(?:SET (?P<set>.+?))? ?(?:REMOVE (?P<remove>.+))?", request["UpdateExpression"])
    assert clauses
    for assignment in filter(None, (clauses["set"] or "").split(", ")):
        name, _, value = assignment.partition(" = ")
        item[name] = request["ExpressionAttributeValues"][value]
    for name in filter(None, (clauses["remove"] or "").split(", ")):
        item.pop(name, None)
    return item


class SQS:
    """One standard queue."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
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
        self.messages.append((self._clock.now.timestamp() + delay, body))

    def next_visible_at(self) -> dt.datetime | None:
        """When the next message is or was visible; None where there is none."""
        earliest = min((visible_at for visible_at, _ in self.messages), default=None)
        return None if earliest is None else dt.datetime.fromtimestamp(earliest, dt.UTC)

    def receive(self, most: int) -> list[str]:
        """Take out what is visible by now, at most so many."""
        now = self._clock.now.timestamp()
        visible = [message for message in self.messages if message[0] <= now][:most]
        for message in visible:
            self.messages.remove(message)
        return [body for _, body in visible]

    def put_back(self, bodies: Sequence[str], after: float) -> None:
        """What was received and not processed is visible again after so many seconds."""
        self.messages += [(self._clock.now.timestamp() + after, body) for body in bodies]


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


class S3:
    """The rules, and no other object."""

    def __init__(self, faults: Faults, body: bytes) -> None:
        self._faults = faults
        self._body = body

    def get_object(self, **request: Any) -> dict[str, Any]:
        def got() -> dict[str, Any]:
            if request["Key"] != "rules.yaml":
                raise client_error("NoSuchKey", "GetObject")
            if request["IfNoneMatch"] == '"etag"':
                raise client_error("304", "GetObject")
            return {"ETag": '"etag"', "Body": io.BytesIO(self._body)}

        return self._faults.call("GetObject", got)
