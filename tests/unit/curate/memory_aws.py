"""AWS in memory, as far as the job calls it: fast to copy, and killed at any call.

moto answers a call in ten milliseconds; a test that dies after each of a hundred calls in turn needs it a hundred times
faster. What the clients' own behaviour is, the other tests see with moto and the integration tests with the emulator.
"""

from __future__ import annotations

import copy
import datetime as dt
import io
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar, cast

from botocore.exceptions import ClientError

from glue_jobs.curate.run import Clients

T = TypeVar("T")


class Killed(Exception):  # noqa: N818 - what happens to the process, not an error of it
    """The job's process is gone."""


class Life:
    """Counts calls, and ends after the ``at``-th, from 0: nothing gets through any more, whichever thread calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.at: int | None = None

    def call(self, name: str, do: Callable[[], T]) -> T:
        """The call, unless it is too late for it; its answer, unless it was the last."""
        if self.at is not None and len(self.calls) > self.at:
            raise Killed
        self.calls.append(name)
        answer = do()
        if len(self.calls) - 1 == self.at:
            raise Killed
        return answer


class NoSuchKey(ClientError):  # noqa: N818 - the SDK's name
    """As the S3 client has it."""


class ConditionalCheckFailedException(ClientError):  # noqa: N818 - the SDK's name
    """As the DynamoDB client has it."""


class _Pages:
    def __init__(self, get: Callable[..., dict[str, Any]]) -> None:
        self._get = get

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        yield self._get(**request)


class MemoryS3:
    """Buckets; each put is a second after the one before."""

    class exceptions:  # noqa: N801 - the SDK's name
        NoSuchKey = NoSuchKey

    def __init__(self, life: Life) -> None:
        self._life = life
        self._objects: dict[tuple[str, str], tuple[bytes, dt.datetime]] = {}
        self._clock = dt.datetime(2026, 11, 23, 12, 30, tzinfo=dt.UTC)

    def create_bucket(self, **_: Any) -> None:
        """Every bucket is there."""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return self._life.call("GetObject", lambda: {"Body": io.BytesIO(self._get(Bucket, Key))})

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self._life.call("PutObject", lambda: self._put(Bucket, Key, Body))

    def upload_fileobj(self, body: IO[bytes], bucket: str, key: str) -> None:
        self._life.call("PutObject", lambda: self._put(bucket, key, body.read()))

    def download_fileobj(self, bucket: str, key: str, body: IO[bytes]) -> None:
        self._life.call("GetObject", lambda: body.write(self._get(bucket, key)))

    def copy(self, source: dict[str, str], bucket: str, key: str) -> None:
        self._life.call("CopyObject", lambda: self._put(bucket, key, self._get(source["Bucket"], source["Key"])))

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        self._life.call("DeleteObject", lambda: self._objects.pop((Bucket, Key), None))

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        def delete() -> dict[str, Any]:
            for item in Delete["Objects"]:
                self._objects.pop((Bucket, item["Key"]), None)
            return {}

        return self._life.call("DeleteObjects", delete)

    def list_objects_v2(self, *, Bucket: str, Prefix: str = "", StartAfter: str = "") -> dict[str, Any]:  # noqa: N803
        def listed() -> dict[str, Any]:
            return {
                "Contents": [
                    {"Key": key, "Size": len(body), "LastModified": written}
                    for (bucket, key), (body, written) in sorted(self._objects.items())
                    if bucket == Bucket and key.startswith(Prefix) and key > StartAfter
                ]
            }

        return self._life.call("ListObjectsV2", listed)

    def get_paginator(self, _: str) -> _Pages:
        return _Pages(self.list_objects_v2)

    def _get(self, bucket: str, key: str) -> bytes:
        try:
            return self._objects[bucket, key][0]
        except KeyError:
            raise NoSuchKey({"Error": {"Code": "NoSuchKey", "Message": key}}, "GetObject") from None

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        self._clock += dt.timedelta(seconds=1)
        self._objects[bucket, key] = body, self._clock


class MemoryGlue:
    """Tables with partitions by one key."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._tables: dict[str, dict[str, Any]] = {}
        self._partitions: dict[str, dict[str, dict[str, Any]]] = {}

    def create_database(self, **_: Any) -> None:
        """The one there is."""

    def create_table(self, *, TableInput: dict[str, Any], **_: Any) -> None:  # noqa: N803
        self._tables[TableInput["Name"]] = TableInput
        self._partitions[TableInput["Name"]] = {}

    def get_table(self, *, Name: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return self._life.call("GetTable", lambda: {"Table": self._tables[Name]})

    def get_partitions(self, *, TableName: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return self._life.call("GetPartitions", lambda: {"Partitions": list(self._partitions[TableName].values())})

    def get_paginator(self, _: str) -> _Pages:
        return _Pages(self.get_partitions)

    def batch_create_partition(self, *, TableName: str, PartitionInputList: list[Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        def create() -> dict[str, Any]:
            for entry in PartitionInputList:
                assert entry["Values"][0] not in self._partitions[TableName]
                self._partitions[TableName][entry["Values"][0]] = entry
            return {}

        return self._life.call("BatchCreatePartition", create)

    def batch_update_partition(self, *, TableName: str, Entries: list[Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        def update() -> dict[str, Any]:
            for entry in Entries:
                assert entry["PartitionValueList"][0] in self._partitions[TableName]
                self._partitions[TableName][entry["PartitionValueList"][0]] = entry["PartitionInput"]
            return {}

        return self._life.call("BatchUpdatePartition", update)


class MemoryDynamoDB:
    """One table with the key ``id``. It knows the expressions that the job uses, and refuses others."""

    class exceptions:  # noqa: N801 - the SDK's name
        ConditionalCheckFailedException = ConditionalCheckFailedException

    def __init__(self, life: Life) -> None:
        self._life = life
        self._items: dict[str, dict[str, Any]] = {}

    def create_table(self, **_: Any) -> None:
        """The one there is."""

    def get_item(self, *, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        found = self._items.get(Key["id"]["S"])
        return self._life.call("GetItem", lambda: {"Item": found} if found else {})

    def put_item(self, *, Item: dict[str, Any], **_: Any) -> None:  # noqa: N803
        self._life.call("PutItem", lambda: self._items.update({Item["id"]["S"]: Item}))

    def update_item(
        self,
        *,
        Key: dict[str, Any],  # noqa: N803
        UpdateExpression: str,  # noqa: N803
        ExpressionAttributeValues: dict[str, Any],  # noqa: N803
        ConditionExpression: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        values = ExpressionAttributeValues

        def update() -> dict[str, Any]:
            item = self._items.setdefault(Key["id"]["S"], {"id": Key["id"]})
            if ConditionExpression:
                assert ConditionExpression == "claim = :run"
                if item.get("claim") != values[":run"]:
                    raise ConditionalCheckFailedException(
                        {"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}, "UpdateItem"
                    )
            verb, _, rest = UpdateExpression.partition(" ")
            if verb == "SET":
                item.update({name: values[value] for name, value in (part.split(" = ") for part in rest.split(", "))})
            else:
                name, value = rest.split(" ")
                there, given = set(item.get(name, {}).get("SS", ())), set(values[value]["SS"])
                assert given
                left = there | given if verb == "ADD" else there - given
                item.pop(name, None)
                if left:
                    item[name] = {"SS": sorted(left)}
            return {"Attributes": copy.deepcopy(item)}

        return self._life.call("UpdateItem", update)


def memory_clients(life: Life) -> Clients:
    """The clients of one stage."""
    return cast("Clients", (MemoryS3(life), MemoryGlue(life), MemoryDynamoDB(life)))
