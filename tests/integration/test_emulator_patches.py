"""The two defects of MiniStack that ``local/patches.py`` mends: mended with it, still there without it.

A test named "upstream" fails once MiniStack has mended its defect: delete the patch and its tests then.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import awswrangler
import boto3
import pandas
import pytest

from local import emulator
from local.emulator import Instance
from local.processes import end_group
from tests.waiting import wait_for

if TYPE_CHECKING:
    from mypy_boto3_athena.type_defs import QueryExecutionTypeDef

# How often a stream's records are walked through by ten puts: each walk replaces the list.
COUNT_SCANS = """
import asyncio, json
from ministack.services import kinesis

def call(action, **data):
    headers = {"x-amz-target": f"Kinesis_20131202.{action}", "content-type": "application/x-amz-json-1.1"}
    status, _, body = asyncio.run(kinesis.handle_request("POST", "/", headers, json.dumps(data).encode(), {}))
    assert status == 200, body

call("CreateStream", StreamName="s", ShardCount=1)
call("DescribeStream", StreamName="s")
(shard,) = kinesis._streams["s"]["shards"].values()
scans, lists = 0, [shard["records"]]
for _ in range(10):
    call("PutRecords", StreamName="s", Records=[{"Data": "YQ==", "PartitionKey": "k"}])
    if shard["records"] is not lists[-1]:
        lists.append(shard["records"])
assert len(shard["records"]) == 10
print(len(lists) - 1)
"""


@pytest.fixture
def unpatched(tmp_path: Path) -> Iterator[Instance]:
    """MiniStack as it comes."""
    port = emulator.free_port()
    (tmp_path / "tmp").mkdir()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [emulator.PYTHON, "-m", "ministack"],
            env=emulator.environment(port, tmp_path),
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        instance = Instance(process.pid, port)
        wait_for(lambda: emulator.is_healthy(instance) or process.poll() is not None, "the emulator's answer")
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield instance
    finally:
        end_group(process.pid)
        process.wait()


def result_keys(session: boto3.Session) -> tuple[str, list[str]]:
    """Run a query; where Athena says the result is, and what lies in the bucket."""
    s3, athena = session.client("s3"), session.client("athena")
    s3.create_bucket(Bucket="query-results")
    query = athena.start_query_execution(
        QueryString="SELECT 1 AS one", ResultConfiguration={"OutputLocation": "s3://query-results/out/"}
    )["QueryExecutionId"]

    def execution() -> QueryExecutionTypeDef:
        return athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]

    wait_for(lambda: execution()["Status"]["State"] not in ("QUEUED", "RUNNING"), "the query's end")
    ended = execution()
    assert ended["Status"]["State"] == "SUCCEEDED"
    found = [
        content["Key"] for content in s3.list_objects_v2(Bucket="query-results", Prefix=f"out/{query}")["Contents"]
    ]
    return ended["ResultConfiguration"]["OutputLocation"].removeprefix("s3://query-results/"), found


def count_scans(prelude: str) -> int:
    result = subprocess.run(
        [emulator.PYTHON, "-c", prelude + COUNT_SCANS],
        cwd=emulator.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout.splitlines()[-1])


def test_should_put_athena_results_where_they_are_said_to_be(aws: boto3.Session) -> None:
    said, found = result_keys(aws)
    assert sorted(found) == [said, f"{said}.metadata"]


def test_upstream_should_still_put_athena_results_elsewhere(
    unpatched: Instance, turn_to: Callable[[str], boto3.Session]
) -> None:
    said, found = result_keys(turn_to(unpatched.endpoint))
    assert said not in found


def test_should_answer_awswrangler_with_the_rows_of_a_parquet_table(aws: boto3.Session) -> None:
    rows = pandas.DataFrame({"device": ["a", "b"], "celsius": [20.5, 41.0]})
    aws.client("s3").create_bucket(Bucket="some-lake")
    aws.client("athena").create_work_group(
        Name="some-workgroup",
        Configuration={
            "EnforceWorkGroupConfiguration": True,
            "ResultConfiguration": {"OutputLocation": "s3://some-lake/results/"},
        },
    )
    awswrangler.catalog.create_database("some_database")
    awswrangler.s3.to_parquet(
        rows, path="s3://some-lake/readings/", dataset=True, database="some_database", table="readings"
    )
    answer = awswrangler.athena.read_sql_query(
        "SELECT device, celsius FROM readings WHERE celsius > 40",
        database="some_database",
        workgroup="some-workgroup",
        ctas_approach=False,
    )
    assert answer.to_dict("records") == [{"device": "b", "celsius": 41.0}]


def test_should_scan_retained_records_once_for_many_puts() -> None:
    assert count_scans("from local import patches; patches.apply()") <= 1


def test_upstream_should_still_scan_retained_records_at_each_put() -> None:
    assert count_scans("") == 10
