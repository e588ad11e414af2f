"""Run the batch job that fills the tables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from cli import console, target
from cli.console import out
from cli.options import Json
from glue_jobs.curate.summary import Progress as RunProgress
from glue_jobs.curate.summary import Summary
from pipeline import etl
from pipeline.errors import PipelineError

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command("run")
def run(
    context: typer.Context,
    *,
    window_from: Annotated[
        str, typer.Option("--from", help="Curate this window again: its start, as 2026-11-23T12:00:00Z.")
    ] = "",
    window_to: Annotated[str, typer.Option("--to", help="Its end; goes with --from.")] = "",
    by: Annotated[
        Literal["arrival", "event"],
        typer.Option(help="Whether the window is of arrival or of event time."),
    ] = "arrival",
    full: Annotated[bool, typer.Option("--full", help="Curate everything again that the raw zone keeps.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would change, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Curate what arrived since the last run, and wait for the end.

    A run takes the raw files that are new, finds the hours of event time
    that their readings lie in, and computes just these hours again: late
    readings get where they belong. Running anything again, in any order,
    gives the same rows.

      iot etl run                        what is new

      iot etl run --dry-run              what it would do

      iot etl run --from 2026-11-23T00:00:00Z --to 2026-11-24T00:00:00Z

      iot etl run --by event --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z

      iot etl run --full                 everything, such as after a registry changed
    """
    if bool(window_from) != bool(window_to):
        raise PipelineError("--from and --to go together: give both, or neither for what is new")
    if full and window_from:
        raise PipelineError("--full is everything the raw zone keeps: give no --from and --to with it")
    if by == "event" and not window_from:
        raise PipelineError("--by event is about a window: give --from and --to with it")
    arguments = {
        "window_from": window_from,
        "window_to": window_to,
        "window_by": by,
        "full": "true" if full else "",
        "dry_run": "true" if dry_run else "",
    }
    session, deployed = target.deployed(context)
    with bar(console.err) as follow:
        ended = etl.run_job(
            session, deployed, {name: value for name, value in arguments.items() if value}, on_progress=follow
        )
    if as_json:
        console.print_json(msgspec.to_builtins(ended))
    else:
        print_summary(ended.summary, ended.seconds)


class _Rate(ProgressColumn):
    """Lines, and how many a second."""

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        rows, elapsed = int(task.fields["rows"]), task.elapsed or 0.0
        rate = f", {rows / elapsed:,.0f}/s" if rows and elapsed else ""
        return Text(f"{rows:,} lines{rate}", style="dim")


@contextlib.contextmanager
def bar(console: Console) -> Iterator[Callable[[RunProgress], None]]:
    """Show a bar that follows a run: call it with the run's progress."""
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
    """Print what a run did, or would do."""
    if summary.dry_run:
        _print_plan(summary, console)
        return
    watermark = f"{summary.watermark:%Y-%m-%d %H:%M:%S} UTC" if summary.watermark else "nothing has arrived yet"
    console.print(
        f"curated {summary.objects:,} files in {seconds} s: {summary.hours:,} hours of {summary.days:,} days computed "
        f"again, {summary.readings:,} readings in them, {summary.duplicates:,} copies removed, "
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
    table = Table(title="A run would compute these hours again", title_justify="left", header_style="bold")
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
