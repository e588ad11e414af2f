"""Running measurements: small commands in processes of their own, some of which fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.report import measurements
from benchmarks.report.machine import Surroundings, surroundings
from benchmarks.report.measurements import Measurement, run
from benchmarks.report.results import Benchmark, Scored
from tests.unit.benchmarks.reported import benchmark, scored
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def where() -> Surroundings:
    return surroundings()


def fake(script: str, result: Any = Benchmark, file: Path | None = None) -> Measurement:
    return Measurement("fake", ("python", "-c", script), result, file)


def printing(value: object, *more: str) -> str:
    return "\n".join(("import sys", f"print({json.dumps(json.dumps(value))})", *more))


def test_should_keep_what_a_command_prints_with_all_that_is_behind_it(where: Surroundings) -> None:
    said: list[str] = []
    script = printing(benchmark("fake", "peer") | {"versions": {"peer": "7.1"}}, "print('round 1', file=sys.stderr)")
    record = run(fake(script), where, said.append)
    assert not record.error
    assert record.decoded(Benchmark).ratios["peer"].median == 4
    assert said == ["round 1"]
    assert record.command.startswith("python -c ")
    assert record.versions == {**where.versions, "peer": "7.1"}
    assert (record.machine, record.commit) == (where.machine, where.commit)
    assert record.machine.cores >= 1
    assert record.machine.memory_gb > 0
    assert record.versions["ministack"]
    assert record.began_at.tzinfo


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("import sys; sys.exit('pyspark is not installed')", "pyspark is not installed"),
        ("raise ValueError('no such number')", "ValueError: no such number"),
        ("import sys; sys.stderr.write('│ No such option. │\\n╰────╯\\n'); sys.exit(2)", "No such option."),
        ("print('hello')", "hello"),
        ("print('{}')", "nothing to read, exit code 0"),
        ("import os; os._exit(7)", "nothing to read, exit code 7"),
    ],
)
def test_should_keep_why_a_command_failed(where: Surroundings, script: str, why: str) -> None:
    record = run(fake(script), where, lambda _: None)
    assert record.error == why
    assert bytes(record.result) == b"null"


def test_should_keep_a_missing_program_as_a_failure(where: Surroundings) -> None:
    record = run(Measurement("fake", ("no-such-program",), Benchmark), where, lambda _: None)
    assert "no-such-program" in record.error


def test_should_take_a_score_that_is_not_good_for_a_result(where: Surroundings) -> None:
    record = run(fake(printing([scored("calm", good=False)], "sys.exit(1)"), list[Scored]), where, lambda _: None)
    assert not record.error
    assert [each.good for each in record.decoded(list[Scored])] == [False]


def test_should_read_the_file_that_a_command_leaves_and_never_an_earlier_one(
    where: Surroundings, tmp_path: Path
) -> None:
    file = tmp_path / "summary.json"
    file.write_text(json.dumps(benchmark("old")))
    writing = f"from pathlib import Path; Path({str(file)!r}).write_text({json.dumps(benchmark('new'))!r})"
    assert run(fake(writing, file=file), where, lambda _: None).decoded(Benchmark).benchmark == "new"
    assert run(fake("print('cannot deploy')", file=file), where, lambda _: None).error == "cannot deploy"


def test_should_write_a_record_and_read_it_again(where: Surroundings, tmp_path: Path) -> None:
    record = run(fake(printing(benchmark("fake", "peer"))), where, lambda _: None)
    measurements.write(tmp_path / "r", record)
    (found,) = measurements.read(tmp_path / "r").values()
    assert msgspec.structs.replace(found, result=msgspec.Raw()) == msgspec.structs.replace(record, result=msgspec.Raw())
    assert found.decoded(Benchmark) == record.decoded(Benchmark)
    measurements.write(tmp_path / "r", msgspec.structs.replace(record, name="stale"))
    measurements.forget(tmp_path / "r", ["fake"])
    assert list(measurements.read(tmp_path / "r")) == ["fake"]


INTERRUPTED = """
import sys
from pathlib import Path
from benchmarks.report.measurements import Measurement, run
from benchmarks.report.machine import surroundings
grandchild = "import sys, time; print('up', file=sys.stderr, flush=True); time.sleep(600)"
child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
run(Measurement("fake", ("python", "-c", child), dict), surroundings(), lambda line: Path(sys.argv[1]).write_text(line))
"""


def test_should_end_all_that_a_command_started_when_interrupted(tmp_path: Path) -> None:
    up = tmp_path / "up"
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(up)], stderr=subprocess.DEVNULL)
    wait_for(up.exists, "the grandchild's word")
    children = _descendants(process.pid)
    assert len(children) == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    wait_for(lambda: not any(map(_lives, children)), "the end of what it started")


def _descendants(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for file in tasks for child in file.read_text().split()]
    return found + [each for child in found for each in _descendants(child)]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
