"""The detector's benchmark from end to end, on little data: what it prints, not how fast it is."""

from __future__ import annotations

import base64
import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from benchmarks.detector import json_loads, powertools_pydantic
from benchmarks.detector.contenders import DECODERS, FLOOR, NAMES, OURS, PEERS, Contender
from benchmarks.detector.report import report, table
from benchmarks.detector.trial import Outcome
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading

RUN = [sys.executable, "-m", "benchmarks.detector", "--rows", "2000", "--rounds", "1"]
COLD = {"handler": 0.3, "boto3": 0.1}


def reading(temperature: float) -> Reading:
    ts = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    fine = {"humidity": 50.0, "battery": 3.3}
    return Reading(device_id="d", site="plant-1", ts=ts, seq=1, temperature=temperature, status="ok", **fine)


def round_of(ours: float, other: float) -> dict[str, Outcome]:
    told = {"aws_seconds": 0.1, "transitions": 7.0}
    return {name: Outcome(ours if name == OURS else other, 50.0, told) for name in NAMES}


def test_should_print_one_json_object() -> None:
    ran = subprocess.run([*RUN, "--json"], check=True, capture_output=True, text=True)
    printed = json.loads(ran.stdout)
    assert printed["benchmark"] == "detector"
    assert "higher is better" in printed["unit"]
    assert printed["rows"] == 2_000
    assert printed["peers"].keys() == set(PEERS)
    assert printed["decoders"].keys() == set(DECODERS)
    rates = [printed[name] for name in ("ours", "ours_with_windows", "ours_by_kafka", "floor")]
    rates += [*printed["peers"].values(), *printed["decoders"].values()]
    assert all(rate > 0 for rate in rates)
    assert printed["transitions"] > 0
    assert printed["peak_memory_mb"].keys() == set(NAMES)
    assert all(megabytes > 5 for megabytes in printed["peak_memory_mb"].values())
    assert printed["versions"].keys() >= {"python", "msgspec", "pydantic"}
    seconds = printed["cold_import_seconds"]
    assert 0 < seconds["boto3"] < seconds["handler"]


@pytest.mark.parametrize(
    ("peer", "alerts"),
    [(json_loads.one_threshold, 1), (json_loads.ten_rules, 3), (powertools_pydantic.one_threshold, 1)],
)
def test_should_have_the_peers_publish_what_breaks_a_limit(peer: Callable[[], Contender], alerts: int) -> None:
    lines = encode_batch([reading(21.0), reading(41.0)]) + b"no reading\n" + encode_batch([reading(22.0)])
    contender = peer()
    contender.handle({"Records": [{"kinesis": {"data": base64.b64encode(lines).decode(), "sequenceNumber": "1"}}]})
    assert contender.tell() == {"alerts": alerts}


def test_should_take_ratios_within_a_round() -> None:
    rounds = [round_of(100, 50), round_of(400, 100), round_of(90, 30)]
    measured = report(1_000, rounds, COLD)
    assert measured.ours == 100
    assert measured.floor == 50
    assert (measured.ratios[FLOOR].median, measured.ratios[FLOOR].best) == (3, 4)
    assert measured.ratios_with_windows[FLOOR].median == 1
    assert (measured.ratio_by_kafka.median, measured.ratio_of_decoders.median) == (1 / 3, 1)


def test_should_tell_what_share_of_our_time_the_aws_in_memory_took() -> None:
    assert report(1_000, [round_of(1_000, 50)], COLD).aws_share == pytest.approx(0.1)


def test_should_print_a_table_with_every_contender() -> None:
    printed = table(report(1_000, [round_of(100, 50)], COLD))
    assert all(name in printed for name in (*NAMES, *COLD))
    assert "2.00x" in printed
