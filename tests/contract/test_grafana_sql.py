"""What the dashboards ask Athena: of tables and columns that there are, in its dialect, of certain days only."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from dashboards.grafana.queries import SQL
from pipeline.names import Names
from telemetry.tables.lake import TABLES
from telemetry.tables.table import Table
from tests.contract import grafana, lake

NOW = dt.datetime(2026, 11, 23, 12)
QUERIES = grafana.athena_queries()
each_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)

#: Functions of Trino's that the named queries do not use: https://trino.io/docs/current/functions.html
FUNCTIONS = {
    "approx_percentile", "cast", "coalesce", "count", "date_diff", "date_trunc", "least", "max", "max_by", "min",
    "nullif", "regr_slope", "replace", "row_number", "substr", "sum",
}  # fmt: skip

SCHEMA: dict[str, object] = {
    table.name: {
        column.name: "varchar" if column.type == "string" else column.type for column in lake.columns_of(table)
    }
    for table in TABLES
}
ALERT = {"rule": "too-hot", "device": "d-1", "site": "north", "severity": "critical", "dt": f"{NOW:%Y-%m-%d}"}


def asked(sql: str) -> str:
    """As Athena gets it: the last seven days, of both sites."""
    return grafana.filled_in(sql, since=NOW - dt.timedelta(days=7), until=NOW, sites=("north", "south"))


def parsed(sql: str) -> exp.Query:
    (statement,) = sqlglot.parse(asked(sql), read="trino")
    assert isinstance(statement, exp.Query)
    return statement


def known(statement: exp.Query) -> exp.Query:
    """With each column's table and type; raises OptimizeError for one that is not there."""
    found = qualify(statement.copy(), schema=SCHEMA, dialect="trino", validate_qualify_columns=True)
    return annotate_types(found, schema=SCHEMA, dialect="trino")


def unpruned(statement: exp.Query) -> list[str]:
    """The partitioned tables that are asked for without saying for which days, by literals or by today's date."""
    partitioned = {table.name for table in TABLES if table.partition_keys}
    found = []
    for select in statement.find_all(exp.Select):
        sources = [select.args["from_"].this, *(join.this for join in select.args.get("joins") or [])]
        names = {source.name for source in sources if isinstance(source, exp.Table)} & partitioned
        where = select.args.get("where")
        limits = list(where.find_all(exp.GTE, exp.Between)) if where else []
        days = [limit for limit in limits if isinstance(limit.this, exp.Column) and limit.this.name == "dt"]
        constant = [day for day in days if len(list(day.find_all(exp.Column))) == 1]
        found += sorted(names) if not constant else []
    return found


@pytest.fixture(scope="module")
def rows() -> dict[str, list[lake.Row]]:
    """A few, and an alert that still fires."""
    found = {name: list(some) for name, some in lake.few_rows(NOW).items()}
    times = {"fired_at": f"{NOW:%Y-%m-%d}T09:00:00.5Z", "changed_at": f"{NOW:%Y-%m-%d}T10:00:00Z"}
    first = ALERT | times | {"alert_id": "on", "sequence": 1, "change": "firing", "status": "firing", "held": None}
    found["alerts"] += [first, first, dict(first) | {"sequence": 2, "change": "acknowledged", "held": "acknowledged"}]
    found["device_health"] = [
        dict(row) | {"day_start": NOW.replace(hour=0), "received": 90, "expected": 100}
        for row in found["device_health"]
    ]
    return found


def answer(sql: str, rows: dict[str, list[lake.Row]]) -> list[dict[str, object]]:
    return lake.rows_of(lake.connect(rows), lake.as_duckdb(lake.at(NOW, asked(sql))))


def test_should_ask_what_the_files_say_and_leave_none_out() -> None:
    files = {path.read_text(encoding="utf-8").strip() for path in SQL.rglob("*.sql")}
    assert {query.sql for query in QUERIES} == files


@each_query
def test_should_ask_the_stages_database(query: grafana.Query) -> None:
    assert query.database.replace("$stage", "dev") == Names("dev").database


@each_query
def test_should_leave_nothing_for_grafana_to_fill_in(query: grafana.Query) -> None:
    assert "$" not in asked(query.sql)


@each_query
def test_should_ask_for_tables_and_columns_that_there_are(query: grafana.Query) -> None:
    assert known(parsed(query.sql))


@each_query
def test_should_ask_each_partitioned_table_for_certain_days(query: grafana.Query) -> None:
    assert unpruned(parsed(query.sql)) == []


@each_query
def test_should_use_functions_that_trino_has(query: grafana.Query) -> None:
    code = re.sub(r"--.*|'[^']*'", "", asked(query.sql))
    used = {name.lower() for name in re.findall(r"\b([A-Za-z_]+)\(", code)}
    assert used <= FUNCTIONS


@each_query
def test_should_group_by_nothing_but_columns_and_positions(query: grafana.Query) -> None:
    """DuckDB takes an alias there, Trino does not."""
    for select in parsed(query.sql).find_all(exp.Select):
        aliases = {item.alias for item in select.expressions if isinstance(item, exp.Alias)}
        group = select.args.get("group")
        for item in group.expressions if group else ():
            assert isinstance(item, exp.Column | exp.Literal)
            assert item.name not in aliases or not isinstance(item, exp.Column)


@each_query
def test_should_not_divide_integers(query: grafana.Query) -> None:
    """1 / 2 is 0 in Trino."""
    for division in known(parsed(query.sql)).find_all(exp.Div):
        assert not (
            division.left.is_type(*exp.DataType.INTEGER_TYPES) and division.right.is_type(*exp.DataType.INTEGER_TYPES)
        ), division.sql()


@each_query
def test_should_run_on_empty_tables(query: grafana.Query) -> None:
    assert all(set(row.values()) <= {0, None} for row in answer(query.sql, {}))


@each_query
def test_should_answer_from_a_few_rows(query: grafana.Query, rows: dict[str, list[lake.Row]]) -> None:
    assert answer(query.sql, rows)


@pytest.mark.parametrize("query", [q for q in QUERIES if q.over_time], ids=lambda query: query.where)
def test_should_give_graphs_rising_times_and_numbers(query: grafana.Query, rows: dict[str, list[lake.Row]]) -> None:
    """Else Grafana draws none: https://grafana.com/docs/plugins/grafana-athena-datasource/latest/query-editor/"""
    found = answer(query.sql, rows)
    times = [row["time"] for row in found]
    assert all(isinstance(time, dt.date) for time in times)
    assert times == sorted(times)  # type: ignore[type-var]
    values = [value for name, value in found[0].items() if name not in {"time", "site", "severity", "reason"}]
    assert values
    assert all(isinstance(value, int | float) for value in values)


def test_should_count_an_alert_as_active_by_its_last_change(rows: dict[str, list[lake.Row]]) -> None:
    by_place = {query.where: query.sql for query in QUERIES}
    (active,) = answer(by_place["alerts: Active alerts"], rows)
    assert (active["rule"], active["held"], active["lasting"]) == ("too-hot", "acknowledged", 3 * 3600)
    assert answer(by_place["alerts: Active now"], rows) == [{"page": 0, "critical": 1, "warning": 0, "info": 0}]


def test_should_count_what_was_sent_twice_once(rows: dict[str, list[lake.Row]]) -> None:
    by_place = {query.where: query.sql for query in QUERIES}
    assert sum(row["alerts"] for row in answer(by_place["alerts: Fired, by site"], rows)) == 2  # type: ignore[misc]


def test_should_leave_other_sites_out(rows: dict[str, list[lake.Row]]) -> None:
    (silent,) = [query.sql for query in QUERIES if query.where == "fleet: Silent devices"]
    elsewhere = grafana.filled_in(silent, since=NOW, until=NOW, sites=("north",))
    assert {row["site"] for row in answer(silent, rows)} == {"south"}
    assert lake.rows_of(lake.connect(rows), lake.as_duckdb(lake.at(NOW, elsewhere))) == []


def test_should_find_a_column_that_is_not_there() -> None:
    with pytest.raises(OptimizeError):
        known(parsed("SELECT celsius FROM readings WHERE dt >= $__rawTimeFrom('yyyy-MM-dd')"))


def test_should_find_a_macro_that_the_plugin_does_not_have() -> None:
    with pytest.raises(KeyError):
        asked("SELECT 1 WHERE $__rawTimeSince('yyyy-MM-dd')")


def test_should_find_what_is_no_sql() -> None:
    with pytest.raises(ParseError):
        parsed("SELECT FROM WHERE")


@pytest.mark.parametrize(
    "where", ["", "WHERE $__timeFilter(ts)", "WHERE dt = substr(CAST(ts AS varchar), 1, 10)", "WHERE dt >= site"]
)
def test_should_find_what_would_read_every_day(where: str) -> None:
    assert unpruned(parsed(f"SELECT site FROM readings {where}")) == ["readings"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_should_know_the_types_of_every_column(table: Table) -> None:
    assert known(parsed(f"SELECT {', '.join(c.name for c in lake.columns_of(table))} FROM {table.name}"))
