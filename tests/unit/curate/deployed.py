"""What one stage has in AWS that the job works on, and runs of the job there."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from typing import Any, cast

import boto3
import pyarrow.parquet as pq

from glue_jobs.curate.arguments import Arguments
from glue_jobs.curate.engines.duckdb_engine import DuckDBEngine
from glue_jobs.curate.run import Clients, MakeEngine, curate
from glue_jobs.curate.summary import Summary
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Faults
from local.memory_aws.glue import Glue
from local.memory_aws.s3 import S3
from telemetry.tables.curated import CURATED
from tests.unit.curate.samples import ARRIVED, key, line

NOW = ARRIVED + dt.timedelta(minutes=20)
REQUIRED: dict[str, Any] = {
    "raw_bucket": "raw",
    "lake_bucket": "lake",
    "database": "iot",
    "stage": "dev",
    "state_table": "curation",
    "config_bucket": "settings",
    "registry_key": "registry/devices.csv",
    "raw_retention_days": 35,
}

#: What is curated, without what the lake notes for itself.
Rows = dict[str, list[dict[str, Any]]]


def at(moment: dt.datetime, **changes: Any) -> bytes:
    """A line of a reading taken at ``moment``."""
    return line(ts=moment.isoformat(), **changes)


def memory_clients(faults: Faults) -> Clients:
    """Return the clients of one stage in memory: fast to copy, and killed at any call.

    moto answers a call in ten milliseconds; a test that dies after each of a hundred calls in turn needs it a hundred
    times faster. How the real clients behave, the other tests see with moto and
    the integration tests with the emulator.
    """
    return Clients(*cast("tuple[Any, Any, Any]", (S3(faults), Glue(faults), DynamoDB(faults))))


class Aws:
    """The buckets, the catalog and the table as one stage has them, and what a reader of the catalog finds there.

    ``prefix`` tells those apart that are in the same AWS.
    """

    def __init__(self, clients: Clients | None = None, *, prefix: str = "") -> None:
        names = ("raw_bucket", "lake_bucket", "config_bucket", "state_table", "database")
        self._named = {name: prefix + REQUIRED[name] for name in names}
        self.raw, self._lake, self._settings, state_table, self._database = self._named.values()
        self.s3, self.glue, self.dynamodb = clients or Clients(
            boto3.client("s3"), boto3.client("glue"), boto3.client("dynamodb")
        )
        for bucket in (self.raw, self._lake, self._settings):
            self.s3.create_bucket(Bucket=bucket)
        self.dynamodb.create_table(
            TableName=state_table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.glue.create_database(DatabaseInput={"Name": self._database})
        for table in CURATED:
            self.glue.create_table(
                DatabaseName=self._database,
                TableInput={
                    "Name": table.name,
                    "PartitionKeys": [{"Name": column.name, "Type": column.type} for column in table.partition_keys],
                    "StorageDescriptor": {
                        "Columns": [{"Name": column.name, "Type": column.type} for column in table.columns],
                        "Location": f"s3://{self._lake}/{table.name}/",
                    },
                },
            )

    @property
    def clients(self) -> Clients:
        return Clients(self.s3, self.glue, self.dynamodb)

    def put(self, arrived: dt.datetime, *lines: bytes, name: str = "a", packed: bool = False) -> str:
        body = b"".join(part + b"\n" for part in lines)
        where = key(arrived, name)
        self.s3.put_object(Bucket=self.raw, Key=where, Body=gzip.compress(body) if packed else body)
        return where

    def register(self, text: str) -> None:
        self.s3.put_object(Bucket=self._settings, Key="registry/devices.csv", Body=text.encode())

    def curate(self, *, now: dt.datetime = NOW, engine: MakeEngine = DuckDBEngine, **more: Any) -> Summary:
        return curate(self.clients, Arguments(**{**self.arguments(), **more}), now, engine)

    def arguments(self) -> dict[str, Any]:
        """What a run is told of this stage."""
        return {**REQUIRED, **self._named}

    def curate_window(self, start: dt.datetime, end: dt.datetime, **more: Any) -> Summary:
        return self.curate(window_from=start, window_to=end, **more)

    def files(self) -> list[str]:
        """The keys of the tables' files."""
        keys = [item["Key"] for item in self.s3.list_objects_v2(Bucket=self._lake).get("Contents", [])]
        return [name for name in keys if not name.startswith("curate/")]

    def registered(self, table: str) -> dict[str, str]:
        """The folder of each registered partition, by its day."""
        found = self.glue.get_partitions(DatabaseName=self._database, TableName=table)["Partitions"]
        folders = {
            p["Values"][0]: p["StorageDescriptor"]["Location"].removeprefix(f"s3://{self._lake}/") for p in found
        }
        return dict(sorted(folders.items()))

    def keys(self, table: str) -> dict[str, list[str]]:
        """The keys of the files of each registered partition, by its day."""
        return {
            day: [item["Key"] for item in self.s3.list_objects_v2(Bucket=self._lake, Prefix=folder).get("Contents", [])]
            for day, folder in self.registered(table).items()
        }

    def rows(self) -> Rows:
        """The rows of every table as a reader of the catalog finds them, in an order that does not depend on files."""
        rows: Rows = {}
        for table in CURATED:
            found = [
                {"dt": day, **row}
                for day, keys in self.keys(table.name).items()
                for name in keys
                for row in self.read(name)
            ]
            rows[table.name] = sorted(found, key=lambda row: repr(sorted(row.items(), key=lambda item: item[0])))
        return rows

    def read(self, name: str) -> list[dict[str, Any]]:
        body = self.s3.get_object(Bucket=self._lake, Key=name)["Body"].read()
        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(body)).to_pylist()
        return rows

    def seqs(self) -> list[int]:
        """The numbers of all curated readings."""
        return sorted(row["seq"] for row in self.rows()["readings"])
