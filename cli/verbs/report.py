"""``iot report``: measuring everything, and the page about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.report import measurements as measuring
from benchmarks.report.machine import surroundings
from benchmarks.report.measurements import Measurement
from benchmarks.report.page import Written, write_page
from cli import console
from cli.options import DEMO_SUMMARY, Json
from local import emulator
from pipeline.errors import PipelineError


def report(
    *,
    output: Annotated[
        Path, typer.Option(dir_okay=False, help="The page; records and pictures lie in a folder named like it.")
    ] = measuring.PAGE,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the data, measured once: start-up weighs more.")
    ] = False,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Readings in the largest curation; the others take a part of them.")
    ] = None,
    only: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="Measure just this (detector, curate, curate-large …); repeatable."),
    ] = [],  # noqa: B006 - typer makes a new one
    render: Annotated[bool, typer.Option("--render", help="Do not measure: write the page from its records.")] = False,
    as_json: Json = False,
) -> None:
    """Run the benchmarks, the demo and the scenarios, and write a page with plots.

    Exit code 1 if something could not be measured; the page says what, and
    the rest is measured all the same.

      iot report                     everything, some 15 minutes on two cores

      iot report --quick --output build/report.md

      iot report --only curate       measure a part again, keep the others

      iot report --render            after an edit of the page's template

    Each measurement is a command of its own, and what it printed is kept in
    docs/report/NAME.json with the command, versions, machine and commit. The
    demo starts from an empty local AWS: the data of an earlier one is deleted.
    """
    if render and (quick or rows or only):
        raise PipelineError("--render does not measure: leave --quick, --rows and --only out")
    if output.suffix != ".md":
        raise PipelineError(f"--output {output}: the page is Markdown, and its name ends in .md")
    if not render:
        size = measuring.QUICK if quick else measuring.FULL
        _measure(measuring.planned(size._replace(rows=rows or size.rows), DEMO_SUMMARY), only, output)
    written = write_page(output)
    if as_json:
        console.print_json(
            {
                "report": str(output),
                "failed": written.failed,
                "missed": [each._asdict() for each in written.missed],
            }
        )
    else:
        _print(written, output)
    raise typer.Exit(1 if written.failed else 0)


def _measure(every: list[Measurement], only: list[str], output: Path) -> None:
    """Run those that are meant, one after the other, and keep what comes out as it comes."""
    chosen = [each for each in every if not only or any(measuring.is_part(each.name, name) for name in only)]
    for name in only:
        if not any(measuring.is_part(each.name, name) for each in every):
            names = ", ".join(dict.fromkeys(each.name for each in every))
            raise PipelineError(f"--only {name}: no such measurement; there are {names}")
    folder, where = measuring.folder_of(output), surroundings()
    leave = emulator.running() or not any(measuring.is_part(each.name, "demo") for each in chosen)
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("[dim]{task.fields[said]}"),
    )  # fmt: skip
    try:
        with Progress(*columns, console=console.err, transient=True) as progress:
            task = progress.add_task("measuring", total=len(chosen), said="")
            for each in chosen:
                progress.update(task, description=each.name, said="")
                record = measuring.run(
                    each, where, lambda line: progress.update(task, said=escape(line[: console.err.width // 2]))
                )
                measuring.write(folder, record)
                mark = f"[red]✗[/] {each.name}: {escape(record.error)}" if record.error else f"[green]✓[/] {each.name}"
                progress.console.print(f"{mark}  [dim]{record.seconds:.1f} s[/]", soft_wrap=True)
                progress.advance(task)
    finally:
        if not leave:
            emulator.stop()  # the demo's
    if not only:
        measuring.forget(folder, [each.name for each in every])


def _print(written: Written, output: Path) -> None:
    for name, why in written.failed.items():
        console.out.print(f"not measured  {name}: {why}", style="red", markup=False, soft_wrap=True)
    for each in written.missed:
        console.out.print(
            f"missed  {each.what}: {each.measured}, should be {each.aim}", style="yellow", markup=False, soft_wrap=True
        )
    console.out.print(f"wrote {output}", markup=False, soft_wrap=True)
