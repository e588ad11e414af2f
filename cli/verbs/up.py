"""``iot up``."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import console
from cli.options import Json
from local import emulator


def up(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port on 127.0.0.1; by default the last one used, or a free one."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Start the local AWS. It runs until "iot down"; its data lives as long as it runs."""
    instance = emulator.start(port)
    if as_json:
        console.print_json({"endpoint": instance.endpoint, "pid": instance.pid})
    else:
        console.out.print(f"the local AWS is up at {instance.endpoint}; next: iot deploy")
