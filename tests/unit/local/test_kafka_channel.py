"""The bridge's channel puts a topic into the raw zone, and commits what is there."""

from __future__ import annotations

import datetime as dt
import gzip
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.kafka import channel as channel_module
from local.kafka.channel import Channel
from local.kafka.records import Record
from tests.unit.local.kafka_records import record

NOW = dt.datetime(2026, 11, 30, 23, 59, 59, tzinfo=dt.UTC)


class World:
    """A channel, what it reads, and the bucket it puts to."""

    def __init__(self) -> None:
        self.now = NOW
        self.unread: deque[Record] = deque()
        self.objects: dict[str, bytes] = {}
        self.committed: dict[int, int] = {}
        self.is_bucket_there = True
        self.forget: Callable[[Collection[int]], None] = lambda _: None
        self.channel = Channel("iot-dev-raw", self._open, self, "raw-bucket", clock=lambda: self.now)  # type: ignore[arg-type]

    def _open(self, forget: Callable[[Collection[int]], None]) -> World:
        self.forget = forget
        return self

    def take(self, most: int, *_seconds: float) -> list[Record]:
        return [self.unread.popleft() for _ in range(min(most, len(self.unread)))]

    def wait(self, _seconds: float) -> None:
        self.is_bucket_there = True

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed |= offsets

    def close(self) -> None:
        pass

    def put_object(self, **request: Any) -> None:
        if not self.is_bucket_there:
            raise ClientError({"Error": {"Code": "NoSuchBucket"}}, "PutObject")
        assert request["Bucket"] == "raw-bucket"
        assert not self.committed
        self.objects[request["Key"]] = gzip.decompress(request["Body"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(channel_module, "_FLUSH_SECONDS", 0.0)
    return World()


def test_should_put_records_as_they_are_by_the_hour_in_which_they_arrived(world: World) -> None:
    world.unread.extend([record(0, value=b'{"a":1}\n{"b":2}\n'), record(4, 1, value=b"no newline")])
    world.channel.turn()
    assert (world.objects, world.committed) == ({}, {})
    world.now += dt.timedelta(seconds=2)
    world.channel.turn()
    ((key, body),) = world.objects.items()
    assert body == b'{"a":1}\n{"b":2}\nno newline'
    assert re.fullmatch(r"raw/dt=2026-11-30/hour=23/iot-dev-raw-2026-11-30-23-59-59-[0-9a-f-]{36}\.gz", key)
    assert world.committed == {0: 1, 1: 5}


@pytest.mark.parametrize("value", [None, b""])
def test_should_put_a_record_without_a_value_as_an_object_with_one_empty_line(
    world: World, value: bytes | None
) -> None:
    world.unread.extend([record(0, value=b"1\n"), record(1, value=value), record(2, value=b"2\n")])
    world.channel.turn()
    world.channel.turn()
    assert sorted(world.objects.values()) == [b"\n", b"1\n2\n"]
    assert world.committed == {0: 3}


def test_should_put_again_what_the_bucket_did_not_take(world: World) -> None:
    world.unread.append(record(0))
    world.is_bucket_there = False
    world.channel.turn()
    world.channel.turn()
    assert (world.objects, world.committed) == ({}, {})
    world.channel.turn()
    assert list(world.objects.values()) == [b"1\n"]
    assert world.committed == {0: 1}


def test_should_not_put_what_another_member_reads_now(world: World) -> None:
    world.unread.extend([record(0, value=b"ours\n"), record(0, 1, value=b"theirs\n")])
    world.channel.turn()
    world.forget({1})
    world.channel.turn()
    assert list(world.objects.values()) == [b"ours\n"]
    assert world.committed == {0: 1}


def test_should_put_an_object_before_it_grows_too_large(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "_FLUSH_SECONDS", 3600.0)
    world.unread.append(record(0, value=b"x" * (5 * 1024 * 1024)))
    world.channel.turn()
    world.channel.turn()
    assert len(world.objects) == 1
