"""The job as it is deployed, on AWS in folders: all tables, with the index, the ledger and the catalog."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, cast

from benchmarks.curate.contenders import Contender
from benchmarks.curate.dataset import REGISTRY_KEY, contents
from benchmarks.curate.without_pandas import hide_pandas
from glue_jobs.curate.arguments import Arguments
from glue_jobs.curate.engines.duckdb_engine import DuckDBEngine
from glue_jobs.curate.run import Clients, curate
from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import Faults
from local.memory_aws.glue import Glue
from local.memory_aws.s3 import S3, InFolders
from telemetry.tables.curated import CURATED

_ARGUMENTS = Arguments(
    raw_bucket="raw",
    lake_bucket="lake",
    database="iot",
    stage="dev",
    state_table="curation",
    config_bucket="config",
    registry_key=REGISTRY_KEY,
    raw_retention_days=35,
)


def contender() -> Contender:
    """The whole job, from nothing curated to everything."""
    hide_pandas()
    return Contender(_curate, ("duckdb", "pyarrow", "msgspec"))


def _curate(data: Path, out: Path) -> None:
    now = contents(data).until + dt.timedelta(minutes=15)
    calls = Faults()
    s3 = S3(calls, InFolders({"raw": data, "config": data, "lake": out}))
    glue, dynamodb = Glue(calls), DynamoDB(calls, {"curation": ("id",)})
    for table in CURATED:
        glue.create_table(TableInput={"Name": table.name, "StorageDescriptor": {}})
    curate(Clients(*cast("tuple[Any, Any, Any]", (s3, glue, dynamodb))), _ARGUMENTS, now, DuckDBEngine)
