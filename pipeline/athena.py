"""Queries on the curated tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    import boto3
    import pandas as pd

    from pipeline.deployment import Deployment

#: How often to ask whether a query has ended.
_POLL_SECONDS = 0.2


def query(session: boto3.Session, deployment: Deployment, sql: str) -> pd.DataFrame:
    """Run ``sql`` in the deployment's workgroup; raises :class:`PipelineError` with Athena's reason if it fails."""
    # Takes more than a second, and most commands do not query.
    import awswrangler as wr  # noqa: PLC0415
    from awswrangler.exceptions import QueryCancelled, QueryFailed  # noqa: PLC0415

    try:
        return wr.athena.read_sql_query(
            sql,
            database=deployment.database_name,
            workgroup=deployment.work_group_name,
            # Plain results: no table is created on the side, and the workgroup says where they go.
            ctas_approach=False,
            athena_query_wait_polling_delay=_POLL_SECONDS,
            boto3_session=session,
        )
    except QueryCancelled as error:
        raise PipelineError(
            f"Athena stopped the query, as it does with one that reads more than athena_scan_limit_gb: {error}"
        ) from error
    except (QueryFailed, ClientError) as error:
        raise PipelineError(f"Athena refused the query: {error}") from error
