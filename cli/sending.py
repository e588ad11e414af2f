"""Options, destination, signals, progress and one-line errors of ``simulate`` and ``replay``."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import msgspec
import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cli import target
from simulator.run.manifest import Manifest
from simulator.run.sender import Counts
from simulator.sinks.destination import Destination
from simulator.sinks.kafka import KafkaTopic
from simulator.sinks.kafka_access import parse_properties
from simulator.sinks.lines import StandardOutput
from simulator.sinks.raw_zone import RawZone
from simulator.sinks.schemes import KINDS, parse_sink
from simulator.sinks.sink import SinkError

TIME_PANEL, SINK_PANEL, OUTPUT_PANEL = "Time", "Sink", "Output"

_KINDS = "\n\n".join(f"[bold]{kind.usage}[/]: {kind.help}" for kind in KINDS)

Sink = Annotated[str, typer.Option(metavar="URL", help=f"Where the lines go:\n\n{_KINDS}", rich_help_panel=SINK_PANEL)]
MskIam = Annotated[
    bool,
    typer.Option(
        "--msk-iam",
        help="kafka: log in to Amazon MSK with the AWS credentials of the environment. "
        "The deployment's own cluster implies it.",
        rich_help_panel=SINK_PANEL,
    ),
]
KafkaProperty = Annotated[
    list[str] | None,
    typer.Option(
        "--kafka-property",
        metavar="NAME=VALUE",
        help="kafka: a property of librdkafka, such as security.protocol=SASL_SSL or ssl.ca.location=ca.pem. "
        "Several times; those that the sink's promises rest on (acks, partitioner, …) are refused.",
        rich_help_panel=SINK_PANEL,
    ),
]
Batch = Annotated[int, typer.Option(min=1, metavar="N", help="The most lines in a record.", rich_help_panel=SINK_PANEL)]
NoPace = Annotated[bool, typer.Option("--no-pace", help="As fast as possible.", rich_help_panel=TIME_PANEL)]
RegistryFile = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="Write here, as CSV, what devices there are.", rich_help_panel=OUTPUT_PANEL),
]


def say(command: str, words: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f"{command}: {words}\n")


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect the signals that ask to stop. A second one ends the process."""
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


def read_sink(url: str, *, msk_iam: bool = False, kafka_property: Sequence[str] | None = None) -> Destination:
    """Return what ``--sink``, ``--msk-iam`` and ``--kafka-property`` say. Raises ValueError, without any secret."""
    found = parse_sink(url)
    options = [*(["--msk-iam"] if msk_iam else []), *(["--kafka-property"] if kafka_property else [])]
    if not options:
        return found
    if isinstance(found, KafkaTopic):
        properties = parse_properties(kafka_property or ())
        return dataclasses.replace(found, msk_iam=found.msk_iam or msk_iam, properties=properties)
    raise ValueError(f"{' and '.join(options)}: this is for Kafka only; write --sink {KafkaTopic.usage}")


def destination(context: typer.Context, found: Destination) -> Destination:
    """Return the same, completed with the deployment's names. Raises ValueError if it does not fit the deployment."""
    if found.package and not importlib.util.find_spec(found.package):
        raise ModuleNotFoundError(name=found.package)  # here, for a worker could not say it in one line
    if not found.in_aws:
        return found
    chosen: target.Choice = context.obj
    session = target.connect(aws=chosen.aws)
    return found.completed(lambda: target.find(session, chosen))


@contextlib.contextmanager
def progress(
    words: str, since: dt.datetime, until: dt.datetime | None, sink: Destination
) -> Iterator[Callable[[Counts], None]]:
    """Show a bar on standard error if that is a terminal, unless the lines themselves go to the terminal."""
    console = Console(stderr=True)
    to_terminal = isinstance(sink, StandardOutput) and sys.stdout.isatty()
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
def one_line_errors(command: str) -> Iterator[None]:
    """Report in one line what a person can mend; exit with 2 for how the command was called, 1 for what happened."""
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
        say(command, f"cannot write {error.filename or 'standard output'}: {error.strerror}")
        raise typer.Exit(1) from None
    except (SinkError, BotoCoreError) as error:
        say(command, str(error))
        raise typer.Exit(1) from None


def check_folders(files: Mapping[str, Path | None]) -> None:
    """Raise ValueError if the folder of a file that an option names does not exist."""
    for option, file in files.items():
        if file and not file.parent.is_dir():
            raise ValueError(f"{option}: there is no folder {file.parent}")


def with_arrival(sent: Manifest, sink: Destination) -> Manifest:
    """Return the manifest with the times of arrival that the sink gives: the raw zone's hours are those of the data."""
    if not isinstance(sink, RawZone):
        return sent
    return msgspec.structs.replace(sent, arrived_from=sent.started_at, arrived_to=sent.ended_at)


def report(command: str, sent: Manifest, took: float, damaged: str) -> None:
    """Report what was sent in ``took`` seconds; ``damaged`` names the malformed lines, and what follows."""
    readings = sent.sent - sent.duplicates - sent.malformed
    sys.stderr.write(
        f"sent {sent.sent:,} lines in {took:.1f} s ({sent.sent / took:,.0f}/s): {readings:,} readings, "
        f"{sent.duplicates:,} duplicates, {sent.malformed:,} {damaged} "
        f"{sent.retried:,} records retried, {sent.refused:,} lines refused\n"
    )
    if sent.refused:
        say(command, f"{sent.refused:,} lines were refused and are lost: {sent.refusal}")


def end(caught: Sequence[int], sent: Manifest) -> None:
    """Exit with the code of a signal that asked to stop, or with 1 where lines were refused."""
    if caught:
        raise typer.Exit(128 + caught[0])
    if sent.refused:
        raise typer.Exit(1)
