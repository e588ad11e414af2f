"""The curated tables: what they hold, and that order, repetition and packing of the lines change nothing."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.fields import METRICS
from telemetry.tables import CURATED
from tests.unit.curate.samples import ARRIVED, Rows, curated, line, stored

_MINUTE = dt.timedelta(minutes=1)

#: A few devices in and around two hours, with a copy now and then.
_some = st.lists(
    st.builds(
        lambda device, seq, minutes, site, status, temperature: line(
            device_id=f"d{device}",
            seq=seq,
            # One reading has one time, wherever and however often it arrives.
            ts=(ARRIVED - (17 * seq + minutes // 60) * _MINUTE).isoformat(),
            site=f"s{site}",
            status=status,
            temperature=temperature,
        ),
        st.integers(1, 2),
        st.integers(0, 9),
        st.integers(0, 90),
        st.integers(1, 3),
        st.sampled_from(["ok", "degraded", "fault"]),
        st.none() | st.floats(-50, 50),
    )
    | st.sampled_from([b"oops", b"", b"\xff"]),
    max_size=25,
)


def _ended(some: list[bytes]) -> bytes:
    return b"".join(part + b"\n" for part in some)


def _percentile(values: list[float], share: float) -> float:
    values = sorted(values)
    place = (len(values) - 1) * share
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


@settings(max_examples=40)
@given(_some)
def test_should_summarize_an_hour_of_a_device_as_python_would(some: list[bytes]) -> None:
    rows = curated([stored(b"\n".join(some))])
    hours: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for reading in rows["readings"]:
        hours.setdefault((reading["dt"], reading["hour"], reading["device_id"]), []).append(reading)
    assert [(row["dt"], row["hour"], row["device_id"]) for row in rows["readings_hourly"]] == sorted(hours)
    for row in rows["readings_hourly"]:
        mine = hours[row["dt"], row["hour"], row["device_id"]]
        seqs = [reading["seq"] for reading in mine]
        assert row["received"] == len(mine)
        assert row["expected"] == max(seqs) - min(seqs) + 1
        assert row["site"] == max(mine, key=lambda reading: (reading["ts"], reading["seq"]))["site"]
        assert f"{row['hour_start']:%Y-%m-%d %H:%M:%S}" == f"{row['dt']} {row['hour']}:00:00"
        for status in ("ok", "degraded", "fault"):
            assert row[f"status_{status}"] == sum(reading["status"] == status for reading in mine)
        for metric in METRICS:
            values = [reading[metric] for reading in mine if reading[metric] is not None]
            assert row[f"{metric}_count"] == len(values)
            assert row[f"{metric}_min"] == min(values, default=None)
            assert row[f"{metric}_max"] == max(values, default=None)
            if values:
                assert row[f"{metric}_mean"] == pytest.approx(statistics.fmean(values), abs=1e-9)
                assert row[f"{metric}_p95"] == pytest.approx(_percentile(values, 0.95), abs=1e-9)
            if len(values) > 1:
                assert row[f"{metric}_stddev"] == pytest.approx(statistics.stdev(values), abs=1e-9)
            else:
                assert row[f"{metric}_stddev"] is None


@settings(max_examples=40)
@given(_some)
def test_should_account_for_every_line(some: list[bytes]) -> None:
    rows = curated([stored(_ended(some))])
    duplicates = sum(row["duplicates"] for row in rows["readings_hourly"])
    assert len(rows["readings"]) + duplicates + len(rows["quarantine"]) == max(1, len(list(filter(None, some))))


def _without_place(rows: Rows) -> Rows:
    return {
        table: [{name: value for name, value in row.items() if not name.startswith("raw_")} for row in table_rows]
        for table, table_rows in rows.items()
    }


@settings(max_examples=40)
@given(_some.filter(any), st.data())
def test_should_not_depend_on_how_lines_are_packed_into_objects(some: list[bytes], data: st.DataObject) -> None:
    whole = curated([stored(_ended(some))])
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(some) - 1)), max_size=4)))
    parts = [some[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    objects = [stored(_ended(part), name=f"{number:02}") for number, part in enumerate(parts) if any(part)]
    packed = curated(data.draw(st.permutations(objects)))
    assert _without_place(packed) == _without_place(whole)


@settings(max_examples=40)
@given(_some)
def test_should_make_the_same_rows_again(some: list[bytes]) -> None:
    objects = [stored(b"\n".join(some)), stored(b"\n".join(reversed(some)), name="b")]
    assert curated(objects) == curated(objects)


def test_should_keep_the_first_copy_to_arrive_whatever_is_read_first() -> None:
    early, late = ARRIVED, ARRIVED + 5 * _MINUTE
    objects = [
        stored(b"\n".join([line(site="third"), line(site="fourth")]), late),
        stored(b"\n".join([b"oops", line(site="first"), line(site="second")]), early),
    ]
    for order in (objects, objects[::-1]):
        rows = curated(order)
        (reading,) = rows["readings"]
        assert (reading["site"], reading["raw_object"], reading["raw_line"]) == ("first", objects[1][0].key, 2)
        assert [row["duplicates"] for row in rows["readings_hourly"]] == [3]


def test_should_take_from_other_objects_only_readings_of_the_hours_the_window_touched() -> None:
    later = ARRIVED + dt.timedelta(hours=1)
    rows = curated(
        [stored(line(seq=1))],
        [stored(b"\n".join([line(seq=2, x=1), line(seq=3, ts=later.isoformat()), b"oops", b"\xff"]), later)],
    )
    assert [row["seq"] for row in rows["readings"]] == [1, 2]
    assert rows["quarantine"] == []


def test_should_count_a_device_that_starts_over_in_another_hour_as_new_readings() -> None:
    hours = [ARRIVED - dt.timedelta(hours=back) for back in (1, 0)]
    rows = curated([stored(b"\n".join(line(seq=0, ts=hour.isoformat()) for hour in hours))])
    assert [(row["hour"], row["seq"]) for row in rows["readings"]] == [("11", 0), ("12", 0)]


def test_should_survive_the_first_and_the_last_sequence_number_in_one_hour() -> None:
    rows = curated([stored(line(seq=0) + b"\n" + line(seq=2**63 - 1))])
    assert [row["expected"] for row in rows["readings_hourly"]] == [2**63 - 1]


def test_should_sort_readings_by_device_and_sequence_within_a_partition() -> None:
    some = [line(device_id=f"d{n % 7}", seq=n) for n in range(50, 0, -1)]
    rows = curated([stored(b"\n".join(some))])
    found = [(row["device_id"], row["seq"]) for row in rows["readings"]]
    assert found == sorted(found)
    assert len(found) == 50


def test_should_write_the_columns_of_the_tables_in_their_order() -> None:
    rows = curated([stored(line() + b"\noops")])
    for table in CURATED:
        assert [tuple(row) for row in rows[table.name]] == [(*table.column_names, "dt", "hour")]
    (reading,) = rows["readings"]
    assert reading["ts"] == dt.datetime.fromisoformat(json.loads(line())["ts"]).replace(tzinfo=None)
