"""How results look: a table for a person, one JSON value for a program."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.audit import Audit

#: Columns where there is no terminal to say how many it has.
_PIPE_WIDTH = 120

#: Results go to standard output, everything about how they come about to standard error.
out = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPE_WIDTH)


def print_json(value: Any) -> None:
    """One JSON value, indented, on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def print_frame(frame: pd.DataFrame, *, title: str = "", console: Console = out) -> None:
    """A data frame as a table; numbers rounded for reading."""
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in frame.columns:
        table.add_column(str(column), justify="right" if frame[column].dtype.kind in "if" else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else escape(str(value)) for value in row))
    console.print(table)


def print_audit(result: Audit, console: Console = out) -> None:
    """The audit as a sum."""
    rows = (
        ("sent", result.sent, ""),
        ("in the raw zone", result.raw, "should be all that was sent"),
        ("curated", result.curated, "each reading once"),
        ("duplicates", result.duplicates, "removed"),
        ("quarantined", result.quarantined, "kept with the reason"),
        ("lost", result.lost, "sent, and in none of the three"),
    )
    table = Table(title="Audit", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, lines, meaning in rows:
        table.add_row(name, f"{lines:,}", meaning)
    console.print(table)
    verdict = "[green]it adds up[/]" if result.adds_up else "[bold red]it does not add up[/]"
    console.print(f"{verdict}: sent = curated + duplicates + quarantined, and all of it is in the raw zone")
