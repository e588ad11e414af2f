"""How a run of the curate job looks: a bar while it goes on, a table of what it did."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from cli.rendering.console import out

if TYPE_CHECKING:
    from glue_jobs.curate.summary import Progress as RunProgress
    from glue_jobs.curate.summary import Summary


class _Rate(ProgressColumn):
    """Lines, and how many a second."""

    def render(self, task: Task) -> Text:
        """The text of the column."""
        rows, elapsed = int(task.fields["rows"]), task.elapsed or 0.0
        rate = f", {rows / elapsed:,.0f}/s" if rows and elapsed else ""
        return Text(f"{rows:,} lines{rate}", style="dim")


@contextlib.contextmanager
def bar(console: Console) -> Iterator[Callable[[RunProgress], None]]:
    """A bar that follows a run: give it what the run says of its progress."""
    columns = (
        TextColumn("curate: {task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:,}/{task.total:,} files"),
        _Rate(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("starting", total=0, rows=0)

        def follow(progress: RunProgress) -> None:
            shown.update(
                task,
                description=progress.phase,
                completed=progress.objects,
                # Files that hold readings of the same hours come on top, and nobody knows before how many.
                total=max(progress.objects_total, progress.objects),
                rows=progress.rows,
            )

        yield follow


def print_summary(summary: Summary, seconds: int, console: Console = out) -> None:
    """What a run did, or would do."""
    if summary.dry_run:
        _print_plan(summary, console)
        return
    watermark = f"{summary.watermark:%Y-%m-%d %H:%M:%S} UTC" if summary.watermark else "nothing has arrived yet"
    console.print(
        f"curated {summary.objects:,} files in {seconds} s: {summary.hours:,} hours of {summary.days:,} days computed "
        f"anew, {summary.readings:,} readings in them, {summary.duplicates:,} copies removed, "
        f"{summary.quarantined:,} lines in quarantine",
        soft_wrap=True,
    )
    if summary.merged:
        console.print(f"merged the files of {summary.merged:,} days that are over")
    if summary.expired_readings:
        console.print(
            f"[yellow]{summary.expired_readings:,} readings were left out[/]: they belong to hours whose raw files may "
            "have expired, which stay as they are",
            soft_wrap=True,
        )
    console.print(f"all that arrived until {watermark} is in the tables", style="dim")


def _print_plan(summary: Summary, console: Console) -> None:
    if not summary.objects and not summary.would_change:
        console.print("nothing new has arrived: a run would change nothing")
        return
    table = Table(title="A run would compute these hours anew", title_justify="left", header_style="bold")
    table.add_column("hour (event time, UTC)")
    table.add_column("readings to take in", justify="right")
    for touch in summary.would_change:
        table.add_row(f"{touch.hour:%Y-%m-%d %H:%M}", f"{touch.readings:,}")
    console.print(table)
    console.print(
        f"from {summary.objects:,} files with {summary.lines:,} lines, {summary.quarantined:,} of them for quarantine; "
        "nothing was changed",
        soft_wrap=True,
    )
