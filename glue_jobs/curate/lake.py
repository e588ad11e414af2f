"""The curated zone: new files beside the old, then the catalog points at them, then the old ones go."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from glue_jobs.curate.errors import CurateError, doing
from glue_jobs.curate.partition import Partition
from telemetry.tables import Table

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_glue.type_defs import PartitionInputTypeDef
    from mypy_boto3_s3.client import S3Client

#: https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html and BatchUpdatePartition
_PARTITIONS_A_CALL = 100
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_KEYS_A_CALL = 1000

_Item = TypeVar("_Item")


class _Folder(NamedTuple):
    """What one run wrote for one partition."""

    written: dt.datetime
    run_id: str
    keys: list[str]


class Lake:
    """The curated tables as one run replaces their partitions."""

    def __init__(self, s3: S3Client, glue: GlueClient, *, bucket: str, database: str, run_id: str) -> None:
        self._s3 = s3
        self._glue = glue
        self._bucket = bucket
        self._database = database
        self._run_id = run_id

    def upload(self, table: Table, partition: Partition, file: Path) -> None:
        """Put a partition's file where this run writes; nobody reads it until :meth:`switch`."""
        key = f"{_folder(table, partition, self._run_id)}0{file.suffix}"
        # upload_fileobj speaks in ClientErrors; upload_file wraps them without their code.
        with doing(f"write s3://{self._bucket}/{key}"), file.open("rb") as body:
            self._s3.upload_fileobj(body, self._bucket, key)

    def switch(self, table: Table, written: Iterable[Partition], empty: Iterable[Partition]) -> None:
        """Point partitions at what this run wrote; ``empty`` ones hold nothing now and are not made anew."""
        written, empty = list(written), list(empty)
        if not written and not empty:
            return
        registered = self._registered(table, [*written, *empty])
        with doing(f"read table {self._database}.{table.name} in the Glue catalog"):
            storage = self._glue.get_table(DatabaseName=self._database, Name=table.name)["Table"]["StorageDescriptor"]

        def entry(partition: Partition) -> PartitionInputTypeDef:
            location = f"s3://{self._bucket}/{_folder(table, partition, self._run_id)}"
            return {"Values": list(partition), "StorageDescriptor": {**storage, "Location": location}}

        names = {"DatabaseName": self._database, "TableName": table.name}
        for some in _chunks([p for p in (*written, *empty) if p in registered], _PARTITIONS_A_CALL):
            with doing(f"update partitions of {self._database}.{table.name}"):
                updated = self._glue.batch_update_partition(
                    **names,
                    Entries=[{"PartitionValueList": list(p), "PartitionInput": entry(p)} for p in some],
                )
            self._check(table, updated.get("Errors", []))
        for some in _chunks([p for p in written if p not in registered], _PARTITIONS_A_CALL):
            with doing(f"create partitions of {self._database}.{table.name}"):
                created = self._glue.batch_create_partition(**names, PartitionInputList=[entry(p) for p in some])
            self._check(table, created.get("Errors", []))

    def clean(self, table: Table, partitions: Iterable[Partition], *, grace: dt.timedelta, now: dt.datetime) -> None:
        """Remove files replaced at least ``grace`` ago from the days of these partitions and the days before.

        The days before, because an hour's files are replaced for the last time by a run of the next hours.
        """
        days = {(p.start - dt.timedelta(days=back)).strftime("%Y-%m-%d") for p in partitions for back in (0, 1)}
        if not days:
            return
        live = self._registered(table, [Partition(day, "") for day in days])
        # Without grace no clock is asked: what the run itself has just written is newer than its "now".
        before = now - grace if grace else dt.datetime.max.replace(tzinfo=dt.timezone.utc)
        old: list[str] = []
        for day in sorted(days):
            for partition, folders in self._folders(table, day).items():
                old += _superseded(folders, live.get(partition, ""), before)
        with doing(f"remove replaced files from s3://{self._bucket}/{table.name}/"):
            for keys in _chunks(old, _KEYS_A_CALL):
                removed = self._s3.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
                for error in removed.get("Errors", []):
                    raise CurateError(f"cannot remove s3://{self._bucket}/{error.get('Key')}: {error.get('Message')}")

    def _registered(self, table: Table, partitions: Sequence[Partition]) -> dict[Partition, str]:
        """The live run's id of every registered partition of these days."""
        first, last = min(p.dt for p in partitions), max(p.dt for p in partitions)
        with doing(f"list partitions of {self._database}.{table.name}"):
            pages = self._glue.get_paginator("get_partitions").paginate(
                DatabaseName=self._database,
                TableName=table.name,
                Expression=f"dt >= '{first}' AND dt <= '{last}'",
                ExcludeColumnSchema=True,
            )
            return {
                Partition(*found["Values"]): found["StorageDescriptor"]["Location"].rstrip("/").rpartition("/")[2]
                for page in pages
                for found in page["Partitions"]
            }

    def _folders(self, table: Table, day: str) -> dict[Partition, list[_Folder]]:
        prefix = f"{table.name}/dt={day}/"
        path = re.compile(rf"{table.name}/dt=([^/]+)/hour=([^/]+)/([^/]+)/[^/]+")
        found: dict[Partition, dict[str, _Folder]] = {}
        with doing(f"list s3://{self._bucket}/{prefix}"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    match = path.fullmatch(item["Key"])
                    if match:
                        runs = found.setdefault(Partition(match[1], match[2]), {})
                        runs.setdefault(match[3], _Folder(item["LastModified"], match[3], [])).keys.append(item["Key"])
        return {partition: sorted(runs.values()) for partition, runs in found.items()}

    def _check(self, table: Table, errors: Sequence[object]) -> None:
        if errors:
            raise CurateError(f"cannot switch {len(errors)} partitions of {self._database}.{table.name}: {errors[0]}")


def _folder(table: Table, partition: Partition, run_id: str) -> str:
    return f"{table.name}/{partition.path}/{run_id}/"


def _superseded(folders: Sequence[_Folder], live: str, before: dt.datetime) -> Iterator[str]:
    """The keys of folders, oldest first, that the next one replaced at or before ``before``."""
    for folder, following in itertools.zip_longest(folders, folders[1:]):
        if folder.run_id != live and (following or folder).written <= before:
            yield from folder.keys


def _chunks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
