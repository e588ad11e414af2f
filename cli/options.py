"""Options that several verbs have."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from pipeline.errors import PipelineError
from telemetry.text.durations import parse_duration
from telemetry.text.errors import TextError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]


def duration(option: str, text: str) -> dt.timedelta:
    """What an option says, as a duration; raises :class:`PipelineError` that names the option."""
    try:
        return parse_duration(text)
    except TextError as error:
        raise PipelineError(f"{option}: {error}") from error
