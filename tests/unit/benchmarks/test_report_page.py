"""The report's page and pictures: every figure with its command, what is missed and what is missing said plainly."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from benchmarks.report import measurements
from benchmarks.report.aims import held
from benchmarks.report.measurements import Record
from benchmarks.report.page import failures, rate, results, text, write_page
from benchmarks.report.plots import draw, pictures
from pipeline.errors import PipelineError
from tests.unit.benchmarks.reported import MACHINE, benchmark, demo, everything, plan, record, scored


def page(records: dict[str, Record]) -> str:
    return text(records, "report")


def section(records: dict[str, Record], title: str) -> str:
    return page(records).split(f" {title}\n", 1)[1].split("\n## ")[0].split("\n### ")[0]


def test_should_name_the_command_of_every_measurement_that_it_shows() -> None:
    shown = page(everything())
    for each in everything().values():
        assert shown.count(f"`{each.command}`") >= 1
        assert f"(report/{each.name}.json)" in shown


def test_should_say_ratios_before_rates() -> None:
    row = next(line for line in section(everything(), "160,000 readings").splitlines() if "| pandas" in line)
    assert row == "| pandas | 4.00 \u00d7 | 4.50 \u00d7 | 100,000 | 100 MB |"


def test_should_name_machine_commit_and_versions() -> None:
    behind = section(everything(), "Behind the figures")
    assert f"* Machine: {MACHINE.cpu}, 2 cores, 16.0 GB; Debian" in behind
    assert "* Commit: abc1234\n" in behind
    assert "* Versions: duckdb 1.4.5, python 3.11.7\n" in behind


def test_should_say_when_something_else_ran() -> None:
    busy = msgspec.structs.replace(everything()["detector"], load=7.6)
    assert "busy machine**: up to 8 processes wanted its 2 cores" in section(
        everything() | {"detector": busy}, "At a glance"
    )
    assert "busy" not in page(everything())


def test_should_tell_machines_apart_where_a_part_was_measured_on_another() -> None:
    other = msgspec.structs.replace(MACHINE, cpu="Slide rule")
    again = msgspec.structs.replace(everything()["detector"], machine=other, commit="def5678")
    behind = section(everything() | {"detector": again}, "Behind the figures")
    number = 2 if "* Machine 2: Slide rule" in behind else 1
    assert f"* Machine {number}: Slide rule" in behind
    row = next(line for line in behind.splitlines() if "[detector]" in line)
    assert row.endswith(f"| {number}, def5678 |")


def test_should_say_plainly_which_aims_are_missed() -> None:
    glance = section(everything(), "At a glance")
    assert (
        "| curation of 160,000 readings, beside pandas | 4.0 times as fast | at least 5 times | **missed** |" in glance
    )
    assert (
        "| simulator, 1,000 readings into a file | 1.20 M readings/s/core | at least 0.5 M | met | `simulator` |"
        in glance
    )
    missed = [each.what for each in held(results(everything())) if not each.met]
    assert len(missed) == 4
    assert f"**4 of {len(held(results(everything())))} aims are missed**" in glance


def test_should_hold_the_floor_by_time_and_the_stream_by_rate() -> None:
    measured = {each.what: each.measured for each in held(results(everything()))}
    assert measured["curation of 160,000 readings, beside a bare DuckDB"] == "2.0 times its time"
    assert measured["simulator to a stream, beside a loop over records made before"] == "0.50 times its rate"


@pytest.mark.parametrize(
    ("made", "met"),
    [
        (demo(5_000.0), [True, True]),
        (demo(5_000.0, lost=1), [False, True]),
        (demo(5_000.0) | {"recall": 0.9}, [True, False]),
        (demo(5_000.0) | {"notifications_an_incident": 1.2}, [True, False]),
    ],
)
def test_should_hold_a_demo_to_its_audit_and_score(made: object, met: list[bool]) -> None:
    assert [each.met for each in held(results({"demo-1": record("demo-1", made)}))] == met


def test_should_name_what_failed_with_its_reason_and_show_the_rest() -> None:
    failed = record("curate-large", error="pyspark is not installed; `make bench` installs it")
    records = everything() | {"curate-large": failed}
    assert failures(records)["curate-large"] == failed.error
    shown = page(records)
    assert "**Not measured**: `curate-large`: `pyspark is not installed; 'make bench' installs it`" in shown
    assert "### 10,000 readings" in shown
    assert "curation of 10,000 readings, beside pandas" in shown, "held by the largest that there is"


def test_should_say_once_why_all_of_a_part_failed() -> None:
    broken = {f"curate-{size}": record(f"curate-{size}", error="no Java") for size in ("small", "large")}
    shown = section(everything() | broken, "ETL scaling")
    assert "**Not measured**: `curate-small`, `curate-large`: `no Java`" in shown
    assert "etl-scaling.svg" not in shown


@pytest.mark.parametrize("part", ["detector", "simulator", "curate", "demo", "scores", "cost"])
def test_should_do_without_any_part(part: str) -> None:
    records = {name: each for name, each in everything().items() if name.partition("-")[0] != part}
    assert failures(records)[part] == "nobody has yet"
    assert f"**Not measured**: `{part}`: `nobody has yet`" in page(records)


def test_should_be_a_page_without_any_measurement() -> None:
    assert "Nothing that has an aim was measured." in page({})
    assert len(failures({})) == 6


def test_should_say_latencies_of_all_runs_together() -> None:
    shown = section(everything(), "Alert latency")
    assert "4 alerts in 2 runs" in " ".join(shown.split())
    assert "p50 5.20 s, p95 6.90 s, max 6.90 s" in " ".join(shown.split())


def test_should_show_a_demo_that_told_of_nothing() -> None:
    records = everything() | {"demo-1": record("demo-1", demo()), "demo-2": record("demo-2", demo())}
    assert "| `demo-1` | 1,000 |" in section(records, "Alert latency")
    assert "latency" not in pictures(results(records))


def test_should_show_scores_without_delays_and_those_that_are_not_good() -> None:
    none = {"p50": None, "p95": None}
    records = everything() | {"scores": record("scores", [scored("calm", good=False, told_after=none)])}
    assert "| calm | 20 | 20 | 19 | 0 | 1.000 | 0.950 |  | 0.90 | **not good** |" in section(
        records, "Detection scores"
    )


def test_should_show_what_each_way_costs() -> None:
    shown = section(everything(), "Cost")
    assert "| devices | ours | one reading a record | MSK |\n|---|---|---|---|\n| 100 | 10.0 | 40.0 | 400 |\n" in shown
    assert "| 1,000 | 100 | 400 | 4,000 |\n" in shown
    assert "Nothing is cheaper than ours." in shown


def test_should_say_where_another_way_is_cheaper() -> None:
    dear = plan(1_000) | {"usd": {"ours": 10.0, "one reading a record": 11.0, "MSK": 9.0}}
    records = everything() | {"cost-1000": record("cost-1000", dear), "cost-2000": record("cost-2000", plan(2_000))}
    assert "Cheaper than ours: MSK at 1,000 devices." in section(records, "Cost")


def test_should_leave_no_gap_and_no_unfinished_line() -> None:
    for records in (everything(), {}):
        shown = page(records)
        assert "\n\n\n" not in shown
        assert not any(line != line.rstrip() for line in shown.splitlines())
        assert shown.endswith("\n")


@pytest.mark.parametrize(
    ("value", "words"),
    [(1_284_321, "1,280,000"), (434_512.3, "435,000"), (72.25, "72.2"), (0.0123, "0.0123"), (0, "0"), (999.6, "1,000")],
)
def test_should_round_to_three_digits_that_count(value: float, words: str) -> None:
    assert rate(value) == words


def test_should_draw_what_was_measured_and_remove_the_rest(tmp_path: Path) -> None:
    draw(results(everything()), tmp_path)
    drawn = {path.stem for path in tmp_path.glob("*.svg")}
    assert drawn == set(pictures(results(everything()))) == {"throughput", "etl-scaling", "latency", "scores", "cost"}
    for path in tmp_path.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    draw(results({"detector": everything()["detector"]}), tmp_path)
    assert {path.stem for path in tmp_path.glob("*.svg")} == {"throughput"}


def test_should_draw_the_same_again(tmp_path: Path) -> None:
    drawn = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        folder.mkdir()
        draw(results(everything()), folder)
        drawn.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert drawn[0] == drawn[1]


def test_should_draw_contenders_that_only_some_sizes_have(tmp_path: Path) -> None:
    records = everything() | {"curate-large": record("curate-large", benchmark("curate", "spark", rows=160_000))}
    draw(results(records), tmp_path)
    assert "spark" in (tmp_path / "etl-scaling.svg").read_text()


def test_should_write_a_page_of_the_records_beside_it(tmp_path: Path) -> None:
    for each in everything().values():
        measurements.write(tmp_path / "mine", each)
    written = write_page(tmp_path / "mine.md")
    assert (tmp_path / "mine.md").read_text() == text(everything(), "mine")
    assert "](mine/throughput.svg)" in (tmp_path / "mine.md").read_text()
    assert written.failed == {}
    assert [each.name for each in written.missed] == ["curate-large", "curate-large", "simulator", "scores"]


def test_should_refuse_a_record_that_somebody_has_changed(tmp_path: Path) -> None:
    changed = record("detector", {"benchmark": "detector"})
    with pytest.raises(PipelineError, match=r"detector\.json has no result as its command prints it"):
        page({"detector": changed})
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "detector.json").write_text("{}")
    with pytest.raises(PipelineError, match=r"detector\.json is not a record of a measurement"):
        write_page(tmp_path / "r.md")
