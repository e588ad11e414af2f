"""A job killed after any single call leaves what readers had, or what they are to have, and a rerun completes it."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from glue_jobs.curate import batch
from glue_jobs.curate.hours import DAY, HOUR
from local.memory_aws.faults import Fault, Faults, Killed
from telemetry.tables.curated import CURATED
from tests.conftest import Sampled
from tests.unit.curate.deployed import Aws, Rows, at, memory_clients
from tests.unit.curate.samples import ARRIVED, line

YESTERDAY = ARRIVED - DAY
#: When yesterday has been over for long enough that its files are merged, though nothing arrives for it.
LATER = (ARRIVED + DAY).replace(hour=0, minute=10)

#: A run tries one call in 15, since each takes two curations.
ONE_IN = 15


def first(aws: Aws) -> None:
    """What was there before: two days in two files each, a conflict and a refused line."""
    aws.register("device,site,model,calibration_offset\nd1,s1,freezer,0.5\n")
    for number, moment in enumerate((YESTERDAY, YESTERDAY + HOUR, ARRIVED - 5 * HOUR)):
        aws.put(moment, at(moment, seq=number, temperature=number), b"oops")
        aws.curate(now=moment + HOUR)
    aws.put(ARRIVED, line(seq=3, temperature=3), line(seq=3, temperature=4), packed=True)
    aws.curate()


def second(aws: Aws) -> None:
    """What arrives then: a reading, a repetition, a contradiction, a refused line and a corrupt object."""
    aws.put(
        ARRIVED + dt.timedelta(minutes=5),
        line(seq=4, temperature=5),
        line(seq=3, temperature=3),
        line(seq=3, temperature=6),
        b"{}",
        name="d",
    )
    aws.s3.put_object(Bucket="raw", Key="raw/dt=2026-11-23/hour=12/corrupt", Body=b"\x1f\x8bnothing")


class World(NamedTuple):
    """AWS, and what goes wrong at the calls to it."""

    faults: Faults
    aws: Aws

    def forget(self, planned: Mapping[int, Fault] | None = None) -> None:
        """Count calls from 0 again, with another plan."""
        self.faults.calls, self.faults.names, self.faults.planned = 0, [], planned or {}


@pytest.fixture(scope="module")
def world() -> World:
    faults = Faults()
    aws = Aws(memory_clients(faults))
    first(aws)
    return World(faults, aws)


def dies_after(call: int) -> dict[int, Fault]:
    """Nothing gets through after that call, whichever thread makes it."""
    return {call: Fault.KILLED_AFTER, **dict.fromkeys(range(call + 1, call + 1_000), Fault.KILLED_BEFORE)}


def by_partition(rows: Rows) -> dict[tuple[str, str], list[dict[str, object]]]:
    found: dict[tuple[str, str], list[dict[str, object]]] = {}
    for table, some in rows.items():
        for row in some:
            found.setdefault((table, str(row["dt"])), []).append(row)
    return found


def check(aws: Aws, before: Rows, after: Rows) -> None:
    """Each partition is as it was or as it is to be."""
    old, new, now = by_partition(before), by_partition(after), by_partition(aws.rows())
    for partition in {*old, *new, *now}:
        assert now.get(partition, []) in (old.get(partition, []), new.get(partition, [])), partition


@pytest.mark.parametrize("in_pieces", [False, True])
def test_should_leave_whole_partitions_and_complete_them_whichever_call_was_the_last(
    world: World, monkeypatch: pytest.MonkeyPatch, sampled: Sampled, in_pieces: bool
) -> None:
    world = copy.deepcopy(world)
    before = world.aws.rows()
    second(world.aws)
    if in_pieces:
        # Each object is a batch, and each hour it touches another one: between them a day is partly new.
        monkeypatch.setattr(batch, "BATCH_BYTES", 1)
    undisturbed = copy.deepcopy(world)
    undisturbed.forget()
    undisturbed.aws.curate(now=LATER)
    calls = list(undisturbed.faults.names)
    after = undisturbed.aws.rows()
    assert before != after
    assert {"PutObject", "CopyObject", "DeleteObjects", "BatchUpdatePartition", "UpdateItem"} <= set(calls)
    for number, name in sampled(list(enumerate(calls)), ONE_IN):
        killed = copy.deepcopy(world)
        aws = killed.aws
        killed.forget(dies_after(number))
        with pytest.raises(Killed):
            aws.curate(now=LATER)
        killed.forget()
        if not in_pieces:
            check(aws, before, after)
        aws.curate(now=LATER)
        assert aws.rows() == after, f"after {name}, call {number}"
        live = {key for table in CURATED for keys in aws.keys(table.name).values() for key in keys}
        assert set(aws.files()) == live | {"devices/devices.parquet"}, f"after {name}, call {number}"
