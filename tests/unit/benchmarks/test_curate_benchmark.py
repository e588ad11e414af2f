"""The curation's benchmark: what it prints of made-up outcomes, and what every contender but Spark writes."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path

import duckdb
import pytest

from benchmarks.curate import __main__ as program
from benchmarks.curate.check import WrongOutputError, check
from benchmarks.curate.contenders import FLOOR, NAMES, OURS, PANDAS, PEERS, POLARS, SPARK, Contender
from benchmarks.curate.data import write
from benchmarks.curate.dataset import Contents, seal
from benchmarks.curate.report import report, table
from benchmarks.curate.trial import Outcome, measure

HELD = Contents(
    rows=3, duplicates=1, malformed=1, late=0, objects=1, humidity=150.3, until=dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
)
THREE = "('a', 50.0), ('b', 50.1), ('c', 50.2)"


def round_of(ours: float, other: float, memory: float = 100.0) -> dict[str, Outcome]:
    return {name: Outcome(ours if name == OURS else other, memory, {name: "1.2.3"}) for name in NAMES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("curate") / "data"
    write(folder, 5_000)
    return folder


@pytest.fixture
def held(tmp_path: Path) -> Path:
    seal(tmp_path, HELD)
    return tmp_path


def put(out: Path, name: str, rows: str, columns: str = "device_id, humidity") -> None:
    folder = out / name / "dt=2026-11-23"
    folder.mkdir(parents=True)
    duckdb.sql(f"SELECT * FROM (VALUES {rows}) t({columns})").write_parquet(str(folder / "0.parquet"))


@pytest.mark.parametrize("name", [name for name in NAMES if name != SPARK])
def test_should_have_every_contender_write_what_is_right(data: Path, name: str) -> None:
    outcome = program._trial(name, data)
    assert outcome.seconds > 0
    assert outcome.peak_memory_mb > 5
    assert outcome.versions


def test_should_close_what_the_contender_started(tmp_path: Path) -> None:
    calls: list[object] = []
    outcome = measure(
        Contender(lambda *folders: calls.append(folders), ("duckdb",), lambda: calls.append("closed")),
        tmp_path / "data",
        tmp_path / "out",
    )
    assert calls == [(tmp_path / "data", tmp_path / "out"), "closed"]
    assert outcome.versions == {"duckdb": duckdb.__version__}


def test_should_let_right_output_pass(held: Path) -> None:
    put(held, "readings", THREE)
    put(held, "quarantine", "('cut')", "line")
    check(POLARS, held, held)


@pytest.mark.parametrize(
    ("readings", "quarantined", "wrong"),
    [
        ("('a', 50.0), ('b', 100.3)", "('cut')", "2 readings instead of 3"),
        (f"{THREE}, ('c', 50.2)", "('cut')", "4 readings instead of 3"),
        ("('a', 50.0), ('b', 50.1), ('c', 50.3)", "('cut')", "humidity"),
        ("('a', NULL), ('b', NULL), ('c', NULL)", "('cut')", "humidity"),
        (THREE, "('cut'), ('a')", "2 malformed lines instead of 1"),
    ],
)
def test_should_fail_what_a_peer_wrote_wrong(held: Path, readings: str, quarantined: str, wrong: str) -> None:
    put(held, "readings", readings)
    put(held, "quarantine", quarantined, "line")
    with pytest.raises(WrongOutputError, match=wrong):
        check(POLARS, held, held)


def test_should_fail_who_writes_nothing(held: Path) -> None:
    with pytest.raises(WrongOutputError, match="no Parquet"):
        check(OURS, held, held)


def test_should_let_the_floor_keep_copies_and_rows_of_nulls(held: Path) -> None:
    put(held, "readings", f"{THREE}, ('c', 50.2), (NULL, NULL)")
    check(FLOOR, held, held)


def test_should_fail_a_floor_that_loses_readings(held: Path) -> None:
    put(held, "readings", "('a', 50.0)")
    with pytest.raises(WrongOutputError, match="1 readings"):
        check(FLOOR, held, held)


def test_should_take_ratios_within_a_round() -> None:
    measured = report(1_000, [round_of(1, 2), round_of(4, 16), round_of(10, 30)])
    assert measured.ours == 250
    assert measured.floor == 1_000 / 16
    assert measured.ratios.keys() == {*PEERS, FLOOR}
    assert (measured.ratios[PANDAS].median, measured.ratios[PANDAS].best) == (3, 4)


def test_should_tell_the_most_memory_of_any_round() -> None:
    measured = report(1_000, [round_of(1, 2, memory=100.0), round_of(1, 2, memory=300.0), round_of(1, 2)])
    assert measured.peak_memory_mb == dict.fromkeys(NAMES, 300.0)


def test_should_print_a_table_with_every_contender() -> None:
    printed = table(report(1_000, [round_of(10, 25)]))
    assert all(name in printed for name in NAMES)
    assert "2.50x" in printed
    assert "polars 1.2.3" in printed


def test_should_print_one_json_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(program, "measure", lambda rows, times: report(rows, [round_of(1, 2)] * times))
    monkeypatch.setattr(sys, "argv", ["curate", "--json", "--rows", "1000", "--rounds", "2"])
    program.main()
    printed = json.loads(capsys.readouterr().out)
    assert printed["benchmark"] == "curate"
    assert printed["unit"] == "readings/s, higher is better"
    assert (printed["rows"], printed["ours"], printed["floor"]) == (1_000, 1_000, 500)
    assert printed["peers"] == dict.fromkeys(PEERS, 500)
    assert printed["peak_memory_mb"].keys() == set(NAMES)
    assert printed["versions"].keys() >= {"python", *NAMES}


def test_should_make_the_data_once_and_measure_every_contender_in_turn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran = []

    def run(module: str, *arguments: str) -> bytes:
        ran.append((module.removeprefix("curate."), arguments[0]))
        if module == "curate.data":
            write(Path(arguments[0]), int(arguments[1]))
        return b'{"seconds": 2.0, "peak_memory_mb": 100.0, "versions": {}}'

    monkeypatch.setattr(program, "_KEPT", tmp_path)
    monkeypatch.setattr(program, "run", run)
    assert program.measure(200, 2).ours == 100
    program.measure(200, 1)
    assert [module for module, _ in ran].count("data") == 1
    assert [name for module, name in ran if module == "trial"] == [*NAMES] * 3
    assert [name for module, name in ran if module == "check"] == [*NAMES] * 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "round 2 of 2" in printed.err


def test_should_tell_how_to_get_a_peer_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "GUESTS", ("msgspec", "no_such_peer", "nor_this"))
    monkeypatch.setattr(sys, "argv", ["curate"])
    with pytest.raises(SystemExit) as raised:
        program.main()
    assert raised.value.code == 1
    assert "no_such_peer is not installed; `make bench` installs it" in capsys.readouterr().err
