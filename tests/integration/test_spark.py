"""The curation on Spark: real local PySpark and the embedded AWS, beside DuckDB on the same raw data."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest

from cdk.bundling import CURATE_SCRIPTS, curate_wheel
from glue_jobs.curate.engines.duckdb_engine import DuckDBEngine
from glue_jobs.curate.engines.engine import Engine
from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.hours import HOUR
from glue_jobs.curate.run import MakeEngine
from glue_jobs.curate.zones.raw import RawZone
from local.emulator import Instance
from local.endpoint import local_environment
from tests.unit.curate.deployed import Aws, at
from tests.unit.curate.samples import key

pytest.importorskip("pyspark", reason="PySpark is not installed: make test installs it")

from pyspark.sql import SparkSession

from glue_jobs.curate.engines.spark_engine import SETTINGS, SparkEngine

BEGIN = dt.datetime(2026, 11, 20, 20, tzinfo=dt.UTC)
HOURS = 12
NOW = BEGIN + HOURS * HOUR
REGISTRY = """device,site,model,latitude,longitude,installed,interval,calibration_offset
d1,s1,freezer,53.5,9.9,2026-01-01,600,0.25
d2,s1,,,,,,
d3,s2,greenhouse,,,2026-02-01,300,-1.5
"""


@pytest.fixture(scope="module")
def make_engine(emulator: Instance) -> Iterator[MakeEngine]:
    """Makes engines of one session, whose workers are processes that find the embedded AWS in their environment."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in local_environment(emulator.endpoint).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
        spark = (
            SparkSession.builder.master("local[2]")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "2")
            .config(map=SETTINGS)
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
        # The gateway's Java is started with the environment, the workers by it.
    yield partial(SparkEngine, spark)
    gateway: Any = spark.sparkContext._gateway
    spark.stop()
    # Its Java would stay until this process ends, and other tests look for what was left behind.
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(timeout=60)


class Twins:
    """The same stage twice: one is curated with DuckDB, the other with Spark."""

    def __init__(self, prefix: str, make_engine: MakeEngine) -> None:
        self.engines: list[tuple[Aws, MakeEngine]] = [
            (Aws(prefix=f"{prefix}-duckdb-"), DuckDBEngine),
            (Aws(prefix=f"{prefix}-spark-"), make_engine),
        ]
        for aws, _ in self.engines:
            aws.register(REGISTRY)

    def put(self, name: str, body: bytes) -> None:
        for aws, _ in self.engines:
            aws.s3.put_object(Bucket=aws.raw, Key=name, Body=body)

    def curate(self, **more: Any) -> None:
        """Curate both; they say the same of it and have the same rows."""
        duckdb, spark = (aws.curate(engine=engine, **{"now": NOW, **more}) for aws, engine in self.engines)
        assert msgspec.structs.replace(spark, run_id="") == msgspec.structs.replace(duckdb, run_id="")
        (ours, _), (theirs, _) = self.engines
        for table, rows in ours.rows().items():
            found = theirs.rows()[table]
            assert len(found) == len(rows)
            for one, other in zip(*(sorted(some, key=_exact) for some in (found, rows)), strict=True):
                assert one == {name: _about(value) for name, value in other.items()}, table


def _exact(row: Mapping[str, Any]) -> str:
    """The values of a row that are no floating point."""
    return repr(sorted((name, value) for name, value in row.items() if not isinstance(value, float)))


def _about(value: Any) -> Any:
    """The same, but for what the order of adding makes of floating point."""
    return pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value


def _objects(chosen: random.Random) -> dict[str, bytes]:
    """Raw objects as they come: mostly good, with copies, contradictions, late and early, broken and odd lines."""
    odd = [b"oops", b"", b"   ", b"{}", b"\xff\xfe", b'{"device_id":"d1"', b'{"device_id":"d1","site":1}', b"\r"]
    sequences = dict.fromkeys(("d1", "d2", "d3", 'd\u00e9 "4"'), 0)
    sent: list[bytes] = []
    objects = {}
    for number in range(2 * HOURS - 2):
        arrived = BEGIN + number * HOUR / 2
        lines = []
        for _ in range(chosen.choice([0, 5, 40, 200])):
            device = chosen.choice(list(sequences))
            sequences[device] += chosen.choice([1, 1, 1, 1, 4])
            late = dt.timedelta(minutes=chosen.choice([0, 0, 0, 1, 29, 90, 25 * 60, -2, -10]))
            reading = at(
                arrived - late - dt.timedelta(microseconds=chosen.randrange(10**9)),
                device_id=device,
                site=chosen.choice(["s1", "s1", "s2"]),
                seq=sequences[device],
                temperature=chosen.choice([None, 0.1, 1e-7, 21, round(chosen.gauss(4, 3), 2)]),
                humidity=chosen.choice([None, ..., round(chosen.uniform(20, 90), 1)]),
                battery=chosen.choice([..., 3.0000005, round(3.3 - number / 100, 3)]),
                status=chosen.choice(["ok", "ok", "ok", "degraded", "fault"]),
                **chosen.choice([{}, {}, {"firmware": "1.2"}]),
            )
            lines.append(reading)
            sent.append(reading)
            if chosen.random() < 0.1:
                lines.append(chosen.choice(sent))
            if chosen.random() < 0.05:
                lines.append(chosen.choice(sent).replace(b'"ok"', b'"fault"'))
            if chosen.random() < 0.05:
                lines.append(chosen.choice(odd))
        body = b"\n".join(lines) + chosen.choice([b"", b"\n", b"\n\n"])
        if chosen.random() < 0.8:
            body = gzip.compress(body)
            body = chosen.choice([body, body, body, body[:-9]])
        objects[key(arrived, f"{number}")] = body
    return objects


def test_should_make_the_same_rows_as_duckdb(aws: boto3.Session, make_engine: MakeEngine) -> None:
    twins = Twins("twin", make_engine)
    objects = _objects(random.Random(1))
    names = sorted(objects)
    # Some are there from the beginning, some come late, into hours that are curated already.
    for name in names[::3] + names[1::3]:
        twins.put(name, objects[name])
    twins.curate(dry_run=True)
    twins.curate()
    for name in names[2::3]:
        twins.put(name, objects[name])
    twins.curate()
    twins.curate()
    twins.curate(window_from=BEGIN + 3 * HOUR, window_to=BEGIN + 5 * HOUR, window_by="event")
    twins.curate(window_from=BEGIN + 2 * HOUR, window_to=BEGIN + 6 * HOUR)
    # The days are over for long: their files are merged.
    twins.curate(now=NOW + 72 * HOUR)
    twins.curate(full=True, now=NOW + 72 * HOUR)
    assert all(len(rows) > 0 for rows in twins.engines[1][0].rows().values())


def test_should_say_what_a_worker_could_not_do(aws: boto3.Session, make_engine: MakeEngine) -> None:
    spark = Aws(prefix="refused-")
    spark.put(BEGIN, at(BEGIN))

    def elsewhere(raw: RawZone, *collaborators: Any) -> Engine:
        return make_engine(RawZone(aws.client("s3"), "nowhere"), *collaborators)

    with pytest.raises(CurateError, match=r"^cannot read s3://nowhere/raw/.*NoSuchBucket"):
        spark.curate(engine=elsewhere)


def test_should_run_as_the_script_that_glue_runs(aws: boto3.Session, tmp_path: Path) -> None:
    spark = Aws(prefix="script-")
    spark.put(BEGIN, at(BEGIN), b"oops")
    arguments = spark.arguments()
    # Glue gives arguments of its own too, and installs the wheel.
    command = [sys.executable, str(CURATE_SCRIPTS["spark"]), "--JOB_NAME", "curate"]
    command += [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    installed = {"PYTHONPATH": str(curate_wheel(tmp_path)), "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        command, env=os.environ | installed, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["readings"], summary["quarantined"]) == (1, 1)
    assert spark.seqs() == [7]
