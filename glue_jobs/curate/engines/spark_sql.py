"""The SQL of the job's steps in Spark's dialect: DuckDB's, transpiled."""

from __future__ import annotations

from functools import cache

import sqlglot
from sqlglot import exp

from glue_jobs.curate.engines.sql import sql


@cache
def spark_sql(step: str) -> str:
    """The statement of a step, in Spark's dialect."""
    return sqlglot.parse_one(sql(step), read="duckdb").transform(_exactly).sql(dialect="spark", comments=False)


def _exactly(node: exp.Expression) -> exp.Expression:
    """Spark's equivalents of functions that sqlglot leaves as they are or only approximates."""
    if isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.PercentileCont):
        # Spark's PERCENTILE interpolates; sqlglot writes PERCENTILE_APPROX, which takes one of the values.
        return exp.Anonymous(this="PERCENTILE", expressions=[node.expression.expressions[0].this, node.this.this])
    if isinstance(node, exp.Anonymous) and node.name.upper() == "EPOCH_US":
        return exp.Anonymous(this="UNIX_MICROS", expressions=node.expressions)
    if isinstance(node, exp.Anonymous) and node.name.upper() == "ROW":
        return exp.Anonymous(this="STRUCT", expressions=node.expressions)
    return node
