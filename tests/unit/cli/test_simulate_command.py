"""The command line of the simulator, as a user meets it."""

from __future__ import annotations

import datetime as dt
import gzip
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import msgspec
import pytest
import typer
from moto import mock_aws
from typer.testing import CliRunner

from cli.target import Choice
from cli.verbs.simulate import duration, simulate
from glue_jobs.curate.zones.raw import raw_object
from pipeline import deployment, truth
from simulator.faults.truth import decode_injected_faults, truth_path
from simulator.fleet.registry import registry_csv
from simulator.run import simulation
from simulator.run.manifest import Manifest
from simulator.scenario.scenario import load
from simulator.sinks import kinesis
from simulator.sinks.record import Record
from simulator.sinks.schemes import KINDS
from simulator.sinks.sink import Delivery, SinkError
from telemetry.reading.codec import decode_batch

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(simulate)

SMALL = """
name: small
duration: 10m
interval: 10s
devices: [{model: indoor, count: 12}]
faults:
  - {kind: step, start: 1m, duration: 5m, count: 2, size: 30, expect: [too-hot]}
  - {kind: malformed, start: 0s, duration: 10m, chance: 0.1, count: 1}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file


def iot_simulate(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], obj=Choice(aws=True, stage="dev"))


def manifest_of(path: Path) -> Manifest:
    return msgspec.json.decode(path.read_bytes(), type=Manifest)


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("1h30m", 5_400.0), ("1d", 86_400.0)])
def test_should_read_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [("soon", "invalid duration 'soon': write 500ms, 90s"), ("0s", "write more than zero"), ("9999d", "at most 3650d")],
)
def test_should_refuse_what_is_no_duration(text: str, words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        duration(text)


def test_should_print_json_lines_and_report_the_counts_apart() -> None:
    result = iot_simulate("--count", 25, "--no-pace")
    assert result.exit_code == 0
    assert len(decode_batch(result.stdout_bytes).readings) == 25
    assert decode_batch(result.stdout_bytes).rejected == []
    (report,) = result.stderr.splitlines()
    assert "sent 25 lines" in report
    assert "25 readings, 0 duplicates, 0 malformed; 0 injected faults" in report


@pytest.mark.parametrize(
    ("arguments", "readings"),
    [
        # Whole intervals have as many readings wherever they begin; an interval and a half has up to two more or fewer.
        (("--rate", 50, "--duration", "4s"), 200),
        (("--rate", 50, "--duration", "3s", "--start", "2026-03-01"), 151),
        (("--devices", 20, "--interval", "500ms", "--duration", "3s"), 120),
        (("--devices", 4, "--interval", "1s", "--duration", "1s"), 4),
        (("--devices", 10, "--rate", 5, "--count", 7), 7),
    ],
)
def test_should_take_as_many_readings_as_rate_and_duration_make(arguments: tuple[object, ...], readings: int) -> None:
    result = iot_simulate(*arguments, "--no-pace")
    assert result.stdout_bytes.count(b"\n") == readings


def test_should_write_a_file_a_manifest_the_truth_and_the_registry(small: Path, tmp_path: Path) -> None:
    lines, manifest, registry = tmp_path / "lines.jsonl.gz", tmp_path / "run.json", tmp_path / "devices.csv"
    result = iot_simulate(
        "--scenario", small, "--no-pace", "--sink", f"file:{lines}", "--manifest", manifest,
        "--registry", registry,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    sent = manifest_of(manifest)
    batch = decode_batch(gzip.decompress(lines.read_bytes()), sent.arrived_to)
    assert (sent.scenario, sent.devices, sent.sent) == ("small", 12, 720)
    assert len(batch.rejected) == sent.malformed > 0
    assert sent.ended_at - sent.started_at == dt.timedelta(minutes=10)
    injected = decode_injected_faults(tmp_path.joinpath("run.truth.jsonl").read_bytes())
    assert injected == simulation.injected_faults(load(str(small)), sent.started_at)
    assert [fault.expects for fault in injected].count(("too-hot",)) == 2
    assert "3 injected faults" in result.stderr
    assert registry.read_text() == registry_csv(load(str(small)))


@pytest.mark.parametrize(("name", "truth"), [("run.json", "run.truth.jsonl"), ("run", "run.truth.jsonl")])
def test_should_put_the_truth_beside_the_manifest(name: str, truth: str) -> None:
    assert truth_path(Path("there") / name) == Path("there") / truth


@pytest.mark.parametrize("start", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00", "2026-03-01T13:00:00+01:00"])
def test_should_give_the_same_lines_for_the_same_start_and_others_for_another_seed(start: str, small: Path) -> None:
    def lines(*more: object) -> bytes:
        result = iot_simulate("--scenario", small, "--no-pace", "--start", start, *more)
        assert result.exit_code == 0, result.stderr
        found: bytes = result.stdout_bytes
        return found

    first = lines()
    assert first == lines()
    assert b'"ts":"2026-03-01T12:00:' in first
    assert lines("--seed", 9) != first
    assert sorted(lines("--batch", 1).splitlines()) == sorted(first.splitlines())


def test_should_end_now_by_default(small: Path, tmp_path: Path) -> None:
    before = dt.datetime.now(dt.UTC)
    iot_simulate("--scenario", small, "--no-pace", "--manifest", tmp_path / "run.json")
    sent = manifest_of(tmp_path / "run.json")
    assert before <= sent.ended_at <= sent.arrived_to <= dt.datetime.now(dt.UTC)


def test_should_change_the_scenario_as_the_options_say(tmp_path: Path) -> None:
    result = iot_simulate(
        "--scenario", "calm", "--devices", 40, "--gateways", 7, "--interval", "5s", "--seed", 3, "--duration", "10s",
        "--no-pace", "--manifest", tmp_path / "run.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    sent = manifest_of(tmp_path / "run.json")
    assert (sent.scenario, sent.seed, sent.devices, sent.gateways, sent.sent) == ("calm", 3, 40, 7, 80)


def test_should_share_the_work_among_processes(tmp_path: Path) -> None:
    manifest, one = tmp_path / "run.json", tmp_path / "one.jsonl"
    options = ("--scenario", "demo", "--duration", "2m", "--start", "2026-03-01", "--no-pace")
    lines = tmp_path / "lines.jsonl"
    result = iot_simulate(*options, "--processes", 2, "--sink", f"file:{lines}", "--manifest", manifest)
    assert result.exit_code == 0, result.stderr
    iot_simulate(*options, "--sink", f"file:{one}")
    found = [line for n in (1, 2) for line in (tmp_path / f"lines-{n}.jsonl").read_bytes().splitlines()]
    assert sorted(found) == sorted(one.read_bytes().splitlines())
    assert manifest_of(manifest).sent == len(found)


@mock_aws
def test_should_backfill_the_raw_zone_so_that_the_curation_takes_every_reading(tmp_path: Path) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="raw")
    manifest = tmp_path / "run.json"
    result = iot_simulate(
        "--scenario", "calm", "--devices", 40, "--interval", "5m", "--backfill", "1d", "--sink", "raw-zone://raw",
        "--manifest", manifest,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    sent = manifest_of(manifest)
    readings = 0
    for item in client.list_objects_v2(Bucket="raw")["Contents"]:
        found = raw_object(item["Key"], item["Size"], item["LastModified"])
        assert found
        batch = decode_batch(
            gzip.decompress(client.get_object(Bucket="raw", Key=found.key)["Body"].read()), found.arrived
        )
        assert batch.rejected == []
        assert sent.started_at - dt.timedelta(minutes=15) <= found.hour.start + dt.timedelta(hours=1)
        oldest = min(reading.ts for reading in batch.readings)
        assert found.hour.start <= oldest + dt.timedelta(minutes=2)
        assert all(reading.ts < found.hour.start + dt.timedelta(hours=1) for reading in batch.readings)
        readings += len(batch.readings)
    assert readings == sent.sent == 40 * 12 * 24
    assert (sent.arrived_from, sent.arrived_to) == (sent.started_at, sent.ended_at)
    assert sent.ended_at - sent.started_at == dt.timedelta(days=1)
    _, following = result.stderr.splitlines()
    assert following == (
        f"simulate: next: iot etl run --from {sent.started_at:%Y-%m-%dT%H}:00:00Z "
        f"--to {sent.ended_at + dt.timedelta(hours=1):%Y-%m-%dT%H}:00:00Z"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--rate 5 --interval 1s", "--rate and --interval both"),
        ("--count 5 --duration 1s", "--duration and --count both"),
        ("--speed 5 --no-pace", "--speed and --no-pace both"),
        ("--sink file", "--sink file: the path is missing; write file:PATH"),
        ("--sink pigeon", "unknown sink 'pigeon'; write stdout, "),
        ("--sink kafka://b:1", "--sink kafka: the topic is missing; write kafka or kafka://HOST:PORT/TOPIC"),
        (
            "--sink kinesis://s --msk-iam",
            "--msk-iam: this is for Kafka only; write --sink kafka or kafka://HOST:PORT/T",
        ),
        ("--kafka-property a=b", "--kafka-property: this is for Kafka only; write --sink kafka or kafka://"),
        ("--sink kafka --kafka-property acks=1", "--kafka-property acks: the sink sets it"),
        ("--backfill 1h --no-pace", "leave --start, --duration, --count, --speed and --no-pace out"),
        ("--backfill 1h --start 2026-03-01", "--backfill says when, how long and how fast"),
        (
            "--backfill 1h --sink file:x",
            "--backfill writes to the raw zone: leave --sink out, or write --sink raw-zone",
        ),
        ("--processes 2", "several processes would write into each other's lines"),
        ("--processes 11 --sink file:x", "more processes than gateways"),
        ("--gateways 2", "has 3 sites; each needs a gateway"),
        ("--devices 3", "has 4 kinds of devices; take at least as many devices"),
        ("--rate 1e6 --count 1", "once a millisecond at most"),
        ("--interval 0.5ms --count 1", "once a millisecond at most"),
        ("--manifest /nowhere/run.json", "--manifest: there is no folder /nowhere"),
        ("--registry /nowhere/devices.csv", "--registry: there is no folder /nowhere"),
        ("--scenario clam", "there is no scenario 'clam': give a file, or one of bad-clocks, calm"),
        ("--start 1969-01-01 --count 1", "begins in 1969; let it be between 1970 and 2200"),
        ("--start 9999-12-31", "begins in 9999"),
        ("--count 99999999999999 --no-pace", "years; ten are the most"),
        (f"--seed {2**63} --count 1", f"invalid seed {2**63}"),
        (f"--seed {2**70} --count 1 --no-pace", f"invalid seed {2**70}"),
        ("--speed inf --count 1", "invalid speed inf"),
    ],
)
def test_should_say_in_one_line_what_does_not_fit(arguments: str, words: str) -> None:
    result = iot_simulate(*arguments.split())
    assert result.exit_code == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("simulate: ")
    assert words in line


def test_should_point_at_the_mistake_in_a_scenario(small: Path) -> None:
    small.write_text(SMALL.replace("count: 2", "cuont: 2"))
    result = iot_simulate("--scenario", small)
    assert result.exit_code == 2
    line, shown, caret = result.stderr.splitlines()
    assert line.startswith(f"simulate: {small}: line 7, column 43: faults: cuont: there is no such key; ")
    assert shown[caret.index("^") :].startswith("cuont: 2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--duration soon", "invalid duration 'soon'"),
        ("--duration 0s", "write more than zero"),
        ("--start noon", "invalid time 'noon': write a time such as 2026-11-01 or 2026-11-01T06:00:00Z"),
        ("--devices 0", "greater than or equal to 1"),
        ("--speed 0", "0.001"),
        ("--seed -1", "greater than or equal to 0"),
        ("--stream readings", "No such option: --stream"),
    ],
)
def test_should_refuse_a_bad_value(arguments: str, words: str) -> None:
    result = iot_simulate(*arguments.split())
    assert result.exit_code == 2
    # Typer draws a box and breaks lines in it.
    assert words.split(maxsplit=1)[0] in result.stderr
    assert words in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("path", "words"), [("/nowhere/lines", "No such file"), ("/dev/full", "cannot write /dev/full: No space left")]
)
def test_should_say_in_one_line_what_cannot_be_written(path: str, words: str) -> None:
    result = iot_simulate("--count", 5, "--no-pace", "--sink", f"file:{path}")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line


@mock_aws
def test_should_put_records_on_a_stream() -> None:
    client = boto3.client("kinesis")
    client.create_stream(StreamName="readings", ShardCount=1)
    result = iot_simulate("--count", 30, "--no-pace", "--sink", "kinesis://readings")
    assert result.exit_code == 0, result.stderr
    assert "30 readings" in result.stderr


@mock_aws
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--sink kinesis://nowhere --count 5 --no-pace", "no Kinesis stream 'nowhere'"),
        ("--backfill 1h --sink raw-zone://nowhere", "the raw zone s3://nowhere refuses an object"),
    ],
)
def test_should_say_in_one_line_that_the_sink_is_not_there(arguments: str, words: str) -> None:
    result = iot_simulate(*arguments.split())
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line


class FullStream:
    """A sink that takes nothing."""

    def __init__(self, _client: object, name: str) -> None:
        self._name = name

    def send(self, records: Sequence[Record], /) -> Delivery:
        return Delivery(retried=9, refused=tuple(records), reason=f"{self._name} is full")


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The one deployment that is found."""
    found = SimpleNamespace(ingest="kinesis", stream_name="the-usual")
    monkeypatch.setattr(deployment, "find", lambda _session, stage: {"dev": found}[stage])
    return found


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(("sink", "name"), [("kinesis", "the-usual"), ("kinesis://mine", "mine")])
def test_should_fail_when_lines_are_lost_on_the_deployments_stream_or_another(
    sink: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinesis, "KinesisSink", FullStream)
    result = iot_simulate("--sink", sink, "--count", "5", "--no-pace")
    assert result.exit_code == 1
    counts, complaint = result.stderr.splitlines()
    assert "sent 0 lines" in counts
    assert f"5 lines were refused and are lost: {name} is full" in complaint


def test_should_take_the_truth_to_the_lake(
    small: Path, deployed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[object, ...]] = []
    monkeypatch.setattr(truth, "put", lambda _session, *put: taken.append(put))
    arguments = ["--scenario", str(small), "--no-pace", "--truth-to-lake"]
    assert iot_simulate(*arguments).exit_code == 0
    ((where, scenario, started_at, injected),) = taken
    assert (where, scenario) == (deployed, "small")
    assert isinstance(started_at, dt.datetime)
    assert injected == simulation.injected_faults(load(str(small)), started_at)
    iot_simulate(*arguments[:-1])
    assert len(taken) == 1


class ExpiringStream:
    """Takes one delivery."""

    def __init__(self, *_: object) -> None:
        self._left = 1

    def send(self, _records: Sequence[Record], /) -> Delivery:
        if not self._left:
            raise SinkError("the token expired")
        self._left -= 1
        return Delivery()


def test_should_write_the_manifest_of_a_run_that_the_sink_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinesis, "KinesisSink", ExpiringStream)
    manifest = tmp_path / "run.json"
    result = iot_simulate("--count", 30_000, "--no-pace", "--sink", "kinesis://mine", "--manifest", manifest)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("lines were refused and are lost: the token expired")
    sent = manifest_of(manifest)
    assert sent.sent > 0
    assert sent.refused > 0


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """The real command, in a process of its own."""
    command = [sys.executable, "-c", "from cli.main import main; main()", "simulate", *map(str, arguments)]
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
    sent = manifest_of(manifest)
    batch = decode_batch(out)
    assert batch.rejected == []
    assert sent.sent == len(batch.readings)
    (report,) = err.decode().splitlines()
    assert f"sent {sent.sent:,} lines" in report


def test_should_cut_the_truth_short_when_told_to_stop(small: Path, tmp_path: Path) -> None:
    small.write_text(SMALL.replace("start: 1m, duration: 5m", "start: 0s, duration: 9m"))
    manifest = tmp_path / "run.json"
    with start("--scenario", small, "--interval", "100ms", "--manifest", manifest) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 130
    sent = manifest_of(manifest)
    injected = decode_injected_faults(truth_path(manifest).read_bytes())
    assert len(injected) == 3
    assert {fault.until for fault in injected} == {sent.ended_at}


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
    assert "cold-chain-break" in result.stdout


def test_should_show_how_to_write_each_sink() -> None:
    words = "".join(iot_simulate("--help").stdout.replace("│", " ").split())
    for kind in KINDS:
        assert "".join(f"{kind.usage}: {kind.help}".split()) in words
