"""``python -m simulator.pictures FOLDER``: what each parameter of the models does, as pictures for the docs."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulator.faults import effects
from simulator.faults.plan import kind_of, plan_faults
from simulator.fleet.fleet import Fleet
from simulator.models.devices import BUILT_IN, Battery, Model
from simulator.models.epoch import MICROSECONDS, microseconds
from simulator.models.randomness import Floats, Places
from simulator.models.sites import Site, Weather
from simulator.scenario.faults import BatteryDying, Drift, Fault, Flapping, Noise, Silence, Spike, Step, Stuck
from simulator.scenario.scenario import Group, Scenario

_START = dt.datetime(2026, 6, 12, tzinfo=dt.UTC)  # a Friday
_SITE = Site(name="berlin", timezone="Europe/Berlin", latitude=52.5, mean=10.3)

#: Blue, orange, green, told apart by everybody: https://jfly.uni-koeln.de/color/
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")

_UNITS = {"temperature": "°C", "humidity": "%RH", "battery": "V"}


class Panel(NamedTuple):
    """One picture of a page: a quantity over some hours, for each of some scenarios (by what the legend says)."""

    title: str
    hours: float
    scenarios: dict[str, Scenario]
    metric: str = "temperature"
    devices: int = 1


def main() -> None:
    """Write all pages."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    # The same bytes from the same code.
    mpl.rcParams.update({"svg.hashsalt": "simulator", "font.size": 8})
    for name, panels in PAGES.items():
        _page(panels).savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})


def _scenario(
    model: Model, *, sites: Sequence[Site] = (_SITE,), weather: Weather | None = None, **more: Any
) -> Scenario:
    return Scenario(
        name="picture",
        length="60d",
        interval="1m",
        sites=tuple(sites),
        weather=weather or Weather(),
        models={"shown": model},
        devices=(Group(model="shown", count=8),),
        **more,
    )


def _varied(kind: str, parameter: str, values: Sequence[Any], hours: float = 72, **more: Any) -> Panel:
    """Return the course of one device with different values of a parameter."""
    model = BUILT_IN[kind]
    return Panel(
        f"{parameter}",
        hours,
        {f"{value}": _scenario(msgspec.structs.replace(model, **{parameter: value})) for value in values},
        **more,
    )


def _battery(parameter: str, values: Sequence[Any], kind: str = "outdoor") -> Panel:
    model = BUILT_IN[kind]
    return Panel(
        f"{parameter} ({kind})",
        24 * 900,
        {
            f"{value}": _scenario(msgspec.structs.replace(model, battery=Battery(**{parameter: value})))
            for value in values
        },
        "battery",
    )


def _site(parameter: str, values: Sequence[Any], hours: float) -> Panel:
    return Panel(
        parameter,
        hours,
        {
            f"{value}": _scenario(BUILT_IN["outdoor"], sites=[msgspec.structs.replace(_SITE, **{parameter: value})])
            for value in values
        },
    )


def _weather(parameter: str, values: Sequence[Any]) -> Panel:
    return Panel(
        f"weather: {parameter}",
        24 * 14,
        {f"{value}": _scenario(BUILT_IN["outdoor"], weather=Weather(**{parameter: value})) for value in values},
    )


def _shared(shared: float) -> Panel:
    sites = [msgspec.structs.replace(_SITE, name=name) for name in ("a", "b", "c")]
    return Panel(
        f"weather: shared {shared:g}, three sites",
        24 * 14,
        {"": _scenario(BUILT_IN["outdoor"], sites=sites, weather=Weather(shared=shared))},
        devices=3,
    )


def _fault(fault: Fault, model: str = "indoor", metric: str = "temperature") -> Panel:
    return Panel(
        kind_of(fault),
        6,
        {"": msgspec.structs.replace(_scenario(BUILT_IN[model], faults=(fault,)), interval="30s")},
        metric,
    )


_WHEN: dict[str, Any] = {"start": "2h", "duration": "2h"}

PAGES: dict[str, list[Panel]] = {
    "indoor": [
        _varied("indoor", "day", (20, 21.5, 24), 24 * 7),
        _varied("indoor", "night", (14, 18, 20), 24 * 7),
        _varied("indoor", "leak", (0, 0.12, 0.4)),
        _varied("indoor", "moisture", (0, 2, 5), 24 * 7, metric="humidity"),
        _varied("indoor", "offset", (0, 0.4, 2), 24, devices=3),
        _varied("indoor", "noise", (0, 0.3, 1.5), 24),
        _varied("indoor", "noise_memory", ("5m", "10m", "3h"), 24),
        _varied("indoor", "jitter", (0, 0.05, 0.5), 24),
    ],
    "outdoor": [
        _site("mean", (5, 10.3, 20), 24 * 14),
        _site("swing", (1, 4, 8), 24 * 5),
        _site("season", (2, 9, 15), 24 * 365),
        _site("timezone", ("America/New_York", "Europe/Berlin", "Asia/Tokyo"), 72),
        _varied("outdoor", "sunshine", (0, 1.5, 6)),
        _weather("spread", (0, 2.5, 6)),
        _weather("memory", ("6h", "36h", "10d")),
        _shared(0.0),
        _shared(0.7),
        _shared(1.0),
    ],
    "freezer": [
        _varied("freezer", "setpoint", (-25, -20, -15), 12),
        _varied("freezer", "band", (0.5, 1.5, 3), 6),
        _varied("freezer", "period", ("20m", "40m", "80m"), 6),
        _varied("freezer", "duty", (0.2, 0.4, 0.7), 4),
        _varied("freezer", "defrost", (0, 2.5, 6), 72),
        _varied("freezer", "doors", (0, 0.8, 3), 24 * 5),
    ],
    "greenhouse": [
        _varied("greenhouse", "heating", (8, 14, 18)),
        _varied("greenhouse", "sunshine", (6, 14, 20)),
        _varied("greenhouse", "vents", (22, 27, 35)),
        _varied("greenhouse", "vented", (0, 0.35, 1)),
        _varied("greenhouse", "humid", (60, 84, 90), metric="humidity"),
    ],
    "battery": [
        _battery("life", ("350d", "700d", "1400d")),
        _battery("new", (3.3, 3.6, 3.7)),
        _battery("old", (2.8, 3.05, 3.2)),
        _battery("cold", (0, 0.004, 0.01)),
        _battery("wear", (0, 0.008, 0.012), "freezer"),
    ],
    "faults": [
        _fault(Spike(size=15, chance=0.05, **_WHEN)),
        _fault(Step(size=10, **_WHEN)),
        _fault(Drift(per_hour=5, **_WHEN)),
        _fault(Stuck(**_WHEN), "freezer"),
        _fault(Noise(size=2, **_WHEN)),
        _fault(Flapping(size=8, period="20m", **_WHEN)),
        _fault(BatteryDying(**_WHEN), metric="battery"),
        _fault(Silence(**_WHEN)),
    ],
}


def _page(panels: Sequence[Panel]) -> Figure:
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(10, 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        _draw(axis, panel)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    return figure


def _draw(axis: Axes, panel: Panel) -> None:
    colour = 0
    for words, scenario in panel.scenarios.items():
        for device in range(panel.devices):
            hours, values = _course(scenario, device, panel.hours, panel.metric)
            label = words if device == 0 else None
            style = "." if len(panel.scenarios) == 1 and scenario.faults else "-"
            axis.plot(hours, values, style, color=_COLOURS[colour], label=label, linewidth=0.8, markersize=1.5)
            if len(panel.scenarios) == 1:
                colour += 1
        colour += len(panel.scenarios) > 1
    axis.set_title(panel.title, loc="left", fontsize=9)
    axis.set_ylabel(_UNITS[panel.metric])
    axis.grid(alpha=0.3)
    days = panel.hours > 24
    axis.set_xlabel("days" if days else "hours")
    if len(panel.scenarios) > 1:
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _course(scenario: Scenario, device: int, hours: float, metric: str) -> tuple[Floats, Floats]:
    fleet = Fleet(scenario)
    since = microseconds(_START)
    until = since + round(hours * 3600 * MICROSECONDS)
    # A long time in steps that still show a day's course.
    step = max(int(fleet.interval[device]), (until - since) // 4_000)
    taken: Places = np.arange(since, until, step)
    place = np.full(len(taken), device)
    measured = fleet.measure(place, taken)._asdict()
    injected = plan_faults(fleet, since, until)
    effects.spoil_values(injected, place, taken // step, taken, measured)
    silent = np.zeros(len(taken), np.bool_)
    for planned in injected:
        if isinstance(planned.fault, Silence):
            silent[planned.rows(place, taken)] = True
    divisor = 24 if hours > 24 else 1
    return (taken[~silent] - since) / MICROSECONDS / 3600 / divisor, measured[metric][~silent]


if __name__ == "__main__":
    main()
