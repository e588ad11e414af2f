"""The registry of a scenario's devices: what rules match by, and what the curation enriches readings with."""

from __future__ import annotations

import csv
import datetime as dt
import io

import numpy as np

from simulator.fleet.fleet import Fleet
from simulator.models.randomness import keys, uniform
from simulator.scenario.scenario import Scenario

#: Devices stand this far around their site's middle, degrees: some 500 m.
_AREA = 0.005

#: They were installed within so many days before this one.
_INSTALLED_DAYS, _NEWEST = 900, dt.date(2026, 10, 1)

#: One device in so many was calibrated when it was installed.
_CALIBRATED = 4


def registry_csv(scenario: Scenario) -> str:
    """Return the devices as CSV: device, site, model, and the columns that ``telemetry.registry.devices`` reads."""
    fleet = Fleet(scenario)
    number = len(fleet.devices)
    north, east, age = (uniform(keys(scenario.seed, purpose, number)) for purpose in ("north", "east", "age"))
    sites = {site.name: site for site in scenario.sites}
    offset = fleet.offsets()
    calibrated = np.arange(number) % _CALIBRATED == 0
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("device", "site", "model", "latitude", "longitude", "installed", "interval", "calibration_offset", "gateway")
    )
    for place, device in enumerate(fleet.devices):
        site = sites[device.site]
        latitude = np.clip(site.latitude + _AREA * (2 * north[place] - 1), -90, 90)
        longitude = np.clip(site.longitude + _AREA * (2 * east[place] - 1), -180, 180)
        writer.writerow(
            (
                device.id,
                device.site,
                device.model,
                f"{latitude:.5f}",
                f"{longitude:.5f}",
                _NEWEST - dt.timedelta(days=int(age[place] * _INSTALLED_DAYS)),
                f"{device.interval:.10g}",
                f"{-offset[place]:.2f}" if calibrated[place] else "",
                device.gateway,
            )
        )
    return text.getvalue()
