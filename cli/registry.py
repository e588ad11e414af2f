"""``iot registry``: putting the registry of devices into use, checking it against the readings, and seeing it."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli import target
from cli.options import Json
from cli.rendering import console
from cli.rendering import registry as show_registry
from pipeline import registry, rules
from pipeline.errors import PipelineError
from telemetry.registry.registry import EMPTY

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Say what each device is and where: for rules to match by, and for the tables of the lake.",
)


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
    text = _text(file)
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
    """Say what is wrong with a registry, and where it and the readings do not agree.

    Exit code 1 for values that cannot be used, for devices that send readings
    and are not in it, and for devices whose newest readings come from another
    site than it says. Registered devices that were not heard of are listed, too.

    The readings are those that were curated: run "iot etl run" before it.

      iot registry check

      iot registry check registry/devices.csv --days 30
    """
    session, deployed = target.deployed(context)
    if file:
        name, registered = str(file), registry.check(_text(file), str(file))
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
        show_registry.print_registry(registered, name)
        show_registry.print_check(result)
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


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PipelineError(f"cannot read the registry in {file}: {error}") from error
