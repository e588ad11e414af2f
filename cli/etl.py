"""``iot etl``: running the batch job."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import typer

from cli import target
from cli.options import Json
from cli.rendering import console
from cli.rendering import etl as show_etl
from pipeline import etl
from pipeline.errors import PipelineError

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Run the batch job that fills the tables.")


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
        typer.Option(help="The window is of what arrived in it, or of the hours of event time in it."),
    ] = "arrival",
    full: Annotated[bool, typer.Option("--full", help="Curate everything again that the raw zone keeps.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Curate what arrived since the last run, and wait for the end.

    A run takes the raw files that are new, finds the hours of event time
    that their readings lie in, and computes just these hours anew: late
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
    with show_etl.bar(console.err) as follow:
        ended = etl.run_job(
            session, deployed, {name: value for name, value in arguments.items() if value}, on_progress=follow
        )
    if as_json:
        console.print_json(msgspec.to_builtins(ended))
    else:
        show_etl.print_summary(ended.summary, ended.seconds)
