"""The measurements of the report: which there are, running them one by one, and what is kept of each.

Every measurement is a command that a person can type, in a process of its own. What it printed is kept with the
command, the versions, the machine and the commit in ``docs/report/<name>.json``; ``benchmarks.report.page`` makes
the page of these files and of nothing else.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from benchmarks.report.machine import ROOT, Machine, Surroundings
from benchmarks.report.results import Benchmark, Demo, Planned, Scored
from pipeline.errors import PipelineError

PAGE = ROOT / "docs" / "report.md"

#: How long what was interrupted may take to end what it has started, in seconds.
_ENDING = 30.0

#: When the rehearsed scenarios begin: they are the same each time, at the same time of day.
_REHEARSED_FROM = "2026-11-24T09:00:00Z"


class Size(NamedTuple):
    """Sizes of the measurements: readings in the largest curation, of which the others take a part, and how often."""

    rows: int = 2_000_000
    rounds: int = 3
    demos: int = 3
    scenarios: tuple[str, ...] = ()


FULL, QUICK = Size(), Size(rows=200_000, rounds=1, demos=1, scenarios=("calm", "cold-chain-break", "heatwave"))

#: Fleets whose cost a month is drawn.
_FLEETS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


class Measurement(NamedTuple):
    """A command, and the type of what it prints as JSON or, with ``file``, leaves there."""

    name: str
    words: tuple[str, ...]
    result: Any
    file: Path | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Record of one measurement.

    ``load`` is how many processes wanted a processor in the minute before. ``error`` says why there is no ``result``.
    """

    name: str
    command: str
    began_at: dt.datetime
    seconds: float
    load: float
    commit: str
    machine: Machine
    versions: dict[str, str]
    error: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")

    def decoded(self, kind: type[Any]) -> Any:
        """The result as what it is; raises :class:`PipelineError` where somebody has changed the file."""
        try:
            return msgspec.json.decode(self.result, type=kind)
        except msgspec.DecodeError as error:
            raise PipelineError(f"{self.name}.json has no result as its command prints it: {error}") from error


def planned(size: Size, summary: Path) -> list[Measurement]:
    """All measurements, in the order in which they run; the demo leaves its ``summary`` there."""
    curations = {"small": size.rows // 16, "medium": size.rows // 4, "large": size.rows}
    rounds = ("--rounds", str(size.rounds), "--json")
    scenarios = [word for name in size.scenarios for word in ("--scenario", name)] or ["--all"]
    return [
        *(
            Measurement(f"cost-{devices}", ("iot", "plan", "--devices", str(devices), "--json"), Planned)
            for devices in _FLEETS
        ),
        _benchmark("detector", "detector", _some(size.rows // 10), *rounds),
        _benchmark(
            "simulator", "simulator", _some(size.rows // 2), "--kinesis-rows", str(_some(size.rows // 10)), *rounds
        ),
        *(_benchmark(f"curate-{name}", "curate", _some(rows), *rounds) for name, rows in curations.items()),
        Measurement("scores", ("iot", "score", *scenarios, "--start", _REHEARSED_FROM, "--json"), list[Scored]),
        *(Measurement(f"demo-{number}", ("iot", "demo"), Demo, summary) for number in range(1, size.demos + 1)),
    ]


def _benchmark(name: str, module: str, rows: int, *options: str) -> Measurement:
    return Measurement(name, ("python", "-m", f"benchmarks.{module}", "--rows", str(rows), *options), Benchmark)


def is_part(measurement: str, chosen: str) -> bool:
    """Whether a name means a measurement: its own, or what its name begins with (``curate`` for ``curate-large``)."""
    return measurement == chosen or measurement.startswith(f"{chosen}-")


def _some(rows: int) -> int:
    return max(1, rows)


def run(measurement: Measurement, where: Surroundings, on_line: Callable[[str], None]) -> Record:
    """Measure; what goes wrong is in the record. ``on_line`` gets what the command says while it runs.

    Interrupted, it ends the command and all that this started.
    """
    if measurement.file:
        measurement.file.unlink(missing_ok=True)  # an earlier run's is not this one's
    began_at, began, load = dt.datetime.now(dt.UTC).replace(microsecond=0), time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryFile() as printed:
        try:
            code, last = _follow(_argv(measurement.words), printed, on_line)
        except OSError as error:  # there is no such program
            code, last = -1, str(error)
        printed.seek(0)
        output = printed.read()
    found = _result(measurement, output)
    versions = dict(where.versions)
    if isinstance(found, Benchmark):
        versions |= found.versions
    return Record(
        name=measurement.name,
        command=" ".join(measurement.words),
        began_at=began_at,
        seconds=round(time.monotonic() - began, 1),
        load=round(load, 1),
        commit=where.commit,
        machine=where.machine,
        versions=versions,
        # A score or a demo that is not good enough ends with 1, and has a result all the same.
        error="" if found is not None else last or _last_line(output) or f"nothing to read, exit code {code}",
        result=msgspec.Raw(msgspec.json.encode(found)),
    )


def _argv(words: Sequence[str]) -> list[str]:
    """The command with the programs of this environment, whatever the PATH says."""
    python = Path(sys.executable)
    programs = {"python": str(python), "iot": str(python.with_name("iot"))}
    return [programs.get(words[0], words[0]), *words[1:]]


def _follow(argv: list[str], printed: IO[bytes], on_line: Callable[[str], None]) -> tuple[int, str]:
    """The exit code, and the last line of what it said on standard error."""
    last = ""
    with _started(argv, printed) as process:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        for line in process.stderr:
            if words := _words(line):
                last = words
                on_line(words)
        return process.wait(), last


@contextlib.contextmanager
def _started(argv: list[str], printed: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, cwd=ROOT, stdout=printed, stderr=subprocess.PIPE, start_new_session=True)
    with process:
        try:
            yield process
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, so that it stops what it has started elsewhere; by force where that takes too long."""
    os.killpg(process.pid, signal.SIGINT)  # not waited for yet: nobody else has its number
    try:
        process.wait(_ENDING)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _result(measurement: Measurement, output: bytes) -> Any:
    """Return the recorded measurement, or None if there is none of this kind."""
    try:
        text = measurement.file.read_bytes() if measurement.file else output
        return msgspec.json.decode(text, type=measurement.result)
    except (OSError, msgspec.DecodeError):
        return None


def _words(line: bytes) -> str:
    """Return a line without the frame that is drawn around some errors; empty if it is only frame."""
    said = line.decode(errors="replace").strip(" \t\r\n│")
    return said if any(letter.isalnum() for letter in said) else ""


def _last_line(output: bytes) -> str:
    return next(filter(None, map(_words, reversed(output.splitlines()))), "")


def folder_of(page: Path) -> Path:
    """Where the results and pictures of a page lie: ``docs/report`` for ``docs/report.md``."""
    return page.with_suffix("")


def write(folder: Path, record: Record) -> None:
    """Keep a record, in place of an earlier one of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(record), indent=2)
    (folder / f"{record.name}.json").write_bytes(text + b"\n")


def forget(folder: Path, names: Iterable[str]) -> None:
    """Remove the records of other names: a run of another size has not measured them."""
    for stale in {path.stem for path in folder.glob("*.json")} - set(names):
        (folder / f"{stale}.json").unlink()


def read(folder: Path) -> dict[str, Record]:
    """All records by name. Raises :class:`PipelineError` for a file that is none."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError) as error:
            raise PipelineError(
                f"{path} is not a record of a measurement: {error}; measure again with iot report"
            ) from error
    return found
