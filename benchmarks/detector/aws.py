"""AWS as the contenders use it, in memory and without a network, each call in about a microsecond.

What the calls take is added up, to be told beside the figures.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import wraps
from time import process_time
from typing import Any, TypeVar, cast

from botocore.exceptions import ClientError

_Call = TypeVar("_Call", bound=Callable[..., Any])


class Clients:
    """What ``boto3.client`` gives in place of the real ones; the detector's tables are empty at first."""

    def __init__(self, rules: bytes) -> None:
        self.seconds = 0.0
        self.calls = 0
        self.transitions = 0
        self._by_name: dict[str, object] = {"dynamodb": _Table(self), "sqs": _Queue(self), "s3": _Bucket(self, rules)}

    def client(self, name: str, **_: object) -> object:
        """The one client of a service."""
        return self._by_name[name]

    def tell(self) -> dict[str, float]:
        """What was called and how long that took, and the transitions that were sent."""
        return {"aws_calls": self.calls, "aws_seconds": self.seconds, "transitions": self.transitions}


class _Client:
    def __init__(self, clients: Clients) -> None:
        self.clients = clients


def _timed(call: _Call) -> _Call:
    @wraps(call)
    def timed(self: _Client, **request: Any) -> object:
        began = process_time()
        try:
            return call(self, **request)
        finally:
            self.clients.seconds += process_time() - began
            self.clients.calls += 1

    return cast("_Call", timed)


def _refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "")


class _Table(_Client):
    """DynamoDB with one table of (gateway, part); the only conditions are on ``version``, as the detector's are."""

    def __init__(self, clients: Clients) -> None:
        super().__init__(clients)
        self._items: dict[tuple[str, str], dict[str, Any]] = {}

    @_timed
    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        ((table, wanted),) = request["RequestItems"].items()
        keys = (_key(key) for key in wanted["Keys"])
        return {"Responses": {table: [self._items[key] for key in keys if key in self._items]}}

    @_timed
    def put_item(self, **request: Any) -> None:
        key = _key(request["Item"])
        self._check_version(key, request)
        self._items[key] = request["Item"]

    @_timed
    def update_item(self, **request: Any) -> None:
        key, values = _key(request["Key"]), request["ExpressionAttributeValues"]
        self._check_version(key, request)
        item = self._items[key]
        item.pop("outbox", None)
        for name in ("timer", "due"):
            if f":{name}" in values:
                item[name] = values[f":{name}"]
            else:
                item.pop(name, None)

    def _check_version(self, key: tuple[str, str], request: dict[str, Any]) -> None:
        values = request.get("ExpressionAttributeValues", {})
        if key in self._items and self._items[key]["version"] != values.get(":expected", values.get(":version")):
            raise _refused("ConditionalCheckFailedException")


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["gateway"]["S"], item["part"]["S"]


class _Queue(_Client):
    """SQS that takes everything and keeps nothing but the number of transitions."""

    @_timed
    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        self.clients.transitions += sum(entry["MessageBody"].count('"alert_id":') for entry in request["Entries"])
        return {"Successful": []}


class _Bucket(_Client):
    """S3 with the rules and no registry of devices."""

    def __init__(self, clients: Clients, rules: bytes) -> None:
        super().__init__(clients)
        self._rules = rules

    @_timed
    def get_object(self, **request: Any) -> dict[str, Any]:
        if request["Key"] != "rules.yaml":
            raise _refused("NoSuchKey")
        if request["IfNoneMatch"] == '"rules"':
            raise _refused("304")
        return {"ETag": '"rules"', "Body": io.BytesIO(self._rules)}
