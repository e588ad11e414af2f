"""What devices measure: as their models say, and within the bounds of every default rule as long as nothing fails."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import numpy as np
import pytest

from simulator.fleet.fleet import Fleet
from simulator.models import devices, randomness
from simulator.models.climate import Conditions, saturation
from simulator.models.devices import BUILT_IN, Battery, Freezer, Greenhouse, Indoor, Measured, Model, Outdoor
from simulator.models.epoch import MICROSECONDS
from simulator.models.sites import Site, Weather
from simulator.scenario.scenario import Group, Scenario, load
from telemetry.reading.codec import decode_batch, encode_batch
from telemetry.reading.model import STATUSES, Reading
from telemetry.rules.conditions import holds
from telemetry.rules.parse import parse_rules

RULES = parse_rules(Path(__file__).parents[3].joinpath("rules.yaml").read_bytes())
EVER = 1_780_272_000.0  # a Monday, midnight
HOUR, DAY = 3_600.0, 86_400.0
YEAR = 365.25 * DAY


def measure(model: Model, t: np.ndarray, *, busy: float = 0.0, sun: float = 0.0, outdoors: float = 10.0) -> Measured:
    """What one flawless device of it measures."""
    same = [np.full(len(t), value) for value in (outdoors, 7.0, sun, busy)]
    middle, none = np.full(len(t), 0.5), np.zeros(len(t))
    return devices.measure(model, Conditions(*same), t, odd=middle, phase=none, wander=none, jitter=none)


def of_fleet(made: Scenario, t: np.ndarray) -> tuple[Fleet, Measured]:
    """What all devices measure at each moment: rows are moments."""
    fleet = Fleet(made)
    every = np.arange(len(fleet.devices))
    each = [fleet.measure(every, np.full(len(every), round(moment * MICROSECONDS))) for moment in t.tolist()]
    return fleet, Measured(*(np.array(column) for column in zip(*each, strict=True)))


@pytest.mark.parametrize("seed", range(4))
def test_should_break_no_rule_and_call_nothing_at_fault_in_any_season_while_all_is_well(seed: int) -> None:
    calm = msgspec.structs.replace(load("calm").resized(120), seed=seed)
    # Every 37 hours: in the course of a year, at every hour of the day and of the week.
    t = EVER + np.arange(0, YEAR, 37 * HOUR)
    fleet, measured = of_fleet(calm, t)
    statuses = np.concatenate(
        [
            devices.verdicts(cohort.model, Measured(*(column[:, cohort.first : cohort.end] for column in measured)))
            for cohort in fleet.cohorts
        ],
        axis=1,
    )
    assert (statuses != STATUSES.index("fault")).all()
    assert (statuses == STATUSES.index("degraded")).mean() < 0.01
    for place, device in enumerate(fleet.devices):
        columns = [column[:, place] for column in measured]
        for at in {int(at) for column in columns for at in (column.argmin(), column.argmax())}:
            values = {name: round(float(column[at]), 3) for name, column in zip(Measured._fields, columns, strict=True)}
            reading = Reading(
                device_id=device.id, site=device.site, ts=dt.datetime.fromtimestamp(t[at], dt.UTC), seq=0,
                status="ok", **values,
            )  # fmt: skip
            assert not decode_batch(encode_batch([reading])).rejected
            matching = [rule for rule in RULES.rules if rule.matches(device.id, device.site, {})]
            assert matching
            for rule in matching:
                assert not holds(rule.when, reading, lambda _: None), (rule.name, reading)


@pytest.mark.parametrize("model", BUILT_IN)
def test_should_differ_between_devices_wander_and_jitter_as_much_as_the_model_says(model: str) -> None:
    made = Scenario(
        name="many",
        seed=3,
        interval="10s",
        weather=Weather(spread=0),
        devices=(Group(model=model, count=2_000),),
        models={model: msgspec.structs.replace(BUILT_IN[model], offset=0.9, noise=0.6, jitter=0.2)},
    )
    t = EVER + np.arange(60) * 2 * HOUR
    fleet, measured = of_fleet(made, t)
    flawless = Scenario(
        name="many",
        seed=3,
        weather=Weather(spread=0),
        devices=made.devices,
        models={model: msgspec.structs.replace(BUILT_IN[model], offset=0.0, noise=0.0, jitter=0.0)},
    )
    stray = measured.temperature - of_fleet(flawless, t)[1].temperature
    assert stray.mean() == pytest.approx(0, abs=0.06)
    assert stray.mean(axis=0).std() == pytest.approx(0.9, rel=0.05)
    assert stray.mean(axis=0) == pytest.approx(fleet.offsets(), abs=0.6)
    within = stray - fleet.offsets()
    assert within.std() == pytest.approx((0.6**2 + 0.2**2) ** 0.5, rel=0.03)


def test_should_wander_off_for_the_memory_of_the_noise() -> None:
    noisy = Indoor(offset=0.0, noise=1.0, noise_memory="10m", jitter=0.0)
    made = Scenario(
        name="many", weather=Weather(spread=0), devices=(Group(model="indoor", count=500),), models={"indoor": noisy}
    )
    t = EVER + np.arange(0, 20 * HOUR, 605.0)
    quiet = msgspec.structs.replace(made, models={"indoor": msgspec.structs.replace(noisy, noise=0.0)})
    stray = of_fleet(made, t)[1].temperature - of_fleet(quiet, t)[1].temperature
    assert (stray[1:] * stray[:-1]).mean() / stray.var() == pytest.approx(np.exp(-1), abs=0.04)
    assert (stray[6:] * stray[:-6]).mean() == pytest.approx(0, abs=0.04)


def test_should_read_dry_what_reads_warm() -> None:
    one = np.zeros(1)
    here = Conditions(np.full(1, 10.0), np.full(1, 9.0), one, one)
    cool, warm = (
        devices.measure(Indoor(), here, np.full(1, EVER), odd=np.full(1, odd), phase=one, wander=one, jitter=one)
        for odd in (0.1, 0.9)
    )
    assert warm.temperature > cool.temperature
    assert warm.humidity < cool.humidity


def test_should_heat_rooms_by_day_and_let_the_weather_in_a_little() -> None:
    at = np.full(1, EVER)
    model = Indoor(day=22, night=17, leak=0.1)
    assert measure(model, at, busy=1, outdoors=22).temperature == pytest.approx(22)
    assert measure(model, at, busy=0, outdoors=17).temperature == pytest.approx(17)
    assert measure(model, at, busy=0, outdoors=-3).temperature == pytest.approx(15)


def test_should_keep_a_week_in_rooms() -> None:
    made = Scenario(
        name="rooms", weather=Weather(spread=0), devices=(Group(model="indoor", count=20),),
        sites=(Site(name="tokyo", timezone="Asia/Tokyo", swing=0, season=0),),
    )  # fmt: skip
    monday = dt.datetime.fromisoformat("2026-06-01T00:30:00+09:00").timestamp()
    week = of_fleet(made, monday + np.arange(7 * 24) * HOUR)[1].temperature.mean(axis=1).reshape(7, 24)
    assert (week[:5, 9:17] > week[5:, 9:17].max() + 2).all()
    assert np.ptp(week[:, :5]) < 0.6, "nights are alike"


def test_should_follow_the_weather_outdoors_and_the_sun() -> None:
    at = np.full(1, EVER)
    assert measure(Outdoor(sunshine=2), at, outdoors=-7).temperature == pytest.approx(-7)
    assert measure(Outdoor(sunshine=2), at, outdoors=-7, sun=0.5).temperature == pytest.approx(-6)
    assert measure(Outdoor(), at, outdoors=10).humidity == pytest.approx(100 * 7 / saturation(np.full(1, 10.0)))


def test_should_run_a_compressor_for_its_duty_between_the_limits_of_its_band() -> None:
    model = Freezer(setpoint=-22, band=1.5, period="40m", duty=0.3, defrost=0)
    t = EVER + np.arange(0, 400 * 60, 1.0)
    temperature = measure(model, t).temperature
    assert (np.diff(temperature) < 0).mean() == pytest.approx(0.3, abs=0.002)
    assert (temperature.min(), temperature.max()) == pytest.approx((-23.5, -20.5), abs=0.01)
    starts = np.flatnonzero((np.diff(np.sign(np.diff(temperature)))) < 0)
    assert np.diff(starts) == pytest.approx(2_400, abs=1)


def test_should_defrost_a_freezer_for_half_an_hour_once_a_day() -> None:
    t = EVER + np.arange(0, 3 * DAY, 60.0)
    with_it, without = (measure(Freezer(defrost=defrost), t).temperature for defrost in (3.0, 0.0))
    warmer = with_it - without
    assert warmer.max() == pytest.approx(3, abs=0.1)
    assert (warmer > 0).sum() / 3 == pytest.approx(30, abs=2)


def test_should_warm_a_freezer_that_is_opened() -> None:
    t = EVER + np.arange(0, DAY, 60.0)
    opened, shut = (measure(Freezer(doors=1.2), t, busy=busy).temperature for busy in (1.0, 0.0))
    assert opened - shut == pytest.approx(1.2)


def test_should_heat_a_greenhouse_and_open_its_windows() -> None:
    at = np.full(1, EVER)
    model = Greenhouse(heating=15, sunshine=20, vents=28, vented=0.5)
    assert measure(model, at, outdoors=-20).temperature == pytest.approx(15)
    assert measure(model, at, outdoors=16, sun=0.5).temperature == pytest.approx(28)
    assert measure(model, at, outdoors=26, sun=0.5).temperature == pytest.approx(33)
    assert measure(model, at, sun=1.0).humidity < measure(model, at, sun=0.0).humidity


def test_should_drain_a_battery_ever_faster_until_it_is_replaced() -> None:
    life = 300.0
    model = Outdoor(battery=Battery(new=3.6, old=3.0, life="300d", cold=0, wear=0))
    days = np.arange(int(life))
    # From a moment when it is new.
    began = np.ceil(EVER / (life * DAY)) * life * DAY
    volts = measure(model, began + days * DAY).battery
    falls = -np.diff(volts)
    assert volts[0] == pytest.approx(3.6)
    assert 3.0 <= volts[-1] < 3.1
    assert (np.diff(falls) > 0).all()
    assert measure(model, np.array([began + life * DAY])).battery == pytest.approx(3.6)


def test_should_wear_a_battery_out_sooner_where_it_is_cold() -> None:
    def replaced(setpoint: float) -> int:
        volts = measure(Freezer(setpoint=setpoint), EVER + np.arange(0, 3_000) * DAY).battery
        return int((np.diff(volts) > 0.2).sum())

    assert replaced(-30) > replaced(-5) > 0


def test_should_have_less_voltage_in_the_cold() -> None:
    at = np.full(1, EVER)
    warm, cold = (measure(Outdoor(), at, outdoors=outdoors).battery for outdoors in (25.0, -25.0))
    assert warm - cold == pytest.approx(50 * Battery().cold)


@pytest.mark.parametrize(
    ("temperature", "battery", "status"),
    [
        (20.0, 3.3, "ok"),
        (4.1, 3.3, "ok"),
        (3.9, 3.3, "degraded"),
        (1.9, 3.3, "fault"),
        (36.1, 3.3, "degraded"),
        (38.1, 3.3, "fault"),
        (20.0, 2.81, "ok"),
        (20.0, 2.79, "degraded"),
        (20.0, 2.54, "fault"),
        (1.0, 2.79, "fault"),
    ],
)
def test_should_call_itself_degraded_near_its_limits_and_at_fault_beyond(
    temperature: float, battery: float, status: str
) -> None:
    measured = Measured(np.array([temperature]), np.array([50.0]), np.array([battery]))
    (verdict,) = devices.verdicts(Indoor(), measured).tolist()
    assert STATUSES[verdict] == status


def test_should_measure_humidity_that_is_possible() -> None:
    made = Scenario(name="all", devices=tuple(Group(model=model, count=50) for model in BUILT_IN))
    humidity = of_fleet(made, EVER + np.arange(0, YEAR, 301 * HOUR))[1].humidity
    assert humidity.min() >= 3
    assert humidity.max() <= 99


def test_should_spread_offsets_evenly_around_none() -> None:
    found = devices.offset(Indoor(offset=0.5), randomness.uniform(randomness.keys(1, "odd", 20_000)))
    assert found.mean() == pytest.approx(0, abs=0.02)
    assert found.std() == pytest.approx(0.5, rel=0.02)
