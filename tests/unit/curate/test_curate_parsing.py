"""Lines to rows: DuckDB and the codec agree on every line, however it is written and wherever it lies."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_jobs.curate import lines, transform
from glue_jobs.curate.transform import Transform
from telemetry.codec import decode_batch, encode_batch
from telemetry.fields import FIELDS
from telemetry.reading import MAX_CLOCK_SKEW, MAX_LATENESS
from tests.strategies import readings
from tests.unit.curate.samples import ARRIVED, GOOD, curated, line, stored

Parsed = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def by_transform(data: bytes, folder: Path) -> Parsed:
    """The readings (with their line) and the refused lines as the transform sees them, before anything is removed."""
    with closing(Transform(folder)) as curation:
        curation.read_window([stored(data)])
        names = ", ".join(field.name for field in FIELDS)
        good = curation._db.execute(f"SELECT {names}, raw_line FROM parsed ORDER BY raw_line").fetchall()
        bad = curation._db.execute("SELECT reason, detail, line, raw_line FROM rejected ORDER BY raw_line").fetchall()
        return good, bad


def by_codec(data: bytes) -> Parsed:
    """The same by the codec: each line alone, for its number, and as many as it finds in the whole."""
    good: list[tuple[Any, ...]] = []
    bad: list[tuple[Any, ...]] = []
    whole = decode_batch(data, ARRIVED)
    if [rejected.reason for rejected in whole.rejected] == ["empty"]:
        return [], [("empty", whole.rejected[0].detail, "", 1)]
    for number, text in enumerate(data.split(b"\n"), start=1):
        batch = decode_batch(text, ARRIVED)
        for reading in batch.readings:
            ts = reading.ts.astimezone(dt.UTC).replace(tzinfo=None)
            good.append((*msgspec.structs.astuple(msgspec.structs.replace(reading, ts=ts)), number))
        for rejected in batch.rejected:
            if rejected.reason != "empty":
                text_kept = rejected.line.decode(errors="backslashreplace")
                bad.append((rejected.reason, rejected.detail, text_kept, number))
    assert (len(good), len(bad)) == (len(whole.readings), len(whole.rejected))
    return good, bad


#: Values as they stand in the line: right ones, wrong ones, and those that parsers disagree on.
_numbers = ["1", "0", "-1", "-0", "1.0", "1e3", "1E2", "0e0", "-0.0", "20.5", "1e999", "1e-999", "01", "+1", ".5", "1."]
_big = ["9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1" * 30 + "e-28"]
_words = ["NaN", "-nan", "Infinity", "-inf", "null", "true", "false"]
_texts = [
    '""',
    '"ok"',
    '"fault"',
    '"great"',
    '"1"',
    r'"\ud800"',
    r'"\u0000"',
    r'"\u00e9"',
    r'"\x"',
    '"😀"',
    r'"o\u006b"',
]
_nested = ["[]", "{}", "[1,]", '{"a":1,}', "[[NaN]]"]
_fragments = st.sampled_from([*_numbers, *_big, *_words, *_texts, *_nested])
_times = st.builds(
    "{}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}".format,
    st.sampled_from([2026, 2026, 2026, 0, 9999]),
    st.sampled_from([11, 11, 11, 2, 13]),
    st.sampled_from([23, 23, 22, 30, 0]),
    st.sampled_from("TTt _"),
    st.sampled_from([12, 12, 11, 24, 0]),
    st.sampled_from([0, 29, 60]),
    st.sampled_from([0, 59, 60]),
    st.sampled_from(["", ".5", ".123456", ".1234567", ".9999999", ".", ",5"]),
    st.sampled_from(["Z", "Z", "z", "+00:00", "-01:30", "+0100", "+01", "+15:59", "+24:00", "+01:60", "", " Z"]),
).map(json.dumps)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
).map(json.dumps)
_names = st.sampled_from([*GOOD, "temperature", "humidity", "battery"])
_keys = _names.map(json.dumps) | st.sampled_from(['"firmware"', '"s\\u0065q"', '"x"', '""', "seq"])
_space = st.sampled_from(["", "", "", " ", "\t", "\r", "\f"])


@st.composite
def _written(draw: st.DrawFn) -> bytes:
    """A reading close to its arrival, with some members replaced, added, removed or repeated, and odd punctuation."""
    reading = draw(readings)
    ts = ARRIVED - draw(st.timedeltas(-2 * MAX_CLOCK_SKEW, MAX_LATENESS + 2 * MAX_CLOCK_SKEW))
    good = json.loads(encode_batch([msgspec.structs.replace(reading, ts=ts)]))
    ascii_only = draw(st.booleans())
    members = [(json.dumps(name), json.dumps(value, ensure_ascii=ascii_only)) for name, value in good.items()]
    for _ in range(draw(st.integers(0, 2))):
        member = (draw(_keys), draw(_fragments | _times | _json))
        change = draw(st.sampled_from(["replace", "replace", "add", "add", "remove"]))
        if change == "add":
            members.insert(draw(st.integers(0, len(members))), member)
        else:
            members = [other for other in members if other[0] != member[0]]
            members += [member] if change == "replace" else []
    inside = draw(_space)
    text = "{" + f",{inside}".join(f"{name}:{inside}{value}" for name, value in members)
    text += draw(st.sampled_from(["}"] * 8 + [" }", ",}", ", }", "", "}}", "},", "}x"])) + draw(_space)
    return text.replace("\n", " ").encode()


#: What is blank, and what only looks so.
_blanks = st.sampled_from([b"", b"\r", b" \t", b"\x0b\x0c", b"\x1c", b"\x85", "\x85".encode(), "\u2003".encode()])
_noise = st.binary(max_size=60).filter(lambda data: not data.startswith(b"\x1f\x8b"))
_lines = _written() | readings.map(lambda reading: encode_batch([reading]).rstrip()) | _noise | _blanks
_ends = st.sampled_from([b"\n", b"\n\n", b"\r\n"])


@given(st.lists(_lines, max_size=8), _ends, st.booleans())
def test_should_judge_and_read_every_line_as_the_codec_does(
    tmp_path_factory: pytest.TempPathFactory, some: list[bytes], end: bytes, ended: bool
) -> None:
    data = end.join(some) + (end if ended else b"")
    assert by_transform(data, tmp_path_factory.getbasetemp()) == by_codec(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        b"  \t ",
        b" \n\r\n\x0b\n",
        line() + b"\n\n" + line(seq=8) + b"\n\n",
        b"\n\noops\n \n\xff\n\n" + line(),
        line() + b"\r\n" + line(seq=8) + b"\r\n",
        b"\xef\xbb\xbf" + line(),
        line() + b"{}",
        b"[]\nnull\n1\n{}",
        line().replace(b"d1", b"d\x001"),
        line(note="?").replace(b"?", b"\xff") + b"\n" + line() + b"\n\xfe\n\xfd",
        line(x=float("nan")),
        line(x=[1, 2]).replace(b"2]", b"2,]"),
        line(x="[".join("NaN,}")),
        b'{"x":' + b"[" * 100_000,
        line().replace(b"{", b'{"x":' + b"[" * 5000 + b"]" * 5000 + b",", 1),
        line().replace(b'"seq": 7', b'"seq": 7, "seq": 8'),
        line().replace(b'"seq": 7', b'"seq": "x", "seq": 8'),
        b"a" * 2**20,
        line(note="n" * 2**20) + b"\n" + line(),
        line(device_id="ü" * 128) + b"\n" + line(device_id="ü" * 129) + b"\n" + line(device_id=""),
        *(line(ts=f"2026-11-23T12:29:59{rest}") for rest in (".1234567Z", ".9999999Z", ".Z", ",5Z", "", "UTC", " Z")),
        *(line(ts=f"2026-11-23T12:29:59{offset}") for offset in ("+00", "+0000", "-00:00", "+24:00", "+00:60", "z")),
        *(line(ts=f"2026-11-2{rest}Z") for rest in ("2T24:00:00", "3T12:29:60", "3t12:00:00", "3 12:00:00", "2T12:00")),
        line(ts="2026-11-24T04:00:00+15:59"),
        line(ts="2026-11-24T11:59:00+23:59"),
        *(line(ts=(ARRIVED + MAX_CLOCK_SKEW + dt.timedelta(microseconds=late)).isoformat()) for late in (0, 1)),
        *(line(ts=(ARRIVED - MAX_LATENESS - dt.timedelta(microseconds=early)).isoformat()) for early in (0, 1)),
    ],
)
def test_should_agree_with_the_codec_on_what_is_hard_to_parse(data: bytes, tmp_path: Path) -> None:
    assert by_transform(data, tmp_path) == by_codec(data)


@given(st.lists(readings, min_size=1, max_size=20), st.booleans(), _ends)
def test_should_need_no_codec_for_good_lines_and_blank_ones(
    tmp_path_factory: pytest.TempPathFactory, some: list[Any], unknown_field: bool, end: bytes
) -> None:
    timely = [msgspec.structs.replace(reading, ts=ARRIVED, device_id="d1", site="s1") for reading in some]
    data = encode_batch(timely).replace(b"\n", end)
    if unknown_field:
        data = data.replace(b"{", b'{"firmware":{"version":[1,2]},')

    def decide(*_: object) -> None:
        raise AssertionError("a good line went to the codec")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transform, "decode_batch", decide)
        good, bad = by_transform(data, tmp_path_factory.getbasetemp())
    assert len(good) == len(some)
    assert bad == []


@given(st.lists(st.sampled_from([b"", line(), b"\xff", b"x" * 30, line(seq=8)]), max_size=12), st.integers(1, 200))
def test_should_read_an_object_alike_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, some: list[bytes], size: int
) -> None:
    data = b"\n".join(some)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_PIECE_BYTES", size)
        patch.setattr(transform, "_BATCH_BYTES", 2 * size)
        patch.setattr(transform, "_ROWS_A_THREAD", 2)
        patch.setattr(transform, "_DECIDED_AT_ONCE", 2)
        assert by_transform(data, tmp_path_factory.getbasetemp()) == by_codec(data)


def test_should_tell_gzip_by_its_first_bytes() -> None:
    plain = curated([stored(line() + b"\n" + line(seq=8))])
    compressed = curated([stored(gzip.compress(line() + b"\n") + gzip.compress(line(seq=8) + b"\n"))])
    assert compressed == plain
    assert len(plain["readings"]) == 2


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:20] + b"\xff" * 20 + data[40:]])
def test_should_quarantine_an_object_that_cannot_be_decompressed_and_read_the_others(damage: Any) -> None:
    broken = damage(gzip.compress(b"\n".join(line(seq=seq) for seq in range(100))))
    rows = curated([stored(broken, name="a"), stored(line(), name="b")])
    (quarantined,) = rows["quarantine"]
    assert (quarantined["reason"], quarantined["raw_line"], quarantined["line"]) == ("corrupt_object", 0, "")
    assert [row["seq"] for row in rows["readings"]] == [7]
