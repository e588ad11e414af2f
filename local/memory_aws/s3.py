"""S3 in memory, or in folders for what is too large for it."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from local.memory_aws.faults import Exceptions, Faults, client_error

Listing = dict[str, Any]


class Objects(Protocol):
    """Where the objects are. What is not there is a KeyError."""

    def read(self, bucket: str, key: str) -> IO[bytes]: ...

    def write(self, bucket: str, key: str, body: IO[bytes]) -> None: ...

    def remove(self, bucket: str, key: str) -> None: ...

    def list(self, bucket: str, prefix: str) -> Iterator[Listing]:
        """Yield ListObjectsV2's entries in the order of their keys."""
        ...


class Object(NamedTuple):
    """An object's bytes, and when they were written."""

    body: bytes
    written: dt.datetime


class InMemory:
    """Objects in memory. Each is written a second after the one before."""

    def __init__(self, now: dt.datetime = dt.datetime(2026, 11, 23, 12, 30, tzinfo=dt.UTC)) -> None:
        self.stored: dict[tuple[str, str], Object] = {}
        self._now = now

    def read(self, bucket: str, key: str) -> IO[bytes]:
        return io.BytesIO(self.stored[bucket, key].body)

    def write(self, bucket: str, key: str, body: IO[bytes]) -> None:
        self._now += dt.timedelta(seconds=1)
        self.stored[bucket, key] = Object(body.read(), self._now)

    def remove(self, bucket: str, key: str) -> None:
        self.stored.pop((bucket, key), None)

    def list(self, bucket: str, prefix: str) -> Iterator[Listing]:
        for (where, key), (body, written) in sorted(self.stored.items()):
            if where == bucket and key.startswith(prefix):
                yield {"Key": key, "Size": len(body), "LastModified": written}


class InFolders:
    """Objects on the disk: each bucket is a folder, each object a file."""

    def __init__(self, buckets: Mapping[str, Path]) -> None:
        self._buckets = buckets

    def read(self, bucket: str, key: str) -> IO[bytes]:
        try:
            return (self._buckets[bucket] / key).open("rb")
        except FileNotFoundError:
            raise KeyError(key) from None

    def write(self, bucket: str, key: str, body: IO[bytes]) -> None:
        path = self._buckets[bucket] / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            shutil.copyfileobj(body, file)

    def remove(self, bucket: str, key: str) -> None:
        (self._buckets[bucket] / key).unlink(missing_ok=True)

    def list(self, bucket: str, prefix: str) -> Iterator[Listing]:
        root = self._buckets[bucket]
        below = root / prefix.rpartition("/")[0]
        for key in sorted(path.relative_to(root).as_posix() for path in below.rglob("*") if path.is_file()):
            if key.startswith(prefix):
                about = (root / key).stat()
                written = dt.datetime.fromtimestamp(about.st_mtime, dt.UTC)
                yield {"Key": key, "Size": about.st_size, "LastModified": written}


class S3:
    """Every bucket is there. An earlier version that was read is known by its content."""

    exceptions = Exceptions

    def __init__(self, faults: Faults, objects: Objects | None = None) -> None:
        self._faults = faults
        self.objects: Objects = objects or InMemory()
        self._versions: dict[str, bytes] = {}

    def create_bucket(self, **_: Any) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html"""

    def get_object(self, **request: Any) -> dict[str, Any]:
        bucket, key = request["Bucket"], request["Key"]

        def got() -> dict[str, Any]:
            if "VersionId" in request:
                return {"Body": io.BytesIO(self._versions[request["VersionId"]])}
            body = self._read(bucket, key)
            if "IfNoneMatch" not in request:
                return {"Body": body}
            content = body.read()
            version = hashlib.sha256(content).hexdigest()
            self._versions[version] = content
            if request["IfNoneMatch"] == f'"{version}"':
                raise client_error("304", "GetObject")
            written = next(entry["LastModified"] for entry in self.objects.list(bucket, key) if entry["Key"] == key)
            return {
                "ETag": f'"{version}"',
                "VersionId": version,
                "LastModified": written,
                "Body": io.BytesIO(content),
            }

        return self._faults.call("GetObject", got)

    def put_object(self, **request: Any) -> None:
        self._put(request["Bucket"], request["Key"], io.BytesIO(request["Body"]))

    def upload_fileobj(self, body: IO[bytes], bucket: str, key: str) -> None:
        self._put(bucket, key, body)

    def download_fileobj(self, bucket: str, key: str, copy: IO[bytes]) -> None:
        def download() -> None:
            with self._read(bucket, key) as body:
                shutil.copyfileobj(body, copy)

        self._faults.call("GetObject", download)

    def copy(self, source: Mapping[str, str], bucket: str, key: str) -> None:
        def copy() -> None:
            with self._read(source["Bucket"], source["Key"]) as body:
                self.objects.write(bucket, key, body)

        self._faults.call("CopyObject", copy)

    def delete_object(self, **request: Any) -> None:
        self._faults.call("DeleteObject", lambda: self.objects.remove(request["Bucket"], request["Key"]))

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        def delete() -> dict[str, Any]:
            for found in request["Delete"]["Objects"]:
                self.objects.remove(request["Bucket"], found["Key"])
            return {}

        return self._faults.call("DeleteObjects", delete)

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        after = request.get("StartAfter", "")

        def listed() -> dict[str, Any]:
            entries = self.objects.list(request["Bucket"], request.get("Prefix", ""))
            return {"Contents": [entry for entry in entries if entry["Key"] > after]}

        return self._faults.call("ListObjectsV2", listed)

    def get_paginator(self, operation: str) -> OnePage:
        assert operation == "list_objects_v2"
        return OnePage(self.list_objects_v2)

    def _read(self, bucket: str, key: str) -> IO[bytes]:
        try:
            return self.objects.read(bucket, key)
        except KeyError:
            raise client_error("NoSuchKey", "GetObject") from None

    def _put(self, bucket: str, key: str, body: IO[bytes]) -> None:
        self._faults.call("PutObject", lambda: self.objects.write(bucket, key, body))


class OnePage:
    """A paginator whose first page is all."""

    def __init__(self, everything: Callable[..., dict[str, Any]]) -> None:
        self._everything = everything

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        yield self._everything(**request)
