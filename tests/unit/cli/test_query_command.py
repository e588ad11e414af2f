"""``iot query`` as a person types it, with answers that are made up."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import boto3
import pandas as pd
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner, Result

from cli import console, target
from cli.verbs import query
from pipeline import athena, named_queries
from pipeline.athena import Answer, Statistics
from pipeline.errors import PipelineError
from telemetry.tables.lake import TABLES
from tests.unit.pipeline.alerting import DEPLOYED

app = typer.Typer()
app.command()(query.query)

ROWS = pd.DataFrame({"site": ["plant-1", "plant-2"], "mean": [20.123456, 21.0]})
SQL = "SELECT site, avg(temperature) AS mean FROM readings GROUP BY site"


class Asked(list[str]):
    """The statements that were asked, and what the next is answered."""

    frame = ROWS


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    statements = Asked()

    def answer(_session: object, _deployed: object, sql: str) -> Answer:
        statements.append(sql)
        return Answer(statements.frame, Statistics(0.5, 12_000_000, billed=True))

    monkeypatch.setattr(target, "deployed", lambda _: (boto3.Session(), DEPLOYED))
    monkeypatch.setattr(athena, "answer", answer)
    return statements


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "on_terminal", lambda: True)


def iot_query(*words: str | Path, aws: bool = False) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], obj=target.Choice(aws, "dev"), catch_exceptions=False)


def test_should_show_a_table_on_a_terminal(asked: Asked, on_a_terminal: None) -> None:
    shown = iot_query(SQL).stdout
    assert asked == [SQL]
    assert "│ plant-1 │ 20.12 │" in shown


def test_should_write_csv_into_a_pipe(asked: Asked) -> None:
    assert iot_query(SQL).stdout == "site,mean\nplant-1,20.123456\nplant-2,21.0\n"


@pytest.mark.parametrize("words", [("--json",), ("--format", "json"), ("--json", "--format", "json")])
def test_should_write_json(words: tuple[str, ...], asked: Asked, on_a_terminal: None) -> None:
    assert json.loads(iot_query(*words, SQL).stdout) == ROWS.to_dict("records")


def test_should_write_a_table_into_a_pipe_where_one_is_asked_for(asked: Asked) -> None:
    assert "│ plant-1 │ 20.12 │" in iot_query("--format", "table", SQL).stdout


def test_should_write_parquet_into_a_pipe(asked: Asked) -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(iot_query("--format", "parquet", SQL).stdout_bytes))
    assert table.to_pylist() == ROWS.to_dict("records")


def test_should_refuse_parquet_on_a_terminal_before_it_costs_anything(asked: Asked, on_a_terminal: None) -> None:
    with pytest.raises(PipelineError) as raised:
        iot_query("--format", "parquet", SQL)
    assert str(raised.value) == (
        "Parquet is nothing for a terminal: write it to a file (--output FILE) or into a pipe"
    )  # fmt: skip
    assert asked == []


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (("rows.parquet",), b"PAR1"),
        (("rows.json",), b'[{"site":"plant-1"'),
        (("rows.csv",), b"site,mean\n"),
        (("rows",), b"site,mean\n"),
        (("rows.txt", "--format", "parquet"), b"PAR1"),
        (("rows.csv", "--json"), b'[{"site"'),
        (("rows.txt", "--format", "table"), "┏━".encode()),
    ],
)
def test_should_write_a_file(
    words: tuple[str, ...], start: bytes, asked: Asked, on_a_terminal: None, tmp_path: Path
) -> None:
    name, *options = words
    result = iot_query(SQL, "--output", tmp_path / name, *options)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert result.stdout == ""


def test_should_refuse_a_file_that_cannot_be_before_it_costs_anything(asked: Asked, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"--output: there is no folder .*none; make it first"):
        iot_query("--output", tmp_path / "none" / "rows.csv", SQL)
    assert iot_query("--output", tmp_path, SQL).exit_code == 2
    assert asked == []


def test_should_say_why_a_file_cannot_be_written(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PipelineError, match=r"--output: cannot write .*rows.csv: No space left on device"):
        iot_query("--output", tmp_path / "rows.csv", SQL)


def test_should_say_on_standard_error_what_it_took_and_costs(asked: Asked) -> None:
    assert iot_query(SQL, aws=True).stderr == "2 rows, 0.50 s; 12.0 MB scanned, 0.00006 USD\n"
    assert iot_query(SQL).stderr == (
        "2 rows, 0.50 s; on AWS at least 0.00006 USD, by the bytes scanned; "
        "the local AWS bills nothing and does not count them\n"
    )


def test_should_show_a_person_no_more_rows_than_a_person_reads(asked: Asked) -> None:
    asked.frame = pd.DataFrame({"n": range(1001)})
    shown = iot_query("--format", "table", SQL)
    assert "│ 999 │" in shown.stdout
    assert "│ 1000 │" not in shown.stdout
    assert shown.stderr.startswith("the first 1,000 rows; all of them with --format csv\n1,001 rows, ")
    assert len(iot_query(SQL).stdout.splitlines()) == 1002


def test_should_ask_a_named_query(asked: Asked) -> None:
    iot_query("--name", "losses")
    assert asked == [named_queries.find("losses").sql]


def test_should_list_the_named_queries_without_asking_anybody(asked: Asked, on_a_terminal: None) -> None:
    listed = json.loads(iot_query("--list", "--json").stdout)
    assert [each["name"] for each in listed] == [query.name for query in named_queries.load()]
    assert set(listed[0]) == {"name", "title", "description"}
    assert "hottest-devices" in iot_query("--list").stdout
    assert asked == []


def test_should_list_the_tables_with_their_columns_without_asking_anybody(asked: Asked, on_a_terminal: None) -> None:
    shown = iot_query("--tables").stdout
    assert [table.name for table in TABLES if f"{table.name}: {table.comment[:40]}" in shown] == [
        table.name for table in TABLES
    ]
    rows = list(csv.DictReader(io.StringIO(iot_query("--tables", "--format", "csv").stdout)))
    assert len(rows) == sum(len(table.columns) + len(table.partition_keys) for table in TABLES)
    assert list(rows[0].values()) == ["readings", "device_id", "string", "", "Device, unique in the fleet"]
    assert asked == []


@pytest.mark.parametrize(
    "words", [(), ("--list", SQL), ("--name", "losses", SQL), ("--list", "--tables"), ("--list", "--name", "losses")]
)
def test_should_ask_for_one_question(words: tuple[str, ...], asked: Asked) -> None:
    with pytest.raises(PipelineError, match="nothing to do, or too much: give one of SQL, --name"):
        iot_query(*words)


def test_should_not_take_two_formats_at_once(asked: Asked) -> None:
    with pytest.raises(PipelineError, match="--json is --format json, and --format csv was asked for, too"):
        iot_query("--json", "--format", "csv", SQL)
    assert asked == []


def test_should_say_which_named_query_was_meant(asked: Asked) -> None:
    with pytest.raises(PipelineError, match="did you mean losses"):
        iot_query("--name", "loses")
    assert asked == []
