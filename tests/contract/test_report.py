"""The committed report is what its records give, each with all that is behind it; what the benchmarks print is read."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from benchmarks.curate import contenders as curation
from benchmarks.curate import report as curate
from benchmarks.detector import contenders as detection
from benchmarks.detector import report as detector
from benchmarks.measuring import Ratio
from benchmarks.report import measurements
from benchmarks.report.aims import held
from benchmarks.report.measurements import PAGE, Record, folder_of, read
from benchmarks.report.page import results, text
from benchmarks.report.plots import draw, pictures
from benchmarks.report.results import Benchmark, Demo, Planned
from benchmarks.simulator import contenders as simulation
from benchmarks.simulator import putters
from benchmarks.simulator import report as simulator
from cli.verbs.demo import Latency, Summary
from cli.verbs.plan import plan_json
from planning.plan import plan
from planning.traffic import Fleet
from tests.facts import facts

FOLDER = folder_of(PAGE)
RATIO = Ratio(2.0, 3.0)

each_record = pytest.mark.parametrize("record", read(FOLDER).values(), ids=lambda record: str(record.name))


def test_should_be_what_its_records_give() -> None:
    assert facts(PAGE.read_text()) == facts(text(read(FOLDER), FOLDER.name)), "write it again: iot report --render"


def test_should_have_pictures_of_its_records(tmp_path: Path) -> None:
    draw(results(read(FOLDER)), tmp_path)
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(pictures(results(read(FOLDER))))
    for path in tmp_path.glob("*.svg"):
        # Where a line lies may differ by a hair between machines; what it is called may not.
        assert _words(FOLDER / path.name) == _words(path), "write it again: iot report --render"


def _words(path: Path) -> list[str]:
    return [words.strip() for words in ElementTree.parse(path).getroot().itertext() if words.strip()]


@each_record
def test_should_name_command_versions_machine_and_commit(record: Record) -> None:
    assert record.command.startswith(("python -m benchmarks.", "iot "))
    assert record.versions["python"]
    assert record.machine.cpu
    assert min(record.machine.cores, record.machine.memory_gb) > 0
    assert record.machine.os
    assert record.commit
    assert record.began_at.tzinfo
    assert bool(record.error) == (bytes(record.result) == b"null")


def test_should_have_measured_what_a_run_measures() -> None:
    assert set(read(FOLDER)) == {each.name for each in measurements.planned(measurements.FULL, Path("summary.json"))}


def _names(*others: str) -> dict[str, Ratio]:
    return dict.fromkeys(others, RATIO)


def _memory(*names: str) -> dict[str, float]:
    return dict.fromkeys(names, 100.0)


def _curate() -> curate.Report:
    peers = dict.fromkeys(curation.PEERS, 1e5)
    return curate.Report(
        benchmark="curate", unit="readings/s", rows=1_000, ours=4e5, peers=peers, floor=2e6,
        ratios=_names(*curation.PEERS, curation.FLOOR), peak_memory_mb=_memory(*curation.NAMES), versions={"a": "1"},
    )  # fmt: skip


def _detector() -> detector.Report:
    ratios = _names(*detection.PEERS, detection.FLOOR)
    return detector.Report(
        benchmark="detector", unit="readings/s", rows=1_000, ours=4e5, ours_with_windows=2e5, ours_by_kafka=4e5,
        decoders=dict.fromkeys(detection.DECODERS, 4e6), ratio_by_kafka=RATIO, ratio_of_decoders=RATIO,
        peers=dict.fromkeys(detection.PEERS, 1e5), floor=2e6, ratios=ratios, ratios_with_windows=ratios,
        transitions=7, aws_share=0.1, peak_memory_mb=_memory(*detection.NAMES), cold_import_seconds={"handler": 0.5},
        versions={"a": "1"},
    )  # fmt: skip


def _simulator() -> simulator.Report:
    stream = simulator.StreamReport(
        unit="readings/s", rows=500, ours=1e5, peers={putters.STREAM_PEER: 2e4}, floor=1.2e5,
        ratios=_names(putters.STREAM_PEER, putters.STREAM_FLOOR), per_core={"ours": 2e5},
        peak_memory_mb=_memory(*putters.STREAM_NAMES),
    )  # fmt: skip
    return simulator.Report(
        benchmark="simulator", unit="readings/s", rows=1_000, ours=1e6,
        ours_otherwise={simulation.OURS_FAULTY: 7e5, simulation.OURS_SMALL: 6e5},
        peers=dict.fromkeys(simulation.PEERS, 1e5), floor=2e6, ratios=_names(*simulation.PEERS, simulation.FLOOR),
        by_the_clock={}, kinesis=stream, peak_memory_mb=_memory(*simulation.NAMES), versions={"a": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("made", [_curate(), _detector(), _simulator()], ids=["curate", "detector", "simulator"])
def test_should_read_what_a_benchmark_prints(made: curate.Report | detector.Report | simulator.Report) -> None:
    read_again = msgspec.json.decode(msgspec.json.encode(made), type=Benchmark)
    known = msgspec.to_builtins(read_again)
    printed = msgspec.to_builtins(made)
    assert {key: known[key] for key in ("rows", "ours", "peers", "floor", "ratios", "peak_memory_mb")} == {
        key: printed[key] for key in ("rows", "ours", "peers", "floor", "ratios", "peak_memory_mb")
    }
    assert read_again.ours_with_windows == printed.get("ours_with_windows")
    assert read_again.ours_otherwise == printed.get("ours_otherwise", {})
    assert (read_again.kinesis is None) == (printed.get("kinesis") is None)


def test_should_find_every_aim_in_what_the_benchmarks_print() -> None:
    found = results({})._replace(
        simulator=msgspec.convert(msgspec.to_builtins(_simulator()), Benchmark),
        curate={"curate-large": msgspec.convert(msgspec.to_builtins(_curate()), Benchmark)},
    )
    assert len(held(found)) == 4


def test_should_read_what_the_demo_leaves() -> None:
    made = Summary(
        sent=10, raw=10, curated=8, duplicates=1, quarantined=1, lost=0, faults=3, alerts=2, notifications=2,
        precision=1.0, recall=1.0, notifications_per_fault=0.5, alert_latency_ms=Latency(1.0, 2.0, 2.0),
        alert_latencies_ms=[1.0, 2.0], transitions={}, seconds={"deploy": 1.0, "etl": 2.0, "total": 9.0},
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(made), type=Demo).alert_latencies_ms == [1.0, 2.0]


def test_should_read_what_a_plan_prints() -> None:
    printed = msgspec.json.encode(plan_json(plan(Fleet(devices=300))))
    found = msgspec.json.decode(printed, type=Planned)
    assert found.devices == 300
    assert next(iter(found.usd)) == "ours"
    assert len(found.usd) == 3
    assert found.prices.looked_up


def test_should_show_what_a_plan_says_today() -> None:
    for each in results(read(FOLDER)).costs.values():
        today = {variant.name: variant.usd_per_month for variant in plan(Fleet(devices=each.devices)).variants}
        assert each.usd == pytest.approx(today), "plan again: iot report --only cost"
