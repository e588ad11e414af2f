"""What the commands that send lines have in common at the terminal: signals, progress, errors of one line."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from simulator.run.manifest import Manifest
from simulator.run.sender import Counts
from simulator.sinks.sink import SinkError


def moment(text: str) -> dt.datetime:
    """The time in a text such as ``2026-11-23T12:00:00Z``; UTC where it says nothing else."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write one like 2026-11-23T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def say(command: str, words: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{command}: {words}\n")


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """The signals that asked to stop, as they come. A second one is no longer held back."""
    caught: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        restore()


@contextlib.contextmanager
def progress(
    words: str, since: dt.datetime, until: dt.datetime | None, *, to_terminal: bool
) -> Iterator[Callable[[Counts], None]]:
    """A bar on standard error if that is a terminal, unless the lines themselves go to the terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn(words),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[lines]:,} lines, {task.fields[at]}"),
        TimeRemainingColumn(),
    )
    total = (until - since).total_seconds() if until else None
    with Progress(*columns, console=console, transient=True, disable=to_terminal or not console.is_terminal) as bar:
        task = bar.add_task("", total=total, lines=0, at="")
        yield lambda counts: bar.update(
            task,
            completed=(counts.reached - since).total_seconds(),
            lines=counts.sent + counts.refused,
            at=f"{counts.reached:%Y-%m-%d %H:%M:%S}",
        )


@contextlib.contextmanager
def one_line_errors(command: str, path: Path | None) -> Iterator[None]:
    """Say in one line what a person can mend, and end with exit code 2 for how it was called, 1 for what happened.

    ``path`` is the file that the lines go to, if any.
    """
    try:
        yield
    except BrokenPipeError:
        # The reader has seen enough. What Python still holds for it must go nowhere, without a complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except ValueError as error:
        say(command, str(error))
        raise typer.Exit(2) from None
    except OSError as error:
        say(command, f"cannot write {error.filename or path or 'standard output'}: {error.strerror}")
        raise typer.Exit(1) from None
    except (SinkError, BotoCoreError) as error:
        say(command, str(error))
        raise typer.Exit(1) from None


def check_folders(files: Mapping[str, Path | None]) -> None:
    """Raise ValueError where a file that an option names has no folder to be written into."""
    for option, file in files.items():
        if file and not file.parent.is_dir():
            raise ValueError(f"{option}: there is no folder {file.parent}")


def report(command: str, sent: Manifest, took: float, damaged: str) -> None:
    """Say what was sent in so many seconds; ``damaged`` is what the malformed lines are called, and what follows."""
    readings = sent.sent - sent.duplicates - sent.malformed
    sys.stderr.write(
        f"sent {sent.sent:,} lines in {took:.1f} s ({sent.sent / took:,.0f}/s): {readings:,} readings, "
        f"{sent.duplicates:,} duplicates, {sent.malformed:,} {damaged} "
        f"{sent.retried:,} records retried, {sent.refused:,} lines refused\n"
    )
    if sent.refused:
        say(command, f"{sent.refused:,} lines were refused and are lost: {sent.refusal}")


def end(caught: Sequence[int], sent: Manifest) -> None:
    """End with the exit code of a signal that asked to stop, or with 1 where lines were refused."""
    if caught:
        raise typer.Exit(128 + caught[0])
    if sent.refused:
        raise typer.Exit(1)
