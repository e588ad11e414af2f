"""The curated zone: new files next to the old ones, then the catalog points at them, then the old ones go."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from glue_jobs.curate.errors import CurateError, doing
from glue_jobs.curate.zones.layout import DayFile, day_file
from telemetry.tables.curated import CURATED, DEVICES
from telemetry.tables.table import Table

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import PartitionInputTypeDef
    from mypy_boto3_s3.client import S3Client

#: https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html and BatchUpdatePartition
_PARTITIONS_A_CALL = 100
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_KEYS_A_CALL = 1000

_FETCHERS = 8

_Item = TypeVar("_Item")


class _Folder(NamedTuple):
    """Files that one run wrote for one partition."""

    written: dt.datetime
    run: str
    keys: list[str]


class CuratedZone:
    """The curated tables as one run replaces their partitions. A partition's folder is named by ``run``.

    ``switched`` says which runs' folders the catalog points at: see :meth:`look`.
    """

    def __init__(self, s3: S3Client, glue: GlueClient, *, bucket: str, database: str, run: str) -> None:
        self._s3 = s3
        self._glue = glue
        self.bucket = bucket
        self._database = database
        self._run = run
        self._live: dict[str, dict[str, str]] = {}

    def look(self, days: Collection[str]) -> None:
        """Find out where the partitions of these days lie."""
        self._live = {table.name: self._registered(table, days) for table in CURATED}

    def files(self, table: Table, day: str) -> list[DayFile]:
        """The files of the partition that was found."""
        run = self._live[table.name].get(day)
        if run is None:
            return []
        folder = _folder(table, day, run)
        with doing(f"list s3://{self.bucket}/{folder}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
            return [day_file(item["Key"]) for page in pages for item in page.get("Contents", [])]

    def download(self, files: Sequence[DayFile], folder: Path) -> list[Path]:
        """Local copies of files, in the same order."""

        def get(file: DayFile) -> Path:
            path = folder / file.key.replace("/", "-")
            with doing(f"read s3://{self.bucket}/{file.key}"), path.open("wb") as copy:
                self._s3.download_fileobj(self.bucket, file.key, copy)
            return path

        with ThreadPoolExecutor(_FETCHERS) as pool:
            return list(pool.map(get, files))

    def copy(self, table: Table, day: str, file: DayFile) -> None:
        """Put a file that stays as it is where this run writes, without it coming here."""
        key = self.key(table, day, file.name)
        with doing(f"copy s3://{self.bucket}/{file.key} to {key}"):
            self._s3.copy({"Bucket": self.bucket, "Key": file.key}, self.bucket, key)

    def key(self, table: Table, day: str, name: str) -> str:
        """The key of a partition's file where this run writes; nobody reads it until :meth:`switch`."""
        return f"{_folder(table, day, self._run)}{name}"

    def upload(self, table: Table, day: str, name: str, file: Path) -> None:
        """Put a partition's file there."""
        self._put(self.key(table, day, name), file)

    def replace_devices(self, file: Path) -> None:
        """Replace the table of devices, which is one object: a reader sees the old or the new."""
        self._put(f"{DEVICES.name}/{DEVICES.name}.parquet", file)

    def switch(self, table: Table, days: Mapping[str, bool]) -> None:
        """Point the partitions of these days at what this run wrote; where that is nothing, no new one is made."""
        live = self._live[table.name]
        days = {day: has_files for day, has_files in days.items() if has_files or day in live}
        if not days:
            return
        with doing(f"read table {self._database}.{table.name} in the Glue catalog"):
            storage = self._glue.get_table(DatabaseName=self._database, Name=table.name)["Table"]["StorageDescriptor"]

        def entry(day: str) -> PartitionInputTypeDef:
            location = f"s3://{self.bucket}/{_folder(table, day, self._run)}"
            return {"Values": [day], "StorageDescriptor": {**storage, "Location": location}}

        names = {"DatabaseName": self._database, "TableName": table.name}
        for some in _chunks([day for day in days if day in live], _PARTITIONS_A_CALL):
            with doing(f"update partitions of {self._database}.{table.name}"):
                updated = self._glue.batch_update_partition(
                    **names, Entries=[{"PartitionValueList": [day], "PartitionInput": entry(day)} for day in some]
                )
            self._check(table, updated.get("Errors", []))
        for some in _chunks([day for day in days if day not in live], _PARTITIONS_A_CALL):
            with doing(f"create partitions of {self._database}.{table.name}"):
                created = self._glue.batch_create_partition(**names, PartitionInputList=[entry(day) for day in some])
            self._check(table, created.get("Errors", []))

    def clean(self, days: Collection[str], *, grace: dt.timedelta, now: dt.datetime) -> list[str]:
        """Remove what was replaced at least ``grace`` ago from these days; the days left clean come back."""
        self.look(days)
        # Without grace no clock is asked: what the run itself has just written is newer than its "now".
        before = now - grace if grace else dt.datetime.max.replace(tzinfo=dt.timezone.utc)
        clean = []
        for day in sorted(days):
            old, waiting = [], 0
            for table in CURATED:
                folders = self._folders(table, day)
                keys = list(_superseded(folders, self._live[table.name].get(day, ""), before))
                old += keys
                live = self._live[table.name].get(day)
                waiting += sum(len(folder.keys) for folder in folders if folder.run != live) - len(keys)
            self._remove(old)
            if not waiting:
                clean.append(day)
        return clean

    def _put(self, key: str, file: Path) -> None:
        # upload_fileobj speaks in ClientErrors; upload_file wraps them without their code.
        with doing(f"write s3://{self.bucket}/{key}"), file.open("rb") as body:
            self._s3.upload_fileobj(body, self.bucket, key)

    def _remove(self, old: Sequence[str]) -> None:
        with doing(f"remove replaced files from s3://{self.bucket}/"):
            for keys in _chunks(old, _KEYS_A_CALL):
                removed = self._s3.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
                for error in removed.get("Errors", []):
                    raise CurateError(f"cannot remove s3://{self.bucket}/{error.get('Key')}: {error.get('Message')}")

    def _registered(self, table: Table, days: Collection[str]) -> dict[str, str]:
        """The run in the location of every registered partition of these days."""
        if not days:
            return {}
        with doing(f"list partitions of {self._database}.{table.name}"):
            pages = self._glue.get_paginator("get_partitions").paginate(
                DatabaseName=self._database,
                TableName=table.name,
                Expression=f"dt >= '{min(days)}' AND dt <= '{max(days)}'",
                ExcludeColumnSchema=True,
            )
            return {
                found["Values"][0]: found["StorageDescriptor"]["Location"].rstrip("/").rpartition("/")[2]
                for page in pages
                for found in page["Partitions"]
            }

    def _folders(self, table: Table, day: str) -> list[_Folder]:
        prefix = f"{table.name}/dt={day}/"
        path = re.compile(rf"{table.name}/dt=[^/]+/([^/]+)/[^/]+")
        runs: dict[str, _Folder] = {}
        with doing(f"list s3://{self.bucket}/{prefix}"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    match = path.fullmatch(item["Key"])
                    if match:
                        runs.setdefault(match[1], _Folder(item["LastModified"], match[1], [])).keys.append(item["Key"])
        return sorted(runs.values())

    def _check(self, table: Table, errors: Sequence[object]) -> None:
        if errors:
            raise CurateError(f"cannot switch {len(errors)} partitions of {self._database}.{table.name}: {errors[0]}")


def _folder(table: Table, day: str, run: str) -> str:
    return f"{table.name}/dt={day}/{run}/"


def _superseded(folders: Sequence[_Folder], live: str, before: dt.datetime) -> Iterator[str]:
    """The keys of folders, oldest first, that the next one replaced at or before ``before``."""
    for folder, following in itertools.zip_longest(folders, folders[1:]):
        if folder.run != live and (following or folder).written <= before:
            yield from folder.keys


def _chunks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
