"""What the Streamlit page asks Athena: of tables and columns that there are, in its dialect, of certain days only."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import sqlglot
from sqlglot import exp

from dashboards.app import sql
from telemetry.text.sql import literal
from tests.contract import lake
from tests.contract.test_grafana_sql import FUNCTIONS, NOW, known, rows, unpruned  # noqa: F401 - rows is a fixture

TODAY = NOW.date()
SINCE = TODAY - dt.timedelta(days=7)
START = NOW.replace(tzinfo=dt.UTC) - dt.timedelta(hours=12)
END = NOW.replace(tzinfo=dt.UTC)

QUERIES = {
    "newest_hours": sql.newest_hours(SINCE),
    "places": sql.places(),
    "days_with_devices": sql.days_with_devices(SINCE),
    "fleet": sql.fleet(TODAY),
    "devices": sql.devices(TODAY, (), ()),
    "devices of some": sql.devices(TODAY, ("north", "south"), ("model", "o'brien")),
    "batteries": sql.batteries(TODAY),
    "known_devices": sql.known_devices(SINCE),
    "known_devices of one": sql.known_devices(SINCE, device="d-1"),
    "readings": sql.readings("d-1", START, END),
    "hours": sql.hours("d-1", START, END),
    "changes": sql.changes(START),
    "changes of one": sql.changes(START, device="d-1"),
    "fired_by_hour": sql.fired_by_hour(START),
    "fired_by_place": sql.fired_by_place(START),
    "quarantined": sql.quarantined(SINCE),
    "quarantined_lines": sql.quarantined_lines(SINCE, "not_json"),
    "quality": sql.quality(SINCE),
    "freshness": sql.freshness(SINCE),
}
each_query = pytest.mark.parametrize("text", QUERIES.values(), ids=QUERIES)


def parsed(text: str) -> exp.Query:
    (statement,) = sqlglot.parse(text, read="trino")
    assert isinstance(statement, exp.Query)
    return statement


def answer(text: str, there: dict[str, list[lake.Row]]) -> list[dict[str, object]]:
    return lake.rows_of(lake.connect(there), lake.as_duckdb(text))


def test_should_hold_every_question_of_the_page() -> None:
    questions = {name for name, value in vars(sql).items() if callable(value) and value.__module__ == sql.__name__}
    asked = {name.split(" ")[0] for name in QUERIES}
    assert {name for name in questions if not name.startswith("_")} - {"text"} == asked


@each_query
def test_should_ask_for_tables_and_columns_that_there_are(text: str) -> None:
    assert known(parsed(text))


@each_query
def test_should_ask_each_partitioned_table_for_certain_days(text: str) -> None:
    assert unpruned(parsed(text)) == []


@each_query
def test_should_use_functions_that_trino_has(text: str) -> None:
    code = re.sub(r"'[^']*'", "", text)
    used = {name.lower() for name in re.findall(r"\b([A-Za-z_]+)\(", code)} - {"in"}
    assert used <= FUNCTIONS | {"avg", "floor"}


@each_query
def test_should_not_divide_integers(text: str) -> None:
    """1 / 2 is 0 in Trino."""
    for division in known(parsed(text)).find_all(exp.Div):
        assert not (
            division.left.is_type(*exp.DataType.INTEGER_TYPES) and division.right.is_type(*exp.DataType.INTEGER_TYPES)
        )


@each_query
def test_should_run_on_empty_tables(text: str) -> None:
    assert answer(text, {}) == []


@pytest.mark.parametrize("name", [name for name in QUERIES if name not in ("devices of some", "quarantined_lines")])
def test_should_answer_from_a_few_rows(name: str, rows: dict[str, list[lake.Row]]) -> None:  # noqa: F811
    assert answer(QUERIES[name], rows)


def test_should_take_the_newest_readings_where_there_are_too_many(
    rows: dict[str, list[lake.Row]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sql, "MOST_READINGS", 2)
    times = [row["ts"] for row in answer(sql.readings("d-1", START, END), rows)]
    assert times == [NOW - dt.timedelta(seconds=2), NOW - dt.timedelta(seconds=1)]


def test_should_keep_a_quote_in_a_name_a_quote(rows: dict[str, list[lake.Row]]) -> None:  # noqa: F811
    assert answer(sql.readings("d-1' OR 'a' = 'a", START, END), rows) == []
    assert answer("SELECT " + literal("it's") + " AS name", rows) == [{"name": "it's"}]
