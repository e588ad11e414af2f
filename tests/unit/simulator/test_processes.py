"""A run spread over processes: together they send what one would, and count it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from simulator.faults.truth import InjectedFault
from simulator.run import processes, simulation
from simulator.run.manifest import DeviceCounts, Manifest
from simulator.run.processes import merged, simulate_in_parts
from simulator.run.sender import Counts
from simulator.run.simulation import Plan, plan, simulate
from simulator.scenario import faults as kinds
from simulator.sinks.lines import LinesFile, StandardOutput
from simulator.sinks.sink import SinkError
from tests.unit.simulator.samples import START, MemorySink, scenario

DISTURBED = scenario(
    kinds.Duplicate(start="0s", duration="2m", chance=0.2),
    kinds.Malformed(start="0s", duration="2m", chance=0.1),
    kinds.Step(start="30s", duration="30s", count=3, size=40),
    # Both processes send lines of the same devices.
    kinds.Wander(start="10s", duration="90s", every="20s", count=5),
    kinds.HeardTwice(start="0s", duration="2m", chance=0.3),
)


def planned(**more: Any) -> Plan:
    options: dict[str, Any] = {"length": DISTURBED.duration, "start": START, "speed": 0} | more
    return plan(DISTURBED, **options)


class Ran(NamedTuple):
    manifest: Manifest
    progress: list[Counts]
    faults: list[InjectedFault]


def in_parts(made: Plan, folder: Path, number: int, stopped: Callable[[], bool] = lambda: False) -> Ran:
    progress: list[Counts] = []
    told: list[InjectedFault] = []
    chosen = LinesFile(folder / "lines.jsonl")
    manifest = simulate_in_parts(
        made, chosen, number, stopped=stopped, on_progress=progress.append, on_injected=told.append
    )
    return Ran(manifest, progress, told)


def test_should_send_and_count_the_same_in_two_processes(tmp_path: Path) -> None:
    ran = in_parts(planned(), tmp_path, 2)
    sink = MemorySink()
    alone = simulate(planned(), sink)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["lines-1.jsonl", "lines-2.jsonl"]
    assert all(file.stat().st_size for file in files)
    lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
    assert sorted(lines) == sorted(sink.text().splitlines(keepends=True))
    times = {"arrived_from": alone.arrived_from, "arrived_to": alone.arrived_to}
    assert msgspec.structs.replace(ran.manifest, **times, by_device={}) == msgspec.structs.replace(alone, by_device={})
    assert ran.manifest.by_device == alone.by_device
    assert ran.faults == simulation.injected_faults(DISTURBED, START)
    assert ran.progress[-1].sent == alone.sent


def test_should_say_in_one_line_why_a_part_failed(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="No such file or directory"):
        in_parts(planned(), tmp_path / "nowhere", 2)


def test_should_stop_all_parts(tmp_path: Path) -> None:
    # Without an end, and at its own pace: one that is not stopped would go on for ten years.
    asked: list[None] = []
    endless = planned(length=None, speed=1.0, start=None)

    def stopped() -> bool:
        asked.append(None)
        return bool(list(tmp_path.glob("*")))

    ran = in_parts(endless, tmp_path, 2, stopped)
    assert ran.manifest.ended_at < ran.manifest.started_at + dt.timedelta(minutes=1)
    assert asked


class FakeQueue(list[Any]):
    """Messages as they are put."""

    def put(self, message: Any) -> None:
        self.append(message)

    def close(self) -> None:
        pass

    def empty(self) -> bool:
        return not self


class FakeProcess(NamedTuple):
    exitcode: int | None


def test_should_notice_a_process_that_dies_without_a_word() -> None:
    fine, dead = FakeProcess(None), FakeProcess(-9)
    told: Any = FakeQueue()
    processes._check([fine, fine], told)  # type: ignore[list-item]
    with pytest.raises(SinkError, match=r"ended before its time \(exit code -9\); use fewer processes"):
        processes._check([fine, dead], told)  # type: ignore[list-item]
    # What it has said yet may be that it is done.
    told.put("the last words")
    processes._check([fine, dead], told)  # type: ignore[list-item]


class FakeEvent:
    def is_set(self) -> bool:
        return False


@pytest.fixture
def _signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.run.processes.signal.signal", lambda *_: None)


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize(("part", "tells"), [(0, True), (1, False)])
def test_should_have_one_part_only_tell_of_faults(part: int, tells: bool, tmp_path: Path) -> None:
    told: Any = FakeQueue()
    to = LinesFile(tmp_path / "lines.jsonl.gz")
    processes._work(msgspec.structs.replace(planned(), part=(part, 2)), to, told, FakeEvent())  # type: ignore[arg-type]
    assert {number for number, _ in told} == {part}
    assert any(isinstance(message, InjectedFault) for _, message in told) == tells
    assert isinstance(told[-1][1], Manifest)
    assert [file.name for file in tmp_path.iterdir()] == [f"lines-{part + 1}.jsonl.gz"]


@pytest.mark.usefixtures("_signals")
def test_should_tell_why_a_part_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    told: Any = FakeQueue()
    monkeypatch.setattr(StandardOutput, "open", Failing(SinkError("the token expired")))
    processes._work(planned(), StandardOutput(), told, FakeEvent())  # type: ignore[arg-type]
    assert [message.words for _, message in told] == ["the token expired"]


@pytest.mark.usefixtures("_signals")
def test_should_tell_of_a_defect_and_show_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: Any = FakeQueue()
    monkeypatch.setattr(StandardOutput, "open", Failing(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        processes._work(planned(), StandardOutput(), told, FakeEvent())  # type: ignore[arg-type]
    assert [message.words for _, message in told] == ["RuntimeError: a bug"]


class Failing:
    """Fails when it is called."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self, *_: object) -> None:
        raise self._error


def test_should_merge_manifests() -> None:
    one = simulate(msgspec.structs.replace(planned(), part=(0, 2)), MemorySink())
    other = simulate(msgspec.structs.replace(planned(), part=(1, 2)), MemorySink("north-gw-02"))
    both = merged([one, other])
    assert both.sent == one.sent + other.sent
    assert both.refused == other.refused > 0
    assert (both.refusal, both.retried) == ("not today", other.retried)
    assert list(both.by_device) == sorted({*one.by_device, *other.by_device})
    assert (both.arrived_from, both.arrived_to) == (one.arrived_from, other.arrived_to)
    for name in DeviceCounts.__struct_fields__:
        assert getattr(both, name) == sum(getattr(counts, name) for counts in both.by_device.values())


def test_should_be_as_far_as_the_slowest_part() -> None:
    far, near = (Counts(sent=n, refused=1, reached=START + dt.timedelta(hours=n)) for n in (5, 3))
    assert processes._sum([far, near]) == Counts(sent=8, refused=2, reached=near.reached)
