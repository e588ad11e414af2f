"""Options that several verbs have, and the files that options name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from local.emulator import ROOT
from pipeline.errors import PipelineError
from simulator.run.manifest import Manifest
from telemetry.text.durations import parse_duration
from telemetry.text.errors import TextError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]

#: What the last "iot demo" left: the run that "iot audit" takes by default, and its result, a part of "iot report".
DEMO_MANIFEST = ROOT / "build" / "demo" / "manifest.json"
DEMO_SUMMARY = ROOT / "build" / "demo" / "summary.json"


def duration(option: str, text: str) -> dt.timedelta:
    """Return a duration such as ``1h30m``; raise :class:`PipelineError` that names the option."""
    try:
        return parse_duration(text)
    except TextError as error:
        raise PipelineError(f"{option}: {error}") from error


def parse_moment(text: str) -> dt.datetime:
    """Return a day or a time, UTC unless it names a zone; a parser for options. Raises BadParameter."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"invalid time {text!r}: write a time such as 2026-11-01 or 2026-11-01T06:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def moment(option: str, text: str) -> dt.datetime:
    """Return a day or a time, as :func:`parse_moment`; raise :class:`PipelineError` that names the option."""
    try:
        return parse_moment(text)
    except typer.BadParameter as error:
        raise PipelineError(f"{option}: {error}") from None


def day(option: str, text: str) -> dt.date | None:
    """Return a day, None for an empty text; raise :class:`PipelineError` that names the option."""
    if not text:
        return None
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise PipelineError(f"{option}: invalid day {text!r}: write a day such as 2026-11-23") from None


def read_bytes(file: Path, what: str) -> bytes:
    """Return the content of a file; raise :class:`PipelineError` that says ``what`` cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise PipelineError(f"cannot read the {what} in {file}: {error.strerror}") from error


def read_text(file: Path, what: str) -> str:
    """Return the text of a file in UTF-8; raise :class:`PipelineError` that says ``what`` cannot be read."""
    try:
        return read_bytes(file, what).decode()
    except UnicodeDecodeError as error:
        raise PipelineError(f"cannot read the {what} in {file}: {error}") from error


def read_manifest(file: Path) -> Manifest:
    """Return the manifest of a run; raise :class:`PipelineError` where the file has none."""
    try:
        run = msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"{file} is not a manifest of a simulation: {error}; write one with 'iot simulate --manifest {file}'"
        ) from error
    require_zone(file, run.started_at, run.ended_at, run.arrived_from, run.arrived_to)
    return run


def require_zone(file: Path, *moments: dt.datetime) -> None:
    """Raise :class:`PipelineError` for times without a time zone: they compare with no others."""
    if not all(moment.tzinfo for moment in moments):
        raise PipelineError(f"{file}: its times need a time zone, as 2026-11-23T12:00:00Z; use it as it was written")


def require_folder(option: str, file: Path) -> None:
    """Raise :class:`PipelineError` if a file that an option names has no folder to be written into."""
    if not file.absolute().parent.is_dir():
        raise PipelineError(f"{option}: there is no folder {file.parent}; make it first")
