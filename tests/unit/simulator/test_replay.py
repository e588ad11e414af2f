"""A data set replayed: every row is a line or is counted, at its time, in its order, whatever the file."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.models.epoch import moment
from simulator.replay import send as replaying
from simulator.replay.columns import Wanted
from simulator.replay.dataset import Finding, open_dataset
from simulator.replay.files import WHITESPACE, DatasetError, Format, Source
from simulator.replay.send import plan, replay
from simulator.run.manifest import Manifest
from simulator.run.sender import Counts
from simulator.sinks.record import MAX_RECORD_BYTES, Record
from simulator.sinks.sink import Delivery
from telemetry.reading.codec import decode_batch
from telemetry.registry.registry import Device, parse_registry

START = dt.datetime(2026, 3, 1, 9, 30, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)

INTEL_COLUMNS = ("date", "time", "epoch", "moteid", "temperature", "humidity", "light", "voltage")
INTEL = """\
2004-02-28 00:59:16.02785 3 1 19.9884 37.0933 45.08 2.69964
2004-02-28 01:03:16.33393 11 2 122.153 -3.91901 11.04 2.03397
2004-02-28 01:06:16.013453 17 1
2004-02-28 01:06:46.778088 18 1 19.175 38.8379 45.08 2.68742
"""
KAGGLE = """\
"ts","device","co","humidity","light","lpg","motion","smoke","temp"
"1.5945120943859746E9","b8:27:eb:bf:9d:51","0.0049","51.0","false","0.0076","false","0.0204","71.6"
"1.594512094735568E9","00:0f:00:70:91:0a","0.0028","76.0","false","0.0051","false","0.0132","NA"
"""


class MemorySink:
    """Keeps the records it accepts; refuses those of a gateway, if told to."""

    def __init__(self, refuses: str = "") -> None:
        self._refuses = refuses
        self.records: list[Record] = []

    def send(self, records: Sequence[Record], /) -> Delivery:
        refused = tuple(record for record in records if record.gateway == self._refuses)
        self.records += [record for record in records if record.gateway != self._refuses]
        return Delivery(refused=refused, reason="not today" if refused else "")

    def lines(self) -> list[bytes]:
        return [line for record in self.records for line in record.payload.splitlines(keepends=True)]

    def values(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.lines()]


def wrote(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def table(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """A CSV file of these columns."""
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    return path


def source(*files: Path, **more: Any) -> Source:
    return Source(files=tuple(map(str, files)), **more)


def replayed(
    *files: Path,
    wanted: Wanted | None = None,
    sink: MemorySink | None = None,
    start: dt.datetime | None = START,
    shift: bool = True,
    batch: int = 100,
    per_gateway: int | None = None,
    **more: Any,
) -> tuple[MemorySink, Manifest]:
    sink = sink or MemorySink()
    with open_dataset(source(*files, **more), wanted, devices_per_gateway=per_gateway) as dataset:
        planned = plan(dataset, start=start, shift=shift, speed=0.0, batch=batch)
        return sink, replay(dataset, planned, sink)


def times(*files: Path, wanted: Wanted | None = None, **more: Any) -> list[dt.datetime]:
    """The times that the rows have in the data."""
    sink, _ = replayed(*files, wanted=wanted, start=None, shift=False, **more)
    return [dt.datetime.fromisoformat(line["ts"]) for line in sink.values()]


def test_should_replay_a_file_without_a_header_as_the_intel_lab_has_it(tmp_path: Path) -> None:
    sink, manifest = replayed(wrote(tmp_path / "data.txt", INTEL), columns=INTEL_COLUMNS, delimiter=" ")
    assert sink.values() == [
        {"device_id": "1", "site": "replay", "ts": "2026-03-01T09:30:00Z", "seq": 1_772_357_400_000_000,
         "temperature": 19.9884, "humidity": 37.0933, "battery": 2.69964, "status": "ok"},
        {"device_id": "2", "site": "replay", "ts": "2026-03-01T09:34:00.306080Z", "seq": 1_772_357_400_000_000,
         "temperature": 122.153, "humidity": -3.91901, "battery": 2.03397, "status": "ok"},
        {"device_id": "1", "site": "replay", "ts": "2026-03-01T09:36:59.985603Z", "seq": 1_772_357_400_000_001,
         "temperature": None, "humidity": None, "battery": None, "status": "ok"},
        {"device_id": "1", "site": "replay", "ts": "2026-03-01T09:37:30.750238Z", "seq": 1_772_357_400_000_002,
         "temperature": 19.175, "humidity": 38.8379, "battery": 2.68742, "status": "ok"},
    ]  # fmt: skip
    assert (manifest.scenario, manifest.seed, manifest.devices, manifest.gateways) == ("replay of data.txt", 0, 2, 1)
    assert (manifest.started_at, manifest.ended_at) == (START, START + dt.timedelta(minutes=7, seconds=30.750238))
    assert (manifest.sent, manifest.malformed, manifest.duplicates) == (4, 1, 0)
    assert {device: counts.sent for device, counts in manifest.by_device.items()} == {"1": 3, "2": 1}


def test_should_replay_a_table_of_quoted_unix_times_with_temperatures_made_celsius(tmp_path: Path) -> None:
    file = wrote(tmp_path / "iot_telemetry_data.csv", KAGGLE)
    sink, _ = replayed(file, wanted=Wanted(fields={"temperature": "round((temp - 32) * 5 / 9, 2)"}))
    first, second = decode_batch(b"".join(sink.lines())).readings
    assert (first.device_id, first.temperature, first.humidity, first.ts) == ("b8:27:eb:bf:9d:51", 22.0, 51.0, START)
    assert (second.temperature, second.humidity) == (None, 76.0)
    assert second.ts - first.ts == dt.timedelta(microseconds=349_593)


ROWS = [
    {"timestamp": "2026-01-01T00:00:00Z", "sensor": "a", "temp": 1.5, "hum": 40},
    {"timestamp": "2026-01-01T00:00:01Z", "sensor": "b", "temp": 2.5, "hum": None},
    {"timestamp": "2026-01-01T00:00:02Z", "sensor": "a", "temp": 3.5, "hum": 42},
]


def as_csv(path: Path) -> Path:
    return table(path, {name: ["" if row[name] is None else row[name] for row in ROWS] for name in ROWS[0]})


def as_blanks(path: Path) -> Path:
    lines = ["  timestamp  sensor\ttemp   hum"]
    lines += ["   ".join("NA" if value is None else str(value) for value in row.values()) for row in ROWS]
    return wrote(path, "\n".join(lines) + "\n")


def as_parquet(path: Path) -> Path:
    columns: dict[str, Any] = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    columns["timestamp"] = pa.array([dt.datetime.fromisoformat(str(t)) for t in columns["timestamp"]])
    pq.write_table(pa.table(columns), path)
    return path


def as_json_lines(path: Path) -> Path:
    return wrote(path, "".join(json.dumps(row) + "\n" for row in ROWS))


def as_json_array(path: Path) -> Path:
    return wrote(path, json.dumps(ROWS, indent=1))


def zipped(path: Path) -> Path:
    zipped = path.with_name(f"{path.name}.gz")
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return zipped


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("write", "name", "more"),
    [
        (as_csv, "rows.csv", {}),
        (as_csv, "rows.data", {}),
        (as_blanks, "rows.txt", {"delimiter": WHITESPACE}),
        (as_json_lines, "rows.jsonl", {}),
        (as_json_array, "rows.json", {}),
    ],
)
def test_should_give_the_same_lines_for_the_same_rows_in_any_format(
    write: Any, name: str, more: Mapping[str, Any], compressed: bool, tmp_path: Path
) -> None:
    file = write(tmp_path / name)
    sink, _ = replayed(zipped(file) if compressed else file, **more)
    assert sink.lines() == replayed(as_parquet(tmp_path / "rows.parquet"))[0].lines()
    readings = decode_batch(b"".join(sink.lines())).readings
    assert [(r.device_id, r.ts - START, r.temperature, r.humidity) for r in readings] == [
        ("a", 0 * SECOND, 1.5, 40.0), ("b", SECOND, 2.5, None), ("a", 2 * SECOND, 3.5, 42.0)
    ]  # fmt: skip


def test_should_take_a_device_for_each_file_where_the_rows_name_none(tmp_path: Path) -> None:
    table(tmp_path / "cellar.2026.csv", {"time": [1_700_000_000], "temp": [11]})
    zipped(table(tmp_path / "attic.csv", {"temp": [31], "time": [1_700_000_001]}))
    sink, manifest = replayed(tmp_path / "*.csv*")
    assert [(line["device_id"], line["temperature"]) for line in sink.values()] == [("cellar", 11.0), ("attic", 31.0)]
    assert manifest.devices == 2


def test_should_read_the_rows_of_several_files_as_one_table_in_the_order_of_time(tmp_path: Path) -> None:
    late = table(tmp_path / "1.csv", {"ts": [30, 10], "device": ["a", "b"], "temp": [1, 2]})
    early = table(tmp_path / "2.csv", {"rh": [50, 60], "device": ["a", "b"], "ts": [20, 0]})
    sink, _ = replayed(late, early)
    assert [(line["device_id"], line["temperature"], line["humidity"]) for line in sink.values()] == [
        ("b", None, 60.0), ("b", 2.0, None), ("a", None, 50.0), ("a", 1.0, None)
    ]  # fmt: skip


def test_should_keep_the_order_of_the_files_within_a_moment(tmp_path: Path) -> None:
    first = table(tmp_path / "1.csv", {"ts": [7] * 500, "temp": [n / 10 for n in range(500)]})
    second = table(tmp_path / "2.csv", {"ts": [7] * 500, "temp": [n / 10 for n in range(500, 1_000)]})
    sink, _ = replayed(first, second, wanted=Wanted(fields={"device": "'d'"}))
    assert [line["temperature"] for line in sink.values()] == [n / 10 for n in range(1_000)]


BERLIN = Wanted(timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("written", "wanted", "meant"),
    [
        ("1700000000", Wanted(), "2023-11-14T22:13:20Z"),
        ("1700000000.25", Wanted(), "2023-11-14T22:13:20.250Z"),
        ("1.7E9", Wanted(), "2023-11-14T22:13:20Z"),
        ("1700000000123", Wanted(), "2023-11-14T22:13:20.123Z"),
        ("1700000000123456", Wanted(), "2023-11-14T22:13:20.123456Z"),
        ("1700000000123456789", Wanted(), "2023-11-14T22:13:20.123456Z"),
        ("0", Wanted(), "1970-01-01T00:00:00Z"),
        ("-1", Wanted(), "1969-12-31T23:59:59Z"),
        ("1700000000", BERLIN, "2023-11-14T22:13:20Z"),
        ("2026-07-01T12:00:00Z", BERLIN, "2026-07-01T12:00:00Z"),
        ("2026-07-01 12:00:00.5+05:30", BERLIN, "2026-07-01T06:30:00.500Z"),
        ("2026-07-01 12:00", Wanted(), "2026-07-01T12:00:00Z"),
        ("2026-07-01 12:00", BERLIN, "2026-07-01T10:00:00Z"),
        ("2026-01-01T12:00:00", BERLIN, "2026-01-01T11:00:00Z"),
        ("2026-07-01", BERLIN, "2026-06-30T22:00:00Z"),
        # The clocks are put back from 03:00 to 02:00, and forward from 02:00 to 03:00.
        ("2026-10-25 02:30", BERLIN, "2026-10-25T01:30:00Z"),
        ("2026-03-29 02:30", BERLIN, "2026-03-29T01:30:00Z"),
        ("31/01/2026 18:00", BERLIN, "2026-01-31T17:00:00Z"),
        ("01/31/2026 06:05:04 PM", Wanted(), "2026-01-31T18:05:04Z"),
        ("31.01.26 18:00", Wanted(), "2026-01-31T18:00:00Z"),
        ("1-31-2026 9:00", Wanted(), "2026-01-31T09:00:00Z"),
        ("03/04/2026 18.05", Wanted(time_format="%d/%m/%Y %H.%M"), "2026-04-03T18:05:00Z"),
        ("20260131", Wanted(time_format="%Y%m%d"), "2026-01-31T00:00:00Z"),
        ("31/Jan/2026:18:00:00 +0100", Wanted(time_format="%d/%b/%Y:%H:%M:%S %z"), "2026-01-31T17:00:00Z"),
    ],
)
def test_should_read_a_time_however_it_is_written(written: str, wanted: Wanted, meant: str, tmp_path: Path) -> None:
    expected = dt.datetime.fromisoformat(meant)
    assert times(table(tmp_path / "t.csv", {"time": [written], "temp": [1]}), wanted=wanted) == [expected]
    assert times(wrote(tmp_path / "t.json", json.dumps([{"time": written, "temp": 1}])), wanted=wanted) == [expected]


@pytest.mark.parametrize(
    ("array", "meant"),
    [
        (pa.array([dt.datetime(2026, 7, 1, 12)], pa.timestamp("ms")), "2026-07-01T10:00:00Z"),
        (pa.array([dt.datetime(2026, 7, 1, 12)], pa.timestamp("ns")), "2026-07-01T10:00:00Z"),
        (pa.array([dt.datetime(2026, 7, 1, 12)], pa.timestamp("us", "America/New_York")), "2026-07-01T12:00:00Z"),
        (pa.array([dt.date(2026, 7, 1)]), "2026-06-30T22:00:00Z"),
        (pa.array([1_700_000_000]), "2023-11-14T22:13:20Z"),
        (pa.array([1_700_000_000_250.0]), "2023-11-14T22:13:20.250Z"),
        (pa.array(["2026-07-01 12:00"]), "2026-07-01T10:00:00Z"),
    ],
)
def test_should_read_a_time_of_any_type(array: pa.Array, meant: str, tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"time": array, "temp": [1.0]}), file)
    assert times(file, wanted=BERLIN) == [dt.datetime.fromisoformat(meant)]


def test_should_leave_out_and_count_times_without_end(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    # How DuckDB and PostgreSQL write infinity.
    pq.write_table(pa.table({"time": pa.array([2**63 - 1, 0], pa.timestamp("us")), "temp": [1.0, 2.0]}), file)
    with open_dataset(source(file)) as dataset:
        assert dataset.skipped == [Finding("a time that cannot be read", 1, "infinity")]


@pytest.mark.parametrize("mapped", [{}, {"time": "date || ' ' || time"}])
def test_should_join_a_date_and_a_time_of_day(mapped: Mapping[str, str], tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"date": ["2026-07-01"], "time": ["9:05:00"], "temp": [1]})
    assert times(file, wanted=Wanted(fields=mapped)) == [dt.datetime(2026, 7, 1, 9, 5, tzinfo=dt.UTC)]


def test_should_tell_day_and_month_apart_by_a_row_far_down(tmp_path: Path) -> None:
    days = ["03/04/2026"] * 12_000 + ["03/31/2026"]
    found = times(table(tmp_path / "t.csv", {"date": days, "temp": [1] * len(days)}))
    assert (found[0], found[-1]) == (dt.datetime(2026, 3, 4, tzinfo=dt.UTC), dt.datetime(2026, 3, 31, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("columns", "field", "found"),
    [
        ({"Time": [0], "Temperature (C)": [1]}, "temperature", "Temperature (C)"),
        ({"time": [0], "RH (%)": [1]}, "humidity", "RH (%)"),
        ({"time": [0], "temp": [1], "battery_voltage": [3]}, "battery", "battery_voltage"),
        ({"time": [0], "temp": [1], "Device_ID": ["a"], "sensor": ["b"]}, "device", "Device_ID"),
        ({"time": [0, 1], "temp": [1, 2], "id": [7, 7]}, "device", "id"),
        ({"time": [0], "temp": [1], "location": ["hall"]}, "site", "location"),
        ({"time": [0], "temp": [1], "status": ["FAULT"]}, "status", "status"),
        ({"ts": [0], "date": ["2026-01-01"], "temp": [1]}, "time", "ts"),
    ],
)
def test_should_guess_what_a_column_is_by_its_name(
    columns: Mapping[str, Sequence[object]], field: str, found: str, tmp_path: Path
) -> None:
    with open_dataset(source(table(tmp_path / "t.csv", columns))) as dataset:
        assert (dataset.values[field].shown, dataset.values[field].guessed) == (found, True)


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        # The numbers of rows, somebody else's states.
        ({"time": [0, 1], "temp": [1, 2], "id": [7, 8]}, "device"),
        ({"time": [0], "temp": [1], "status": ["armed"]}, "status"),
        ({"time": [0], "temp": [1], "temp_f": [33]}, "humidity"),
    ],
)
def test_should_leave_alone_what_only_looks_like_a_field(
    columns: Mapping[str, Sequence[object]], field: str, tmp_path: Path
) -> None:
    with open_dataset(source(table(tmp_path / "t.csv", columns))) as dataset:
        assert field not in dataset.values


def test_should_map_columns_and_expressions(tmp_path: Path) -> None:
    file = table(
        tmp_path / "t.csv",
        {"when": [10, 11], "mote": ["07", "8"], "lab": ["x y", ""], "t 1": [1, 2], "v": ["", 3500], "state": [0, 1]},
    )
    fields = {
        "time": "WHEN", "device": "'m-' || mote", "site": "lab", "gateway": "'gw/' || lab", "temperature": "t 1",
        "battery": "v / 1000", "status": "CASE state WHEN 0 THEN 'ok' ELSE 'FAULT' END",
    }  # fmt: skip
    sink, _ = replayed(file, wanted=Wanted(fields=fields))
    assert sink.values() == [
        {"device_id": "m-07", "site": "x y", "ts": "2026-03-01T09:30:00Z", "seq": 1_772_357_400_000_000,
         "temperature": 1.0, "battery": None, "status": "ok"},
        {"device_id": "m-8", "site": "replay", "ts": "2026-03-01T09:30:01Z", "seq": 1_772_357_400_000_000,
         "temperature": 2.0, "battery": 3.5, "status": "fault"},
    ]  # fmt: skip
    assert [record.gateway for record in sink.records] == ["gw-x-y", "replay-gw-01"]


def test_should_reach_into_nested_json(tmp_path: Path) -> None:
    file = wrote(tmp_path / "t.jsonl", '{"ts":"2026-01-01T00:00:00Z","payload":{"temp":4.5,"dev":{"id":"n1"}}}\n')
    sink, _ = replayed(file, wanted=Wanted(fields={"temperature": "payload.temp", "device": "payload.dev.id"}))
    (line,) = sink.values()
    assert (line["device_id"], line["temperature"]) == ("n1", 4.5)


def test_should_keep_names_that_are_numbers_as_they_are(tmp_path: Path) -> None:
    as_text = table(tmp_path / "t.csv", {"ts": [0, 1], "device": ["007", "7"], "temp": [1, 2]})
    as_numbers = tmp_path / "t.parquet"
    pq.write_table(pa.table({"ts": [0, 1], "device": [7.0, 8.0], "temp": [1, 2]}), as_numbers)
    assert [line["device_id"] for line in replayed(as_text)[0].values()] == ["007", "7"]
    assert [line["device_id"] for line in replayed(as_numbers)[0].values()] == ["7", "8"]


def test_should_send_what_the_contract_refuses_as_it_is_and_say_so(tmp_path: Path) -> None:
    file = table(
        tmp_path / "t.csv",
        {
            "ts": range(8),
            "device": ["d"] * 7 + ["x" * 129],
            "temp": [20, 385.568, "warm", 20, 20, 20, "NaN", 20],
            "hum": [50, 50, 50, -3.9, "inf", 50, 50, 50],
            "state": ["ok", "ok", "ok", "ok", "OK", "armed", "", "ok"],
        },
    )
    with open_dataset(source(file), Wanted(fields={"status": "state"})) as dataset:
        sink = MemorySink()
        manifest = replay(dataset, plan(dataset, start=START, speed=0.0), sink)
        assert {(finding.words, finding.rows, finding.example) for finding in dataset.refused} == {
            ("temperature no number", 1, "warm"),
            ("temperature over 150", 1, "385.568"),
            ("humidity under 0", 1, "-3.9"),
            ("status none of degraded, fault, ok", 1, "armed"),
            ("device of more than 128 characters", 1, f"{'x' * 39}…"),
        }
        assert dataset.skipped == []
    assert [line["temperature"] for line in sink.values()] == [20.0, 385.568, "warm", 20.0, 20.0, 20.0, None, 20.0]
    assert [line["status"] for line in sink.values()] == ["ok"] * 5 + ["armed", "ok", "ok"]
    batch = decode_batch(b"".join(sink.lines()))
    assert Counter(rejected.reason for rejected in batch.rejected) == {"out_of_bounds": 4, "wrong_type": 1}
    assert (manifest.sent, manifest.malformed) == (8, 5)
    assert manifest.by_device["x" * 129].malformed == 1


def test_should_leave_out_and_count_what_has_no_time_or_no_device(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(
        b"time,device,temp\n0,a,1\n,a,2\nsoon,a,3\n1,,4\n2, ? ,5\n99999999999999999999,a,6\n3,b\xff,7\n4,a,8\n"
    )
    with open_dataset(source(file)) as dataset:
        assert set(dataset.skipped) == {
            Finding("no time", 1),
            Finding("a time that cannot be read", 2, "99999999999999999999"),
            Finding("no device", 2),
            Finding("not in the encoding of the file, or no row at all", 1),
        }
        assert (dataset.rows, dataset.readings) == (8, 2)
        sink = MemorySink()
        assert replay(dataset, plan(dataset, speed=0.0), sink).sent == 2
    assert [line["temperature"] for line in sink.values()] == [1.0, 8.0]


def test_should_leave_out_a_broken_line_of_json(tmp_path: Path) -> None:
    file = wrote(tmp_path / "t.jsonl", '{"ts":0,"temp":1}\n{"ts":1,"te\n{"ts":2,"temp":3}\n')
    with open_dataset(source(file)) as dataset:
        assert (dataset.rows, dataset.readings, dataset.skipped) == (3, 2, [Finding("no time", 1)])


def test_should_read_other_encodings(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes("ts,device,temp (°C)\n0,Kühlraum,4\n".encode("latin-1"))
    sink, _ = replayed(file, encoding="latin-1", wanted=Wanted(fields={"temperature": "temp (°C)"}))
    assert [(line["device_id"], line["temperature"]) for line in sink.values()] == [("Kühlraum", 4.0)]


@pytest.mark.parametrize("nothing", ["", "NA", "nan", " ", "None", "-", "?", "-200", "-999"])
def test_should_take_what_stands_for_nothing_for_nothing(nothing: str, tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": [0, 1], "temp": [nothing, 5], "rh": [nothing, 6]})
    wanted = Wanted(nothing=("-200", "-999"), fields={"humidity": "rh * 2"})
    sink, manifest = replayed(file, wanted=wanted)
    assert [(line["temperature"], line["humidity"]) for line in sink.values()] == [(None, None), (5.0, 12.0)]
    assert manifest.malformed == 0


def test_should_take_numbers_that_stand_for_nothing_in_columns_of_numbers(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"ts": [0, 1], "temp": [-200.0, 5.0]}), file)
    sink, _ = replayed(file, wanted=Wanted(nothing=("-200",)))
    assert [line["temperature"] for line in sink.values()] == [None, 5.0]


def test_should_take_only_the_rows_that_are_asked_for(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": range(10), "mote": [*"aabb"] * 2 + [*"ab"], "temp": range(10)})
    sink, manifest = replayed(file, wanted=Wanted(where="mote = 'b' AND temp > 2"))
    assert [line["temperature"] for line in sink.values()] == [3.0, 6.0, 7.0, 9.0]
    assert manifest.devices == 1


def test_should_count_the_values_that_an_expression_cannot_read(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": range(20), "f": [*range(19), "ERR"]})
    with open_dataset(source(file), Wanted(fields={"temperature": "f * 1"})) as dataset:
        assert dataset.noted == [Finding("no number in f, which has numbers elsewhere", 1)]


def test_should_send_the_numbers_that_the_data_has_and_count_its_copies(tmp_path: Path) -> None:
    file = table(
        tmp_path / "t.csv",
        {
            "ts": [5, 5, 5, 6, 7, 8, 9, 10, 10],
            "temp": [1, 1, 2, 1, 1, 1, 1, 999, 999],
            "seq": [3, 3, 3, "4.0", "", "4.5", -1, 6, 6],
        },
    )
    sink, manifest = replayed(file)
    assert [line["seq"] for line in sink.values()] == [3, 3, 3, 4, None, "4.5", -1, 6, 6]
    assert (manifest.sent, manifest.duplicates, manifest.malformed) == (9, 1, 5)
    batch = decode_batch(b"".join(sink.lines()))
    assert len(batch.rejected) == manifest.malformed
    assert (
        len({msgspec.json.encode(reading) for reading in batch.readings}) == len(batch.readings) - manifest.duplicates
    )


def test_should_number_what_is_replayed_later_higher_and_the_same_replay_alike(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": range(50), "temp": range(50)})
    first, again, later = (
        replayed(file, start=start)[0] for start in (START, START, START + dt.timedelta(milliseconds=1))
    )
    assert first.lines() == again.lines()
    assert min(line["seq"] for line in later.values()) > max(line["seq"] for line in first.values())


@pytest.mark.parametrize("batch", [1, 7, 5_000])
def test_should_send_the_same_lines_whatever_the_batch(batch: int, tmp_path: Path) -> None:
    rows = range(2_000)
    file = table(tmp_path / "t.csv", {"ts": [n // 5 for n in rows], "device": [n % 30 for n in rows], "temp": rows})
    wanted = Wanted(fields={"temperature": "temp / 100", "site": "device % 3"})
    sink, manifest = replayed(file, wanted=wanted, batch=batch)
    other, _ = replayed(file, wanted=wanted)
    assert sorted(sink.lines()) == sorted(other.lines())
    assert sum(record.lines for record in sink.records) == manifest.sent == 2_000
    assert max(record.lines for record in sink.records) == min(batch, 100)
    assert [record.at for record in sink.records] == sorted(record.at for record in sink.records)
    for record in sink.records:
        readings = decode_batch(record.payload).readings
        assert len(readings) == record.lines
        assert {f"{reading.site}-gw-01" for reading in readings} == {record.gateway}
        assert [reading.ts for reading in readings] == sorted(reading.ts for reading in readings)
        assert readings[-1].ts.timestamp() <= record.at <= readings[0].ts.timestamp() + 60


@pytest.mark.parametrize("rows_at_once", [1, 7, 64])
def test_should_send_the_same_records_however_many_rows_are_read_at_once(
    rows_at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = range(500)
    # Many at one moment, and a pause.
    columns = {"ts": [n // 150 * 45 for n in rows], "device": [n % 7 for n in rows], "temp": [n % 50 for n in rows]}
    file = table(tmp_path / "t.csv", columns)
    wanted = Wanted(fields={"site": "device % 2"})
    whole, _ = replayed(file, wanted=wanted, batch=20)
    monkeypatch.setattr(replaying, "_SLICE", rows_at_once)
    sliced, _ = replayed(file, wanted=wanted, batch=20)
    assert sorted(sliced.records, key=lambda r: (r.at, r.gateway)) == sorted(
        whole.records, key=lambda r: (r.at, r.gateway)
    )
    assert [record.at for record in sliced.records] == sorted(record.at for record in whole.records)


def test_should_keep_records_small_where_lines_are_long(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": [0] * 8, "temp": [1] * 8, "state": ["x" * 300_000] * 8})
    sink, manifest = replayed(file, wanted=Wanted(fields={"status": "state"}))
    assert sum(record.lines for record in sink.records) == manifest.malformed == 8
    assert max(len(record.payload) for record in sink.records) <= MAX_RECORD_BYTES


def test_should_spread_the_devices_of_a_site_over_gateways(tmp_path: Path) -> None:
    columns: dict[str, Sequence[object]] = {"ts": range(10), "temp": range(10)}
    columns |= {"device": [*"abcdeabcde"], "site": [*"xxxxyxxxxy"]}
    file = table(tmp_path / "t.csv", columns)
    sink, manifest = replayed(file, per_gateway=2)
    gateways = {
        line["device_id"]: record.gateway
        for record in sink.records
        for line in map(msgspec.json.decode, record.payload.splitlines())
    }
    assert gateways == {"a": "x-gw-01", "b": "x-gw-01", "c": "x-gw-02", "d": "x-gw-02", "e": "y-gw-01"}
    assert manifest.gateways == 3


def test_should_list_the_devices_where_they_were_last(tmp_path: Path) -> None:
    columns: dict[str, Sequence[object]] = {"ts": [0, 5, 3], "temp": [1, 2, 3]}
    columns |= {"device": ["a, b", "a, b", "c"], "site": ["old", "new", "x"]}
    with open_dataset(source(table(tmp_path / "fridges.2026.csv", columns))) as dataset:
        assert parse_registry(dataset.registry_csv()).devices == {
            "a, b": Device("new", {"model": "fridges"}),
            "c": Device("x", {"model": "fridges"}),
        }


def test_should_keep_the_times_of_the_data_if_told_to(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": [100, 160], "temp": [1, 2]})
    sink, manifest = replayed(file, start=None, shift=False)
    assert [line["ts"] for line in sink.values()] == ["1970-01-01T00:01:40Z", "1970-01-01T00:02:40Z"]
    assert (manifest.started_at, manifest.ended_at) == (moment(100_000_000), moment(160_000_000))


@pytest.mark.parametrize(("speed", "ago"), [(0.0, 100), (1.0, 0), (4.0, 75), (0.5, 0)])
def test_should_begin_so_that_the_data_ends_when_the_replay_does(speed: float, ago: float, tmp_path: Path) -> None:
    with open_dataset(source(table(tmp_path / "t.csv", {"ts": [0, 100], "temp": [1, 2]}))) as dataset:
        planned = plan(dataset, speed=speed)
    begins = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago)
    assert abs(planned.since - begins) < 10 * SECOND
    assert planned.until - planned.since == 100 * SECOND


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"batch": 0}, "at least one line"),
        ({"speed": -1.0}, "run backwards"),
        ({"start": START, "shift": False}, "give one of them"),
        ({"start": dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.UTC)}, "after the year 9999"),
    ],
)
def test_should_refuse_a_plan_that_makes_no_sense(more: Mapping[str, Any], words: str, tmp_path: Path) -> None:
    with (
        open_dataset(source(table(tmp_path / "t.csv", {"ts": [0, 100], "temp": [1, 2]}))) as dataset,
        pytest.raises(ValueError, match=words),
    ):
        plan(dataset, **more)


def test_should_send_at_the_time_and_end_when_it_ends(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": [0, 1, 10, 20], "temp": [1, 2, 3, 4]})
    progress: list[Counts] = []
    sink = MemorySink()
    with open_dataset(source(file)) as dataset:
        began = dt.datetime.now(dt.UTC)
        planned = plan(dataset, speed=50.0)
        manifest = replay(dataset, planned, sink, on_progress=progress.append)
        took = dt.datetime.now(dt.UTC) - began
    assert dt.timedelta(seconds=0.4) <= took < dt.timedelta(seconds=5)
    assert abs(manifest.ended_at - (began + took)) < took + SECOND
    assert manifest.sent == 4
    assert progress[-1].sent == 4
    # A second of waiting is 50 of the data: all of it is one batch.
    assert [record.lines for record in sink.records] == [4]


def test_should_say_what_was_sent_when_it_is_stopped(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": range(0, 100_000, 10), "temp": [1] * 10_000})
    sink, progress = MemorySink(), list[Counts]()
    with open_dataset(source(file)) as dataset:
        planned = plan(dataset, start=START, speed=1_000.0)
        manifest = replay(dataset, planned, sink, stopped=lambda: bool(progress), on_progress=progress.append)
    assert 0 < manifest.sent == len(sink.lines()) < 10_000
    assert START < manifest.ended_at < planned.until


def test_should_count_what_the_sink_refuses(tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", {"ts": range(6), "temp": [1] * 6, "site": [*"xyxyxx"], "device": [*"abcdef"]})
    _, manifest = replayed(file, sink=MemorySink(refuses="y-gw-01"))
    assert (manifest.sent, manifest.refused, manifest.refusal) == (4, 2, "not today")
    assert manifest.by_device["b"].refused == 1


@pytest.mark.parametrize(
    ("name", "text", "wanted", "more", "words"),
    [
        ("t.csv", "ts,temp\n", {}, {}, "no row that can be a reading"),
        ("t.csv", "ts,temp\nsoon,1\n", {}, {}, "1 row: a time that cannot be read, such as 'soon'"),
        ("t.csv", "a,temp\n1,1\n", {}, {}, "no column looks like the time; give --map time=COLUMN with one of a, temp"),
        ("t.csv", "ts,b\n1,1\n", {}, {}, "no column looks like temperature, humidity or battery"),
        ("t.csv", "ts,temp\n1,1\n", {"fields": {"colour": "temp"}}, {}, "no such field; it is one of time, device"),
        ("t.csv", "ts,temp\n1,1\n", {"fields": {"site": "hall"}}, {}, "is written --map site=\"'hall'\""),
        ("t.csv", "ts,temp\n1,1\n", {"fields": {"site": "1 +"}}, {}, "--map site=1 \\+: syntax error"),
        ("t.csv", "ts,temp\n1,1\n", {"where": "colour = 1"}, {}, "--where colour = 1: .* the columns are ts, temp"),
        ("t.csv", "ts,temp\n1,1\n", {"timezone": "Mars/Olympus"}, {}, "--timezone Mars/Olympus: "),
        ("t.csv", "ts,temp\n03/04/2026,1\n", {}, {}, "03/04/2026 can be read as %d/%m/%Y or %m/%d/%Y; say which"),
        ("t.csv", "a,temp\n1,1\n", {"fields": {"time": "TIME '12:00'"}}, {}, "the type TIME, which is not a moment"),
        ("t.csv", 'ts,temp\n1,"1\n' + "2,2\n" * 9_000, {}, {"delimiter": ","}, "a double quote is not closed"),
        ("t.zip", "PK", {}, {}, "unpack it"),
        ("t.parquet", "no", {}, {}, "cannot read .*t.parquet: "),
        ("t.json", "[1, 2]", {}, {}, "no objects"),
        ("t.json", "{}", {}, {"delimiter": ";"}, "are for CSV"),
        ("t.csv", "ts,temp\n1,1\n", {}, {"format": Format.parquet}, "cannot read .*t.csv: "),
    ],
)  # fmt: skip
def test_should_say_in_one_line_why_a_data_set_cannot_be_used(
    *, name: str, text: str, wanted: Mapping[str, Any], more: Mapping[str, Any], words: str, tmp_path: Path
) -> None:
    with (
        pytest.raises(DatasetError, match=words) as caught,
        open_dataset(source(wrote(tmp_path / name, text), **more), Wanted(**wanted)),
    ):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "words"),
    [("https://example.com/data.csv", "not on this machine"), ("/nowhere/*.csv", "there is no file"), ("/", "no file")],
)
def test_should_read_files_of_this_machine_only(file: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words), open_dataset(Source(files=(file,))):
        pass


def test_should_leave_no_files_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(work))
    with open_dataset(source(table(tmp_path / "t.csv", {"ts": [0], "temp": [1]}))):
        assert list(work.iterdir())
    assert not list(work.iterdir())


_TIMES = st.one_of(
    st.none(),
    st.just("never"),
    st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1), timezones=st.just(dt.UTC)),
)
_TEMPERATURES = st.one_of(st.none(), st.just("warm"), st.floats(-300, 300))
_ROW = st.tuples(_TIMES, st.sampled_from([None, "a", "b", 'ü, "x"']), _TEMPERATURES, st.sampled_from(["x", "y"]))


@settings(max_examples=60)
@given(rows=st.lists(_ROW, min_size=1, max_size=40), batch=st.integers(1, 9), kind=st.sampled_from(["csv", "jsonl"]))
def test_should_make_every_row_one_line_or_count_it(
    rows: list[tuple[Any, ...]], batch: int, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("rows") / f"rows.{kind}"
    cells = [
        (t.isoformat() if isinstance(t, dt.datetime) else t, device, value, site) for t, device, value, site in rows
    ]
    if kind == "csv":
        columns = {
            name: ["" if row[place] is None else row[place] for row in cells] for place, name in enumerate(NAMES)
        }
        table(file, columns)
    else:
        wrote(file, "".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in cells))
    good = [row for row in rows if isinstance(row[0], dt.datetime) and row[1] is not None]
    fields = {name: name for name in ("time", "device", "temperature", "site")}
    if not good:
        with pytest.raises(DatasetError), open_dataset(source(file), Wanted(fields=fields)):
            pass
        return
    sink = MemorySink()
    with open_dataset(source(file), Wanted(fields=fields)) as dataset:
        manifest = replay(dataset, plan(dataset, start=START, speed=0.0, batch=batch), sink)
        assert sum(finding.rows for finding in dataset.skipped) == len(rows) - len(good)
        assert (dataset.rows, dataset.readings) == (len(rows), len(good))
    shift = START - min(row[0] for row in good)
    sent = [
        (dt.datetime.fromisoformat(line["ts"]) - shift, line["device_id"], line["temperature"], line["site"])
        for line in sink.values()
    ]
    assert Counter(sent) == Counter(good)
    assert manifest.sent == len(good)
    batches = [decode_batch(record.payload) for record in sink.records]
    assert sum(len(each.rejected) for each in batches) == manifest.malformed
    assert manifest.malformed == sum(t == "warm" or (t is not None and not -100 <= t <= 150) for _, _, t, _ in good)
    # Each device's are counted in the order of time, and of rows within the same moment.
    ordered = sorted(good, key=lambda row: row[0])
    for device in {row[1] for row in good}:
        lines = sorted((line for line in sink.values() if line["device_id"] == device), key=lambda line: line["seq"])
        first = lines[0]["seq"]
        assert [line["seq"] for line in lines] == list(range(first, first + len(lines)))
        assert [line["temperature"] for line in lines] == [row[2] for row in ordered if row[1] == device]


NAMES = ("time", "device", "temperature", "site")
