"""The healthy fleet: devices behind gateways at sites, and what they measure.

Time is cut into rounds: in each, every device reports once, at its own moment of the round, so that the
fleet never reports all at one instant. A round is computed as numpy columns, one element a device.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.reading import Reading, Status

MICROSECONDS = 1_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY = 86_400.0
#: Multiples of the golden ratio, modulo one, spread evenly however many they are.
_GOLDEN = (1 + 5**0.5) / 2
_GATEWAYS_PER_SITE = 5

# Bounds keep a healthy reading at 32 °C, 68 %RH and 3 V or better, whatever the seed, the day and the age.
_SITE_SPREAD, _DEVICE_SPREAD = 2.0, 1.5  # °C either way
_MEAN_TEMPERATURE, _DAILY_SWING, _WARMEST = 20.0, 5.0, 15 * 3600.0  # °C, °C, seconds after midnight UTC
_NOISE, _NOISE_MEMORY = 0.5, 300.0  # °C (standard deviation), seconds (correlation time)
_MEAN_HUMIDITY, _DRYING = 50.0, 1.5  # %RH, %RH lost for each °C above the mean
_FLAT_VOLTAGE, _BATTERY_LIFE = 3.0, 30 * _DAY  # V it tends to, seconds to lose 63 % of what is above

_STATUSES: tuple[Status, ...] = ("ok", "degraded", "fault")


class FleetConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How large a fleet is and how often (seconds) each of its devices reports. Raises ValueError."""

    devices: int = 100
    gateways: int = 10
    interval: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.devices < 1 or self.gateways < 1:
            raise ValueError("a fleet needs at least one device and one gateway")
        if self.gateways > self.devices:
            raise ValueError(f"{self.gateways} gateways are too many for {self.devices} devices; each needs one")
        if self.interval < 0.001:
            raise ValueError(
                f"each of {self.devices} devices would report every {self.interval:g} s, and once a "
                "millisecond is the most one can; use more devices or a lower rate"
            )
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} is negative; use 0 or more")

    @property
    def rate(self) -> float:
        """Readings a second of the whole fleet."""
        return self.devices / self.interval

    def random(self, purpose: int) -> np.random.Generator:
        """Randomness of its own for each purpose: asking for faults leaves the healthy readings as they were."""
        return np.random.default_rng([self.seed, purpose])


class Device(NamedTuple):
    """Who a device is and where it stands."""

    id: str
    site: str
    gateway: str


class Override(NamedTuple):
    """A device (by its place in the round) made to report one value of a metric for some rounds."""

    place: int
    metric: str
    value: float
    rounds: range


class Round(NamedTuple):
    """A round's readings in the order of time, and when each is taken, in seconds after the start."""

    at: list[float]
    readings: list[Reading]


_Columns = dict[str, NDArray[np.float64]]


class Fleet:
    """The devices, in the order in which they report in each round.

    The same configuration and ``start`` (UTC) give the same readings. A device reports at the same moments
    in every run and counts them in ``seq`` since 1970, so runs that follow one another continue its count.
    """

    def __init__(self, config: FleetConfig, start: dt.datetime) -> None:
        self.config, self.start = config, start
        self._interval_us = round(config.interval * MICROSECONDS)
        start_us = (start - _EPOCH) // dt.timedelta(microseconds=1)
        phases_us = (np.arange(config.devices) * _GOLDEN % 1 * self._interval_us).astype(np.int64)
        first_us = (phases_us - start_us) % self._interval_us
        # The devices' numbers in the order of their reports, which holds for everything below.
        order = np.argsort(first_us, kind="stable")
        self._first_us = first_us[order]
        self._first_seq = (start_us + self._first_us) // self._interval_us
        gateways = order % config.gateways
        sites = gateways % -(-config.gateways // _GATEWAYS_PER_SITE)
        self.devices = [
            Device(f"device-{number:05}", f"plant-{site + 1}", f"gateway-{gateway:03}")
            for number, gateway, site in zip(order.tolist(), gateways.tolist(), sites.tolist(), strict=True)
        ]
        random = config.random(purpose=0)
        self._base = (
            _MEAN_TEMPERATURE
            + random.uniform(-_SITE_SPREAD, _SITE_SPREAD, config.gateways)[sites]
            + random.uniform(-_DEVICE_SPREAD, _DEVICE_SPREAD, config.devices)[order]
        )
        self._charge = random.uniform(0.05, 0.6, config.devices)[order]  # V above flat

    def at(self, number: int, place: int) -> float:
        """When the device at ``place`` reports in round ``number``, in seconds after the start."""
        return (number * self._interval_us + int(self._first_us[place])) / MICROSECONDS

    def rounds(self, overrides: Sequence[Override] = ()) -> Iterator[Round]:
        """The fleet's readings, round by round, without end."""
        ids, sites, _ = zip(*self.devices, strict=True)
        for number, noise in enumerate(self._noise()):
            offsets = number * self._interval_us + self._first_us
            columns = self._measure(offsets / MICROSECONDS, noise)
            for override in overrides:
                if number in override.rounds:
                    columns[override.metric][override.place] = override.value
            times = [self.start + offset for offset in offsets.astype("timedelta64[us]").tolist()]
            readings = [
                Reading(
                    device_id=device,
                    site=site,
                    ts=ts,
                    seq=seq,
                    temperature=temperature,
                    humidity=humidity,
                    battery=battery,
                    status=_STATUSES[verdict],
                )
                for device, site, ts, seq, temperature, humidity, battery, verdict in zip(
                    ids,
                    sites,
                    times,
                    (self._first_seq + number).tolist(),
                    columns["temperature"].round(2).tolist(),
                    columns["humidity"].round(2).tolist(),
                    columns["battery"].round(2).tolist(),
                    _verdicts(columns).tolist(),
                    strict=True,
                )
            ]
            yield Round((offsets / MICROSECONDS).tolist(), readings)

    def _noise(self) -> Iterator[NDArray[np.float64]]:
        """Each round's deviation of each device, °C: a stationary first-order autoregression."""
        random = self.config.random(purpose=1)
        kept = float(np.exp(-self.config.interval / _NOISE_MEMORY))
        fresh = _NOISE * (1 - kept**2) ** 0.5
        noise = _NOISE * random.standard_normal(self.config.devices)
        while True:
            yield noise
            noise = kept * noise + fresh * random.standard_normal(self.config.devices)

    def _measure(self, at: NDArray[np.float64], noise: NDArray[np.float64]) -> _Columns:
        time_of_day = (self.start.timestamp() + at) % _DAY
        cycle = _DAILY_SWING * np.cos(2 * np.pi * (time_of_day - _WARMEST) / _DAY)
        temperature = self._base + cycle + noise
        return {
            "temperature": temperature,
            "humidity": _MEAN_HUMIDITY - _DRYING * (temperature - _MEAN_TEMPERATURE),
            "battery": _FLAT_VOLTAGE + self._charge * np.exp(-at / _BATTERY_LIFE),
        }


def _verdicts(columns: _Columns) -> NDArray[np.intp]:
    """What each device says of itself, as an index of the statuses."""
    temperature, humidity, battery = columns["temperature"], columns["humidity"], columns["battery"]
    fault = (temperature < 0) | (temperature > 35) | (humidity > 85) | (battery < 2.5)
    degraded = (temperature < 10) | (temperature > 30) | (battery < 3.1)
    return np.where(fault, 2, np.where(degraded, 1, 0))
