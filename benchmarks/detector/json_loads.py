"""The handler that people write today: a loop over records, lines and ``json.loads``, without any memory of alerts."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.detector.contenders import Contender, Event, Topic

_Reading = dict[str, Any]


def one_threshold() -> Contender:
    """Publishes every reading that is too hot."""
    topic = Topic()

    def handle(event: Event) -> None:
        hot = []
        for reading in _readings(event):
            temperature = reading.get("temperature")
            if temperature is not None and temperature > 40:
                hot.append(reading)
        for reading in hot:
            topic.publish(TopicArn="topic", Message=json.dumps(reading))

    return Contender(handle, topic.tell)


def ten_rules() -> Contender:
    """The same with the limits of all ten rules, in plain Python; it neither waits, clears nor remembers."""
    topic = Topic()
    last_seen: dict[str, float] = {}

    def handle(event: Event) -> None:
        broken = []
        for reading in _readings(event):
            last_seen[reading["device_id"]] = time.time()
            for name, breaks in _LIMITS.items():
                if breaks(reading):
                    broken.append((name, reading))
        for name, reading in broken:
            topic.publish(TopicArn="topic", Message=json.dumps({"rule": name, **reading}))

    return Contender(handle, topic.tell)


def _readings(event: Event) -> Iterator[_Reading]:
    for record in event["Records"]:
        for line in base64.b64decode(record["kinesis"]["data"]).splitlines():
            try:
                reading = json.loads(line)
            except ValueError:
                continue
            if isinstance(reading, dict):
                yield reading


_LIMITS: dict[str, Callable[[_Reading], bool]] = {
    "too-hot": lambda reading: reading["temperature"] > 40,
    "too-cold": lambda reading: reading["temperature"] < -5,
    "warm-for-long": lambda reading: reading["temperature"] > 35,
    "too-humid": lambda reading: reading["humidity"] > 95,
    "battery-low": lambda reading: reading["battery"] < 2.4,
    "mould": lambda reading: reading["humidity"] > 85 and (reading["temperature"] > 33 or reading["battery"] < 2.8),
    "in-trouble": lambda reading: reading["status"] == "fault",
    "cold-store": lambda reading: reading["site"].startswith("plant-1") and reading["temperature"] > 34,
    "damp-store": lambda reading: reading["site"].startswith("plant-2") and reading["humidity"] > 80,
}
