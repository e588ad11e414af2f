"""The ``simulate`` command: options to settings, progress and counts to the terminal."""

from __future__ import annotations

import contextlib
import enum
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import boto3
import msgspec
import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from simulator import run
from simulator.fleet import FleetConfig
from simulator.kinesis import KinesisSink
from simulator.run import Counts, Manifest, Mischief
from simulator.sinks import LineSink, Sink, SinkError, open_lines, standard_output

#: Opens the stream that --stream names ("" if it is not given).
OpenStream = Callable[[str], Sink]

#: The key of ``context.meta`` where a program that mounts this command may put an :data:`OpenStream` of its own.
OPEN_STREAM = "simulator.open_stream"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class SinkName(enum.StrEnum):
    """Where the lines go."""

    stdout = enum.auto()
    file = enum.auto()
    kinesis = enum.auto()


def duration(text: str) -> float:
    """Seconds in a duration such as ``30s``, ``5m`` or ``1.5h``."""
    match = _DURATION.fullmatch(text)
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"{text!r} is no duration; write one like 500ms, 30s, 5m, 2h or 1d")
    return float(match[1]) * _UNITS[match[2]]


def simulate(
    context: typer.Context,
    *,
    devices: Annotated[int, typer.Option(min=1, help="How many devices.")] = 100,
    gateways: Annotated[
        int | None, typer.Option(min=1, help="How many gateways they are behind; 10 by default, or one each.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Readings a second of the whole fleet, in place of --interval.")
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(parser=duration, metavar="DURATION", help="How often each device reports; 10s by default."),
    ] = None,
    length: Annotated[
        float | None,
        typer.Option("--duration", parser=duration, metavar="DURATION", help="How long to run; for ever by default."),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="How many readings to take, in place of --duration.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="The most lines in a record.")] = run.DEFAULT_BATCH,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same fleet and the same mischief.")] = 0,
    faults: Annotated[int, typer.Option(min=0, help="Devices that break a rule for a while.")] = 0,
    malformed: Annotated[int, typer.Option(min=0, help="Lines that are no readings, added to them.")] = 0,
    duplicates: Annotated[int, typer.Option(min=0, help="Readings sent twice.")] = 0,
    sink: Annotated[SinkName, typer.Option(help="Where the lines go.")] = SinkName.stdout,
    path: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The file of --sink file; compressed if it ends in .gz.")
    ] = None,
    stream: Annotated[str, typer.Option(help="The stream of --sink kinesis.")] = "",
    manifest: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write here, as JSON, what was sent and the alerts to expect.")
    ] = None,
    no_pace: Annotated[bool, typer.Option("--no-pace", help="As fast as it goes; the event times end now.")] = False,
) -> None:
    """Simulate a fleet of devices that report through gateways.

    A look at the readings, until Ctrl-C:

      iot simulate --rate 5

    A million of them into a file, as fast as it goes:

      iot simulate --count 1000000 --rate 5000 --no-pace --sink file --path many.jsonl.gz

    Half a minute at 1,000 readings/s into Kinesis:

      iot simulate --devices 300 --rate 1000 --duration 30s --sink kinesis --stream STREAM

    Two minutes with trouble, and what must come of it:

      iot simulate --duration 2m --faults 5 --malformed 30 --duplicates 40 --manifest run.json
    """
    with _one_line_errors(path):
        config = FleetConfig(
            devices=devices,
            gateways=gateways or min(10, devices),
            interval=_interval(devices, rate, interval),
            seed=seed,
        )
        readings = _readings(config, length, count)
        mischief = Mischief(faults=faults, malformed=malformed, duplicates=duplicates)
        if manifest and not manifest.parent.is_dir():
            raise ValueError(f"--manifest: there is no folder {manifest.parent}")
        open_stream = context.meta.get(OPEN_STREAM, _open_stream)
        with _stop_signals() as caught, _open(sink, path, stream, open_stream) as opened:
            began = time.monotonic()
            lines = readings and readings + malformed + duplicates
            with _progress(lines, to_terminal=sink is SinkName.stdout and sys.stdout.isatty()) as on_progress:
                sent = run.simulate(
                    config,
                    opened,
                    readings=readings,
                    batch=batch,
                    mischief=mischief,
                    paced=not no_pace,
                    stopped=lambda: bool(caught),
                    on_progress=on_progress,
                )
        if manifest:
            manifest.write_bytes(msgspec.json.format(msgspec.json.encode(sent), indent=2) + b"\n")
        _report(sent, time.monotonic() - began)
    if caught:
        raise typer.Exit(128 + caught[0])
    if sent.refused:
        raise typer.Exit(1)


def main() -> None:
    """Run ``python -m simulator``."""
    typer.run(simulate)


def _interval(devices: int, rate: float | None, interval: float | None) -> float:
    if rate is not None and interval is not None:
        raise ValueError("--rate and --interval both say how often devices report; give one of them")
    return devices / rate if rate is not None else interval or 10.0


def _readings(config: FleetConfig, length: float | None, count: int | None) -> int | None:
    if length is not None and count is not None:
        raise ValueError("--duration and --count both say when to end; give one of them")
    return max(1, round(config.rate * length)) if length is not None else count


@contextlib.contextmanager
def _open(name: SinkName, path: Path | None, stream: str, open_stream: OpenStream) -> Iterator[Sink]:
    if (path is not None) != (name is SinkName.file):
        raise ValueError("--path and --sink file go together: give both or neither")
    if stream and name is not SinkName.kinesis:
        raise ValueError("--stream is for --sink kinesis")
    if name is SinkName.kinesis:
        yield open_stream(stream)
    elif path is not None:
        with open_lines(path) as out:
            yield LineSink(out)
    else:
        yield LineSink(standard_output())


def _open_stream(stream: str) -> Sink:
    if not stream:
        raise ValueError("--sink kinesis needs --stream, the name of the stream")
    return KinesisSink(boto3.client("kinesis"), stream)


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
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
def _progress(lines: int | None, *, to_terminal: bool) -> Iterator[Callable[[Counts], None]]:
    """A bar on standard error if that is a terminal, unless the lines themselves go to the terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("simulating"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.completed:,} lines"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=to_terminal or not console.is_terminal) as bar:
        task = bar.add_task("", total=lines)
        yield lambda counts: bar.update(task, completed=counts.sent + counts.refused)


@contextlib.contextmanager
def _one_line_errors(path: Path | None) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # The reader has seen enough. What Python still holds for it must go nowhere, without a complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except ValueError as error:
        _complain(str(error))
        raise typer.Exit(2) from None
    except OSError as error:
        _complain(f"cannot write {error.filename or path or 'standard output'}: {error.strerror}")
        raise typer.Exit(1) from None
    except (SinkError, BotoCoreError) as error:
        _complain(str(error))
        raise typer.Exit(1) from None


def _complain(words: str) -> None:
    sys.stderr.write(f"simulate: {words}\n")


def _report(sent: Manifest, seconds: float) -> None:
    readings = sent.sent - sent.duplicates - sent.malformed
    sys.stderr.write(
        f"sent {sent.sent:,} lines in {seconds:.1f} s ({sent.sent / seconds:,.0f}/s): {readings:,} readings, "
        f"{sent.duplicates:,} duplicates, {sent.malformed:,} malformed; {len(sent.faults)} faults, "
        f"{sent.retried:,} records retried, {sent.refused:,} lines refused\n"
    )
    if sent.refused:
        _complain(f"{sent.refused:,} lines were refused and are lost: {sent.refusal}")
