"""``iot audit``: holding the pipeline to account for what a simulation sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli import console, target
from cli.console import out
from cli.options import DEMO_MANIFEST, Json, read_manifest
from evaluation import audit as auditing
from evaluation.audit import Audit, Counts, DeviceRow
from evaluation.raw_lines import NOT_READABLE, Lateness, OnProgress
from pipeline.errors import PipelineError


def audit(
    context: typer.Context,
    *,
    manifest: Annotated[Path, typer.Option(help="What the simulator wrote with --manifest.")] = DEMO_MANIFEST,
    devices: Annotated[int, typer.Option(min=0, help="How many of the worst devices to list.")] = 10,
    as_json: Json = False,
) -> None:
    """Compare what a simulation sent with what is in the lake, by stage and by device.

    Exit code 1 if anything is lost, or there is more than was sent.

    iot simulate --sink kinesis --rate 1000 --duration 30s --manifest run.json

    iot etl run

    iot audit --manifest run.json

    iot audit --manifest run.json --json | jq '.devices[] | select(.lost > 0)'

    What other devices sent meanwhile does not matter; the same ones may not
    have sent anything else in these hours. On AWS, wait until Firehose has
    delivered (raw_buffer_seconds, and a minute more), then run "iot etl run",
    then this. What each number means: docs/auditing.md.
    """
    run = read_manifest(manifest)
    if run.sent != sum(counts.sent for counts in run.by_device.values()):
        raise PipelineError(
            f"{manifest}: sent is not the sum of what by_device says; use the manifest as it was written"
        )
    session, deployed = target.deployed(context)
    with bar(console.err) as follow:
        result = auditing.audit(session, deployed, run, on_progress=follow)
    if as_json:
        console.print_json(_json(result))
    else:
        print_audit(result)
        if devices:
            worst = result.worst(devices)
            print_devices(worst, of=len(run.by_device), real_time=result.real_time)
    raise typer.Exit(0 if result.adds_up else 1)


def _json(result: Audit) -> dict[str, Any]:
    return {
        "adds_up": result.adds_up,
        "lost": result.lost,
        "foreign": result.foreign,
        "real_time": result.real_time,
        "totals": _counts(result.totals),
        "devices": [{"device": row.device, **_counts(row)} for row in result.devices],
    }


def _counts(counts: Counts) -> dict[str, Any]:
    return {**msgspec.to_builtins(counts), "lost": counts.lost}


@contextlib.contextmanager
def bar(console: Console) -> Iterator[OnProgress]:
    """Show a bar that follows the reading of the raw objects; nothing where there is no terminal."""
    columns = (TextColumn("raw objects"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=None)
        yield lambda done, of: shown.update(task, completed=done, total=of)


def print_audit(result: Audit, console: Console = out) -> None:
    """Print the run as a sum, stage by stage, and whether it adds up."""
    totals = result.totals
    rows = (
        ("sent", totals.sent, "accepted by the sink"),
        ("refused", totals.refused, "by the sink, and given up: never in the pipeline"),
        ("in the raw zone", totals.raw, "should be all that was sent"),
        ("redelivered", totals.redelivered, "came there again, which at-least-once delivery may do; no loss"),
        ("curated", totals.curated, "each reading once"),
        ("duplicates", totals.duplicates, "removed"),
        ("quarantined", totals.quarantined, "kept with the reason"),
        ("lost in delivery", totals.lost_in_delivery, "sent, and not in the raw zone"),
        ("lost in curation", totals.lost_in_curation, "in the raw zone, and in none of the three"),
        ("never sent", totals.surplus_in_delivery, "and yet in the raw zone: did the same devices send more?"),
        ("never arrived", totals.surplus_in_curation, "and yet curated, duplicate or quarantined"),
    )
    needed = ("refused", "redelivered", "never sent", "never arrived")
    table = Table(title="Audit", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, lines, meaning in rows:
        if lines or name not in needed:
            table.add_row(name, f"{lines:,}", meaning)
    console.print(table)
    console.print(_verdict(result), soft_wrap=True)
    console.print(f"{totals.reordered:,} readings arrived after a younger one of their device", soft_wrap=True)
    console.print(_lateness(result), soft_wrap=True)
    if result.foreign:
        console.print(
            f"{result.foreign:,} more lines came in these hours that are none of this run's",
            style="dim",
            soft_wrap=True,
        )


def _verdict(result: Audit) -> str:
    if result.adds_up:
        return (
            "[green]it adds up[/]: all that was sent is in the raw zone, and all of that curated, a copy or quarantined"
        )
    totals = result.totals
    wrong = [
        *([f"{totals.lost:,} lost"] if totals.lost else []),
        *([f"{totals.surplus:,} too many"] if totals.surplus else []),
    ]
    return f"[bold red]it does not add up[/]: {' and '.join(wrong)}"


def _lateness(result: Audit) -> str:
    if not result.real_time:
        return "no lateness: the run was not in real time, and its event times say nothing of when they were sent"
    late = result.totals.lateness
    return f"late by p50 {late.p50:.1f}, p95 {late.p95:.1f}, max {late.max:.1f} s" if late else "no reading arrived"


def print_devices(devices: Sequence[DeviceRow], *, of: int, real_time: bool, console: Console = out) -> None:
    """Print devices with their counts, one a line; ``of`` is how many there are in all."""
    table = Table(
        title=f"The worst of {of:,} devices", title_justify="left", header_style="bold", box=None, pad_edge=False
    )
    table.add_column("device", overflow="fold")
    for name in (*_COLUMNS, *(["late by p50, p95,\nmax seconds"] if real_time else [])):
        table.add_column(name, justify="right")
    for row in devices:
        cells = [f"{value:,}" if value else "-" for value in _values(row)]
        table.add_row(_name(row), *cells, *([_seconds(row.lateness)] if real_time else []))
    console.print(table)


_COLUMNS = (
    "sent", "in the\nraw zone", "lost in\ndelivery", "lost in\ncuration", "too\nmany", "duplicates", "quarantined",
    "reordered",
)  # fmt: skip


def _values(row: Counts) -> tuple[int, ...]:
    return (
        row.sent, row.raw, row.lost_in_delivery, row.lost_in_curation, row.surplus, row.duplicates, row.quarantined,
        row.reordered,
    )  # fmt: skip


def _name(row: DeviceRow) -> str:
    return "not readable" if row.device == NOT_READABLE else escape(row.device)


def _seconds(late: Lateness | None) -> str:
    return f"{late.p50:.1f}, {late.p95:.1f}, {late.max:.1f}" if late else "-"
