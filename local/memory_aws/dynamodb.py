"""DynamoDB in memory. It knows the expressions that our code uses, and refuses others."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from local.memory_aws.faults import Exceptions, Faults, client_error

Key = tuple[str, ...]
Item = dict[str, Any]

#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ITEM_BYTES = 400 * 1024
MAX_KEY_BYTES = 2_048


class DynamoDB:
    """Tables by name, with the names of their keys, and a sparse index "due" of each.

    A read that does not ask for consistency gets each item's version before the last.
    """

    exceptions = Exceptions

    def __init__(self, faults: Faults, keys: Mapping[str, Sequence[str]] | None = None) -> None:
        self._faults = faults
        self._keys: dict[str, Sequence[str]] = dict(keys or {})
        self.tables: dict[str, dict[Key, Item]] = {table: {} for table in self._keys}
        self._before: dict[str, dict[Key, Item]] = {table: {} for table in self._keys}

    def create_table(self, **request: Any) -> None:
        table = request["TableName"]
        self._keys[table] = [part["AttributeName"] for part in request["KeySchema"]]
        self.tables[table], self._before[table] = {}, {}

    def get_item(self, **request: Any) -> Item:
        table = request["TableName"]
        found = self._source(table, request).get(self._key(table, request["Key"]))
        return self._faults.call("GetItem", lambda: {"Item": found} if found else {})

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        ((table, wanted),) = request["RequestItems"].items()
        keys = [self._key(table, key) for key in wanted["Keys"]]
        assert 0 < len(keys) <= 100
        assert len(set(keys)) == len(keys)
        source = self._source(table, wanted)

        def got(first: int) -> dict[str, Any]:
            found = [source[key] for key in keys[:first] if key in source]
            left = {table: {**wanted, "Keys": wanted["Keys"][first:]}} if keys[first:] else {}
            return {"Responses": {table: found}, "UnprocessedKeys": left}

        return self._faults.call("BatchGetItem", lambda: got(len(keys)), partly=lambda: got(len(keys) // 2))

    def put_item(self, **request: Any) -> None:
        item = request["Item"]
        self._write("PutItem", self._key(request["TableName"], item), request, lambda _: dict(item))

    def delete_item(self, **request: Any) -> None:
        self._write("DeleteItem", self._key(request["TableName"], request["Key"]), request, lambda _: None)

    def update_item(self, **request: Any) -> dict[str, Any]:
        def change(old: Item | None) -> Item:
            return _updated({**request["Key"], **(old or {})}, request)

        key = self._key(request["TableName"], request["Key"])
        return {"Attributes": self._write("UpdateItem", key, request, change)}

    def transact_write_items(self, **request: Any) -> None:
        """All of it or nothing."""
        writes = [next(iter(write.items())) for write in request["TransactItems"]]
        keys = [
            (each["TableName"], self._key(each["TableName"], each.get("Item") or each["Key"])) for _, each in writes
        ]
        assert 0 < len(set(keys)) == len(keys) <= 100

        def write() -> None:
            for (table, key), (_, each) in zip(keys, writes, strict=True):
                if not _holds(each.get("ConditionExpression", ""), self.tables[table].get(key), {}):
                    raise client_error("TransactionCanceledException", "TransactWriteItems")
            for (table, key), (verb, each) in zip(keys, writes, strict=True):
                self._store(table, key, dict(each["Item"]) if verb == "Put" else None)

        self._faults.call("TransactWriteItems", write)

    def scan(self, **request: Any) -> dict[str, Any]:
        """A page, of the items that are after the key given."""
        assert re.fullmatch(r"begins_with\(part, :\w+\)( OR begins_with\(part, :\w+\))*", request["FilterExpression"])
        prefixes = tuple([value["S"] for value in request["ExpressionAttributeValues"].values()])
        start = request.get("ExclusiveStartKey")
        table = request["TableName"]
        after = self._key(table, start) if start else ()
        keys = sorted(key for key in self.tables[table] if key > after)
        page = keys[: request.get("Limit", len(keys))]
        items = [self.tables[table][key] for key in page if key[1].startswith(prefixes)]
        last = dict(zip(self._keys[table], page[-1], strict=True)) if len(page) < len(keys) else {}
        more = {"LastEvaluatedKey": {name: {"S": value} for name, value in last.items()}} if last else {}
        return self._faults.call("Scan", lambda: {"Items": items} | more)

    def get_paginator(self, operation: str) -> _DuePages:
        assert operation == "query"
        return _DuePages(self, self._faults)

    def _key(self, table: str, item: Mapping[str, Any]) -> Key:
        key = tuple([item[name]["S"] for name in self._keys[table]])
        if not 0 < len(key[0].encode()) <= MAX_KEY_BYTES:
            raise client_error("ValidationException", "Key")
        return key

    def _source(self, table: str, request: Mapping[str, Any]) -> dict[Key, Item]:
        return (self.tables if request.get("ConsistentRead") else self._before)[table]

    def _write(
        self, operation: str, key: Key, request: Mapping[str, Any], change: Callable[[Item | None], Item | None]
    ) -> Item | None:
        def write() -> Item | None:
            old = self.tables[request["TableName"]].get(key)
            if not _holds(request.get("ConditionExpression", ""), old, request.get("ExpressionAttributeValues", {})):
                raise client_error("ConditionalCheckFailedException", operation)
            new = change(old)
            if new and size_of(new) > MAX_ITEM_BYTES:
                raise client_error("ValidationException", operation)
            self._store(request["TableName"], key, new)
            return new

        return self._faults.call(operation, write)

    def _store(self, table: str, key: Key, new: Item | None) -> None:
        if old := self.tables[table].get(key):
            self._before[table][key] = old
        if new is None:
            self.tables[table].pop(key, None)
        else:
            self.tables[table][key] = new


def size_of(item: Item) -> int:
    """Return the bytes of an item, names included, as DynamoDB counts them; numbers as their digits."""
    return sum(
        len(name) + sum(map(_length, value if isinstance(value, list) else [value]))
        for name, attribute in item.items()
        for value in attribute.values()
    )


def _length(value: str | bytes) -> int:
    return len(value.encode()) if isinstance(value, str) else len(value)


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


def _holds(condition: str, item: Item | None, values: Mapping[str, Any]) -> bool:
    clauses = _clauses(condition)
    return not clauses or any(
        (item is None or name not in item) if value is None else (item is not None and item.get(name) == values[value])
        for name, value in clauses
    )


@functools.cache
def _clauses(condition: str) -> list[tuple[str, str | None]]:
    """Return each attribute with the placeholder of the value it must have, or None where it must be absent."""
    found = [
        re.fullmatch(r"attribute_not_exists\((\w+)\)|(\w+) = (:\w+)", clause)
        for clause in filter(None, condition.split(" OR "))
    ]
    assert all(found), condition
    return [(clause[1] or clause[2], clause[3]) for clause in found if clause]


def _updated(item: Item, request: Mapping[str, Any]) -> Item:
    for verb, name, value in _changes(request["UpdateExpression"]):
        if verb == "REMOVE":
            item.pop(name, None)
        elif verb == "SET":
            item[name] = request["ExpressionAttributeValues"][value]
        else:
            there, given = set(item.pop(name, {}).get("SS", ())), set(request["ExpressionAttributeValues"][value]["SS"])
            assert given
            if left := there | given if verb == "ADD" else there - given:
                item[name] = {"SS": sorted(left)}
    return item


@functools.cache
def _changes(expression: str) -> list[tuple[str, str, str]]:
    """Return the verb, the attribute and the placeholder of its value (or none) of each change."""
    found = []
    for clause in re.split(r" (?=(?:SET|REMOVE|ADD|DELETE) )", expression):
        verb, _, changes = clause.partition(" ")
        for change in changes.split(", "):
            parsed = re.fullmatch(r"(\w+)" + {"REMOVE": "()", "SET": r" = (:\w+)"}.get(verb, r" (:\w+)"), change)
            assert parsed, expression
            found.append((verb, parsed[1], parsed[2]))
    return found
