"""The simulator's benchmark: what every contender writes, and what is printed, not how fast it is."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

import local.emulator
from benchmarks.simulator import __main__ as program
from benchmarks.simulator import plain, ready
from benchmarks.simulator.contenders import (
    DEVICES,
    FLOOR,
    NAMES,
    OURS,
    OURS_FAULTY,
    OURS_SMALL,
    PEERS,
    Contender,
    contender,
)
from benchmarks.simulator.putters import PUTTERS, STREAM_FLOOR, STREAM_NAMES, STREAM_OURS, STREAM_PEER
from benchmarks.simulator.report import report, table
from benchmarks.simulator.stream_trial import measure as measure_stream
from benchmarks.simulator.trial import Outcome, measure
from local.endpoint import LocalError
from simulator.run.simulation import DEFAULT_BATCH
from telemetry.reading.codec import decode_batch

ROWS = 7_000


class Kinesis:
    """A client that takes everything."""

    def __init__(self) -> None:
        self.streams: list[str] = []
        self.requests: list[list[dict[str, Any]]] = []

    def create_stream(self, **request: Any) -> None:
        self.streams.append(request["StreamName"])

    def delete_stream(self, **request: Any) -> None:
        self.streams.remove(request["StreamName"])

    def get_waiter(self, _: str) -> Kinesis:
        return self

    def wait(self, **_: Any) -> None:
        pass

    def put_records(self, **request: Any) -> dict[str, Any]:
        assert self.streams == [request["StreamName"]]
        self.requests.append(request["Records"])
        return {"Records": [{} for _ in request["Records"]]}

    def lines(self) -> bytes:
        return b"\n".join(record["Data"].strip() for request in self.requests for record in request) + b"\n"


def round_of(ours: float, other: float, memory: float = 100.0) -> dict[str, Outcome]:
    """Of a thousand lines, by the seconds of processor time; twice as many go by."""
    took = {name: ours if name == OURS else other for name in NAMES}
    return {name: Outcome(1_000, 2 * took[name], took[name], memory, {name: "1.2.3"}) for name in NAMES}


def stream_round_of(ours: float, other: float) -> dict[str, Outcome]:
    return {
        name: Outcome(500, ours if name == STREAM_OURS else other, 0.1, 50.0, {"boto3": "1"}) for name in STREAM_NAMES
    }


@pytest.mark.parametrize("name", NAMES)
def test_should_write_readings_and_as_many_as_are_asked_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    outcome = measure(contender(name), path, ROWS)
    batch = decode_batch(path.read_bytes())
    assert outcome.lines == len(batch.readings) + len(batch.rejected)
    assert outcome.seconds > 0
    assert outcome.processor_seconds > 0
    assert outcome.peak_memory_mb > 5
    if name == OURS_FAULTY:
        assert batch.rejected
        assert ROWS < outcome.lines < ROWS * 1.1
    else:
        assert batch.rejected == []
        assert len(batch.readings) == ROWS
        assert len({reading.device_id for reading in batch.readings}) >= DEVICES * 0.9


def test_should_keep_requests_of_many_lines_ready(tmp_path: Path) -> None:
    ready.write(tmp_path / "ready", ROWS)
    requests = ready.read(tmp_path / "ready")
    assert sum(payload.count(b"\n") for request in requests for _, payload in request) == ROWS
    assert max(payload.count(b"\n") for request in requests for _, payload in request) <= DEFAULT_BATCH


@pytest.mark.parametrize("rows", [1, DEVICES, DEVICES + 1])
def test_should_have_the_peers_write_the_same_fields(rows: int, tmp_path: Path) -> None:
    for name in (*PEERS, FLOOR):
        contender(name).write(tmp_path / "lines", rows)
        lines = (tmp_path / "lines").read_bytes().splitlines()
        assert len(lines) == rows
        assert json.loads(lines[0]).keys() == next(plain.readings()).keys()


def test_should_put_all_readings_on_a_stream_of_its_own(tmp_path: Path) -> None:
    ready.write(tmp_path / "ready", ROWS)
    put = {}
    for name in STREAM_NAMES:
        client = Kinesis()
        outcome = measure_stream(PUTTERS[name](ROWS, tmp_path / "ready"), cast("Any", client))
        batch = decode_batch(client.lines())
        assert (len(batch.readings), batch.rejected) == (outcome.lines, [])
        assert client.streams == []
        put[name] = client.requests, outcome.lines
    assert put[STREAM_OURS] == put[STREAM_FLOOR]
    assert put[STREAM_OURS][1] == ROWS
    requests, readings = put[STREAM_PEER]
    assert [len(request) for request in requests] == [500] * (readings // 500)
    assert 0 < readings < ROWS


def test_should_delete_the_stream_of_who_fails() -> None:
    client = Kinesis()
    with pytest.raises(ZeroDivisionError):
        measure_stream(lambda *_: 1 // 0, cast("Any", client))
    assert client.streams == []


def test_should_take_ratios_within_a_round_and_rates_of_processor_time() -> None:
    measured = report(1_000, [round_of(1, 2), round_of(4, 16), round_of(10, 30)], 500, [])
    assert measured.ours == 250
    assert measured.by_the_clock[OURS] == 125
    assert measured.floor == 1_000 / 16
    assert measured.ours_otherwise == dict.fromkeys((OURS_FAULTY, OURS_SMALL), 1_000 / 16)
    assert (measured.ratios[PEERS[0]].median, measured.ratios[PEERS[0]].best) == (3, 4)
    assert measured.kinesis is None


def test_should_count_the_lines_that_were_written_not_those_asked_for(tmp_path: Path) -> None:
    outcome = measure(Contender(lambda path, _: path.write_bytes(b"one\ntwo\n")), tmp_path / "lines", 1_000)
    assert outcome.lines == 2


def test_should_rate_the_stream_by_the_clock() -> None:
    measured = report(1_000, [round_of(1, 2)], 500, [stream_round_of(2, 1), stream_round_of(4, 5)])
    assert measured.kinesis
    assert measured.kinesis.ours == (250 + 125) / 2
    assert measured.kinesis.ratios[STREAM_FLOOR].best == 1.25
    assert measured.kinesis.peers.keys() == {STREAM_PEER}
    assert measured.kinesis.per_core == dict.fromkeys(STREAM_NAMES, 5_000)


def test_should_tell_the_most_memory_of_any_round() -> None:
    measured = report(1_000, [round_of(1, 2, memory=100.0), round_of(1, 2, memory=300.0), round_of(1, 2)], 500, [])
    assert measured.peak_memory_mb == dict.fromkeys(NAMES, 300.0)


def test_should_print_a_table_with_every_contender() -> None:
    printed = table(report(1_000, [round_of(10, 25)], 500, [stream_round_of(2, 1)]))
    assert all(name in printed for name in (*NAMES, *STREAM_NAMES))
    assert "2.50x" in printed
    assert "0.50x" in printed
    assert "boto3 1" in printed


def test_should_print_one_json_object_without_a_stream() -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.simulator",
        "--rows",
        "2000",
        "--rounds",
        "1",
        "--no-kinesis",
        "--json",
    ]
    printed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert printed["benchmark"] == "simulator"
    assert "higher is better" in printed["unit"]
    assert printed["rows"] == 2_000
    assert printed["peers"].keys() == set(PEERS)
    assert all(rate > 0 for rate in (printed["ours"], printed["floor"], *printed["peers"].values()))
    assert printed["peak_memory_mb"].keys() == printed["by_the_clock"].keys() == set(NAMES)
    assert printed["versions"].keys() >= {"python", "numpy", "msgspec"}
    assert printed["kinesis"] is None


def test_should_measure_all_in_turn_and_make_what_is_ready_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran = []

    def run(module: str, *arguments: str) -> bytes:
        ran.append((module.removeprefix("simulator."), arguments[0]))
        return b'{"lines": 1, "seconds": 2.0, "processor_seconds": 1.0, "peak_memory_mb": 100.0}'

    monkeypatch.setattr(program, "run", run)
    program.to_file(10, 2)
    assert ran == [("trial", name) for name in (*NAMES, *NAMES)]
    ran.clear()
    program.stream_rounds(10, 2, tmp_path / "ready")
    assert ran == [
        ("ready", str(tmp_path / "ready")),
        *[("stream_trial", name) for name in (*STREAM_NAMES, *STREAM_NAMES)],
    ]


def test_should_tell_how_to_get_an_emulator_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(home: Path) -> None:
        raise LocalError("the emulator is not installed: run 'make setup'")

    monkeypatch.setattr(local.emulator, "start", start)
    monkeypatch.setattr(program, "to_file", lambda *_: [])
    monkeypatch.setattr(sys, "argv", ["simulator"])
    with pytest.raises(SystemExit) as raised:
        program.main()
    assert raised.value.code == 1
    assert "make setup" in capsys.readouterr().err


def test_should_have_the_plain_generator_report_in_the_order_of_time() -> None:
    taken = [reading["ts"] for reading in itertools.islice(plain.readings(), 10)]
    assert taken == sorted(taken)
