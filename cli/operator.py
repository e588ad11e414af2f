"""Options of orders that operators give: who gives them, and why."""

from __future__ import annotations

import getpass
from typing import Annotated

import boto3
import typer

from cli import target
from pipeline import holds
from pipeline.errors import PipelineError

Why = Annotated[str, typer.Option("--why", help="The reason, kept with the alert.")]
Who = Annotated[str, typer.Option("--who", help="The operator. Default: your user, on AWS the caller's identity.")]


def operator(context: typer.Context, session: boto3.Session, who: str) -> str:
    """Return who gives an order: the one named, or else the one who types."""
    choice: target.Choice = context.obj
    if who:
        return who
    if choice.aws:
        return holds.caller(session)
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise PipelineError("this machine does not know your user name; give it with --who") from error
