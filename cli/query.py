"""``iot query``: asking Athena about the lake."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, cast, get_args

import typer
from rich.console import Console

from cli import target
from cli.rendering import console as show
from pipeline import athena, named_queries
from pipeline.errors import PipelineError
from telemetry.tables.lake import TABLES

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["table", "csv", "json", "parquet"]

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
    name: Annotated[str, typer.Option(help="Instead of SQL: ask one of the questions of --list.")] = "",
    list_queries: Annotated[bool, typer.Option("--list", help="List the named questions. Talks to nothing.")] = False,
    list_tables: Annotated[
        bool, typer.Option("--tables", help="List the tables with their columns. Talks to nothing.")
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
        raise PipelineError("say what to ask: either SQL, or --name with a name of --list, or --list, or --tables")
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
    with show.err.status("asking Athena"):
        frame, statistics = athena.answer(session, deployed, sql)
    _write(frame, output)
    show.print_statistics(len(frame), statistics, billed=choice.aws)


def _output(file_format: Format | None, file: Path | None, *, as_json: bool) -> _Output:
    """What was asked for; raises :class:`PipelineError`, before anything is asked and billed, for what cannot be."""
    if as_json and file_format not in (None, "json"):
        raise PipelineError(f"--json is --format json, and --format {file_format} was asked for, too: leave one out")
    wanted = "json" if as_json else file_format
    if file is not None:
        if not file.absolute().parent.is_dir():
            raise PipelineError(f"--output: there is no folder {file.parent}; make it first")
        ending = file.suffix.removeprefix(".")
        return _Output(wanted or (cast("Format", ending) if ending in get_args(Format) else "csv"), file)
    if wanted == "parquet" and show.on_terminal():
        raise PipelineError("Parquet is nothing for a terminal: write it to a file (--output FILE) or into a pipe")
    return _Output(wanted or ("table" if show.on_terminal() else "csv"), None)


def _write(frame: pd.DataFrame, output: _Output, parts: Sequence[tuple[str, pd.DataFrame]] = ()) -> None:
    """Write the rows; as tables, their ``parts`` with titles, where there are any."""
    data = b"" if output.format == "table" else show.encode_frame(frame, output.format)
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
        console = Console(file=opened, width=_FILE_WIDTH) if opened else show.out
        for title, frame in parts:
            shown = frame.head(_MAX_ROWS)
            show.print_frame(shown, title=title, console=console)
            if len(frame) > len(shown):
                show.err.print(f"the first {len(shown):,} rows; all of them with --format csv", style="yellow")


def _queries() -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - takes half a second, and most commands do without

    return pd.DataFrame(
        [(each.name, each.title, each.description) for each in named_queries.load()],
        columns=["name", "title", "description"],
    )


def _write_columns(output: _Output) -> None:
    """The tables and their columns: for a person one after another, for a program a row a column."""
    import pandas as pd  # noqa: PLC0415 - as above

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
