"""The curated readings of a window of time: device by device, in the order of their events, however many there are."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime as dt
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
from botocore.config import Config
from botocore.exceptions import ClientError

from glue_jobs.curate.engines.database import connect, naive
from pipeline.errors import PipelineError
from telemetry.reading.fields import METRICS
from telemetry.tables.curated import READINGS

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

    from pipeline.deployment import Deployment

_FETCHERS = 8

#: What the sort may take before it goes to the temporary folder, and the rows of a batch: what bounds the memory.
_MEMORY = "2GB"
_BATCH_ROWS = 200_000

#: Room in the temporary folder per byte downloaded: the files, and columns sorted without Parquet's compression.
_ROOM = 8


class _Object(NamedTuple):
    bucket: str
    key: str
    size: int


class History:
    """Readings on disk; ``readings`` and ``devices`` are how many, ``newest`` the time of the last (UTC)."""

    def __init__(self, files: list[Path], folder: Path, start: dt.datetime, end: dt.datetime) -> None:
        self._db = connect(folder, memory=_MEMORY)
        source = self._db.from_parquet([str(file) for file in files], union_by_name=True)
        # A metric that is younger than all of the files is in none of them.
        metrics = ", ".join(_metric(name, source.columns) for name in METRICS)
        self._rows = source.filter(
            f"ts >= TIMESTAMP '{naive(start).isoformat(' ')}' AND ts < TIMESTAMP '{naive(end).isoformat(' ')}'"
        ).project(f"device_id, site, epoch_us(ts) AS ts, seq, {metrics}, status")
        found = self._rows.aggregate("count(*), count(DISTINCT device_id), max(ts)").fetchone()
        self.readings, self.devices, newest = found or (0, 0, None)
        self.newest = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=newest or 0)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield readings by device and time: device_id, site, ts (microseconds since 1970), seq, metrics, status."""
        yield from self._rows.order("device_id, ts, seq").fetch_record_batch(_BATCH_ROWS)

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()


@contextlib.contextmanager
def fetched(session: boto3.Session, deployed: Deployment, start: dt.datetime, end: dt.datetime) -> Iterator[History]:
    """Download the window [start, end) of event time into a temporary folder that is removed in any case.

    Raises :class:`PipelineError` where there is nothing, or no room for it.
    """
    s3 = session.client("s3", config=Config(max_pool_connections=_FETCHERS))
    objects = [
        found
        for location in _locations(session.client("glue"), deployed.database_name, start, end)
        for found in _objects(s3, location)
    ]
    nothing = PipelineError(
        f"the table {READINGS.name} has nothing between {start.isoformat()} and {end.isoformat()}: choose another "
        "window, or run 'iot etl run' if the readings are younger than its last run"
    )
    if not objects:
        raise nothing
    with tempfile.TemporaryDirectory(prefix="iot-history-") as name:
        folder = Path(name)
        _check_room(folder, sum(found.size for found in objects))
        history = History(_download(s3, objects, folder), folder, start, end)
        with contextlib.closing(history):
            if not history.readings:
                raise nothing
            yield history


def _metric(name: str, columns: list[str]) -> str:
    """Return a metric as the device sent it, which is what rules see of it."""
    sent = next((column for column in (f"{name}_raw", name) if column in columns), "NULL::DOUBLE")
    return f"{sent} AS {name}"


def _locations(glue: GlueClient, database: str, start: dt.datetime, end: dt.datetime) -> Iterator[str]:
    """Yield the locations of the registered partitions of the window: only they are part of the table."""
    start, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName=database,
        TableName=READINGS.name,
        Expression=f"dt >= '{start:%Y-%m-%d}' AND dt <= '{end:%Y-%m-%d}'",
        ExcludeColumnSchema=True,
    )
    for page in pages:
        for partition in page["Partitions"]:
            # The catalog may give more days than it was asked for.
            if f"{start:%Y-%m-%d}" <= partition["Values"][0] <= f"{end:%Y-%m-%d}":
                yield partition["StorageDescriptor"]["Location"]


def _objects(s3: S3Client, location: str) -> Iterator[_Object]:
    address = urlsplit(location)
    prefix = address.path.strip("/") + "/"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=address.netloc, Prefix=prefix):
        for item in page.get("Contents", []):
            yield _Object(address.netloc, item["Key"], item["Size"])


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size * _ROOM > free:
        raise PipelineError(
            f"the window's files have {size / 2**20:,.0f} MiB and sorting them takes up to {_ROOM} times as much, but "
            f"{folder.parent} has {free / 2**20:,.0f} MiB free: choose a shorter window, or set TMPDIR"
        )


def _download(s3: S3Client, objects: list[_Object], folder: Path) -> list[Path]:
    files = [folder / f"{number}.parquet" for number in range(len(objects))]
    with concurrent.futures.ThreadPoolExecutor(_FETCHERS) as pool:
        running = [
            pool.submit(s3.download_file, found.bucket, found.key, str(file))
            for found, file in zip(objects, files, strict=True)
        ]
        try:
            for future in running:
                future.result()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                raise PipelineError("the curate job has replaced files of the window just now: try again") from error
            raise
        finally:
            pool.shutdown(cancel_futures=True)
    return files
