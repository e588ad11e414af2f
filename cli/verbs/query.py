"""``iot query``: asking Athena about the lake."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, assert_never, cast, get_args

import pandas as pd
import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from cli import console, target
from cli.console import err, out
from cli.options import require_folder
from pipeline import athena, named_queries
from pipeline.athena import Statistics
from pipeline.errors import PipelineError
from planning import prices
from telemetry.tables.lake import TABLES

#: What programs read.
FileFormat = Literal["csv", "json", "parquet"]
Format = Literal["table", FileFormat]

#: A table of more rows than this is for no person.
_MAX_ROWS = 1000

#: Columns of a table in a file.
_FILE_WIDTH = 200


class _Output(NamedTuple):
    """Where the rows go, and as what. No ``file``: standard output."""

    format: Format
    file: Path | None


def query(
    context: typer.Context,
    sql: Annotated[
        str | None, typer.Argument(metavar="SQL", help="One statement, in Athena's dialect (Trino).")
    ] = None,
    *,
    name: Annotated[str, typer.Option(help="Instead of SQL: one of the questions that --list shows.")] = "",
    list_queries: Annotated[bool, typer.Option("--list", help="List the named questions. Works offline.")] = False,
    list_tables: Annotated[
        bool, typer.Option("--tables", help="List the tables with their columns. Works offline.")
    ] = False,
    file_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Default: table on a terminal, csv in a pipe; with --output, what the name of the file ends with.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="Write the rows to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Ask Athena about the lake: what you like, or one of the usual questions.

    iot query "SELECT site, avg(temperature) AS mean FROM readings WHERE dt = '2026-11-23' GROUP BY site"

    iot query --list

    iot query --name hottest-devices

    iot query --name losses --json | jq '.[0].device_id'

    iot query --output readings.parquet "SELECT * FROM readings WHERE dt = '2026-11-23'"

    Rows go to standard output; how many there are, how long it took and
    what it costs, to standard error. AWS bills the bytes that are scanned:
    name the days (dt) and the columns that you need. Ctrl-C stops the query
    there, too. A table has at most 1,000 rows and rounds numbers; the other
    formats have everything as it is.
    """
    if sum((sql is not None, bool(name), list_queries, list_tables)) != 1:
        raise PipelineError("nothing to do, or too much: give one of SQL, --name (see --list), --list and --tables")
    chosen = _output(file_format, output, as_json=as_json)
    if list_queries:
        _write(_queries(), chosen)
    elif list_tables:
        _write_columns(chosen)
    else:
        _ask(context, named_queries.find(name).sql if name else cast("str", sql), chosen)


def _ask(context: typer.Context, sql: str, output: _Output) -> None:
    choice: target.Choice = context.obj
    session, deployed = target.deployed(context)
    with err.status("asking Athena"):
        frame, statistics = athena.answer(session, deployed, sql)
    _write(frame, output)
    print_statistics(len(frame), statistics, billed=choice.aws)


def _output(file_format: Format | None, file: Path | None, *, as_json: bool) -> _Output:
    """Return the output that was asked for; raise :class:`PipelineError` before anything is billed."""
    if as_json and file_format not in (None, "json"):
        raise PipelineError(f"--json is --format json, and --format {file_format} was asked for, too: leave one out")
    wanted = "json" if as_json else file_format
    if file is not None:
        require_folder("--output", file)
        ending = file.suffix.removeprefix(".")
        return _Output(wanted or (cast("Format", ending) if ending in get_args(Format) else "csv"), file)
    if wanted == "parquet" and console.on_terminal():
        raise PipelineError("Parquet is nothing for a terminal: write it to a file (--output FILE) or into a pipe")
    return _Output(wanted or ("table" if console.on_terminal() else "csv"), None)


def _write(frame: pd.DataFrame, output: _Output, parts: Sequence[tuple[str, pd.DataFrame]] = ()) -> None:
    """Write the rows; as tables, their ``parts`` with titles, where there are any."""
    data = b"" if output.format == "table" else encode_frame(frame, output.format)
    try:
        if output.format == "table":
            _write_tables(parts or [("", frame)], output.file)
        elif output.file is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            output.file.write_bytes(data)
    except OSError as error:
        if output.file is None:
            raise
        raise PipelineError(f"--output: cannot write {output.file}: {error.strerror}") from error


def _write_tables(parts: Sequence[tuple[str, pd.DataFrame]], file: Path | None) -> None:
    with file.open("w", encoding="utf-8") if file else contextlib.nullcontext() as opened:
        console = Console(file=opened, width=_FILE_WIDTH) if opened else out
        for title, frame in parts:
            shown = frame.head(_MAX_ROWS)
            print_frame(shown, title=title, console=console)
            if len(frame) > len(shown):
                err.print(f"the first {len(shown):,} rows; all of them with --format csv", style="yellow")


def _queries() -> pd.DataFrame:
    return pd.DataFrame(
        [(each.name, each.title, each.description) for each in named_queries.load()],
        columns=["name", "title", "description"],
    )


def _write_columns(output: _Output) -> None:
    """Write the tables and their columns: for a person table by table, for a program one row per column."""
    rows = pd.DataFrame(
        [
            (table.name, column.name, column.type, column.unit, column.comment)
            for table in TABLES
            for column in (*table.columns, *table.partition_keys)
        ],
        columns=["table", "column", "type", "unit", "meaning"],
    )
    by_table = rows.groupby("table")
    _write(
        rows,
        output,
        [(f"{table.name}: {table.comment}", by_table.get_group(table.name).drop(columns="table")) for table in TABLES],
    )


def print_frame(frame: pd.DataFrame, *, title: str = "", console: Console = out) -> None:
    """Print a data frame as a table; numbers rounded for reading, and nothing where there is no value."""
    table = Table(title=escape(title) or None, title_justify="left", header_style="bold")
    for column in frame.columns:
        table.add_column(escape(str(column)), justify="right" if frame[column].dtype.kind in "if" else "left")
    for row, absent in zip(frame.itertuples(index=False), frame.isna().itertuples(index=False), strict=True):
        table.add_row(*("" if no else _cell(value) for value, no in zip(row, absent, strict=True)))
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        # Two decimals tell nothing of a battery that loses 0.004 V a day.
        return f"{value:.2f}" if value == 0 or abs(value) >= 1 else f"{value:.3g}"
    return escape(str(value))


def encode_frame(frame: pd.DataFrame, to: FileFormat) -> bytes:
    """Encode a data frame: an array of objects in JSON, a header line in CSV; UTF-8, times in UTC."""
    if to == "csv":
        text = frame.assign(**{name: frame[name].map({True: "true", False: "false"}) for name in _truths(frame)})
        return text.to_csv(index=False, lineterminator="\n").encode()
    if to == "json":
        days = {name: frame[name].map(_day) for name in frame.columns if frame[name].dtype.kind == "O"}
        return (frame.assign(**days).to_json(orient="records", date_format="iso", force_ascii=False) + "\n").encode()
    if to == "parquet":
        # Microseconds: Athena and Spark read no nanoseconds.
        file = io.BytesIO()
        frame.to_parquet(file, index=False, compression="zstd", coerce_timestamps="us", allow_truncated_timestamps=True)
        return file.getvalue()
    assert_never(to)


def _truths(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if frame[name].dtype.kind == "b"]


def _day(value: object) -> object:
    """Return a date as it is written; pandas writes midnight, too."""
    return value.isoformat() if isinstance(value, dt.date) and not isinstance(value, dt.datetime) else value


def print_statistics(rows: int, taken: Statistics, *, billed: bool, console: Console = err) -> None:
    """Print what a query took, on one line; ``billed`` is whether by AWS."""
    usd = prices.athena_query(taken.scanned_bytes)
    cost = f"{usd:.5f} USD" if usd < 1 else f"{usd:.2f} USD"
    if not taken.billed:
        price = "free"
    elif billed:
        price = f"{decimal(taken.scanned_bytes)} scanned, {cost}"
    else:
        # What MiniStack gives for DataScannedInBytes is the length of the answer.
        price = f"on AWS at least {cost}, by the bytes scanned; the local AWS bills nothing and does not count them"
    count = f"{rows:,} {'row' if rows == 1 else 'rows'}"
    console.print(f"{count}, {taken.seconds:.2f} s; {price}", style="dim", markup=False, soft_wrap=True)
