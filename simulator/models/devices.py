"""Models of devices: measurements indoors, outdoors, in a freezer and in a greenhouse; batteries.

A model is a function of place and time alone.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from simulator.models.climate import Conditions, saturation
from simulator.models.randomness import Floats
from telemetry.text.durations import PositiveDuration, parse_seconds

_Volt = Annotated[float, Meta(ge=0.0, le=60.0)]

#: The settings are numbers with bounds; what each means says its description.
_Celsius = Annotated[float, Meta(ge=-100.0, le=150.0)]
_Spread = Annotated[float, Meta(ge=0, le=20)]
_Part = Annotated[float, Meta(ge=0, le=1)]


class Battery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A primary cell, which is replaced when it is old."""

    new: Annotated[_Volt, Meta(description="The voltage of a new one, V")] = 3.6
    old: Annotated[_Volt, Meta(description="The voltage of one that is replaced, V")] = 3.05
    life: Annotated[PositiveDuration, Meta(description="How long one lasts at 25 °C")] = "700d"
    cold: Annotated[float, Meta(ge=0, le=0.1, description="What each degree below 25 °C takes off, V")] = 0.004
    wear: Annotated[
        float,
        Meta(ge=0, le=0.02, description="The part of its life that each degree costs by which the place is not 25 °C"),
    ] = 0.008


class _Common(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Parameters of all models."""

    offset: Annotated[_Spread, Meta(description="How much devices differ for good: standard deviation, °C")] = 0.4
    noise: Annotated[_Spread, Meta(description="How far each wanders: standard deviation, °C")] = 0.3
    noise_memory: Annotated[PositiveDuration, Meta(description="For about how long it wanders off")] = "10m"
    jitter: Annotated[_Spread, Meta(description="What each reading is off besides: standard deviation, °C")] = 0.05
    low: Annotated[_Celsius, Meta(description="Below it a device says that it is at fault, °C")] = 2.0
    high: Annotated[_Celsius, Meta(description="Above it a device says that it is at fault, °C")] = 38.0
    margin: Annotated[_Spread, Meta(description="So near to these limits it says that it is degraded, °C")] = 2.0
    battery: Annotated[Battery, Meta(description="What it runs on")] = Battery()


class Indoor(_Common, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="indoor"):
    """A heated room, in which people work."""

    day: Annotated[_Celsius, Meta(description="How warm it is kept while people work there, °C")] = 21.5
    night: Annotated[_Celsius, Meta(description="How warm it is kept otherwise, °C")] = 18.0
    leak: Annotated[_Part, Meta(description="The part that comes in of what it is warmer or colder outdoors")] = 0.12
    moisture: Annotated[
        float, Meta(ge=0, le=50, description="What people at work add to the air's vapour pressure, hPa")
    ] = 3.0


class Outdoor(_Common, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="outdoor"):
    """Under the sky: the site's weather."""

    sunshine: Annotated[_Spread, Meta(description="How much the sun overhead warms the housing, °C")] = 1.5
    low: Annotated[_Celsius, Meta(description="Below it a device says that it is at fault, °C")] = -35.0
    high: Annotated[_Celsius, Meta(description="Above it a device says that it is at fault, °C")] = 48.0


class Freezer(_Common, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="freezer"):
    """A freezer: its compressor cools, then it warms again; each day it defrosts for half an hour."""

    setpoint: Annotated[_Celsius, Meta(description="The middle of its cycle, °C")] = -20.0
    band: Annotated[_Spread, Meta(description="How far from it the cycle goes, either way, °C")] = 1.5
    period: Annotated[PositiveDuration, Meta(description="How long a cycle takes")] = "40m"
    duty: Annotated[float, Meta(gt=0, lt=1, description="The part of a cycle that the compressor runs")] = 0.4
    defrost: Annotated[_Spread, Meta(description="How much warmer it gets when it defrosts, °C")] = 2.5
    doors: Annotated[_Spread, Meta(description="How much warmer it is while people work, °C")] = 0.8
    low: Annotated[_Celsius, Meta(description="Below it a device says that it is at fault, °C")] = -32.0
    high: Annotated[_Celsius, Meta(description="Above it a device says that it is at fault, °C")] = -10.0


class Greenhouse(_Common, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="greenhouse"):
    """Under glass, with heating, and with windows that open."""

    heating: Annotated[_Celsius, Meta(description="It is never colder, °C")] = 14.0
    sunshine: Annotated[_Spread, Meta(description="How much warmer than outdoors, with the sun overhead, °C")] = 14.0
    vents: Annotated[_Celsius, Meta(description="Above it the windows are open, °C")] = 27.0
    vented: Annotated[_Part, Meta(description="The part of what it would get warmer above that, that it does")] = 0.35
    humid: Annotated[
        float,
        Meta(ge=0, le=95, description="What plants keep the air at in the dark, and 30 less in full sun, %RH"),
    ] = 84.0


Model: TypeAlias = Indoor | Outdoor | Freezer | Greenhouse

BUILT_IN: dict[str, Model] = {
    "indoor": Indoor(),
    "outdoor": Outdoor(),
    "freezer": Freezer(),
    "greenhouse": Greenhouse(),
}


class Measured(NamedTuple):
    """Measurements: °C, %RH, V."""

    temperature: Floats
    humidity: Floats
    battery: Floats


def measure(
    model: Model, here: Conditions, t: Floats, *, odd: Floats, phase: Floats, wander: Floats, jitter: Floats
) -> Measured:
    """Measure with devices of the model at the moments ``t`` (Unix seconds), element by element.

    ``odd`` and ``phase`` set devices apart, from 0 to 1, for good; ``wander`` and ``jitter`` are deviations of theirs
    with a standard deviation of 1.
    """
    true, humidity = _air(model, here, t, phase)
    stray = offset(model, odd) + model.noise * wander + model.jitter * jitter
    temperature = true + stray
    # A sensor that reads warm reads dry: it compares the same vapour with air that it takes for warmer.
    humidity = np.clip(humidity - 2.0 * stray, 3.0, 99.0)
    return Measured(temperature, humidity, _voltage(model, t, true, odd, phase))


def offset(model: Model, odd: Floats) -> Floats:
    """Return the constant error (°C) of devices: evenly spread, with the model's standard deviation."""
    return model.offset * (2 * odd - 1) * 3**0.5


def _air(model: Model, here: Conditions, t: Floats, phase: Floats) -> tuple[Floats, Floats]:
    """Return the true temperature and humidity."""
    match model:
        case Indoor():
            wanted = model.night + (model.day - model.night) * here.busy
            true = wanted + model.leak * (here.outdoors - wanted)
            vapour = here.vapour + model.moisture * (0.4 + 0.6 * here.busy)
            return true, np.clip(100 * vapour / saturation(true), 12.0, 72.0)
        case Outdoor():
            true = here.outdoors + model.sunshine * here.sun
            return true, np.clip(100 * here.vapour / saturation(true), 12.0, 98.0)
        case Freezer():
            return _freezer(model, here, t, phase)
        case Greenhouse():
            free = np.maximum(model.heating, here.outdoors + model.sunshine * here.sun + 2.0)
            over = np.maximum(free - model.vents, 0.0)
            true = free - (1 - model.vented) * over
            return true, model.humid - 30.0 * here.sun


def _freezer(model: Freezer, here: Conditions, t: Floats, phase: Floats) -> tuple[Floats, Floats]:
    part = (t / parse_seconds(model.period) + phase) % 1.0
    # Down while the compressor runs, up while it rests.
    cycle = np.where(part < model.duty, 1 - 2 * part / model.duty, 2 * (part - model.duty) / (1 - model.duty) - 1)
    day = (t / 86_400.0 + 7 * phase) % 1.0
    defrosting = np.clip(1 - np.abs(day - 0.5) * 96, 0, 1)
    true = model.setpoint + model.band * cycle + model.defrost * defrosting + model.doors * here.busy
    return true, 62.0 + 6.0 * cycle + 12.0 * defrosting


def _voltage(model: Model, t: Floats, true: Floats, odd: Floats, phase: Floats) -> Floats:
    battery = model.battery
    usual = model.setpoint if isinstance(model, Freezer) else 15.0
    life = parse_seconds(battery.life) * (0.85 + 0.3 * odd) * max(0.2, 1 - battery.wear * abs(25.0 - usual))
    used = (t / life + phase) % 1.0
    # Flat for most of its life, then ever faster.
    left = battery.old + (battery.new - battery.old) * (1 - used) ** 0.4
    return left - battery.cold * np.maximum(25.0 - true, 0.0)


def verdicts(model: Model, measured: Measured) -> NDArray[np.int8]:
    """Return the devices' statuses, as numbers of :data:`~telemetry.reading.model.STATUSES`."""
    temperature, _, battery = measured
    fault = (temperature < model.low) | (temperature > model.high) | (battery < model.battery.old - 0.5)
    near = (temperature < model.low + model.margin) | (temperature > model.high - model.margin)
    degraded = near | (battery < model.battery.old - 0.25)
    return np.where(fault, 2, np.where(degraded, 1, 0)).astype(np.int8)
