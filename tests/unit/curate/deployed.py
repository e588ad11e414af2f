"""What one stage has in AWS that the job works on, and runs of the job there."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow.parquet as pq

from glue_jobs.curate.arguments import Arguments
from glue_jobs.curate.curate import Summary, curate
from telemetry.tables import CURATED
from tests.unit.curate.samples import ARRIVED, key, line

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_s3.client import S3Client

NOW = ARRIVED + dt.timedelta(minutes=20)
REQUIRED: dict[str, Any] = {
    "raw_bucket": "raw",
    "lake_bucket": "lake",
    "database": "iot",
    "stage": "dev",
    "raw_retention_days": 35,
}


def at(moment: dt.datetime, **changes: Any) -> bytes:
    """A line of a reading taken at ``moment``."""
    return line(ts=moment.isoformat(), **changes)


class Aws:
    """The buckets and the catalog as one stage has them, and what a reader of the catalog finds there."""

    def __init__(self) -> None:
        self.s3: S3Client = boto3.client("s3")
        self.glue: GlueClient = boto3.client("glue")
        for bucket in ("raw", "lake"):
            self.s3.create_bucket(Bucket=bucket)
        self.glue.create_database(DatabaseInput={"Name": "iot"})
        for table in CURATED:
            self.glue.create_table(
                DatabaseName="iot",
                TableInput={
                    "Name": table.name,
                    "PartitionKeys": [{"Name": column.name, "Type": column.type} for column in table.partition_keys],
                    "StorageDescriptor": {
                        "Columns": [{"Name": column.name, "Type": column.type} for column in table.columns],
                        "Location": f"s3://lake/{table.name}/",
                    },
                },
            )

    def put(self, arrived: dt.datetime, *lines: bytes, name: str = "a", packed: bool = False) -> str:
        body = b"".join(part + b"\n" for part in lines)
        where = key(arrived, name)
        self.s3.put_object(Bucket="raw", Key=where, Body=gzip.compress(body) if packed else body)
        return where

    def curate(self, start: dt.datetime | None = None, end: dt.datetime | None = None, **more: Any) -> Summary:
        return curate(self.s3, self.glue, Arguments(**{**REQUIRED, **more}, window_from=start, window_to=end), NOW)

    def files(self) -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket="lake").get("Contents", [])]

    def registered(self, table: str) -> dict[str, str]:
        """The folder of each registered partition, by ``<dt> <hour>``."""
        found = self.glue.get_partitions(DatabaseName="iot", TableName=table)["Partitions"]
        folders = {" ".join(p["Values"]): p["StorageDescriptor"]["Location"].removeprefix("s3://lake/") for p in found}
        return dict(sorted(folders.items()))

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of every table as a reader of the catalog finds them."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for table in CURATED:
            rows[table.name] = []
            for partition, folder in self.registered(table.name).items():
                for item in self.s3.list_objects_v2(Bucket="lake", Prefix=folder).get("Contents", []):
                    body = self.s3.get_object(Bucket="lake", Key=item["Key"])["Body"].read()
                    found = pq.read_table(io.BytesIO(body)).to_pylist()
                    rows[table.name] += [{"partition": partition, **row} for row in found]
        return rows
