"""The job as it is deployed, on AWS in folders: all tables, with the index, the ledger and the catalog."""

from __future__ import annotations

import datetime as dt
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from benchmarks.curate.aws import S3, DynamoDB, Glue
from benchmarks.curate.contenders import Contender
from benchmarks.curate.dataset import REGISTRY_KEY, contents
from glue_jobs.curate.arguments import Arguments
from glue_jobs.curate.curate import Clients, curate

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


class _WithoutPandas(MetaPathFinder):
    """Has no pandas found, as where the job runs: PyArrow would import it."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Raises ModuleNotFoundError for pandas; leaves all others to the next finder."""
        if fullname == "pandas":
            raise ModuleNotFoundError("the job runs without pandas", name=fullname)


def contender() -> Contender:
    """The whole job, from nothing curated to everything."""
    sys.meta_path.insert(0, _WithoutPandas())
    return Contender(_curate, ("duckdb", "pyarrow", "msgspec"))


def _curate(data: Path, out: Path) -> None:
    now = contents(data).until + dt.timedelta(minutes=15)
    clients: Any = Clients(S3({"raw": data, "config": data, "lake": out}), Glue(), DynamoDB())
    curate(clients, _ARGUMENTS, now)
