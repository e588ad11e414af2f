"""Wall clocks of the functions that are two hours off for some minutes, in either direction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from tests.eventsource import Record, Settings, Stream
from tests.unit.delivery.deployed import Deployed, bundled
from tests.unit.delivery.test_delivery_promise import examples, on_each_stream

RULES = b"""
defaults: {group_wait: 5s, group_interval: 30s}
rules:
  - {name: silent, when: no_data, for: 5m}
  - {name: gateway-silent, when: no_data(gateway), for: 3m}
  - {name: hot, when: temperature > 40, for: 3m}
"""

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

#: The run in minutes, and the minute in which the device "gone" sends for the last time: a reading that is hot.
MINUTES, LEAVES = 30, 10


@pytest.fixture(scope="module", autouse=True)
def _bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with bundled(tmp_path_factory.mktemp("bundle"), RULES):
        yield


class Jump(NamedTuple):
    """A function's clock is off from one minute on, for some minutes."""

    function: str
    first: int
    minutes: int
    hours: int

    def covers(self, minute: int) -> bool:
        return self.first <= minute < self.first + self.minutes


jumps = st.builds(
    Jump,
    st.sampled_from(["detector", "watchdog", "notifier"]),
    st.integers(0, MINUTES - 8),
    st.integers(1, 5),
    st.sampled_from([-2, 2]),
)


def record(minute: int, key: str, devices: Mapping[str, float], arrived: dt.datetime) -> Record:
    readings = [
        Reading(device_id=device, site="s", ts=arrived, seq=minute, temperature=temperature, status="ok")
        for device, temperature in devices.items()
    ]
    return Record(minute, key, encode_batch(readings), arrived)


class Run:
    """A fleet whose gateways a and b send each minute, and what is wrong with the clocks."""

    def __init__(self, found: list[Jump], stream: Stream) -> None:
        self.jumps = found
        self.settings = Settings(shards=2, stream=stream)
        self.deployed = Deployed(RULES)

    def minute(self, minute: int) -> None:
        """A record of each gateway, then the rest of the minute."""
        self.deployed.wrong = {
            jump.function: dt.timedelta(hours=jump.hours) for jump in self.jumps if jump.covers(minute)
        }
        arrived = self.deployed.clock.now
        devices = {"here": 20.0, "hot": 50.0 if minute >= LEAVES else 20.0}
        if minute <= LEAVES:
            devices["gone"] = 50.0 if minute == LEAVES else 20.0
        records = [record(minute, "a", devices, arrived), record(minute, "b", {"other": 20.0}, arrived)]
        self.deployed.detector(self.settings.event(records))
        self.assert_nothing_heard_is_silent(devices)
        self.deployed.pass_minute()

    def assert_nothing_heard_is_silent(self, devices: Mapping[str, float]) -> None:
        silent = {(gateway, device) for gateway, device, rule, *_ in self.deployed.active if "silent" in rule}
        assert silent <= {("a", "gone")} - {("a", device) for device in devices}


@on_each_stream
@given(found=st.lists(jumps, max_size=3))
@examples(40)
def test_should_keep_its_promises_while_clocks_jump(found: list[Jump], stream: Stream) -> None:
    run = Run(found, stream)
    told_at: dict[tuple[str, str], int] = {}
    for minute in range(MINUTES):
        run.minute(minute)
        for line in run.deployed.lake:
            if line["change"] == "firing":
                told_at.setdefault((line["rule"], line["device"]), minute)
    wrong = [jump.first + jump.minutes for jump in found if jump.function != "detector"]
    late = max(wrong, default=0) + 2
    assert told_at["silent", "gone"] <= max(LEAVES + 5 + 1 + 2, late)
    assert told_at["hot", "gone"] <= max(LEAVES + 3 + 1 + 1, late)
    assert told_at["hot", "hot"] <= max(LEAVES + 3 + 1, late)
    active = {(device, rule) for _, device, rule, *_ in run.deployed.active}
    assert active == {("gone", "silent"), ("gone", "hot"), ("hot", "hot")}
    seen = {
        name: (run.deployed.clock.now.timestamp() - device.seen) / 60 for name, device in run.deployed.snapshots.items()
    }
    assert all(seen[name] <= 2.5 for name in ("here", "hot", "other"))
