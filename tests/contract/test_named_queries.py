"""The named queries ask for tables and columns that there are, in words that both Athena and the embedded AWS know."""

from __future__ import annotations

import datetime as dt
import re

import duckdb
import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from pipeline.named_queries import NamedQuery, load
from telemetry.tables.lake import TABLES
from telemetry.tables.table import Table
from tests.contract import lake

QUERIES = load()
NOW = dt.datetime(2026, 11, 23, 12)
each_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)

#: Which of them the embedded Athena cannot run, since DuckDB does not know a function of theirs.
NOT_ON_THE_EMBEDDED_ATHENA: frozenset[str] = frozenset()

#: Functions that are the same in Trino (https://trino.io/docs/current/functions.html) and in DuckDB.
FUNCTIONS = {
    "cast", "coalesce", "count", "cume_dist", "date_diff", "least", "max", "max_by", "min", "nullif", "regexp_extract",
    "regr_slope", "replace", "substr", "sum",
}  # fmt: skip

SCHEMA: dict[str, object] = {
    table.name: {
        column.name: "varchar" if column.type == "string" else column.type for column in lake.columns_of(table)
    }
    for table in TABLES
}


def runs_on_the_embedded_athena(query: NamedQuery) -> bool:
    """Whether it does; ask this before running one there."""
    return query.name not in NOT_ON_THE_EMBEDDED_ATHENA


@pytest.fixture(scope="module")
def empty() -> duckdb.DuckDBPyConnection:
    return lake.connect({})


@pytest.fixture(scope="module")
def filled() -> duckdb.DuckDBPyConnection:
    return lake.connect(lake.few_rows(NOW))


def parsed(query: NamedQuery) -> exp.Select:
    (statement,) = sqlglot.parse(query.sql, read="trino")
    assert isinstance(statement, exp.Select)
    return statement


def test_should_answer_the_usual_questions() -> None:
    assert [query.name for query in QUERIES] == [
        "alert-durations", "alerts-by-rule", "battery-low-soon", "completeness", "conflicts", "duplicates", "freshness",
        "hottest-devices", "hourly-fleet", "late-data", "losses", "quarantine-by-reason", "silent-devices", "site-day",
    ]  # fmt: skip


def test_should_name_only_queries_that_there_are() -> None:
    assert {query.name for query in QUERIES} >= NOT_ON_THE_EMBEDDED_ATHENA


@each_query
def test_should_be_one_select_in_trinos_dialect(query: NamedQuery) -> None:
    assert parsed(query).selects


@each_query
def test_should_use_no_function_that_only_one_of_the_two_has(query: NamedQuery) -> None:
    code = re.sub(r"--.*|'[^']*'", "", query.sql)
    used = {name.lower() for name in re.findall(r"\b([A-Za-z_]+)\(", code)}
    assert used <= FUNCTIONS or not runs_on_the_embedded_athena(query)


@each_query
def test_should_fit_what_athena_takes_of_a_named_query(query: NamedQuery) -> None:
    # https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateNamedQuery.html
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", query.name)
    assert len(query.title) <= 128
    assert len(query.description) <= 1024
    assert len(query.sql.encode()) <= 262_144


@each_query
def test_should_ask_each_partitioned_table_for_certain_days(query: NamedQuery) -> None:
    partitioned = {table.name for table in TABLES if table.partition_keys}
    for select in parsed(query).find_all(exp.Select):
        sources = [select.args["from_"].this, *(join.this for join in select.args.get("joins") or [])]
        if partitioned.isdisjoint(source.name for source in sources if isinstance(source, exp.Table)):
            continue
        conditions = list(select.args["where"].find_all(exp.EQ, exp.GTE))
        assert any(
            isinstance(condition.left, exp.Column)
            and condition.left.name == "dt"
            and not condition.right.find(exp.Column)
            for condition in conditions
        )


@each_query
def test_should_group_by_nothing_but_columns_and_positions(query: NamedQuery) -> None:
    """DuckDB takes an alias there, Trino does not."""
    for select in parsed(query).find_all(exp.Select):
        aliases = {item.alias for item in select.expressions if isinstance(item, exp.Alias)}
        group = select.args.get("group")
        for item in group.expressions if group else ():
            assert isinstance(item, exp.Column | exp.Literal)
            assert item.name not in aliases


@each_query
def test_should_not_divide_integers(query: NamedQuery) -> None:
    """1 / 2 is 0 in Trino and 0.5 in DuckDB."""
    typed = annotate_types(qualify(parsed(query), schema=SCHEMA, dialect="trino"), schema=SCHEMA, dialect="trino")
    for division in typed.find_all(exp.Div):
        assert not (
            division.left.is_type(*exp.DataType.INTEGER_TYPES) and division.right.is_type(*exp.DataType.INTEGER_TYPES)
        ), division.sql()


@each_query
def test_should_run_on_empty_tables(query: NamedQuery, empty: duckdb.DuckDBPyConnection) -> None:
    assert lake.rows_of(empty, lake.as_duckdb(query.sql)) == []


@each_query
def test_should_answer_from_a_few_rows(query: NamedQuery, filled: duckdb.DuckDBPyConnection) -> None:
    assert lake.rows_of(filled, lake.as_duckdb(lake.at(NOW, query.sql)))


@each_query
def test_should_mean_the_same_untranslated(query: NamedQuery, filled: duckdb.DuckDBPyConnection) -> None:
    """As the embedded Athena takes them."""
    if runs_on_the_embedded_athena(query):
        sql = lake.at(NOW, query.sql)
        assert lake.rows_of(filled, sql) == lake.rows_of(filled, lake.as_duckdb(sql))
    else:
        with pytest.raises(duckdb.Error):
            filled.execute(query.sql)


@pytest.mark.parametrize("time_zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@each_query
def test_should_answer_the_same_wherever_the_laptop_stands(
    query: NamedQuery, time_zone: str, filled: duckdb.DuckDBPyConnection
) -> None:
    if runs_on_the_embedded_athena(query):
        elsewhere = lake.connect(lake.few_rows(NOW), time_zone=time_zone)
        answer = lake.rows_of(elsewhere, lake.at(NOW, query.sql, time_zone=time_zone))
        assert answer == lake.rows_of(filled, lake.at(NOW, query.sql))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_should_give_an_example_of_each_table_that_runs(table: Table, empty: duckdb.DuckDBPyConnection) -> None:
    statement = sqlglot.parse_one(table.example, read="trino")
    assert {source.name for source in statement.find_all(exp.Table)} == {table.name}
    assert not table.partition_keys or any(column.name == "dt" for column in statement.find_all(exp.Column))
    assert lake.rows_of(empty, lake.as_duckdb(table.example)) == []
