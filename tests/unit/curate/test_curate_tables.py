"""The curated tables: what they hold, and that order, repetition and packing of the lines change nothing."""

from __future__ import annotations

import datetime as dt
import json
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glue_jobs.curate.zones.raw import Content
from telemetry.reading.fields import METRICS
from telemetry.registry.devices import devices
from telemetry.registry.registry import parse_registry
from telemetry.tables.curated import CURATED
from telemetry.tables.table import Table
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


def _percentile(values: Sequence[float], share: float) -> float:
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
        hours.setdefault((f"{reading['ts']:%Y-%m-%d %H}", reading["device_id"]), []).append(reading)
    assert [(f"{row['hour_start']:%Y-%m-%d %H}", row["device_id"]) for row in rows["readings_hourly"]] == sorted(hours)
    for row in rows["readings_hourly"]:
        mine = hours[f"{row['hour_start']:%Y-%m-%d %H}", row["device_id"]]
        seqs = [reading["seq"] for reading in mine]
        assert row["received"] == len(mine)
        assert row["expected"] == max(seqs) - min(seqs) + 1
        assert row["site"] == max(mine, key=lambda reading: (reading["ts"], reading["seq"]))["site"]
        assert row["dt"] == f"{row['hour_start']:%Y-%m-%d}"
        assert row["duplicates"] == sum(reading["copies"] - 1 for reading in mine)
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
        table: [
            {name: value for name, value in row.items() if not name.startswith("raw_") and name not in ("id", "detail")}
            for row in table_rows
        ]
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
        stored(b"\n".join([line(), line(x="another field")]), late),
        stored(b"\n".join([b"oops", line(), line(temperature=None)]), early),
    ]
    for order in (objects, objects[::-1]):
        rows = curated(order)
        (reading,) = rows["readings"]
        assert (reading["copies"], reading["raw_object"], reading["raw_line"]) == (4, objects[1].found.key, 2)
        assert [row["duplicates"] for row in rows["readings_hourly"]] == [3]
        assert [row["reason"] for row in rows["quarantine"]] == ["not_json"]


def test_should_quarantine_what_contradicts_the_first_to_arrive() -> None:
    first = line(temperature=1)
    later = [line(temperature=2), line(site="s2", temperature=1), first, line(ts="2026-11-23T12:29:58Z", temperature=1)]
    objects = [stored(first), stored(b"\xc3\xa9\xff\n" + b"\n".join(later), ARRIVED + 5 * _MINUTE, "b")]
    rows = curated(objects)
    assert [(row["temperature"], row["copies"]) for row in rows["readings"]] == [(1.0, 2)]
    conflicts = [row for row in rows["quarantine"] if row["reason"] == "conflict"]
    assert [(row["line"].encode(), row["raw_line"]) for row in conflicts] == [
        (later[0], 2),
        (later[1], 3),
        (later[3], 5),
    ]
    for row in rows["quarantine"]:
        text = objects[1].text[row["raw_offset"] :].split(b"\n")[0]
        assert text.decode(errors="backslashreplace") == row["line"]
    assert {row["detail"] for row in conflicts} == {
        f"contradicts line 1 of {objects[0].found.key}, which arrived first"
    }
    assert len({row["id"] for row in rows["quarantine"]}) == 4
    assert [row["id"] for row in curated(objects)["quarantine"]] == [row["id"] for row in rows["quarantine"]]


def test_should_calibrate_and_enrich_from_the_registry_and_keep_what_the_device_sent() -> None:
    text = "device,site,model,latitude,longitude,calibration_offset\nd1,s1,freezer,53.5,10,-0.5\nd2,s1,oven,,,\n"
    devices_of = devices(parse_registry(text)).rows
    some = [line(device_id=name, temperature=20.25) for name in ("d1", "d2", "d3")] + [line(device_id="d1", seq=8)]
    rows = curated([stored(b"\n".join(some))], devices_of)["readings"]
    names = ("device_id", "seq", "temperature", "temperature_raw", "model", "latitude", "longitude")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("d1", 7, 19.75, 20.25, "freezer", 53.5, 10.0),
        ("d1", 8, None, None, "freezer", 53.5, 10.0),
        ("d2", 7, 20.25, 20.25, "oven", None, None),
        ("d3", 7, 20.25, 20.25, None, None, None),
    ]


def _health(*some: bytes, registry: str = "") -> dict[str, Any]:
    devices_of = devices(parse_registry(registry)).rows if registry else []
    (row,) = curated([stored(b"\n".join(some))], devices_of)["device_health"]
    return row


def _after(seconds: float, **changes: Any) -> bytes:
    return line(ts=(ARRIVED - _MINUTE * 20 + dt.timedelta(seconds=seconds)).isoformat(), **changes)


def test_should_count_gaps_and_losses_by_sequence_numbers() -> None:
    row = _health(*(_after(seq, seq=seq) for seq in (1, 2, 5, 6, 10)), _after(2, seq=2))
    assert (row["received"], row["gaps"], row["lost"], row["duplicates"]) == (5, 2, 5, 1)
    assert (row["expected"], row["completeness"]) == (10, 0.5)


def test_should_take_a_device_that_counts_from_the_start_again_for_one_that_lost_nothing() -> None:
    row = _health(*(_after(place, seq=seq) for place, seq in enumerate((1000, 1001, 0, 1, 2))))
    assert (row["received"], row["gaps"], row["lost"], row["completeness"]) == (5, 0, 0, 1.0)


def test_should_expect_readings_at_the_interval_of_the_registry() -> None:
    registry = "device,site,model,interval\nd1,s1,freezer,10\n"
    row = _health(*(_after(seconds, seq=seq) for seq, seconds in enumerate((0, 10, 20.4, 90))), registry=registry)
    assert (row["received"], row["expected"], row["completeness"]) == (4, 10, 0.4)
    twice = _health(_after(0, seq=1), _after(1, seq=2), registry=registry)
    assert (twice["expected"], twice["completeness"]) == (1, 1.0)


def test_should_tell_how_late_readings_arrive() -> None:
    row = _health(*(_after(seconds, seq=seconds) for seconds in range(101)))
    late = [20 * 60 - seconds for seconds in range(101)]
    assert row["lateness_p50"] == pytest.approx(_percentile(late, 0.5))
    assert row["lateness_p95"] == pytest.approx(_percentile(late, 0.95))


@settings(max_examples=25)
@given(st.dictionaries(st.integers(0, 1100), st.none() | st.floats(2, 4), min_size=1, max_size=20))
def test_should_fit_a_line_through_the_batterys_voltage(volts: dict[int, float | None]) -> None:
    row = _health(*(_after(at, seq=at, battery=volt) for at, volt in volts.items()))
    known = sorted((at, volt) for at, volt in volts.items() if volt is not None)
    assert row["battery_last"] == (known[-1][1] if known else None)
    if len(known) < 2:
        assert row["battery_trend"] is None
    else:
        days, values = np.array(known).T
        slope = np.polyfit((days - days.mean()) / 86_400, values, 1)[0]
        # The voltages are taken to the microvolt.
        tolerance = 1e-6 / (np.ptp(days) / 86_400) * 2
        assert row["battery_trend"] == pytest.approx(slope, rel=1e-6, abs=tolerance)


def test_should_sum_up_a_site_and_day() -> None:
    hours = [0, 30 * 60, 60 * 60]
    some = [
        line(
            device_id=f"d{number}",
            site=f"s{number % 2}",
            ts=(ARRIVED - dt.timedelta(hours=3) + dt.timedelta(seconds=seconds)).isoformat(),
            seq=seq,
            temperature=temperature,
        )
        for number in range(3)
        for seq, seconds in enumerate(hours)
        for temperature in [None if seq == number else number + seq]
    ]
    rows = curated([stored(b"\n".join([*some, some[0]]))])["site_daily"]
    assert [(row["site"], row["devices"], row["received"], row["duplicates"]) for row in rows] == [
        ("s0", 2, 6, 1),
        ("s1", 1, 3, 0),
    ]
    values = [1, 2, 2, 3]
    assert (rows[0]["temperature_count"], rows[0]["temperature_min"], rows[0]["temperature_max"]) == (4, 1.0, 3.0)
    assert rows[0]["temperature_mean"] == pytest.approx(statistics.fmean(values))
    assert (rows[0]["humidity_count"], rows[0]["humidity_mean"]) == (0, None)


def test_should_count_a_device_that_starts_over_in_another_hour_as_new_readings() -> None:
    hours = [ARRIVED - dt.timedelta(hours=back) for back in (1, 0)]
    rows = curated([stored(b"\n".join(line(seq=0, ts=hour.isoformat()) for hour in hours))])
    assert [(row["ts"].hour, row["seq"]) for row in rows["readings"]] == [(11, 0), (12, 0)]


def test_should_survive_the_first_and_the_last_sequence_number_in_one_hour() -> None:
    rows = curated([stored(line(seq=0) + b"\n" + line(seq=2**63 - 1))])
    assert [row["expected"] for row in rows["readings_hourly"]] == [2**63 - 1]


def test_should_sort_readings_by_device_and_sequence_within_a_partition() -> None:
    some = [line(device_id=f"d{n % 7}", seq=n) for n in range(50, 0, -1)]
    rows = curated([stored(b"\n".join(some))])
    found = [(row["device_id"], row["seq"]) for row in rows["readings"]]
    assert found == sorted(found)
    assert len(found) == 50


@pytest.mark.parametrize("table", [table for table in CURATED if table.source], ids=lambda table: table.name)
def test_should_know_the_rows_of_a_table_that_sql_makes_by_their_key(table: Table) -> None:
    assert table.key
    assert set(table.key) <= set(table.column_names)
    if table.source == "readings_of_hours":
        assert "hour_start" in table.key
    rows = curated([stored(b"\n".join(line(device_id=f"d{n}", seq=n, site=f"s{n % 2}") for n in range(5)))])[table.name]
    keys = [tuple(row[name] for name in table.key) for row in rows]
    assert keys == sorted(set(keys))
    assert keys


def test_should_write_the_columns_of_the_tables_in_their_order() -> None:
    rows = curated([stored(line() + b"\noops")])
    for table in CURATED:
        assert [tuple(row) for row in rows[table.name]] == [(*table.column_names, "dt")]
    (reading,) = rows["readings"]
    assert reading["ts"] == dt.datetime.fromisoformat(json.loads(line())["ts"]).replace(tzinfo=None)


def test_should_take_thousands_of_small_objects_in_the_memory_that_it_has() -> None:
    def small(number: int) -> Content:
        seqs = (1, 2)
        lines = [line(device_id=f"d{number}", seq=seq, ts=(ARRIVED - seq * _MINUTE).isoformat()) for seq in seqs]
        return stored(_ended(lines), name=f"{number:05}")

    assert len(curated(map(small, range(6_000)))["readings"]) == 12_000
