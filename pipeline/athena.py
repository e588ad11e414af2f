"""Queries on the lake: their answers, and the bytes they scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec
from botocore.exceptions import ClientError

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    import boto3
    import pandas as pd
    from mypy_boto3_athena.type_defs import QueryExecutionTypeDef, RowTypeDef

    from pipeline.deployment import Deployment

#: How often to ask whether a query has ended.
_POLL_SECONDS = 0.2


class Statistics(msgspec.Struct, frozen=True):
    """Cost of a query: seconds in Athena's engine, bytes scanned, and whether AWS bills such a statement."""

    seconds: float
    scanned_bytes: int
    billed: bool


class Answer(NamedTuple):
    """Result of a query, and its cost."""

    frame: pd.DataFrame
    statistics: Statistics


def query(session: boto3.Session, deployment: Deployment, sql: str) -> pd.DataFrame:
    """Return the rows that :func:`answer` gives."""
    return answer(session, deployment, sql).frame


def answer(session: boto3.Session, deployment: Deployment, sql: str) -> Answer:
    """Run ``sql`` in the deployment's workgroup; raises :class:`PipelineError` with Athena's reason if it fails.

    Whoever is interrupted meanwhile leaves no query behind that goes on to scan and to cost.
    """
    # Takes more than a second, and most commands do not query.
    from awswrangler.exceptions import QueryCancelled, QueryFailed  # noqa: PLC0415

    try:
        execution = _execute(session, deployment, sql)
        return Answer(_frame(session, execution), statistics_of(execution))
    except QueryCancelled as error:
        raise PipelineError(
            f"Athena stopped the query, as it does with one that reads more than athena_scan_limit_gb: {error}"
        ) from error
    except (QueryFailed, ClientError) as error:
        raise PipelineError(f"Athena refused the query: {error}") from error


def statistics_of(execution: QueryExecutionTypeDef) -> Statistics:
    """Return Athena's statistics of a query. Statements that define something (DDL) are free."""
    found = execution.get("Statistics", {})
    return Statistics(
        seconds=found.get("EngineExecutionTimeInMillis", 0) / 1000,
        scanned_bytes=found.get("DataScannedInBytes", 0),
        billed=execution.get("StatementType") == "DML",
    )


def _execute(session: boto3.Session, deployment: Deployment, sql: str) -> QueryExecutionTypeDef:
    """Run a query to its end. Not wr.athena.read_sql_query, which cannot be told to stop it."""
    import awswrangler as wr  # noqa: PLC0415

    execution_id = wr.athena.start_query_execution(
        sql, database=deployment.database_name, workgroup=deployment.work_group_name, boto3_session=session
    )
    try:
        execution = wr.athena.wait_query(
            execution_id, boto3_session=session, athena_query_wait_polling_delay=_POLL_SECONDS
        )
    except KeyboardInterrupt:
        wr.athena.stop_query_execution(execution_id, boto3_session=session)
        raise
    return cast("QueryExecutionTypeDef", execution)


def _frame(session: boto3.Session, execution: QueryExecutionTypeDef) -> pd.DataFrame:
    import awswrangler as wr  # noqa: PLC0415

    execution_id = execution["QueryExecutionId"]
    location = execution["ResultConfiguration"]["OutputLocation"]
    if execution["StatementType"] == "DML" and location.endswith(".csv"):
        frame: pd.DataFrame = wr.athena.get_query_results(execution_id, boto3_session=session)
        return frame
    return _text(session, execution_id)


def _text(session: boto3.Session, execution_id: str) -> pd.DataFrame:
    """Return the lines of text that SHOW, DESCRIBE and EXPLAIN answer, which awswrangler does not read."""
    import pandas as pd  # noqa: PLC0415

    columns: list[str] = []
    rows: list[RowTypeDef] = []
    for page in session.client("athena").get_paginator("get_query_results").paginate(QueryExecutionId=execution_id):
        columns = [column["Name"] for column in page["ResultSet"]["ResultSetMetadata"].get("ColumnInfo", [])]
        rows += page["ResultSet"]["Rows"]
    return pd.DataFrame([[datum.get("VarCharValue") for datum in row["Data"]] for row in rows], columns=columns)
