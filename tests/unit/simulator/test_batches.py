"""Lines to records: when a batch goes out, and how large it may be."""

from __future__ import annotations

import datetime as dt
from itertools import islice
from math import inf

from simulator.batches import LONGEST_WAIT, MAX_RECORD_BYTES, Batcher
from simulator.disturbances import Extra
from simulator.fleet import Fleet, FleetConfig
from telemetry.codec import decode_batch, encode_batch
from telemetry.reading import Reading


def some_readings(number: int) -> list[Reading]:
    fleet = Fleet(FleetConfig(devices=number, gateways=1), dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    (taken,) = islice(fleet.rounds(), 1)
    return taken.readings


def test_should_send_a_batch_when_it_is_full() -> None:
    first, second, third = some_readings(3)
    batcher = Batcher(most=2)
    assert batcher.add(0.1, "a", first) == []
    (record,) = batcher.add(0.2, "a", second)
    assert (record.gateway, record.payload, record.lines) == ("a", encode_batch([first, second]), 2)
    assert batcher.deadline == inf
    batcher.add(0.3, "a", third)
    assert batcher.deadline == 0.3 + LONGEST_WAIT


def test_should_send_a_batch_when_its_first_line_has_waited_long_enough() -> None:
    first, second, third = some_readings(3)
    batcher = Batcher(most=100)
    batcher.add(5.0, "a", first)
    batcher.add(5.5, "b", second)
    batcher.add(5.9, "a", third)
    assert batcher.deadline == 5.0 + LONGEST_WAIT
    (record,) = batcher.due()
    assert (record.gateway, record.lines) == ("a", 2)
    assert batcher.deadline == 5.5 + LONGEST_WAIT
    (record,) = batcher.rest()
    assert (record.gateway, record.lines) == ("b", 1)
    assert batcher.deadline == inf


def test_should_keep_the_other_gateways_deadline_when_the_first_fills_up() -> None:
    first, second, third = some_readings(3)
    batcher = Batcher(most=2)
    batcher.add(5.0, "a", first)
    batcher.add(5.5, "b", second)
    assert batcher.add(5.9, "a", third)
    assert batcher.deadline == 5.5 + LONGEST_WAIT


def test_should_cut_a_batch_that_is_too_large_for_a_record_and_keep_every_line_in_order() -> None:
    readings = some_readings(20_000)
    batcher = Batcher(most=20_000)
    for reading in readings[:-1]:
        assert batcher.add(0.0, "a", reading) == []
    records = batcher.add(0.0, "a", readings[-1])
    assert len(encode_batch(readings)) > 2 * MAX_RECORD_BYTES
    assert all(len(record.payload) <= MAX_RECORD_BYTES for record in records)
    assert [reading for record in records for reading in decode_batch(record.payload).readings] == readings
    assert sum(record.lines for record in records) == 20_000


def test_should_keep_extra_lines_at_their_place_and_count_them() -> None:
    first, second = some_readings(2)
    batcher = Batcher(most=100)
    again = encode_batch([first])
    for line in (first, Extra("malformed", b"{nonsense\n"), Extra("duplicate", again), second):
        batcher.add(0.0, "a", line)
    (record,) = batcher.rest()
    assert record.payload == encode_batch([first]) + b"{nonsense\n" + again + encode_batch([second])
    assert (record.lines, record.duplicates, record.malformed) == (4, 1, 1)
