"""What the commands that send lines have in common at the terminal: signals, progress, errors of one line."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from simulator.courier import Counts
from simulator.sinks import SinkError


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
