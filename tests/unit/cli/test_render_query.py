"""How rows look: to a person, and to a program."""

from __future__ import annotations

import datetime as dt
import io
import json

import pandas as pd
import pyarrow.parquet
import pytest
from rich.console import Console

from cli.verbs import query
from pipeline.athena import Statistics


@pytest.fixture
def frame() -> pd.DataFrame:
    """As awswrangler gives rows: nullable types, and dates as objects."""
    return pd.DataFrame(
        {
            "site": pd.array(["plant [1]", "über, \"x\""], dtype="string"),
            "n": pd.array([1234567, None], dtype="Int64"),
            "mean": pd.array([21.456, None], dtype="Float64"),
            "ok": pd.array([True, None], dtype="boolean"),
            "ts": pd.to_datetime(pd.Series(["2026-11-23T12:00:00.5", None])),
            "day": pd.Series([dt.date(2026, 11, 23), None], dtype="object"),
        }
    )  # fmt: skip


def printed(frame: pd.DataFrame, title: str = "") -> list[str]:
    file = io.StringIO()
    query.print_frame(frame, title=title, console=Console(file=file, width=120))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def said(rows: int, taken: Statistics, *, billed: bool) -> str:
    file = io.StringIO()
    query.print_statistics(rows, taken, billed=billed, console=Console(file=file, width=40))
    return file.getvalue()


def test_should_show_a_table_with_rounded_numbers_and_nothing_for_no_value(frame: pd.DataFrame) -> None:
    title, _, head, _, first, second, _ = printed(frame, "Sites [all]")
    assert title == "Sites [all]"
    assert [cell.strip() for cell in head.strip("┃").split("┃")] == list(frame.columns)
    assert [cell.strip() for cell in first.strip("│").split("│")] == [
        "plant [1]", "1234567", "21.46", "True", "2026-11-23 12:00:00.500000", "2026-11-23"
    ]  # fmt: skip
    assert [cell.strip() for cell in second.strip("│").split("│")] == ['über, "x"', "", "", "", "", ""]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.00"), (1234.567, "1234.57"), (-0.00412, "-0.00412"), (0.5, "0.5"), (1e-9, "1e-09")]
)
def test_should_show_small_numbers_to_three_digits(value: float, shown: str) -> None:
    assert printed(pd.DataFrame({"x": [value]}))[3].strip("│ ") == shown


def test_should_encode_csv(frame: pd.DataFrame) -> None:
    assert query.encode_frame(frame, "csv").decode() == (
        "site,n,mean,ok,ts,day\n"
        "plant [1],1234567,21.456,true,2026-11-23 12:00:00.500,2026-11-23\n"
        '"über, ""x""",,,,,\n'
    )  # fmt: skip


def test_should_encode_json(frame: pd.DataFrame) -> None:
    data = query.encode_frame(frame, "json")
    assert data.endswith(b"}]\n")
    first, second = json.loads(data)
    assert first == {
        "site": "plant [1]", "n": 1234567, "mean": 21.456, "ok": True, "ts": "2026-11-23T12:00:00.500",
        "day": "2026-11-23",
    }  # fmt: skip
    assert second == {"site": 'über, "x"', "n": None, "mean": None, "ok": None, "ts": None, "day": None}


def test_should_encode_parquet_with_types_that_athena_reads(frame: pd.DataFrame) -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(query.encode_frame(frame, "parquet")))
    assert table.column_names == list(frame.columns)
    assert [str(kind) for kind in table.schema.types] == [
        "string", "int64", "double", "bool", "timestamp[us]", "date32[day]"
    ]  # fmt: skip
    assert table.to_pylist()[1] == dict.fromkeys(frame.columns, None) | {"site": 'über, "x"'}


def test_should_encode_that_there_are_no_rows(frame: pd.DataFrame) -> None:
    none = frame.head(0)
    assert query.encode_frame(none, "csv") == b"site,n,mean,ok,ts,day\n"
    assert query.encode_frame(none, "json") == b"[]\n"
    assert pyarrow.parquet.read_table(io.BytesIO(query.encode_frame(none, "parquet"))).num_rows == 0


@pytest.mark.parametrize(
    ("rows", "taken", "line"),
    [
        (1, Statistics(0.25, 2_000_000_000, billed=True), "1 row, 0.25 s; 2.0 GB scanned, 0.01000 USD\n"),
        (0, Statistics(30, 10**12, billed=True), "0 rows, 30.00 s; 1.0 TB scanned, 5.00 USD\n"),
        (1200, Statistics(0.1, 0, billed=False), "1,200 rows, 0.10 s; free\n"),
    ],
)
def test_should_say_on_one_line_what_a_query_took(rows: int, taken: Statistics, line: str) -> None:
    assert said(rows, taken, billed=True) == line


def test_should_say_that_the_local_aws_bills_nothing() -> None:
    assert said(2, Statistics(0.1, 77, billed=True), billed=False) == (
        "2 rows, 0.10 s; on AWS at least 0.00005 USD, by the bytes scanned; "
        "the local AWS bills nothing and does not count them\n"
    )
