"""How the check of a registry looks to a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.rendering.console import out
from telemetry.registry.devices import TYPED_COLUMNS

if TYPE_CHECKING:
    from pipeline.registry import Check, Seen
    from telemetry.registry.registry import Registry

#: How many devices a table shows.
_MAX_DEVICES = 20


def print_registry(registered: Registry, name: str, *, console: Console = out) -> None:
    """What there is in a registry, and which of its columns mean something beside being matched by rules."""
    typed = [column for column in registered.attributes if column in TYPED_COLUMNS]
    others = [column for column in registered.attributes if column not in ("model", *TYPED_COLUMNS)]
    columns = "; ".join(
        f"{what}: {', '.join(names)}" for what, names in (("values", typed), ("your own columns", others)) if names
    )
    console.print(
        f"{name}: {len(registered.devices):,} devices" + (f"; {columns}" if columns else ""),
        markup=False,
        soft_wrap=True,
    )


def print_check(result: Check, *, console: Console = out) -> None:
    """What is wrong in a registry, and where it and the readings do not agree."""
    if result.problems:
        console.print(f"[bold red]values that cannot be used: {len(result.problems):,}[/]")
        for problem in result.problems:
            console.print(f"  {problem}", markup=False, soft_wrap=True)
    if result.unknown:
        console.print(f"[bold red]not registered, but heard of in the last {_days(result)}: {len(result.unknown):,}[/]")
        _print_devices(
            ("device", "site", "readings", "first seen (UTC)", "last seen (UTC)"),
            ((one.device_id, one.site, *_readings(one)) for one in result.unknown),
            console,
        )
    if result.elsewhere:
        console.print(f"[bold red]at another site than the registry says: {len(result.elsewhere):,}[/]")
        _print_devices(
            ("device", "registered at", "is at", "readings", "first seen (UTC)", "last seen (UTC)"),
            (
                (one.seen.device_id, one.registered_site, one.seen.site, *_readings(one.seen))
                for one in result.elsewhere
            ),
            console,
        )
    if result.absent:
        console.print(f"[yellow]registered, but not heard of in the last {_days(result)}: {len(result.absent):,}[/]")
        _print_devices(
            ("device", "site", "model"), ((one.device_id, one.site, one.model) for one in result.absent), console
        )
    if result.passed and result.seen:
        console.print(
            f"[green]all {result.seen:,} devices heard of in the last {_days(result)} are registered, at their sites[/]"
        )


def _days(result: Check) -> str:
    return "day" if result.days == 1 else f"{result.days} days"


def _readings(seen: Seen) -> tuple[str, str, str]:
    return f"{seen.readings:,}", f"{seen.first_seen:%Y-%m-%d %H:%M:%S}", f"{seen.last_seen:%Y-%m-%d %H:%M:%S}"


def _print_devices(columns: Sequence[str], rows: Iterable[Sequence[str]], console: Console) -> None:
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column == "readings" else "left", overflow="fold")
    every = list(rows)
    for row in every[:_MAX_DEVICES]:
        table.add_row(*map(escape, row))
    console.print(table)
    if len(every) > _MAX_DEVICES:
        console.print(f"and {len(every) - _MAX_DEVICES:,} more; --json lists them all", style="dim")
