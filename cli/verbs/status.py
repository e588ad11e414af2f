"""``iot status``."""

from __future__ import annotations

import msgspec
import typer

from cli import console, target
from cli.options import Json


def status(context: typer.Context, *, as_json: Json = False) -> None:
    """Show where the local AWS is and what is deployed."""
    session, deployed = target.deployed(context)
    facts = {"endpoint": session.client("sts").meta.endpoint_url, **msgspec.to_builtins(deployed)}
    if as_json:
        console.print_json(facts)
        return
    for name, value in facts.items():
        console.out.print(f"{name:<24} {value}")
