"""What a healthy fleet reports."""

from __future__ import annotations

import datetime as dt
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from simulator.fleet import Fleet, FleetConfig
from telemetry.codec import decode_batch, encode_batch
from telemetry.conditions import Comparison, Metric, holds
from telemetry.reading import Reading
from telemetry.rules import parse_rules

START = dt.datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=dt.UTC)
HOUR = 3600.0
RULES = parse_rules(Path(__file__).parents[3].joinpath("rules.yaml").read_bytes())


def readings(rounds: int, start: dt.datetime = START, **config: float) -> list[Reading]:
    fleet = Fleet(FleetConfig(**config), start)  # type: ignore[arg-type]
    return [reading for taken in islice(fleet.rounds(), rounds) for reading in taken.readings]


def test_should_give_the_same_readings_for_the_same_seed_and_start() -> None:
    assert readings(3, seed=7) == readings(3, seed=7)


def test_should_measure_something_else_with_another_seed() -> None:
    one, other = readings(1, seed=7), readings(1, seed=8)
    assert [reading.device_id for reading in one] == [reading.device_id for reading in other]
    assert [reading.temperature for reading in one] != [reading.temperature for reading in other]


def test_should_let_every_device_report_once_an_interval_and_count_up_by_one() -> None:
    by_device: dict[str, list[Reading]] = {}
    for reading in readings(5, devices=17, gateways=3, interval=60.0):
        by_device.setdefault(reading.device_id, []).append(reading)
    assert len(by_device) == 17
    for taken in by_device.values():
        assert len(taken) == 5
        for before, after in pairwise(taken):
            assert after.seq == before.seq + 1
            assert after.ts - before.ts == dt.timedelta(minutes=1)
            assert after.ts.tzinfo is dt.UTC


def test_should_spread_the_reports_over_the_interval_in_the_order_of_time() -> None:
    times = [(reading.ts - START).total_seconds() for reading in readings(2, devices=100, interval=10.0)]
    assert times == sorted(times)
    assert times[0] >= 0
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) < 0.3, "100 devices in 10 s: one every 0.1 s or so"


def test_should_tell_the_time_of_a_report_beforehand() -> None:
    fleet = Fleet(FleetConfig(), START)
    _, second = islice(fleet.rounds(), 2)
    expected = [fleet.at(1, place) for place in range(len(fleet.devices))]
    assert second.at == expected
    assert [START + dt.timedelta(seconds=at) for at in expected] == [reading.ts for reading in second.readings]


def test_should_place_each_device_behind_one_gateway_at_one_site() -> None:
    devices = Fleet(FleetConfig(devices=300, gateways=20), START).devices
    assert len({device.id for device in devices}) == 300
    assert len({device.gateway for device in devices}) == 20
    assert len({(device.gateway, device.site) for device in devices}) == 20
    assert len({device.site for device in devices}) == 4


@pytest.mark.parametrize("pause", [0.0, 0.004, 25.0])
def test_should_use_no_seq_again_in_a_later_run(pause: float) -> None:
    interval, rounds = 10.0, 3
    later = START + dt.timedelta(seconds=interval * rounds + pause)
    first = {(reading.device_id, reading.seq) for reading in readings(rounds, interval=interval)}
    second = {(reading.device_id, reading.seq) for reading in readings(rounds, later, interval=interval, seed=9)}
    assert not first & second


def test_should_continue_the_count_where_one_run_follows_another() -> None:
    first, second = readings(1, interval=10.0), readings(1, START + dt.timedelta(seconds=10), interval=10.0)
    ended = {reading.device_id: reading.seq for reading in first}
    assert all(reading.seq == ended[reading.device_id] + 1 for reading in second)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("interval", [HOUR, 73 * HOUR])
def test_should_stay_far_from_every_rule_while_healthy(seed: int, interval: float) -> None:
    taken = readings(60, devices=300, gateways=30, interval=interval, seed=seed)
    for rule in RULES.rules:
        when, clear = rule.when, rule.clear
        assert isinstance(when, Comparison)
        assert isinstance(clear, Comparison)
        assert isinstance(when.subject, Metric)
        values = [getattr(reading, when.subject.name) for reading in taken]
        nearest = max(values) if when.op == ">" else min(values)
        assert abs(nearest - clear.threshold) > (0.3 if when.subject.name == "battery" else 3.0)
        assert all(holds(clear, reading, lambda _: None) for reading in taken)


def test_should_follow_the_day_with_humidity_against_temperature() -> None:
    fleet = Fleet(FleetConfig(devices=50, interval=HOUR), dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    day = [taken.readings for taken in islice(fleet.rounds(), 24)]
    temperature = np.array([[reading.temperature or 0.0 for reading in taken] for taken in day])
    humidity = np.array([[reading.humidity or 0.0 for reading in taken] for taken in day])
    by_hour = temperature.mean(axis=1)
    assert by_hour.argmax() in (14, 15)
    assert by_hour.max() - by_hour.min() > 8
    assert np.corrcoef(temperature.ravel(), humidity.ravel())[0, 1] < -0.9


def test_should_drain_the_batteries_slowly() -> None:
    fresh = {reading.device_id: reading.battery or 0.0 for reading in readings(1)}
    month = {reading.device_id: reading.battery or 0.0 for reading in readings(31, interval=24 * HOUR)}
    assert all(3.0 <= month[device] < fresh[device] for device in fresh)


def test_should_encode_to_lines_that_decode_to_the_same_readings() -> None:
    taken = readings(2)
    assert decode_batch(encode_batch(taken), START) == (taken, [])


def test_should_round_what_is_measured_to_hundredths() -> None:
    for reading in readings(1):
        for value in (reading.temperature, reading.humidity, reading.battery):
            assert value is not None
            assert round(value, 2) == value


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"devices": 0}, "at least one device"),
        ({"devices": 3, "gateways": 4}, "4 gateways are too many for 3 devices"),
        ({"interval": 0.0001}, "once a millisecond"),
        ({"seed": -1}, "seed -1 is negative"),
    ],
)
def test_should_say_what_is_wrong_with_a_fleet(config: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FleetConfig(**config)  # type: ignore[arg-type]
