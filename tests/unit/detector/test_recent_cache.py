"""Soft state in memory and in DynamoDB, against moto and against a table that fails on demand."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from lambdas.detector.recent_cache import RecentCache
from lambdas.detector.residents import Residents
from lambdas.store.homes import HomeTable
from lambdas.store.items import due_keys
from lambdas.store.recent import RecentTable, WrittenRecent
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import RECENT_EVERY
from telemetry.alerting.snapshots import Device, Snapshot, decode, encode
from telemetry.alerting.state import GatewayState, Home
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


GW = Home("gw")


class Clock:
    """A wall clock, and one that is never set."""

    def __init__(self) -> None:
        self.now = NOW
        self.wrong = dt.timedelta(0)

    def __call__(self) -> dt.datetime:
        return self.now + self.wrong

    def monotonic(self) -> float:
        return (self.now - NOW).total_seconds()


class Environment:
    """The soft state of one execution environment, whose turn to write is a minute after it first saw a gateway."""

    def __init__(self, client, clock: Clock, table: RecentTable | None = None) -> None:
        self.clock = clock
        self.residents = Residents(HomeTable(client, "states"))
        self.recents = RecentCache(
            table or RecentTable(client, "states"),
            self.residents,
            clock=clock,
            monotonic=clock.monotonic,
            chance=lambda: 0.0,
        )

    def see(self, *devices: str) -> None:
        """Hear devices of the gateway, and write what is due."""
        self.recents.load([GW])
        new = [device for device in devices if device not in self.residents.homes_of(devices)]
        self.residents.assign(new, "gw", ())
        self.hear(*devices)

    def hear(self, *devices: str) -> None:
        """Hear devices that have homes."""
        for home in sorted(set(self.residents.homes_of(devices).values())):
            self.recents.load([home])
            here = {name: "s" for name, other in self.residents.homes_of(devices).items() if other == home}
            self.recents.of(home).hear(self.clock.now.timestamp(), "s", here)
        self.recents.write(SILENT, lambda home: GatewayState(home.gateway, number=home.number))


def read(client, home: Home = GW) -> WrittenRecent:
    return RecentTable(client, "states").load([home])[home]


def written(client, home: Home = GW) -> Snapshot:
    return read(client, home).snapshot


def test_should_write_soft_state_once_a_minute(client) -> None:
    clock = Clock()
    environment = Environment(client, clock)
    versions = []
    for second in range(0, 181, 10):
        clock.now = after(second)
        environment.see(f"d{second}")
        versions.append(read(client).version)
    assert versions == [0] * 6 + [1] * 6 + [2] * 6 + [3]
    assert len(written(client).devices) == 19


def test_should_add_up_what_several_environments_saw(client) -> None:
    clock = Clock()
    one, other = Environment(client, clock), Environment(client, clock)
    one.see("a")
    other.see("b")
    clock.now += RECENT_EVERY
    one.see("c")
    other.see("d")
    assert written(client).devices.keys() == {"a", "b", "c", "d"}


def test_should_begin_a_cold_start_with_what_is_written(client) -> None:
    clock = Clock()
    first = Environment(client, clock)
    first.see("a")
    clock.now += RECENT_EVERY
    first.see("b")
    second = Environment(client, clock)
    second.recents.load([GW])
    assert second.recents.of(GW).devices.keys() == {"a", "b"}


def test_should_tell_the_watchdog_when_a_silence_is_due(client) -> None:
    clock = Clock()
    environment = Environment(client, clock)
    environment.see("a")
    clock.now += RECENT_EVERY
    environment.see("b")
    assert due(client, after(659)) == []
    assert due(client, after(660)) == [{"gateway": "gw", "part": "recent"}]
    found = read(client)
    RecentTable(client, "states").reschedule(GW, found._replace(version=7), after(10))
    assert due(client, after(659)) == [], "somebody else wrote meanwhile"
    RecentTable(client, "states").reschedule(GW, found, None)
    assert due(client, after(10_000)) == []


def test_should_lose_nothing_when_another_environment_writes_in_between(client) -> None:
    clock = Clock()
    table = RecentTable(client, "states")

    class Overtaken(RecentTable):
        """Another environment writes between this one's reading and writing."""

        def write(self, home: Home, *rest: Any) -> bool:
            found = table.load([home])[home]
            seen = {**found.snapshot.devices, "other": Device("s", clock.now.timestamp(), 0.0)}
            table.write(home, Snapshot(clock.now.timestamp(), "s", seen), found, None)
            return super().write(home, *rest)

    environment = Environment(client, clock, Overtaken(client, "states"))
    environment.see("a")
    clock.now += RECENT_EVERY
    environment.see("b")
    assert written(client).devices.keys() == {"other"}
    assert environment.recents.of(GW).unwritten


def test_should_go_on_without_soft_state_that_cannot_be_read_or_written(client) -> None:
    clock = Clock()

    class Denied:
        """Denies everything."""

        def __getattr__(self, operation: str) -> Any:
            def denied(**_: Any) -> Any:
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, operation)

            return denied

    environment = Environment(client, clock, RecentTable(Denied(), "states"))  # type: ignore[arg-type]
    environment.see("a")
    clock.now += RECENT_EVERY
    environment.see("b")
    assert environment.recents.of(GW).devices.keys() == {"a", "b"}


def test_should_keep_last_seen_times_where_windows_do_not_fit_into_an_item(client) -> None:
    rules = parse_rules("rules: [{name: fast, when: 'rate(temperature, 1h) > 8 or rate(humidity, 1h) > 8'}]")
    chance = random.Random(0)
    environment = Environment(client, Clock())
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
            environment.recents.of(GW).begin(Heard("gw", ts, [reading]))
            environment.recents.of(GW).look(reading, windows)
            environment.recents.of(GW).accept()
    snapshot = environment.recents.of(GW).merged_into(Snapshot(), NOW.timestamp())
    stored = encode(snapshot)
    kept = decode(stored.data)
    assert not stored.complete
    assert len(stored.data) < 390_000
    assert snapshot.devices["device-00000"].windows
    assert kept.devices.keys() == snapshot.devices.keys()
    assert all(not device.windows for device in kept.devices.values())


@pytest.mark.parametrize("hours", [-2, 2])
def test_should_write_each_minute_whatever_the_wall_clock_says(client, hours: float) -> None:
    clock = Clock()
    environment = Environment(client, clock)
    environment.see("a")
    clock.wrong = dt.timedelta(hours=hours)
    for minute in (1, 2, 3):
        clock.now = after(60 * minute)
        environment.hear("a")
        assert written(client).devices["a"].seen == clock.now.timestamp()
    clock.wrong = dt.timedelta(0)
    for minute in (4, 5):
        clock.now = after(60 * minute)
        environment.hear("a")
        assert written(client).devices["a"].seen == clock.now.timestamp()


def test_should_write_by_the_wall_clock_where_the_other_one_stands_still_between_invocations(client) -> None:
    clock = Clock()
    environment = Environment(client, clock)
    environment.see("a")
    clock.wrong = RECENT_EVERY
    environment.hear("a")
    assert read(client).version == 1


def test_should_go_on_at_the_last_home_of_a_gateway_after_a_cold_start(client) -> None:
    clock = Clock()
    first = Environment(client, clock)
    first.see(*(f"d{number:03}" for number in range(700)))
    clock.now += RECENT_EVERY
    first.hear("d000", "d699")
    assert [len(written(client, Home("gw", number)).devices) for number in (0, 1)] == [500, 200]
    second = Environment(client, clock)
    second.recents.load([GW])
    assert second.residents.highest("gw") == Home("gw", 1)
    assert second.residents.are_at(GW, {"d000", "d499"})
    second.recents.load([Home("gw", 1)])
    second.residents.assign([f"e{number:03}" for number in range(301)], "gw", ())
    assert sorted(set(second.residents.homes_of(["e000", "e299", "e300"]).values())) == [Home("gw", 1), Home("gw", 2)]


def test_should_not_bring_back_a_device_that_was_retired_meanwhile(client) -> None:
    clock = Clock()
    environment = Environment(client, clock)
    environment.see("a", "b")
    HomeTable(client, "states").retire(["a"], clock.now)
    clock.now += RECENT_EVERY
    environment.hear("b")
    assert written(client).devices.keys() == {"b"}
    clock.now += RECENT_EVERY
    environment.hear("a")
    assert written(client).devices.keys() == {"a", "b"}, "it is back"


def test_should_give_homes_to_the_devices_that_a_version_without_homes_wrote(client) -> None:
    clock = Clock()
    table, homes = RecentTable(client, "states"), HomeTable(client, "states")
    seen = clock.now.timestamp()
    old = {f"d{number:04}": Device("s", seen, seen) for number in range(1100)}
    table.write(GW, Snapshot(seen, "s", old), read(client), None)
    homes.claim({"d0000": Home("other")})
    environment = Environment(client, clock)
    environment.see("new")
    clock.now += RECENT_EVERY
    environment.hear("new")
    snapshots = [written(client, Home("gw", number)) for number in range(3)]
    assert [snapshot.homes for snapshot in snapshots] == [3, 2, 3]
    assert sum(len(snapshot.devices) for snapshot in snapshots) == 1100
    for number, snapshot in enumerate(snapshots):
        assert set(homes.find(snapshot.devices).values()) == {Home("gw", number)}
    assert all("d0000" not in snapshot.devices for snapshot in snapshots)
    assert due(client, after(660 + 60)), "the watchdog looks at those that were moved"


def test_should_count_the_homes_whose_windows_do_not_fit_into_an_item(client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.alerting.snapshots._MAX_BYTES", 10)
    clock = Clock()
    environment = Environment(client, clock)
    environment.see("a")
    clock.now += RECENT_EVERY
    environment.recents.of(GW).hear(clock.now.timestamp(), "s", {"a": "s"})
    assert environment.recents.write(SILENT, lambda home: GatewayState(home.gateway)) == 1
