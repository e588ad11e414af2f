"""Apply and check the registry of devices, which rules match by and the tables of the lake use."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import console, target
from cli.console import out
from cli.options import Json, read_bytes
from pipeline import registry, rules
from pipeline.registry import Check, Seen
from telemetry.registry.devices import TYPED_COLUMNS
from telemetry.registry.registry import EMPTY, Registry

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command("apply")
def apply_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(dir_okay=False, help="The registry, CSV, such as registry/devices.csv.")],
) -> None:
    """Check a registry and put it into use; the functions have it within seconds.

    CSV in UTF-8 with a header: device,site,model and any columns of yours.
    Some mean something to the tables of the lake: latitude and longitude
    (degrees), installed (YYYY-MM-DD), interval (seconds between two readings),
    calibration_offset (degrees Celsius, added to each temperature). Values may
    be empty, but not wrong. They are used for what is curated from then on.

    One that the rules in use cannot be used with, as it lacks an attribute
    that they match by, is refused. The bucket keeps the registry before.

      iot registry apply registry/devices.csv
    """
    text = read_bytes(file, "registry")
    checked = registry.check(text, str(file))
    registry.check_values(checked, str(file))
    session, deployed = target.deployed(context)
    rules.check_in_use(session, deployed, checked)
    registry.apply(session, deployed, text)
    console.out.print(
        f"{len(checked.devices):,} devices are registered from now on; "
        f"rules can match by device, site, {', '.join(checked.attributes)}",
        markup=False,
        soft_wrap=True,
    )


@app.command("check")
def check_devices(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(dir_okay=False, help="The registry, CSV. Default: the one in use.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back to look for devices in the lake.")] = 7,
    *,
    as_json: Json = False,
) -> None:
    """Check a registry, and compare it with the readings.

    Exit code 1 for values that cannot be used, for devices that send readings
    and are not in it, and for devices whose newest readings come from another
    site than it says. Registered devices without readings are listed, too.

    The readings are those that were curated: run "iot etl run" before it.

      iot registry check

      iot registry check registry/devices.csv --days 30
    """
    session, deployed = target.deployed(context)
    if file:
        name, registered = str(file), registry.check(read_bytes(file, "registry"), str(file))
    else:
        name, registered = "the registry in use", registry.in_use(session, deployed)
        if registered is EMPTY:
            console.err.print("none was applied yet: 'iot registry apply FILE' does it", style="yellow")
    since = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days)
    result = registry.compare(registered, registry.seen_since(session, deployed, since), days)
    if not result.seen:
        console.err.print(
            f"the lake has no readings since {since}: nothing was compared with them; run 'iot etl run' first",
            style="yellow",
        )
    if as_json:
        console.print_json(msgspec.to_builtins(result) | {"passed": result.passed})
    else:
        print_registry(registered, name)
        print_check(result)
    raise typer.Exit(0 if result.passed else 1)


@app.command("show")
def show_text(context: typer.Context) -> None:
    """Print the registry in use."""
    session, deployed = target.deployed(context)
    text = registry.current(session, deployed)
    if text is None:
        console.err.print("none was applied yet: rules match by device and site only", style="dim")
    else:
        sys.stdout.write(text.decode("utf-8-sig", errors="replace"))


#: How many devices a table shows.
_MAX_DEVICES = 20


def print_registry(registered: Registry, name: str, *, console: Console = out) -> None:
    """Print what a registry has, and which of its columns mean more than being matched by rules."""
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
    """Print what is wrong in a registry, and where it and the readings do not agree."""
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
