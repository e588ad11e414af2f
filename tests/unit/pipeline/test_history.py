"""Fetching the curated readings of a window."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import duckdb
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from pipeline import history
from pipeline.errors import PipelineError
from pipeline.history import fetched
from telemetry.tables.table import ATHENA_TYPES

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
DEPLOYED: Any = SimpleNamespace(database_name="lake", lake_bucket_name="lake-bucket")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with mock_aws():
        session = boto3.Session()
        session.client("s3").create_bucket(Bucket="lake-bucket")
        glue = session.client("glue")
        glue.create_database(DatabaseInput={"Name": "lake"})
        glue.create_table(
            DatabaseName="lake",
            TableInput={
                "Name": "readings",
                "PartitionKeys": [{"Name": name, "Type": ATHENA_TYPES["string"]} for name in ("dt",)],
            },
        )
        yield session


def put(
    session: boto3.Session, folder: Path, hour: dt.datetime, rows: str, *, run: str = "run", live: bool = True
) -> None:
    """Curated readings of an hour: ``rows`` is SQL for device_id, minute, seq and temperature."""
    file, path = folder / "written.parquet", f"readings/dt={hour:%Y-%m-%d}/{run}"
    duckdb.execute(
        f"""COPY (SELECT device_id, 'plant-1' AS site,
                TIMESTAMP '{hour:%Y-%m-%d %H}:00:00' + to_minutes(minute) AS ts, seq::BIGINT AS seq, temperature::DOUBLE
                AS temperature, NULL::DOUBLE AS humidity, 'ok' AS status, 'raw/object' AS raw_object, 1 AS raw_line
            FROM (VALUES {rows}) AS given (device_id, minute, seq, temperature)) TO '{file}' (FORMAT parquet)"""
    )
    session.client("s3").upload_file(str(file), "lake-bucket", f"{path}/{hour:%H}-{hour:%H}.parquet")
    glue = session.client("glue")
    registered = glue.get_partitions(DatabaseName="lake", TableName="readings")["Partitions"]
    if live and [f"{hour:%Y-%m-%d}"] not in [partition["Values"] for partition in registered]:
        glue.create_partition(
            DatabaseName="lake",
            TableName="readings",
            PartitionInput={
                "Values": [f"{hour:%Y-%m-%d}"],
                "StorageDescriptor": {"Location": f"s3://lake-bucket/{path}/"},
            },
        )


def rows_of(session: boto3.Session, start: dt.datetime, end: dt.datetime) -> list[tuple[str, dt.datetime, int]]:
    with fetched(session, DEPLOYED, start, end) as readings:
        rows = [row for batch in readings.batches() for row in batch.to_pylist()]
        assert readings.readings == len(rows)
        assert readings.newest == max(dt.datetime.fromtimestamp(row["ts"] / 1e6, dt.UTC) for row in rows)
        assert readings.devices == len({row["device_id"] for row in rows})
        assert all(row["site"] == "plant-1" and row["status"] == "ok" for row in rows)
        return [(row["device_id"], dt.datetime.fromtimestamp(row["ts"] / 1e6, dt.UTC), row["seq"]) for row in rows]


def left_over() -> list[Path]:
    return list(Path(tempfile.gettempdir()).iterdir())


def test_should_give_the_registered_readings_of_the_window_by_device_and_time(
    session: boto3.Session, tmp_path: Path
) -> None:
    put(session, tmp_path, NOON - HOUR, "('b', 59, 1, 20)")
    put(session, tmp_path, NOON, "('b', 5, 3, 20), ('a', 5, 9, 20), ('b', 0, 2, 20), ('a', 30, 10, 20)")
    put(session, tmp_path, NOON, "('replaced', 5, 1, 20)", run="older", live=False)
    put(session, tmp_path, NOON + HOUR, "('a', 0, 11, 20), ('c', 0, 1, 20)")
    assert rows_of(session, NOON, NOON + 90 * MINUTE) == [
        ("a", NOON + 5 * MINUTE, 9),
        ("a", NOON + 30 * MINUTE, 10),
        ("a", NOON + HOUR, 11),
        ("b", NOON, 2),
        ("b", NOON + 5 * MINUTE, 3),
        ("c", NOON + HOUR, 1),
    ]
    assert rows_of(session, NOON - MINUTE, NOON + 5 * MINUTE) == [("b", NOON - MINUTE, 1), ("b", NOON, 2)]
    assert left_over() == []


def test_should_have_nulls_for_a_metric_that_is_younger_than_the_files(session: boto3.Session, tmp_path: Path) -> None:
    put(session, tmp_path, NOON, "('a', 0, 1, 20.5)")  # has no battery
    with fetched(session, DEPLOYED, NOON, NOON + HOUR) as readings:
        (row,) = [row for batch in readings.batches() for row in batch.to_pylist()]
    assert (row["temperature"], row["humidity"], row["battery"]) == (20.5, None, None)


def test_should_stream_in_batches(session: boto3.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_BATCH_ROWS", 2048)
    put(session, tmp_path, NOON, ", ".join(f"('d{n % 7}', {n % 60}, {n}, 20)" for n in range(5000)))
    with fetched(session, DEPLOYED, NOON, NOON + HOUR) as readings:
        sizes = [batch.num_rows for batch in readings.batches()]
    assert sum(sizes) == 5000
    assert max(sizes) <= 2048


def test_should_say_where_there_is_nothing(session: boto3.Session, tmp_path: Path) -> None:
    put(session, tmp_path, NOON, "('a', 0, 1, 20)")
    with (
        pytest.raises(PipelineError, match=r"nothing between 2026-11-02T12:00:00\+00:00 and .* 'iot etl run'"),
        fetched(session, DEPLOYED, NOON + 24 * HOUR, NOON + 25 * HOUR),
    ):
        pass


def test_should_say_where_the_hour_has_readings_but_the_window_has_none(session: boto3.Session, tmp_path: Path) -> None:
    put(session, tmp_path, NOON, "('a', 0, 1, 20)")
    with pytest.raises(PipelineError, match="nothing between"), fetched(session, DEPLOYED, NOON + MINUTE, NOON + HOUR):
        pass
    assert left_over() == []


def test_should_say_that_there_is_no_room(
    session: boto3.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(session, tmp_path, NOON, "('a', 0, 1, 20)")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with (
        pytest.raises(PipelineError, match="choose a shorter window, or set TMPDIR"),
        fetched(session, DEPLOYED, NOON, NOON + HOUR),
    ):
        pass
    assert left_over() == []


def test_should_say_that_the_curate_job_was_faster(
    session: boto3.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(session, tmp_path, NOON, "('a', 0, 1, 20)")
    listed = history._objects

    def listed_then_replaced(s3: Any, location: str) -> Any:
        yield from list(listed(s3, location))
        s3.delete_object(Bucket="lake-bucket", Key="readings/dt=2026-11-01/run/12-12.parquet")

    monkeypatch.setattr(history, "_objects", listed_then_replaced)
    with pytest.raises(PipelineError, match="try again"), fetched(session, DEPLOYED, NOON, NOON + HOUR):
        pass
    assert left_over() == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_should_leave_nothing_behind_whatever_happens(
    session: boto3.Session, tmp_path: Path, failure: type[BaseException]
) -> None:
    put(session, tmp_path, NOON, "('a', 0, 1, 20)")
    used: list[Path] = []
    with pytest.raises(failure), fetched(session, DEPLOYED, NOON, NOON + HOUR) as readings:  # noqa: PT012
        next(readings.batches())
        used += left_over()
        raise failure
    assert used
    assert left_over() == []


def test_should_pass_on_what_aws_refuses(session: boto3.Session, tmp_path: Path) -> None:
    unknown: Any = SimpleNamespace(database_name="none")
    with pytest.raises(ClientError), fetched(session, unknown, NOON, NOON + HOUR):
        pass
