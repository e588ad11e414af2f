"""The command line of the simulator, as a user meets it."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
import typer
from moto import mock_aws
from typer.testing import CliRunner

from simulator.batches import Record
from simulator.cli import OPEN_STREAM, duration, simulate
from simulator.run import Manifest
from simulator.sinks import Delivery
from telemetry.codec import decode_batch

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(simulate)


def iot_simulate(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30.0), ("1.5m", 90.0), ("2h", 7200.0), ("1d", 86_400.0)]
)
def test_should_read_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "0s", "5 s", "5x", "1e3s", "nans"])
def test_should_refuse_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no duration; write one like"):
        duration(text)


def test_should_print_json_lines_and_report_the_counts_apart() -> None:
    result = iot_simulate("--count", 25, "--no-pace")
    assert result.exit_code == 0
    assert len(decode_batch(result.stdout_bytes).readings) == 25
    assert decode_batch(result.stdout_bytes).rejected == []
    (report,) = result.stderr.splitlines()
    assert "sent 25 lines" in report
    assert "25 readings, 0 duplicates, 0 malformed" in report


@pytest.mark.parametrize(
    ("arguments", "readings"),
    [
        (("--rate", 50, "--duration", "3s"), 150),
        (("--devices", 20, "--interval", "500ms", "--duration", "3s"), 120),
        (("--devices", 1, "--duration", "1s"), 1),
    ],
)
def test_should_take_as_many_readings_as_rate_and_duration_make(arguments: tuple[object, ...], readings: int) -> None:
    result = iot_simulate(*arguments, "--no-pace")
    assert result.stdout_bytes.count(b"\n") == readings


def test_should_write_a_file_and_a_manifest(tmp_path: Path) -> None:
    lines, manifest = tmp_path / "lines.jsonl.gz", tmp_path / "run.json"
    result = iot_simulate(
        "--rate", 100, "--duration", "10s", "--no-pace", "--sink", "file", "--path", lines, "--manifest", manifest,
        "--faults", 4, "--malformed", 12, "--duplicates", 7, "--devices", 50, "--gateways", 5, "--seed", 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    sent = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    assert (sent.sent, sent.malformed, sent.duplicates, sent.seed) == (1_019, 12, 7, 2)
    assert [fault.rule for fault in sent.faults] == ["too-hot", "too-cold", "battery-low", "too-humid"]
    assert gzip.decompress(lines.read_bytes()).count(b"\n") == 1_019


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--rate 5 --interval 1s", "--rate and --interval both"),
        ("--count 5 --duration 1s", "--duration and --count both"),
        ("--sink file", "--path and --sink file go together"),
        ("--path here.jsonl", "--path and --sink file go together"),
        ("--sink kinesis", "needs --stream"),
        ("--stream readings", "--stream is for --sink kinesis"),
        ("--gateways 5 --devices 4", "5 gateways are too many for 4 devices"),
        ("--faults 2", "need a run with an end"),
        ("--faults 2 --count 10", "three reports of a device"),
        ("--manifest /nowhere/run.json", "no folder /nowhere"),
    ],
)
def test_should_say_in_one_line_what_does_not_fit(arguments: str, words: str) -> None:
    result = iot_simulate(*arguments.split())
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--duration soon", "is no duration"),
        ("--devices 0", "greater than or equal to 1"),
        ("--sink pigeon", "'pigeon' is not one of"),
    ],
)
def test_should_refuse_a_bad_value(arguments: str, words: str) -> None:
    result = iot_simulate(*arguments.split())
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("path", "words"), [("/nowhere/lines", "No such file"), ("/dev/full", "cannot write /dev/full: No space left")]
)
def test_should_say_in_one_line_what_cannot_be_written(path: str, words: str) -> None:
    result = iot_simulate("--count", 5, "--no-pace", "--sink", "file", "--path", path)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line


@mock_aws
def test_should_put_records_on_a_stream() -> None:
    client = boto3.client("kinesis")
    client.create_stream(StreamName="readings", ShardCount=1)
    result = iot_simulate("--count", 30, "--no-pace", "--sink", "kinesis", "--stream", "readings")
    assert result.exit_code == 0, result.stderr
    assert "30 readings" in result.stderr


@mock_aws
def test_should_say_in_one_line_that_a_stream_is_not_there() -> None:
    result = iot_simulate("--count", 5, "--no-pace", "--sink", "kinesis", "--stream", "nowhere")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "no Kinesis stream 'nowhere'" in line


class FullStream:
    """A sink that takes nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def send(self, records: Sequence[Record], /) -> Delivery:
        return Delivery(retried=9, refused=tuple(records), reason=f"{self._name} is full")


@pytest.mark.parametrize(("arguments", "name"), [((), "the-usual"), (("--stream", "mine"), "mine")])
def test_should_fail_when_lines_are_lost_on_the_stream_that_the_mounting_program_opened(
    arguments: tuple[str, ...], name: str
) -> None:
    mounted = typer.Typer()

    @mounted.callback()
    def choose(context: typer.Context) -> None:
        context.meta[OPEN_STREAM] = lambda stream: FullStream(stream or "the-usual")

    mounted.command("simulate")(simulate)
    result = CliRunner().invoke(mounted, ["simulate", "--sink", "kinesis", "--count", "5", "--no-pace", *arguments])
    assert result.exit_code == 1
    counts, complaint = result.stderr.splitlines()
    assert "sent 0 lines" in counts
    assert f"5 lines were refused and are lost: {name} is full" in complaint


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """The real command, in a process of its own."""
    command = [sys.executable, "-m", "simulator", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    ("sent_signal", "code", "pace"),
    [(signal.SIGINT, 130, ()), (signal.SIGTERM, 143, ()), (signal.SIGINT, 130, ("--no-pace",))],
)
def test_should_end_cleanly_with_counts_when_told_to_stop(
    sent_signal: signal.Signals, code: int, pace: tuple[str, ...], tmp_path: Path
) -> None:
    manifest = tmp_path / "run.json"
    with start("--rate", 1_000, "--manifest", manifest, *pace) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(sent_signal)
        out, err = first + process.stdout.read(), process.stderr.read()
    assert process.returncode == code
    sent = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    batch = decode_batch(out)
    assert batch.rejected == []
    assert sent.sent == len(batch.readings)
    (report,) = err.decode().splitlines()
    assert f"sent {sent.sent:,} lines" in report


def test_should_end_quietly_when_the_reader_goes_away() -> None:
    with start("--no-pace") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_should_teach_by_example() -> None:
    result = iot_simulate("--help")
    assert "iot simulate --rate 5" in result.stdout
