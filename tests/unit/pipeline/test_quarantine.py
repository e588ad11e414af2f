"""Looking at quarantined lines, and what of them goes back to the stream."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import get_args

import boto3
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import quarantine
from pipeline.errors import PipelineError
from pipeline.quarantine import Offered, Quarantined, QuarantineReason, Refused, Selection
from simulator.sinks.record import MAX_RECORD_BYTES, Record
from simulator.sinks.sink import Delivery, SinkError
from telemetry.reading.codec import Reason, decode_batch, encode_batch
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.tables.curated import QUARANTINE
from tests.strategies import readings
from tests.unit.pipeline.alerting import DEPLOYED, NOW, reading
from tests.unit.pipeline.lake import Lake

KEY = "raw/dt=2026-11-23/hour=12/firehose-1"
SESSION = boto3.Session()


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Lake:
    lake = Lake(QUARANTINE)
    monkeypatch.setattr(quarantine, "query", lake.query)
    return lake


def add(
    lake: Lake, line_id: str, line: str, *, reason: QuarantineReason = "not_json", days: int = 0, number: int = 1
) -> None:
    arrived = NOW + dt.timedelta(days=days)
    lake.add(
        QUARANTINE, f"{arrived:%Y-%m-%d}", id=line_id, reason=reason, detail="d", line=line, arrived=arrived,
        raw_object=KEY, raw_line=number, raw_offset=0,
    )  # fmt: skip


def ids(found: Sequence[Quarantined]) -> list[str]:
    return [line.id for line in found]


def test_should_list_the_newest_lines_first_and_as_they_are(lake: Lake) -> None:
    texts = ["", "NaN", "|", '{"a": "quoted", \r\n', " \t\\xff\\\\r\\0 \0 ", "None", "\N{SNOWMAN}"]
    for number, text in enumerate(texts):
        add(lake, f"{number:016x}", text, number=number + 1)
    add(lake, "f" * 16, "older", days=-1, number=99)
    found = quarantine.lines(SESSION, DEPLOYED, Selection())
    assert [line.line for line in found] == [*reversed(texts), "older"]
    assert found[0] == Quarantined(
        id=f"{6:016x}",
        reason="not_json",
        detail="d",
        line="\N{SNOWMAN}",
        arrived=NOW,
        raw_object=KEY,
        raw_line=7,
        raw_offset=0,
    )
    assert ids(quarantine.lines(SESSION, DEPLOYED, Selection(), limit=2)) == [f"{6:016x}", f"{5:016x}"]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ["c", "b", "a"]),
        (Selection(reason="wrong_type"), ["c", "a"]),
        (Selection(first=NOW.date()), ["c", "b"]),
        (Selection(last=NOW.date()), ["b", "a"]),
        (Selection(first=NOW.date(), last=NOW.date()), ["b"]),
        (Selection(reason="wrong_type", first=NOW.date()), ["c"]),
        (Selection(reason="conflict"), []),
    ],
)
def test_should_list_and_count_only_what_is_asked_for(lake: Lake, selection: Selection, expected: list[str]) -> None:
    add(lake, "a", "x", reason="wrong_type", days=-1)
    add(lake, "b", "x")
    add(lake, "c", "x", reason="wrong_type", days=1)
    assert ids(quarantine.lines(SESSION, DEPLOYED, selection)) == expected
    assert sum(quarantine.counts(SESSION, DEPLOYED, selection).values()) == len(expected)


def test_should_count_the_most_frequent_reason_first(lake: Lake) -> None:
    add(lake, "a", "x", reason="not_json")
    add(lake, "b", "x", reason="wrong_type")
    add(lake, "c", "x", reason="wrong_type")
    assert list(quarantine.counts(SESSION, DEPLOYED, Selection()).items()) == [("wrong_type", 2), ("not_json", 1)]


def test_should_find_a_line_by_the_beginning_of_its_id(lake: Lake) -> None:
    add(lake, "3f2a9c0102030405", "one")
    add(lake, "3f2a9c01ffffffff", "two")
    assert quarantine.by_id(SESSION, DEPLOYED, "3f2a9c0102").line == "one"
    assert quarantine.by_id(SESSION, DEPLOYED, "3f2a9c01ffffffff").line == "two"


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("3f2a9c01", "3f2a9c01 is the beginning of several lines' ids: 3f2a9c0102030405, 3f2a9c01ffffffff; give more"),
        ("ffff", "no line ffff is in quarantine; 'iot quarantine list' shows those that are"),
        ("3f2", "invalid line id '3f2': give at least its first 4 characters"),
        ("3f2a%", "invalid line id '3f2a%'"),
        ("a' OR '1'='1", "invalid line id \"a' OR '1'='1\""),
    ],
)
def test_should_say_which_line_it_is_not(lake: Lake, prefix: str, said: str) -> None:
    add(lake, "3f2a9c0102030405", "one")
    add(lake, "3f2a9c01ffffffff", "two")
    with pytest.raises(PipelineError) as raised:
        quarantine.by_id(SESSION, DEPLOYED, prefix)
    assert str(raised.value).startswith(said)


def test_should_know_every_reason_and_ask_for_columns_that_there_are() -> None:
    assert get_args(QuarantineReason) == (*get_args(Reason), "corrupt_object", "conflict")
    assert set(Quarantined.__struct_fields__) <= set(QUARANTINE.column_names)


GOOD = encode_batch([reading("d1", temperature=21.0)]).strip()


def listed(line: str, reason: str = "wrong_type") -> bytes:
    return msgspec.json.encode(
        Quarantined(id="3f2a", reason=reason, line=line, arrived=NOW, raw_object=KEY, raw_line=1)
    )


def test_should_take_bare_lines_and_objects_of_the_list() -> None:
    text = b"\n".join([listed(GOOD.decode()), b"", GOOD, b" \t", b"garbage", b""])
    assert quarantine.offered(text) == (
        [Offered("line 1 (3f2a)", GOOD), Offered("line 3", GOOD), Offered("line 5", b"garbage")],
        [],
    )


def test_should_take_the_line_as_an_object_and_without_the_rest() -> None:
    text = b'{"line": ' + GOOD + b"}\n" + b'{"line":null}\n{"line": "\\u0007"}\n{"id":"x"}\n'
    assert quarantine.offered(text).lines == [
        Offered("line 1", GOOD),
        Offered("line 2", b"null"),
        Offered("line 3", b"\x07"),
        Offered("line 4", b'{"id":"x"}'),
    ]


def test_should_take_a_reading_with_a_field_called_line_for_a_reading() -> None:
    line = GOOD[:-1] + b',"line":"3"}'
    assert quarantine.offered(line).lines == [Offered("line 1", line)]


def test_should_name_the_conflicts_among_what_is_offered() -> None:
    assert quarantine.offered(listed("x", "conflict") + b"\n" + listed("y")).conflicts == ["3f2a"]


@given(st.lists(st.binary(max_size=40) | st.text(max_size=20).map(str.encode)))
def test_should_offer_whatever_is_in_a_file_and_never_fail(lines: list[bytes]) -> None:
    offer = quarantine.offered(b"\n".join(lines))
    split = [line for line in b"\n".join(lines).split(b"\n") if line and not line.isspace()]
    assert len(offer.lines) == len(split)
    assert quarantine.sort(offer.lines, NOW).good == []


@given(st.lists(readings, max_size=5), st.booleans())
def test_should_offer_the_lines_that_the_list_prints(sent: list[Reading], as_listed: bool) -> None:
    lines = [encode_batch([one]).strip(b"\n") for one in sent]
    text = b"\n".join(listed(line.decode()) for line in lines) if as_listed else b"\n".join(lines)
    assert [line for _, line in quarantine.offered(text).lines] == lines


def test_should_sort_out_what_is_still_no_reading() -> None:
    huge = GOOD[:-1] + b',"more":"' + b"x" * MAX_RECORD_BYTES + b'"}'
    found = quarantine.sort(
        [
            Offered("a", GOOD),
            Offered("b", GOOD.replace(b"21.0", b'"warm"')),
            Offered("c", GOOD + b"\nnope"),
            Offered("d", b""),
            Offered("e", huge),
            Offered("f", GOOD + b"\r"),
        ],
        NOW,
    )
    assert found.good == [GOOD, GOOD + b"\r"]
    assert [(one.name, one.reason) for one in found.refused] == [
        ("b", "wrong_type"),
        ("c", "not_json"),
        ("d", "empty"),
        ("e", "too_long"),
    ]
    assert found.refused[0] == Refused("b", "wrong_type", "Expected `float | null`, got `str` - at `$.temperature`")


def test_should_refuse_readings_that_are_too_old_by_now() -> None:
    latest = NOW + MAX_LATENESS
    assert quarantine.sort([Offered("a", GOOD)], latest).good == [GOOD]
    (refused,) = quarantine.sort([Offered("a", GOOD)], latest + dt.timedelta(seconds=1)).refused
    assert (refused.name, refused.reason) == ("a", "too_late")


class Stream:
    """Takes records, after the first ``takes`` of them none."""

    def __init__(self, takes: int = 1000, *, fails: bool = False) -> None:
        self.records: list[Record] = []
        self._takes, self._fails = takes, fails

    def send(self, records: Sequence[Record], /) -> Delivery:
        self.records += records[: self._takes]
        rest = tuple(records[self._takes :])
        if rest and self._fails:
            error = SinkError("the stream is gone")
            error.unsent = rest
            raise error
        return Delivery(refused=rest, reason="throttled" if rest else "")


@given(
    st.lists(st.sampled_from([1, 10, MAX_RECORD_BYTES // 3, MAX_RECORD_BYTES // 2, MAX_RECORD_BYTES - 1]), max_size=8)
)
def test_should_send_every_line_once_and_in_order_in_records_that_firehose_takes(sizes: list[int]) -> None:
    lines = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    stream = Stream()
    quarantine.send(stream, lines)
    assert b"".join(record.payload for record in stream.records) == b"".join(line + b"\n" for line in lines)
    assert sum(record.lines for record in stream.records) == len(lines)
    assert all(0 < len(record.payload) <= MAX_RECORD_BYTES for record in stream.records)
    assert {record.gateway for record in stream.records} <= {"replay"}
    pairs = itertools.pairwise(len(record.payload) for record in stream.records)
    assert all(sum(pair) > MAX_RECORD_BYTES - max(sizes) for pair in pairs)


def test_should_send_what_the_detector_and_the_curation_decode() -> None:
    sent = [reading("d1", temperature=21.0), reading("d2", 5)]
    stream = Stream()
    quarantine.send(stream, [encode_batch([one]).strip() for one in sent])
    assert decode_batch(stream.records[0].payload, NOW) == (sent, [])


@pytest.mark.parametrize(("fails", "reason"), [(False, "throttled"), (True, "the stream is gone")])
def test_should_say_how_many_lines_were_not_sent(fails: bool, reason: str) -> None:
    line = b"x" * (MAX_RECORD_BYTES // 2 - 1)
    with pytest.raises(PipelineError) as raised:
        quarantine.send(Stream(1, fails=fails), [line] * 5)
    assert str(raised.value).startswith(f"3 of 5 lines were not sent ({reason}); replay all of them again")
