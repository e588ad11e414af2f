"""Climate of a site: outdoor temperature, moisture, daylight, working hours.

All of it is computed once for each site and minute, and interpolated for what a device measures in between.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from simulator.models.randomness import Drift, Floats, Places, keys
from simulator.models.sites import Site, Weather
from telemetry.text.durations import parse_seconds

_MINUTE, _HOUR, _DAY, _YEAR = 60.0, 3_600.0, 86_400.0, 31_556_952.0

#: How often a site's clock may be put back or forward, seconds: time zones change on the half hour.
_HALF_HOUR = 1_800

#: When it is warmest: hours after local midnight, seconds after New Year (in the north).
_WARMEST_HOUR, _WARMEST_DAY = 15.0, 200 * _DAY

#: The dew point lies so far under the day's mean outdoors, °C, in summer more than in winter by twice the second, and
#: follows the weather by the third.
_DEW_BELOW, _DEW_SEASON, _DEW_FOLLOWS = 4.5, 3.0, 0.8

#: Working hours, local, and how long people take to come and to go, hours.
_OPENS, _CLOSES, _COMING = 7.0, 18.0, 0.75


def saturation(temperature: Floats) -> Floats:
    """Return the vapour pressure of saturated air over water, hPa, of temperatures in °C.

    The Magnus formula with the coefficients of WMO No. 8, Guide to Instruments and Methods of Observation, annex 4.B.
    """
    return 6.112 * np.exp(17.62 * temperature / (243.12 + temperature))


class Conditions(NamedTuple):
    """Conditions at a site, for each of some moments.

    ``outdoors`` in °C; ``vapour``, the pressure of the moisture in the air, in hPa; ``sun`` from 0 (below the horizon)
    to 1 (as high as it gets); ``busy`` from 0 (nobody at work) to 1.
    """

    outdoors: Floats
    vapour: Floats
    sun: Floats
    busy: Floats


class Climate:
    """The conditions at all sites of a scenario, at any time."""

    def __init__(self, sites: Sequence[Site], weather: Weather, seed: int) -> None:
        self._sites = sites
        self._weather = weather
        memory = parse_seconds(weather.memory)
        self._common = Drift(keys(seed, "weather", 1), memory)
        self._local = Drift(keys(seed, "site", len(sites)), memory)
        self._first = self._end = 0
        self._minutes = Conditions(*(np.zeros((len(sites), 0)) for _ in Conditions._fields))

    def at(self, site: Places, t: Floats) -> Conditions:
        """Return the conditions at the sites at the moments ``t`` (Unix seconds), element by element."""
        position = t / _MINUTE
        before = np.floor(position).astype(np.int64)
        if len(before):
            self._reach(int(before.min()), int(before.max()) + 2)
        part = position - before
        place = site * (self._end - self._first) + (before - self._first)

        def between(table: Floats) -> Floats:
            flat = table.ravel()
            low: Floats = flat[place]
            values: Floats = low + part * (flat[place + 1] - low)
            return values

        return Conditions(*map(between, self._minutes))

    def _reach(self, first: int, end: int) -> None:
        """Have the minutes from ``first`` up to ``end``."""
        if self._first <= first and end <= self._end:
            return
        t: Floats = np.arange(first, end, dtype=np.float64) * _MINUTE
        rows = [self._of_site(number, t) for number in range(len(self._sites))]
        self._minutes = Conditions(*(np.array(row) for row in zip(*rows, strict=True)))
        self._first, self._end = first, end

    def _of_site(self, number: int, t: Floats) -> Conditions:
        site, weather = self._sites[number], self._weather
        place = np.full(len(t), number)
        odd = self._local.at(place, t)
        front = weather.shared**0.5 * self._common.at(np.zeros_like(place), t) + (1 - weather.shared) ** 0.5 * odd
        local = t + _offsets(site.timezone, t)
        hour = local % _DAY / _HOUR
        year = 2 * np.pi * (t - _WARMEST_DAY) / _YEAR
        season = np.cos(year) if site.latitude >= 0 else -np.cos(year)
        usual = site.mean + site.season * season
        outdoors = usual + site.swing * np.cos(2 * np.pi * (hour - _WARMEST_HOUR) / 24) + weather.spread * front
        dew = np.minimum(usual - _DEW_BELOW - _DEW_SEASON * season + _DEW_FOLLOWS * weather.spread * front, outdoors)
        return Conditions(outdoors, saturation(dew), _sun(site.latitude, hour, season), _busy(local, hour))


def _offsets(timezone: str, t: Floats) -> Floats:
    """Seconds that the site's clock is ahead of UTC."""
    half_hours = np.floor(t / _HALF_HOUR).astype(np.int64)
    first = int(half_hours[0])
    table = np.array([_offset(timezone, number) for number in range(first, int(half_hours[-1]) + 1)])
    return table[half_hours - first]


@lru_cache(maxsize=65_536)
def _offset(timezone: str, half_hour: int) -> float:
    moment = dt.datetime.fromtimestamp(half_hour * _HALF_HOUR, ZoneInfo(timezone))
    offset = moment.utcoffset()
    assert offset is not None  # noqa: S101 - a time with a zone has one
    return offset.total_seconds()


def _sun(latitude: float, hour: Floats, season: Floats) -> Floats:
    """Return the sine of the sun's height, 0 while it is down; clock time stands for solar time.

    sin h = sin φ sin δ + cos φ cos δ cos ω: https://en.wikipedia.org/wiki/Solar_zenith_angle
    """
    phi = np.radians(latitude)
    delta = np.radians(23.44) * (season if latitude >= 0 else -season)
    height = np.sin(phi) * np.sin(delta) + np.cos(phi) * np.cos(delta) * np.cos(2 * np.pi * (hour - 12) / 24)
    above: Floats = np.maximum(height, 0.0)
    return above


def _busy(local: Floats, hour: Floats) -> Floats:
    """Return how far people are at work: on weekdays in the working hours, with soft edges."""
    weekday = (np.floor(local / _DAY) + 3) % 7 < 5  # 1970 began on a Thursday; Monday is 0
    edges = 1 / (1 + np.exp(-(hour - _OPENS) / _COMING * 4)) - 1 / (1 + np.exp(-(hour - _CLOSES) / _COMING * 4))
    return np.where(weekday, np.clip(edges, 0, 1), 0.0)
