"""Any windows, in any order, in pieces or whole, and again: the same rows, and those that a plain model says."""

from __future__ import annotations

import copy
import datetime as dt
import gzip
from typing import Any, NamedTuple, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from glue_jobs.curate.hours import HOUR
from glue_jobs.curate.zones.lines import CorruptObjectError, decompressed, split
from glue_jobs.curate.zones.raw import RawObject, RawZone
from local.memory_aws.faults import Faults
from telemetry.reading.codec import decode_batch
from telemetry.reading.model import Reading
from tests.unit.curate.deployed import Aws, Rows, at, memory_clients
from tests.unit.curate.samples import ARRIVED, key

BEGIN = ARRIVED.replace(minute=0) - 30 * HOUR
HOURS = 30
NOW = BEGIN + HOURS * HOUR


class Put(NamedTuple):
    """A raw object: the hours after the begin in which it arrives, and what is in it."""

    hour: int
    body: bytes


@st.composite
def lines(draw: st.DrawFn, arrival: int) -> bytes:
    """A line of an object: mostly readings of few devices, numbers and hours, so that they meet."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([b"oops", b"", b"{}", b"\xff\xfe", b'{"device_id":"d1"', b"   "]))
    # Some are ahead of their arrival, which is refused; some are late by a day.
    hour = draw(st.sampled_from([arrival, arrival, arrival - 1, max(arrival - 25, 0), arrival + 2]))
    moment = BEGIN + hour * HOUR + dt.timedelta(minutes=draw(st.sampled_from([1, 1, 59])))
    return at(
        moment,
        device_id=draw(st.sampled_from(["d1", "d2"])),
        seq=draw(st.integers(0, 3)),
        temperature=draw(st.sampled_from([None, 0.1, 0.2, 0.3, 21, 1e-7])),
        battery=draw(st.sampled_from([..., 2.9, 3.1])),
        site=draw(st.sampled_from(["s1", "s1", "s2"])),
    )


@st.composite
def puts(draw: st.DrawFn) -> list[Put]:
    made = []
    for _ in range(draw(st.integers(1, 6))):
        hour = draw(st.integers(0, HOURS - 3))
        text = b"\n".join(draw(st.lists(lines(hour), max_size=6)))
        how = draw(st.sampled_from(["plain", "packed", "packed", "corrupt"]))
        packed = gzip.compress(text) if how != "plain" else text
        made.append(Put(hour, packed[:-9] + b"\0" * 9 if how == "corrupt" else packed))
    return made


#: Windows of arrival or event time, by hours; None takes what is new.
Window = tuple[str, int, int] | None
windows: st.SearchStrategy[Window] = st.none() | st.tuples(
    st.sampled_from(["arrival", "event"]), st.integers(0, HOURS - 1), st.integers(1, HOURS)
)


def run(aws: Aws, window: Window) -> None:
    if window is None:
        aws.curate(now=NOW)
    else:
        by, first, count = window
        start = BEGIN + first * HOUR
        aws.curate_window(start, start + count * HOUR, window_by=by, now=NOW)


def modelled(aws: Aws) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What there has to be: readings (see :func:`flat`), and the quarantine's reasons, objects and lines.

    Written from the documents, line by line in Python, with nothing of the job but what tells objects and lines apart.
    """
    seen: dict[tuple[str, int, str], list[tuple[RawObject, int, Reading]]] = {}
    quarantine: list[tuple[Any, ...]] = []
    for found in RawZone(aws.s3, "raw").objects(BEGIN):
        data = aws.s3.get_object(Bucket="raw", Key=found.key)["Body"].read()
        try:
            text = decompressed(data)
        except CorruptObjectError:
            quarantine.append(("corrupt_object", found.key, 0))
            continue
        some = [line for line in split(text) if line.text.strip()]
        if not some:
            quarantine.append(("empty", found.key, 1))
        for line in some:
            readings, rejected = decode_batch(line.text, found.arrived)
            quarantine += [(each.reason, found.key, line.number) for each in rejected]
            for reading in readings:
                place = (reading.device_id, reading.seq, f"{reading.ts:%Y-%m-%d %H}")
                seen.setdefault(place, []).append((found, line.number, reading))
    curated: list[tuple[Any, ...]] = []
    for place, arrived in seen.items():
        arrived.sort(key=lambda item: (item[0].arrived, item[0].key, item[1]))
        found, number, reading = arrived[0]
        same = [item for item in arrived if item[2] == reading]
        curated.append((*place, reading.temperature, len(same), found.key, number))
        quarantine += [("conflict", other.key, line) for other, line, what in arrived if what != reading]
    return sorted(curated, key=repr), sorted(quarantine)


def flat(rows: Rows) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Of the tables: device, number, hour, temperature as sent, copies, object, line; and reason, object, line."""
    curated = [
        (
            row["device_id"],
            row["seq"],
            f"{row['ts']:%Y-%m-%d %H}",
            row["temperature_raw"],
            row["copies"],
            row["raw_object"],
            row["raw_line"],
        )
        for row in rows["readings"]
    ]
    return sorted(curated, key=repr), sorted(
        (row["reason"], row["raw_object"], row["raw_line"]) for row in rows["quarantine"]
    )


@settings(max_examples=20)
@given(puts(), st.lists(st.tuples(windows, st.integers(0, 6)), max_size=4), st.data())
def test_should_make_the_same_rows_of_the_same_objects(
    objects: list[Put], before: list[tuple[Window, int]], data: st.DataObject
) -> None:
    aws = Aws(memory_clients(Faults()))
    aws.register("device,site,model,interval,calibration_offset\nd1,s1,freezer,60,0.25\n")
    for number, (hour, body) in enumerate(objects):
        arrived = BEGIN + hour * HOUR + dt.timedelta(minutes=number)
        aws.s3.put_object(Bucket="raw", Key=key(arrived, f"{number}"), Body=body)
    whole, pieces = copy.deepcopy(aws), aws
    whole.curate(full=True, now=NOW)
    expected = whole.rows()
    assert flat(expected) == modelled(aws)
    # Windows of all kinds first, while some of the objects are not there yet; then the arrival hours in some order.
    held = {item["Key"]: item for item in pieces.s3.list_objects_v2(Bucket="raw").get("Contents", [])}
    for window, missing in before:
        stored = cast("Any", pieces.s3).objects.stored
        some = dict(stored)
        for name in sorted(held)[:missing]:
            pieces.s3.delete_object(Bucket="raw", Key=name)
        run(pieces, window)
        stored |= {place: found for place, found in some.items() if place[0] == "raw"}
    for hour in data.draw(st.permutations(sorted({hour for hour, _ in objects}))):
        run(pieces, ("arrival", hour, 1))
    assert pieces.rows() == expected
    for window in (None, *(window for window, _ in before)):
        run(pieces, window)
        assert pieces.rows() == expected
