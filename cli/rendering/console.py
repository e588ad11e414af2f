"""How results look: a table for a person; JSON, CSV or Parquet for a program."""

from __future__ import annotations

import datetime as dt
import io
import json
import sys
from typing import TYPE_CHECKING, Any, Literal, assert_never

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from planning import prices

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.athena import Statistics

#: What programs read.
FileFormat = Literal["csv", "json", "parquet"]

#: Columns where there is no terminal to say how many it has.
_PIPE_WIDTH = 120

#: Results go to standard output, everything about how they come about to standard error.
out = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPE_WIDTH)


def on_terminal() -> bool:
    """Whether a person reads standard output, and not a program or a file."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """One JSON value, indented, on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def print_frame(frame: pd.DataFrame, *, title: str = "", console: Console = out) -> None:
    """A data frame as a table; numbers rounded for reading, and nothing where there is no value."""
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
    """A data frame as a file of that format: an array of objects in JSON, a header line in CSV; UTF-8, times in UTC."""
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
    """A date as it is written; pandas writes midnight, too."""
    return value.isoformat() if isinstance(value, dt.date) and not isinstance(value, dt.datetime) else value


def print_statistics(rows: int, taken: Statistics, *, billed: bool, console: Console = err) -> None:
    """What a query took, on one line; ``billed`` says whether by AWS."""
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
