"""Soft state in memory and in DynamoDB, against moto and against a table that fails on demand."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from lambdas.detector.recent_cache import RecentCache
from lambdas.store.items import due_keys
from lambdas.store.recent import RecentTable
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import RECENT_EVERY
from telemetry.alerting.snapshots import Device, Snapshot, decode, encode
from telemetry.alerting.state import GatewayState
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from tests.unit.store.tables import create_state_table

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def client():
    with mock_aws():
        yield create_state_table()


def due(client, now: dt.datetime) -> list[dict[str, str]]:
    return list(due_keys(client, "states", now))


SILENT = parse_rules("rules: [{name: silent, when: no_data, for: 10m}]")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now


def environment(client, clock: Clock, table: RecentTable | None = None) -> RecentCache:
    """The soft state of one execution environment, whose turn to write is a minute after it first saw a gateway."""
    return RecentCache(table or RecentTable(client, "states"), clock=clock, chance=lambda: 0.0)


def see(recents: RecentCache, gateway: str, device: str, clock: Clock) -> None:
    recents.load([gateway])
    recents.of(gateway).hear(clock.now.timestamp(), "s", {device: "s"})
    recents.write(SILENT, GatewayState)


def written(client, gateway: str) -> Snapshot:
    return RecentTable(client, "states").load([gateway])[gateway].snapshot


def test_should_write_soft_state_once_a_minute(client) -> None:
    clock = Clock()
    recents = environment(client, clock)
    versions = []
    for second in range(0, 181, 10):
        clock.now = after(second)
        see(recents, "gw", f"d{second}", clock)
        versions.append(RecentTable(client, "states").load(["gw"])["gw"].version)
    assert versions == [0] * 6 + [1] * 6 + [2] * 6 + [3]
    assert len(written(client, "gw").devices) == 19


def test_should_add_up_what_several_environments_saw(client) -> None:
    clock = Clock()
    one, other = environment(client, clock), environment(client, clock)
    see(one, "gw", "a", clock)
    see(other, "gw", "b", clock)
    clock.now += RECENT_EVERY
    see(one, "gw", "c", clock)
    see(other, "gw", "d", clock)
    assert written(client, "gw").devices.keys() == {"a", "b", "c", "d"}


def test_should_begin_a_cold_start_with_what_is_written(client) -> None:
    clock = Clock()
    first = environment(client, clock)
    see(first, "gw", "a", clock)
    clock.now += RECENT_EVERY
    see(first, "gw", "b", clock)
    second = environment(client, clock)
    second.load(["gw"])
    assert second.of("gw").devices.keys() == {"a", "b"}


def test_should_tell_the_watchdog_when_a_silence_is_due(client) -> None:
    clock = Clock()
    recents = environment(client, clock)
    see(recents, "gw", "a", clock)
    clock.now += RECENT_EVERY
    see(recents, "gw", "b", clock)
    assert due(client, after(659)) == []
    assert due(client, after(660)) == [{"gateway": "gw", "part": "recent"}]
    read = RecentTable(client, "states").load(["gw"])["gw"]
    RecentTable(client, "states").reschedule("gw", read._replace(version=7), after(10))
    assert due(client, after(659)) == [], "somebody else wrote meanwhile"
    RecentTable(client, "states").reschedule("gw", read, None)
    assert due(client, after(10_000)) == []


def test_should_lose_nothing_when_another_environment_writes_in_between(client) -> None:
    clock = Clock()
    table = RecentTable(client, "states")

    class Overtaken(RecentTable):
        """Another environment writes between this one's reading and writing."""

        def write(self, gateway: str, *rest: Any) -> None:
            read = table.load([gateway])[gateway]
            seen = {**read.snapshot.devices, "other": Device("s", clock.now.timestamp(), 0.0)}
            table.write(gateway, Snapshot(clock.now.timestamp(), "s", seen), read, None, 0.0)
            super().write(gateway, *rest)

    recents = environment(client, clock, Overtaken(client, "states"))
    see(recents, "gw", "a", clock)
    clock.now += RECENT_EVERY
    see(recents, "gw", "b", clock)
    assert written(client, "gw").devices.keys() == {"other"}
    assert recents.of("gw").unwritten


def test_should_go_on_without_soft_state_that_cannot_be_read_or_written(client) -> None:
    clock = Clock()

    class Denied:
        """Denies everything."""

        def __getattr__(self, operation: str) -> Any:
            def denied(**_: Any) -> Any:
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, operation)

            return denied

    recents = environment(client, clock, RecentTable(Denied(), "states"))  # type: ignore[arg-type]
    see(recents, "gw", "a", clock)
    clock.now += RECENT_EVERY
    see(recents, "gw", "b", clock)
    assert recents.of("gw").devices.keys() == {"a", "b"}


def test_should_keep_last_seen_times_where_windows_do_not_fit_into_an_item(client) -> None:
    rules = parse_rules("rules: [{name: fast, when: 'rate(temperature, 1h) > 8 or rate(humidity, 1h) > 8'}]")
    chance = random.Random(0)
    recents = environment(client, Clock())
    windows = rules.watching("d", "s").windows
    for device in range(1500):
        for step in range(16):
            ts = after(step * 225 + device / 10)
            reading = Reading(
                device_id=f"device-{device:05}",
                site="s",
                ts=ts,
                seq=step,
                temperature=chance.uniform(10, 40),
                humidity=chance.uniform(20, 90),
                status="ok",
            )
            recents.of("gw").begin(Heard("gw", ts, [reading]))
            recents.of("gw").look(reading, windows)
            recents.of("gw").accept()
    snapshot = recents.of("gw").merged_into(Snapshot(), NOW.timestamp())
    stored = encode(snapshot)
    kept = decode(stored.data)
    assert not stored.complete
    assert len(stored.data) < 390_000
    assert snapshot.devices["device-00000"].windows
    assert kept.devices.keys() == snapshot.devices.keys()
    assert all(not device.windows for device in kept.devices.values())
