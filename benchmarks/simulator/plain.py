"""The generator that people write: a random walk for each device, a ``dict`` and ``json.dumps`` for each reading."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.simulator.contenders import DEVICES, INTERVAL, START, Contender

SITES = ("hamburg", "prague", "porto")


def contender() -> Contender:
    """Line by line."""
    return Contender(_write)


def readings() -> Iterator[dict[str, Any]]:
    """Readings of the fleet in the order of time, without end."""
    devices: list[dict[str, Any]] = [
        {"id": f"device-{number:05}", "site": random.choice(SITES), "temperature": 20.0, "humidity": 50.0, "seq": 0}  # noqa: S311
        for number in range(DEVICES)
    ]
    now = START
    step = dt.timedelta(seconds=INTERVAL / DEVICES)
    while True:
        for device in devices:
            device["temperature"] += random.gauss(0, 0.1)
            device["humidity"] = min(100.0, max(0.0, device["humidity"] + random.gauss(0, 0.2)))
            device["seq"] += 1
            now += step
            yield {
                "device_id": device["id"],
                "site": device["site"],
                "ts": now.isoformat(),
                "seq": device["seq"],
                "temperature": round(device["temperature"], 2),
                "humidity": round(device["humidity"], 2),
                "battery": round(random.uniform(3.0, 3.6), 3),  # noqa: S311
                "status": "ok" if random.random() > 0.01 else "degraded",  # noqa: S311
            }


def _write(path: Path, rows: int) -> None:
    with path.open("w") as out:
        for reading in islice(readings(), rows):
            out.write(json.dumps(reading) + "\n")
