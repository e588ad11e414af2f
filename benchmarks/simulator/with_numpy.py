"""The generator of people who know numpy: all devices at once, and then ``json.dumps`` for each reading."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.simulator.contenders import DEVICES, INTERVAL, START, Contender
from benchmarks.simulator.plain import SITES


def contender() -> Contender:
    """A round of the fleet at a time."""
    return Contender(_write, ("numpy",))


def _write(path: Path, rows: int) -> None:
    random = np.random.default_rng(0)
    ids = [f"device-{number:05}" for number in range(DEVICES)]
    sites = random.choice(SITES, DEVICES).tolist()
    temperature, humidity = np.full(DEVICES, 20.0), np.full(DEVICES, 50.0)
    start = np.datetime64(START.replace(tzinfo=None), "us")
    offsets = (np.arange(DEVICES) * (INTERVAL / DEVICES) * 1e6).astype("timedelta64[us]")
    with path.open("w") as out:
        for seq, first in enumerate(range(0, rows, DEVICES), 1):
            temperature += random.normal(0, 0.1, DEVICES)
            humidity = np.clip(humidity + random.normal(0, 0.2, DEVICES), 0, 100)
            columns = (
                ids,
                sites,
                np.datetime_as_string(start + offsets, timezone="UTC").tolist(),
                temperature.round(2).tolist(),
                humidity.round(2).tolist(),
                random.uniform(3.0, 3.6, DEVICES).round(3).tolist(),
                np.where(random.random(DEVICES) > 0.01, "ok", "degraded").tolist(),
            )
            lines = [
                json.dumps(
                    {
                        "device_id": device,
                        "site": site,
                        "ts": ts,
                        "seq": seq,
                        "temperature": warm,
                        "humidity": humid,
                        "battery": battery,
                        "status": status,
                    }
                )
                for device, site, ts, warm, humid, battery, status in zip(*columns, strict=True)
            ]
            out.write("\n".join(lines[: rows - first]) + "\n")
            start += np.timedelta64(round(INTERVAL * 1e6), "us")
