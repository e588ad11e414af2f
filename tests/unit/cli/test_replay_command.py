"""The command line of a replay, as a user meets it."""

from __future__ import annotations

import datetime as dt
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

from cli.target import Choice
from cli.verbs.replay import replay
from pipeline import deployment
from simulator.run.manifest import Manifest
from telemetry.reading.codec import decode_batch
from telemetry.registry.registry import parse_registry
from tests.deployments import named_deployment

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(replay)

NOW = dt.datetime.now(dt.UTC)
OF_TODAY = "".join(f"{NOW - dt.timedelta(minutes=9 - n):%Y-%m-%dT%H:%M:%SZ},{'ab'[n % 2]},{n}\n" for n in range(10))


def iot_replay(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], obj=Choice(aws=True, stage="dev"))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Ten rows of two devices, nine minutes, up to now."""
    file = tmp_path / "rows.csv"
    file.write_text(f"time,device,temp\n{OF_TODAY}")
    return file


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A row that is a reading, one that the contract refuses, and one without a time."""
    file = tmp_path / "bad.csv"
    file.write_text("time,device,temp\n2020-01-01T00:00:00Z,a,1\n2020-01-01T00:01:00Z,a,999\n,a,3\n")
    return file


def test_should_print_json_lines_and_report_the_counts_apart(rows: Path) -> None:
    result = iot_replay(rows, "--no-pace")
    assert result.exit_code == 0
    batch = decode_batch(result.stdout_bytes)
    assert [reading.temperature for reading in batch.readings] == list(range(10))
    assert abs(batch.readings[-1].ts - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    (report,) = result.stderr.splitlines()
    assert "sent 10 lines" in report
    assert "10 readings, 0 duplicates, 0 that the contract refuses" in report


def test_should_say_what_is_left_out_and_what_will_be_quarantined(bad: Path) -> None:
    result = iot_replay(bad, "--no-pace")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    skipped, refused, report = result.stderr.splitlines()
    assert skipped == "replay: 1 row: no time: left out"
    assert refused == "replay: 1 row: temperature over 150, such as '999.0': sent as they are, to be quarantined"
    assert "1 readings, 0 duplicates, 1 that the contract refuses" in report


def test_should_show_what_it_would_do_and_send_nothing(bad: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    result = iot_replay(
        bad, "--map", "battery=temp / 100", "--start", "2026-03-01T09:30:00Z", "--dry-run", "--sink", f"file:{lines}",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    shown = result.stdout.splitlines()
    assert "columns     time, device, temp" in shown
    assert "time        time   (guessed)" in shown
    assert "site        'replay'" in shown
    assert "gateway     one a site" in shown
    assert "seq         counted" in shown
    assert "temperature temp   (guessed)" in shown
    assert "humidity    nothing" in shown
    assert "battery     temp / 100" in shown
    assert "3 rows: 2 readings of 1 device behind 1 gateway" in shown
    assert (
        "from 2020-01-01 00:00:00Z to 2020-01-01 00:01:00Z, sent as from 2026-03-01 09:30:00Z to 2026-03-01 09:31:00Z"
    ) in shown
    assert "1 row: no time: left out" in shown
    assert shown[-2].startswith('{"device_id":"a","site":"replay","ts":"2026-03-01T09:30:00Z"')
    assert not lines.exists()


def test_should_write_a_file_a_manifest_and_a_registry(rows: Path, tmp_path: Path) -> None:
    lines, manifest, registry = tmp_path / "lines.jsonl.gz", tmp_path / "run.json", tmp_path / "devices.csv"
    result = iot_replay(
        rows, "--no-pace", "--sink", f"file:{lines}", "--manifest", manifest, "--registry", registry,
        "--map", "site='hall'", "--devices-per-gateway", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert len(decode_batch(gzip.decompress(lines.read_bytes())).readings) == 10
    sent = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    assert (sent.scenario, sent.sent, sent.devices, sent.gateways, sent.speed) == ("replay of rows.csv", 10, 2, 2, 0.0)
    assert sent.by_device["a"].sent == 5
    assert {name: device.site for name, device in parse_registry(registry.read_bytes()).devices.items()} == {
        "a": "hall", "b": "hall"
    }  # fmt: skip


def test_should_read_a_file_without_a_header(tmp_path: Path) -> None:
    file = tmp_path / "data.txt.gz"
    file.write_bytes(gzip.compress(b"2004-02-28 00:59:16.02785 3 1 19.9884 37.0933 45.08 2.69964\n" * 3))
    result = iot_replay(
        file, "--no-pace", "--delimiter", " ", "--map", "device='mote-' || moteid",
        "--columns", "date time epoch moteid temperature humidity light voltage",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert [(r.device_id, r.battery) for r in decode_batch(result.stdout_bytes).readings] == [("mote-1", 2.69964)] * 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--no-shift",), "the first readings are of 2020-01-01: those that arrive more than 30 days after their time"),
        (("--start", "2020-01-01T00:00:00Z"), "will be quarantined; give --start or --speed"),
        (("--start", "2999-01-01T00:00:00Z"), "more than 5 minutes early will be quarantined"),
    ],
)
def test_should_warn_of_times_that_the_pipeline_refuses(arguments: Sequence[str], words: str, bad: Path) -> None:
    result = iot_replay(bad, "--no-pace", "--where", "temp = 1", *arguments)
    assert result.exit_code == 0
    warning, _ = result.stderr.splitlines()
    assert words in warning


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--map", "temp"), "--map temp: that maps nothing; write FIELD=COLUMN or FIELD=SQL"),
        (("--map", "colour=temp"), "one of time, device, site"),
        (("--map", "site=temp", "--map", "site=device"), "--map site=… is there twice"),
        (("--map", "device=lamp"), "the columns are time, device, temp; a text that is the same for all rows"),
        (("--timezone", "Nowhere"), "--timezone Nowhere: "),
        (("--no-pace", "--speed", "2"), "--speed and --no-pace both"),
        (("--no-shift", "--start", "2026-01-01"), "give one of them"),
        (("--sink", "file"), "--sink file: the path is missing; write file:PATH"),
        (("--dry-run", "--sink", "pigeon"), "unknown sink 'pigeon'"),
        (
            ("--dry-run", "--msk-iam"),
            "--msk-iam: this is for Kafka only; write --sink kafka or kafka://HOST:PORT/TOPIC",
        ),
        (("--sink", "kafka", "--kafka-property", "retries=0"), "--kafka-property retries: the sink sets it"),
        (("--manifest", "/nowhere/run.json"), "no folder /nowhere"),
        (("/nowhere/*.parquet",), "there is no file /nowhere/*.parquet"),
    ],
)
def test_should_say_in_one_line_what_does_not_fit(arguments: Sequence[str], words: str, rows: Path) -> None:
    result = iot_replay(rows, *arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("replay: ")
    assert words in line


@mock_aws
def test_should_put_records_on_the_deployments_stream(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("kinesis").create_stream(StreamName="the-usual", ShardCount=1)
    monkeypatch.setattr(deployment, "find", lambda *_: named_deployment(stream_name="the-usual"))
    result = iot_replay(rows, "--no-pace", "--sink", "kinesis")
    assert result.exit_code == 0, result.stderr
    assert "sent 10 lines" in result.stderr


def test_should_say_what_to_write_for_the_stream_that_there_is(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "find", lambda *_: named_deployment(ingest="msk", topic_name="the-usual"))
    result = iot_replay(rows, "--no-pace", "--sink", "kinesis")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.endswith(
        "readings come into this deployment by Kafka; write --sink kafka, which is its topic the-usual"
    )


@mock_aws
def test_should_put_the_past_into_the_raw_zone_at_its_own_time(bad: Path, tmp_path: Path) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="raw")
    manifest = tmp_path / "run.json"
    result = iot_replay(bad, "--no-pace", "--no-shift", "--sink", "raw-zone://raw", "--manifest", manifest)
    assert result.exit_code == 0, result.stderr
    assert "--start" not in result.stderr
    (found,) = client.list_objects_v2(Bucket="raw")["Contents"]
    assert found["Key"].startswith("raw/dt=2020-01-01/hour=00/")
    sent = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    assert sent.arrived_from == sent.started_at == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


COMMAND = "from cli.main import main; main()"


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """The real command, in a process of its own."""
    command = [sys.executable, "-c", COMMAND, "replay", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[3])


def test_should_end_cleanly_with_counts_when_told_to_stop(rows: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "run.json"
    with start(rows, "--speed", 60, "--manifest", manifest) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = first + process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    sent = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    assert 0 < sent.sent == len(decode_batch(out).readings) < 10
    (report,) = err.decode().splitlines()
    assert f"sent {sent.sent} lines" in report


def test_should_end_quietly_when_the_reader_goes_away(tmp_path: Path) -> None:
    many = tmp_path / "many.csv"
    many.write_text("time,temp\n" + "".join(f"{n},1\n" for n in range(100_000)))
    with start(many, "--no-pace") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_should_teach_by_example() -> None:
    result = iot_replay("--help")
    assert "iot replay sensors.csv --dry-run" in result.stdout
    assert '--columns "date time epoch moteid temperature humidity light voltage"' in result.stdout
