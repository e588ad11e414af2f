"""What the sites are like: their days, weeks and years, and the weather that they share."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from simulator.models.climate import Climate, Conditions, saturation
from simulator.models.sites import Site, Weather

STEADY = Weather(spread=0.0)
HOUR, DAY = 3_600.0, 86_400.0


def conditions(
    site: Site, start: dt.datetime, hours: float, step: float = 600.0, weather: Weather = STEADY
) -> Conditions:
    t = start.timestamp() + np.arange(0, hours * HOUR, step)
    return Climate([site], weather, 1).at(np.zeros(len(t), np.int64), t)


def local(zone: str, year: int, month: int, day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Chicago", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize(("month", "day"), [(1, 14), (7, 15)])
def test_should_be_warmest_in_the_afternoon_by_the_sites_own_clock(zone: str, month: int, day: int) -> None:
    site = Site(name="here", timezone=zone, mean=10, swing=5, season=0)
    outdoors = conditions(site, local(zone, 2026, month, day), 24).outdoors
    assert outdoors.argmax() * 600 / HOUR == 15
    assert outdoors.argmin() * 600 / HOUR == 3
    assert (outdoors.max(), outdoors.min()) == pytest.approx((15, 5))


@pytest.mark.parametrize(
    ("day", "opens"),
    [(dt.date(2026, 3, 27), 6), (dt.date(2026, 3, 30), 5), (dt.date(2026, 10, 23), 5), (dt.date(2026, 10, 26), 6)],
)
def test_should_begin_work_an_hour_earlier_by_utc_in_summer_time(day: dt.date, opens: int) -> None:
    site = Site(name="here", timezone="Europe/Berlin")
    busy = conditions(site, dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC), 12).busy
    assert int(np.argmax(busy >= 0.5)) * 600 / HOUR == opens


def test_should_follow_the_clock_through_the_night_when_it_is_put_forward() -> None:
    zone = "Europe/Berlin"
    site = Site(name="here", timezone=zone, mean=10, swing=5, season=0)
    outdoors = conditions(site, local(zone, 2026, 3, 29), 24).outdoors
    assert outdoors.argmax() * 600 / HOUR == 14, "fourteen hours after a midnight are fifteen by that day's clock"


def test_should_work_on_weekdays_in_working_hours_only() -> None:
    zone = "America/New_York"
    busy = conditions(Site(name="here", timezone=zone), local(zone, 2026, 6, 1), 7 * 24, HOUR).busy.reshape(7, 24)
    assert (busy[:5, 9:17] > 0.9).all()
    assert (busy[:, [*range(5), *range(21, 24)]] < 0.05).all()
    assert (busy[5:] == 0).all()


@pytest.mark.parametrize(("latitude", "warmest"), [(50.0, 7), (-35.0, 1)])
def test_should_be_warmest_in_the_hemispheres_own_summer(latitude: float, warmest: int) -> None:
    site = Site(name="here", latitude=latitude, mean=12, swing=0, season=8)
    year = conditions(site, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 365 * 24, DAY)
    hottest = dt.date(2026, 1, 1) + dt.timedelta(days=int(year.outdoors.argmax()))
    assert hottest.month == warmest
    assert (year.outdoors.max(), year.outdoors.min()) == pytest.approx((20, 4), abs=0.01)


def test_should_have_the_sun_up_at_noon_and_longer_in_summer() -> None:
    site = Site(name="here", latitude=52.0)
    summer = conditions(site, dt.datetime(2026, 7, 1, tzinfo=dt.UTC), 24).sun
    winter = conditions(site, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 24).sun
    assert summer.argmax() == winter.argmax() == 72
    assert 15 < (summer > 0).sum() / 6 < 17.5
    assert 7 < (winter > 0).sum() / 6 < 9
    assert 0 < winter.max() < 0.35
    assert 0.8 < summer.max() <= 1


def test_should_have_no_night_near_the_pole_in_summer_and_no_day_in_winter() -> None:
    site = Site(name="here", latitude=80.0)
    assert conditions(site, dt.datetime(2026, 7, 1, tzinfo=dt.UTC), 24).sun.min() > 0
    assert conditions(site, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 24).sun.max() == 0


def moments(climate: Climate, sites: int, t: np.ndarray) -> Conditions:
    """The conditions at each of the sites at each moment, asked for one by one: what lies between costs nothing."""
    each = [climate.at(np.arange(sites), np.full(sites, moment)) for moment in t.tolist()]
    return Conditions(*(np.array(column).T for column in zip(*each, strict=True)))


@pytest.mark.parametrize("seed", range(3))
def test_should_have_no_more_vapour_than_the_air_holds(seed: int) -> None:
    sites = [Site(name=f"s-{n}", mean=mean, swing=9) for n, mean in enumerate((-20.0, 5.0, 35.0))]
    t = 1_780_000_000 + np.arange(0, 365 * DAY, 71 * HOUR)
    found = moments(Climate(sites, Weather(spread=6.0), seed), 3, t)
    # As near to it as what is interpolated can be.
    assert (found.vapour <= saturation(found.outdoors) * (1 + 1e-5)).all()


def departures(weather: Weather) -> np.ndarray:
    """By how much it is warmer than usual at each of some sites, every twelve hours."""
    places = [Site(name=f"s-{n}", mean=10, swing=0, season=0) for n in range(15)]
    t = 1_780_000_000 + np.arange(0, 200 * DAY, 12.1 * HOUR)
    return moments(Climate(places, weather, 7), len(places), t).outdoors - 10


@pytest.mark.parametrize("shared", [0.0, 0.7, 1.0])
def test_should_share_the_weather_between_sites_as_much_as_asked(shared: float) -> None:
    found = departures(Weather(spread=2.5, memory="24h", shared=shared))
    correlation = np.corrcoef(found)
    between = correlation[~np.eye(len(found), dtype=bool)]
    assert between.mean() == pytest.approx(shared, abs=0.08)
    assert found.std() == pytest.approx(2.5, rel=0.1)


def test_should_keep_the_weather_for_its_memory() -> None:
    found = departures(Weather(spread=1.0, memory="36.3h", shared=0.0))
    assert (found[:, :-3] * found[:, 3:]).mean() / found.var() == pytest.approx(np.exp(-1), abs=0.05)


def test_should_give_the_same_conditions_in_any_order() -> None:
    sites = [Site(name="a"), Site(name="b", timezone="Asia/Tokyo")]
    t = 1_780_000_000 + np.linspace(0, 3 * DAY, 500)
    site = np.arange(500) % 2
    whole, piecemeal = Climate(sites, Weather(), 3), Climate(sites, Weather(), 3)
    expected = whole.at(site, t)
    for place in (400, 3, 250):
        one = piecemeal.at(site[place : place + 1], t[place : place + 1])
        assert [column[0] for column in one] == [column[place] for column in expected]


def test_should_know_the_pressure_of_saturated_air() -> None:
    """WMO-No. 8, annex 4.B; tables say 6.11 hPa at 0 °C, 23.4 at 20, 73.8 at 40."""
    assert saturation(np.array([0.0, 20.0, 40.0])) == pytest.approx([6.11, 23.37, 73.8], rel=0.002)
