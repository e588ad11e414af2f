"""DynamoDB, SNS and S3 as the detector uses them, and a plan of what goes wrong at which of its calls."""

from __future__ import annotations

import enum
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.eventsource import Killed

T = TypeVar("T")


class Fault(enum.Enum):
    """What may go wrong at a call."""

    THROTTLED = "ThrottlingException"
    DENIED = "AccessDeniedException"
    PARTLY_DONE = "some keys are left unprocessed, or some messages refused"
    TIMED_OUT = "the call is done, but its answer never comes"
    KILLED_BEFORE = "the execution environment dies before the call"
    KILLED_AFTER = "the execution environment dies after the call"
    OVERTAKEN = "another execution of the same event runs from start to end before the call"


class Faults:
    """The plan: the fault at the n-th call, counted over all clients and executions."""

    def __init__(self, planned: Mapping[int, Fault]) -> None:
        self._planned = planned
        self.calls = 0
        self.overtake: Callable[[], None] = lambda: None

    def call(self, operation: str, do: Callable[[], T], *, partly: Callable[[], T] | None = None) -> T:
        """``do`` or what the plan has instead."""
        fault = self._planned.get(self.calls)
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


def client_error(code: str, operation: str) -> ClientError:
    """The error as the SDK raises it."""
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


class DynamoDB:
    """One table. A read that does not ask for consistency gets each item's version before the last."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.items: dict[str, dict[str, Any]] = {}
        self._before: dict[str, dict[str, Any]] = {}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        ((table, wanted),) = request["RequestItems"].items()
        keys = wanted["Keys"]
        assert 0 < len(keys) <= 100
        source = self.items if wanted.get("ConsistentRead") else self._before

        def got(first: int) -> dict[str, Any]:
            found = [source[key["gateway"]["S"]] for key in keys[:first] if key["gateway"]["S"] in source]
            left = {table: {**wanted, "Keys": keys[first:]}} if keys[first:] else {}
            return {"Responses": {table: found}, "UnprocessedKeys": left}

        return self._faults.call("BatchGetItem", lambda: got(len(keys)), partly=lambda: got(len(keys) // 2))

    def put_item(self, **request: Any) -> None:
        assert request["ConditionExpression"] == "attribute_not_exists(gateway) OR version = :expected"
        item, expected = request["Item"], request["ExpressionAttributeValues"][":expected"]
        key = item["gateway"]["S"]

        def put() -> None:
            old = self.items.get(key)
            if old and old["version"] != expected:
                raise client_error("ConditionalCheckFailedException", "PutItem")
            if old:
                self._before[key] = old
            self.items[key] = item

        self._faults.call("PutItem", put)


class SNS:
    """One topic; ``inbox`` is what a subscriber got. It never accepts a message about the device ``poison``."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.inbox: list[dict[str, Any]] = []

    def publish_batch(self, **request: Any) -> dict[str, Any]:
        batch = request["PublishBatchRequestEntries"]
        entries = {entry["Id"]: json.loads(json.loads(entry["Message"])["default"]) for entry in batch}
        assert 0 < len(entries) == len(batch) <= 10

        def published(refused: set[str]) -> dict[str, Any]:
            refused |= {entry_id for entry_id, message in entries.items() if message["device"] == "poison"}
            self.inbox += [message for entry_id, message in entries.items() if entry_id not in refused]
            return {"Failed": [{"Id": entry_id, "Code": "InternalError"} for entry_id in sorted(refused)]}

        return self._faults.call(
            "PublishBatch", lambda: published(set()), partly=lambda: published({next(iter(entries))})
        )


class S3:
    """One object."""

    def __init__(self, faults: Faults, body: bytes) -> None:
        self._faults = faults
        self._body = body

    def get_object(self, **request: Any) -> dict[str, Any]:
        def got() -> dict[str, Any]:
            if request["IfNoneMatch"] == '"etag"':
                raise client_error("304", "GetObject")
            return {"ETag": '"etag"', "Body": io.BytesIO(self._body)}

        return self._faults.call("GetObject", got)
