"""AWS as the job uses it, in folders on the disk and without a network: what is measured is the job.

One run has it all to itself, so nothing is ever refused but an object that is not there.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import ClientError

_Answer = dict[str, Any]
_List = Callable[..., _Answer]


class _NoSuchKeyError(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "NoSuchKey", "Message": "the file is not there"}}, "GetObject")


class _NeverError(ClientError):
    """What is waited for in vain."""


class _Refusals:
    NoSuchKey = _NoSuchKeyError
    ConditionalCheckFailedException = _NeverError


class _OnePage:
    """A paginator whose first page is all."""

    def __init__(self, everything: _List) -> None:
        self._everything = everything

    def paginate(self, **request: str) -> Iterator[_Answer]:
        """The page."""
        yield self._everything(**request)


class S3:
    """Each bucket is a folder, each object a file."""

    exceptions = _Refusals

    def __init__(self, buckets: Mapping[str, Path]) -> None:
        self._buckets = buckets

    def get_object(self, **request: str) -> _Answer:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
        try:
            return {"Body": self._path(request["Bucket"], request["Key"]).open("rb")}
        except FileNotFoundError:
            raise _NoSuchKeyError from None

    def put_object(self, **request: Any) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"""
        self._new(request["Bucket"], request["Key"]).write_bytes(request["Body"])

    def upload_fileobj(self, body: IO[bytes], bucket: str, key: str) -> None:
        """https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/upload_fileobj.html"""
        with self._new(bucket, key).open("wb") as copy:
            shutil.copyfileobj(body, copy)

    def download_fileobj(self, bucket: str, key: str, copy: IO[bytes]) -> None:
        """https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/download_fileobj.html"""
        with self._path(bucket, key).open("rb") as body:
            shutil.copyfileobj(body, copy)

    def copy(self, source: Mapping[str, str], bucket: str, key: str) -> None:
        """https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/copy.html"""
        shutil.copyfile(self._path(source["Bucket"], source["Key"]), self._new(bucket, key))

    def delete_object(self, **request: str) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html"""
        self._path(request["Bucket"], request["Key"]).unlink(missing_ok=True)

    def delete_objects(self, **request: Any) -> _Answer:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
        for found in request["Delete"]["Objects"]:
            self.delete_object(Bucket=request["Bucket"], Key=found["Key"])
        return {}

    def get_paginator(self, _: str) -> _OnePage:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"""
        return _OnePage(self._list)

    def _list(self, **request: str) -> _Answer:
        root, prefix = self._buckets[request["Bucket"]], request["Prefix"]
        below = root / prefix.rpartition("/")[0]
        keys = sorted(path.relative_to(root).as_posix() for path in below.rglob("*") if path.is_file())
        after = request.get("StartAfter", "")
        return {"Contents": [_listed(root, key) for key in keys if key.startswith(prefix) and key > after]}

    def _path(self, bucket: str, key: str) -> Path:
        return self._buckets[bucket] / key

    def _new(self, bucket: str, key: str) -> Path:
        path = self._path(bucket, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _listed(root: Path, key: str) -> _Answer:
    about = (root / key).stat()
    return {"Key": key, "Size": about.st_size, "LastModified": dt.datetime.fromtimestamp(about.st_mtime, dt.UTC)}


class Glue:
    """A catalog that has every table, each with the partitions that were put."""

    def __init__(self) -> None:
        self._partitions: dict[str, dict[str, _Answer]] = {}

    def get_table(self, **_: str) -> _Answer:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetTable.html"""
        return {"Table": {"StorageDescriptor": {}}}

    def get_paginator(self, _: str) -> _OnePage:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html"""
        return _OnePage(self._list)

    def batch_create_partition(self, **request: Any) -> _Answer:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html"""
        return self._put(request["TableName"], request["PartitionInputList"])

    def batch_update_partition(self, **request: Any) -> _Answer:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchUpdatePartition.html"""
        return self._put(request["TableName"], [entry["PartitionInput"] for entry in request["Entries"]])

    def _list(self, **request: str) -> _Answer:
        """More than was asked for: a run knows which days it means."""
        return {"Partitions": list(self._partitions.get(request["TableName"], {}).values())}

    def _put(self, table: str, partitions: list[_Answer]) -> _Answer:
        self._partitions.setdefault(table, {}).update({put["Values"][0]: put for put in partitions})
        return {}


class DynamoDB:
    """One table with the key ``id``."""

    exceptions = _Refusals

    def __init__(self) -> None:
        self._items: dict[str, _Answer] = {}

    def get_item(self, **request: Any) -> _Answer:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html"""
        found = self._items.get(request["Key"]["id"]["S"])
        return {"Item": found} if found else {}

    def put_item(self, **request: Any) -> None:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html"""
        self._items[request["Item"]["id"]["S"]] = request["Item"]

    def update_item(self, **request: Any) -> _Answer:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html"""
        item = self._items.setdefault(request["Key"]["id"]["S"], dict(request["Key"]))
        values = request["ExpressionAttributeValues"]
        verb, _, changes = request["UpdateExpression"].partition(" ")
        for name, value in re.findall(r"(\w+)(?: =)? (:\w+)", changes):
            if verb == "SET":
                item[name] = values[value]
                continue
            before, given = set(item.get(name, {}).get("SS", [])), set(values[value]["SS"])
            item[name] = {"SS": sorted(before | given if verb == "ADD" else before - given)}
        return {"Attributes": item}
