"""What Athena answers, what that costs, and what becomes of a query nobody waits for any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import awswrangler
import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.athena.models import QueryResults, athena_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from pipeline import athena
from pipeline.errors import PipelineError
from tests.unit.pipeline.alerting import DEPLOYED as ALERTING

DEPLOYED = msgspec.structs.replace(ALERTING, work_group_name="queries", database_name="iot_dev")


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    """An account with the workgroup; its answers are those of :func:`will_answer`."""
    with mock_aws():
        session = boto3.Session()
        session.client("s3").create_bucket(Bucket="results")
        session.client("athena").create_work_group(
            Name="queries",
            Configuration={
                "EnforceWorkGroupConfiguration": True,
                "ResultConfiguration": {"OutputLocation": "s3://results/out/"},
            },
        )
        yield session


def will_answer(columns: dict[str, str], *rows: tuple[str | None, ...]) -> None:
    """The next query answers with these columns (name: type) and rows; the first is its header if it is a SELECT."""
    data = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in rows]
    info = [{"Name": name, "Label": name, "Type": kind} for name, kind in columns.items()]
    athena_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].query_results_queue.append(QueryResults(data, info))


def executions() -> list[Any]:
    return list(athena_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].executions.values())


def test_should_give_the_rows_with_their_types(session: boto3.Session) -> None:
    will_answer({"site": "varchar", "n": "bigint"}, ("site", "n"), ("plant-1", "3"), (None, "4"))
    frame = athena.query(session, DEPLOYED, "SELECT site, count(*) AS n FROM readings GROUP BY 1")
    assert frame["n"].tolist() == [3, 4]
    assert frame["site"].tolist()[0] == "plant-1"
    assert frame["site"].isna().tolist() == [False, True]


def test_should_ask_in_the_deployments_workgroup_and_database(session: boto3.Session) -> None:
    will_answer({"n": "bigint"}, ("n",), ("1",))
    athena.query(session, DEPLOYED, "SELECT 1 AS n")
    (execution,) = executions()
    assert execution.workgroup.name == "queries"
    assert execution.context == {"Database": "iot_dev"}


def test_should_give_the_lines_of_what_is_no_select(session: boto3.Session) -> None:
    will_answer({"tab_name": "string"}, ("alerts",), ("readings",))
    frame, statistics = athena.answer(session, DEPLOYED, "SHOW TABLES")
    assert frame.to_dict("records") == [{"tab_name": "alerts"}, {"tab_name": "readings"}]
    assert not statistics.billed


def test_should_give_nothing_where_there_is_nothing_to_give(session: boto3.Session) -> None:
    will_answer({})
    frame = athena.query(session, DEPLOYED, "ALTER TABLE readings ADD PARTITION (dt = '2026-11-23')")
    assert frame.shape == (0, 0)


def test_should_stop_a_query_nobody_waits_for(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(awswrangler.athena, "wait_query", interrupted)
    with pytest.raises(KeyboardInterrupt):
        athena.query(session, DEPLOYED, "SELECT 1")
    (execution,) = executions()
    assert execution.status == "CANCELLED"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("FAILED", "Athena refused the query: COLUMN_NOT_FOUND"),
        ("CANCELLED", "Athena stopped the query, as it does with one that reads more than athena_scan_limit_gb: COL"),
    ],
)
def test_should_say_why_a_query_failed(
    state: str, said: str, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = {"Status": {"State": state, "StateChangeReason": "COLUMN_NOT_FOUND"}}
    monkeypatch.setattr(awswrangler.athena._executions, "get_query_execution", lambda **_: ended)
    with pytest.raises(PipelineError) as raised:
        athena.query(session, DEPLOYED, "SELECT nonsense FROM readings")
    assert str(raised.value).startswith(said)


def test_should_say_that_athena_refused(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "InvalidRequestException", "Message": "mismatched input"}}, "Start")

    monkeypatch.setattr(awswrangler.athena, "start_query_execution", refuse)
    with pytest.raises(PipelineError, match=r"^Athena refused the query: .*mismatched input"):
        athena.query(session, DEPLOYED, "SELECT")


def test_should_say_what_a_query_took() -> None:
    statistics = athena.statistics_of(
        {
            "StatementType": "DML",
            "Statistics": {"EngineExecutionTimeInMillis": 1250, "DataScannedInBytes": 2_000_000_000},
        }
    )
    assert statistics == athena.Statistics(seconds=1.25, scanned_bytes=2_000_000_000, billed=True)
    assert athena.statistics_of({"StatementType": "DDL"}) == athena.Statistics(0, 0, billed=False)
