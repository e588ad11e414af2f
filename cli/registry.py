"""``iot registry``: putting the registry of devices into use, and seeing it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import target
from pipeline import registry, rules, show
from pipeline.errors import PipelineError

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Say what each device is, for rules to match by (model: ...)."
)


@app.command("apply")
def apply_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(dir_okay=False, help="The registry, CSV, such as registry/devices.csv.")],
) -> None:
    """Check a registry and put it into use; the functions have it within seconds.

    CSV in UTF-8 with a header: device,site,model and any columns of yours.
    One that the rules in use cannot be used with, as it lacks an attribute
    that they match by, is refused. The bucket keeps the registry before.

      iot registry apply registry/devices.csv
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise PipelineError(f"cannot read the registry in {file}: {error}") from error
    checked = registry.check(text, str(file))
    session, deployed = target.deployed(context)
    rules.check_in_use(session, deployed, checked)
    registry.apply(session, deployed, text)
    show.out.print(
        f"{len(checked.devices):,} devices are registered from now on; "
        f"rules can match by device, site, {', '.join(checked.attributes)}",
        markup=False,
        soft_wrap=True,
    )


@app.command("show")
def show_text(context: typer.Context) -> None:
    """Print the registry in use."""
    session, deployed = target.deployed(context)
    text = registry.current(session, deployed)
    if text is None:
        show.err.print("none was applied yet: rules match by device and site only", style="dim")
    else:
        sys.stdout.write(text.decode("utf-8-sig", errors="replace"))
