"""The codec: every valid reading round-trips, anything else comes back with a reason."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.reading.codec import Reason, _decode_line_by_line, decode_batch, encode_batch
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_ID_LENGTH, MAX_LATENESS, Reading
from tests.strategies import readings

ARRIVED = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
GOOD: dict[str, Any] = {"device_id": "d1", "site": "s1", "ts": "2026-11-23T11:59:59Z", "seq": 7, "status": "ok"}


def line(**changes: Any) -> bytes:
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not ...}).encode()


GOOD_LINE = line()
TOO_LATE = line(ts=(ARRIVED - MAX_LATENESS - dt.timedelta(seconds=1)).isoformat())


def verdict(data: bytes) -> list[Reason]:
    return [rejected.reason for rejected in decode_batch(data, ARRIVED).rejected]


@given(st.lists(readings, max_size=20))
def test_should_give_back_every_valid_reading(sent: list[Reading]) -> None:
    batch = decode_batch(encode_batch(sent))
    assert batch.readings == sent
    assert [rejected.reason for rejected in batch.rejected] == ([] if sent else ["empty"])


@given(st.lists(st.binary(max_size=80) | readings.map(lambda r: encode_batch([r]).rstrip()), max_size=12))
def test_should_account_for_every_line_of_any_bytes(lines: list[bytes]) -> None:
    data = b"".join(part + b"\n" for part in lines)
    batch = decode_batch(data, ARRIVED)
    written = [part for part in data.split(b"\n") if part.strip()]
    assert len(batch.readings) + len(batch.rejected) == max(1, len(written))


#: Pieces of which lines are made that a decoder of whole batches could take for others than they are.
whole_lines = st.sampled_from([GOOD_LINE, GOOD_LINE + b"\n", line(note="?"), TOO_LATE])
openings = st.sampled_from([GOOD_LINE[:-1] + b",", GOOD_LINE[:-1] + b',"x":', b'{"x":1'])
fragments = st.sampled_from([b"\n", b"\r", b" ", b"{", b"}", b",", b"[", b"]", b'"', b"\xff", b"}\n{", b'"x":{', b"{}"])
one_reading = readings.map(lambda reading: encode_batch([reading]))


@given(st.lists(whole_lines | openings | fragments | one_reading, max_size=12).map(b"".join), st.booleans())
@settings(max_examples=300)
def test_should_judge_a_whole_batch_as_line_by_line(data: bytes, timely: bool) -> None:
    arrived = ARRIVED if timely else None
    assert decode_batch(data, arrived) == _decode_line_by_line(data, arrived, keep_lines=True)


@pytest.mark.parametrize(
    "data",
    [
        GOOD_LINE + GOOD_LINE + b"\n" + GOOD_LINE.replace(b",", b",\n", 1),
        GOOD_LINE + GOOD_LINE + b"\n" + GOOD_LINE[:-1] + b',"x":\n{"y":1}}',
        GOOD_LINE + GOOD_LINE + b"\n" + GOOD_LINE[:-1] + b',"x":{}\n}',
        GOOD_LINE + GOOD_LINE + b"\n" + GOOD_LINE[:-1] + b',"x":"}\n{"}',
    ],
)
def test_should_not_take_readings_that_share_or_span_lines(data: bytes) -> None:
    batch = decode_batch(data, ARRIVED)
    assert batch.readings == []
    assert [rejected.line for rejected in batch.rejected] == data.split(b"\n")


@given(st.lists(readings, min_size=1, max_size=8), st.data())
def test_should_lose_only_the_cut_line_wherever_a_batch_is_cut(sent: list[Reading], data: st.DataObject) -> None:
    encoded = encode_batch(sent)
    cut = data.draw(st.integers(1, len(encoded)))
    batch = decode_batch(encoded[:cut])
    whole = encoded[:cut].count(b"\n")
    complete_but_unterminated = encoded[cut : cut + 1] == b"\n"
    assert batch.readings == sent[: whole + complete_but_unterminated]
    at_a_line_end = complete_but_unterminated or encoded[cut - 1 : cut] == b"\n"
    assert len(batch.rejected) == (0 if at_a_line_end else 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "not_json"),
        (line()[:-1], "not_json"),
        (line() + b"{}", "not_json"),
        (b"\xef\xbb\xbf" + line(), "not_json"),
        (line(x=float("nan")), "not_json"),
        (b'{"x":' + b"[" * 100_000, "not_json"),
        (b"a" * 2**20, "not_json"),
        (b"\xff\xfe", "not_utf8"),
        (line(note="?").replace(b"?", b"\xff"), "not_utf8"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b"{}", "missing_field"),
        *((line(**{name: ...}), "missing_field") for name in GOOD),
        (line(device_id=1), "wrong_type"),
        (line(device_id=None), "wrong_type"),
        (line(temperature="21"), "wrong_type"),
        (line(seq=1.0), "wrong_type"),
        (line(status=None), "wrong_type"),
        (line(ts="2026-11-23T11:59:59"), "wrong_type"),
        (line(ts="2026-13-23T11:59:59Z"), "wrong_type"),
        (line(ts=1_790_000_000), "wrong_type"),
        (line(device_id=""), "out_of_bounds"),
        (line(device_id="d" * (MAX_ID_LENGTH + 1)), "out_of_bounds"),
        (line(seq=-1), "out_of_bounds"),
        (line(seq=2**63), "out_of_bounds"),
        (line(seq=2**70), "out_of_bounds"),
        (line(temperature=1000), "out_of_bounds"),
        (line(humidity=-0.1), "out_of_bounds"),
        (line(temperature="?").replace(b'"?"', b"1e999"), "out_of_bounds"),
        (line(status="great"), "out_of_bounds"),
        (line(ts=(ARRIVED + MAX_CLOCK_SKEW + dt.timedelta(seconds=1)).isoformat()), "from_future"),
        (line(ts=(ARRIVED - MAX_LATENESS - dt.timedelta(seconds=1)).isoformat()), "too_late"),
    ],
)
def test_should_say_why_a_line_is_no_reading_and_keep_its_neighbours(data: bytes, reason: Reason) -> None:
    assert verdict(data) == [reason]
    surrounded = decode_batch(line(seq=1) + b"\n" + data.rstrip(b"\n") + b"\n" + line(seq=2) + b"\n", ARRIVED)
    assert [reading.seq for reading in surrounded.readings] == [1, 2]
    assert [(rejected.reason, rejected.line) for rejected in surrounded.rejected] == [(reason, data.rstrip(b"\n"))]


@pytest.mark.parametrize(
    "data",
    [
        line(),
        line() + b"\r\n",
        line(temperature=None, humidity=None, battery=None),
        line(device_id="never-seen-before"),
        line(firmware="1.2", nested={"a": [1]}),
        line(temperature=-0.0, humidity=100, battery=0),
        line(ts="2026-11-23T12:59:59.123456+01:00"),
        line(ts=(ARRIVED + MAX_CLOCK_SKEW).isoformat()),
        line(ts=(ARRIVED - MAX_LATENESS).isoformat()),
    ],
)
def test_should_accept_what_the_contract_allows(data: bytes) -> None:
    assert verdict(data) == []


@pytest.mark.parametrize("data", [b"", b"\n", b" \t\r\n\n"])
def test_should_say_that_a_record_without_a_line_is_empty(data: bytes) -> None:
    assert verdict(data) == ["empty"]


def test_should_take_a_blank_line_for_nothing() -> None:
    batch = decode_batch(b"\n" + line(seq=1) + b"\n\n" + line(seq=2) + b"\n \n", ARRIVED)
    assert [reading.seq for reading in batch.readings] == [1, 2]
    assert batch.rejected == []


def test_should_not_measure_what_is_null_or_absent() -> None:
    null, absent = decode_batch(line(humidity=None) + b"\n" + line(humidity=...)).readings
    assert null == absent
    assert null.humidity is None


def test_should_decode_a_record_of_one_mebibyte() -> None:
    one = line() + b"\n"
    count = 2**20 // len(one)
    assert len(decode_batch(one * count, ARRIVED).readings) == count
