"""Lines to rows: DuckDB and the codec agree on every line, however it is written and wherever it lies."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import json
import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glue_jobs.curate.engines import staging
from glue_jobs.curate.engines.staging import Staging
from glue_jobs.curate.hours import HOUR, start_of_hour
from glue_jobs.curate.zones import lines
from telemetry.reading.codec import decode_batch, encode_batch
from telemetry.reading.fields import FIELDS, Field
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS, Reading
from tests.strategies import readings
from tests.unit.curate.samples import ARRIVED, GOOD, curated, line, stored

Parsed = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def found_in(db: duckdb.DuckDBPyConnection) -> Parsed:
    """The readings and the refused lines, each with its place, before anything is removed."""
    names = ", ".join(field.name for field in FIELDS)
    good = db.execute(f"SELECT {names}, raw_line, raw_offset FROM accepted ORDER BY raw_line").fetchall()
    bad = db.execute("SELECT reason, detail, line, raw_line, raw_offset FROM refused ORDER BY raw_line").fetchall()
    return good, bad


def by_job(data: bytes) -> Parsed:
    with closing(duckdb.connect()) as db:
        Staging(db).read_whole([stored(data)])
        return found_in(db)


def by_codec(data: bytes) -> Parsed:
    """The same by the codec: each line alone, for its place, and as many as it finds in the whole."""
    good: list[tuple[Any, ...]] = []
    bad: list[tuple[Any, ...]] = []
    whole = decode_batch(data, ARRIVED)
    if [rejected.reason for rejected in whole.rejected] == ["empty"]:
        return [], [("empty", whole.rejected[0].detail, "", 1, 0)]
    offset = 0
    for number, text in enumerate(data.split(b"\n"), start=1):
        batch = decode_batch(text, ARRIVED)
        for reading in batch.readings:
            ts = reading.ts.astimezone(dt.UTC).replace(tzinfo=None)
            good.append((*msgspec.structs.astuple(msgspec.structs.replace(reading, ts=ts)), number, offset))
        for rejected in batch.rejected:
            if rejected.reason != "empty":
                text_kept = rejected.line.decode(errors="backslashreplace")
                bad.append((rejected.reason, rejected.detail, text_kept, number, offset))
        offset += len(text) + 1
    assert (len(good), len(bad)) == (len(whole.readings), len(whole.rejected))
    return good, bad


def check(data: bytes) -> None:
    mine, theirs = by_job(data), by_codec(data)
    assert mine == theirs
    # To Python, 0.0 is -0.0, and 1 is 1.0.
    assert repr(mine) == repr(theirs)


#: Values as they stand in the line: right ones, wrong ones, and those that parsers disagree on.
_numbers = ["1", "0", "-1", "-0", "1.0", "1e3", "1E2", "0e0", "-0.0", "20.5", "1e999", "1e-999", "01", "+1", ".5", "1."]
_numbers += ["-", "--1", "1_0", "0x1", "1e", "1e+", "1e1.5", "5e-324", "2e-324", "-01", "00", "1.50", "1,5", "\u0663"]
_long = ["1" * 400, "1." + "1" * 400, "0." + "0" * 400 + "1", "0." + "9" * 30, "1" * 30 + "e-28", "-0." + "0" * 30]
#: Between two floating-point numbers, which takes more digits to see than some parsers look at.
_long += ["0.100000000000000012490009027033011079765856266021728515625" + "0" * count for count in (0, 400, 800)]
_big = [str(2**power + more) for power in (31, 53, 63, 64) for more in (-1, 0, 1)] + [str(-(2**63)), str(10**19)]
_bounds = ["-100", "-100.0", "-100.00000000000001", "-100.000000000000001", "150", "150.0", "150.00000000000003"]
_bounds += ["150.00000000000001", "60", "60.0", "60.00000000000001", "60.000000000000001", "100", "100.00000000000001"]
_words = ["NaN", "-nan", "nan", "Infinity", "-inf", "null", "NULL", "nul", "true", "false", "True", "undefined", ""]
_texts = [
    *map(json.dumps, ["", "ok", "fault", "degraded", "great", "OK", "ok ", "1", "null", "é", "😀", "\ud800", "\x00"]),
    *(
        f'"{text}"'
        for text in ("\x7f", "\x1f", "\x00", "\t", "\x85", "\u2028", "\ufeff", "\u00a0", "é", "e\u0301", "'")
    ),
    *(
        f'"{text}"'
        for text in (r"o\u006b", r"\x", r"\u00", r"\ud83d\ude00", r"\ude00\ud83d", "\\", r"\\", r"\/", r"\"")
    ),
    # 128 is the longest; in code points, not in bytes, in UTF-16 or in what a person takes for one.
    *(f'"{text * count}"' for text in ("x", "ü", "😀") for count in (127, 128, 129)),
    *(f'"{chr(101) + chr(0x301)}{"x" * count}"' for count in (126, 127)),
    *(f'"{escape * count}"' for escape in (r"\n", r"\u00fc", r"\ud83d\ude00") for count in (128, 129)),
]
_nested = ["[]", "{}", "[1,]", '{"a":1,}', "[[NaN]]", '{"seq":1}', "[null]", '{"a":1,"a":1}']
_fragments = st.sampled_from([*_numbers, *_long, *_big, *_bounds, *_words, *_texts, *_nested])
_times = st.builds(
    "{}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}".format,
    st.sampled_from([2026, 2026, 2026, 0, 9999, "26", "+2026", "02026", "\uff12026"]),
    st.sampled_from([11, 11, 11, 2, 13, 0]),
    st.sampled_from([23, 23, 22, 30, 31, 0]),
    st.sampled_from("TTTt _"),
    st.sampled_from([12, 12, 11, 24, 0]),
    st.sampled_from([0, 29, 60]),
    st.sampled_from([0, 59, 60]),
    st.sampled_from(["", "", ".5", ".000", ".123456", ".1234567", ".9999999", ".", ",5"]),
    st.sampled_from(["Z", "Z", "z", "+00:00", "-01:30", "+0100", "+01", "+15:59", "+24:00", "+01:60", "", " Z", "ZZ"]),
).map(lambda text: json.dumps(text, ensure_ascii=False))
_days = ["2026-02-30T12:00:00Z", "2026-02-29T12:00:00Z", "2026-11-31T00:00:00Z", "2026-11-23T24:00:00Z", "infinity"]
_days += ["2026-11-23", "epoch", "12:00:00Z", "2026-11-23T12:00Z", "2026-11-23 12:00:00Z", "2026-327T12:00:00Z", "now"]
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
).map(json.dumps)
_names = st.sampled_from([*GOOD, "temperature", "humidity", "battery"])
_other_keys = ['"firmware"', '"s\\u0065q"', '"x"', '""', "seq", '"Seq"', '"seq "', "'seq'", '"$.seq"', '"status\x00"']
_keys = _names.map(json.dumps) | st.sampled_from(_other_keys)
_space = st.sampled_from(["", "", "", " ", "\t", "\r", "\f"])


def _just_between(value: float, nudge: int) -> str:
    """The number half way to the next double, or a little to one side: where rounding decides."""
    with decimal.localcontext(prec=2000):
        middle = (decimal.Decimal(value) + decimal.Decimal(math.nextafter(value, math.inf))) / 2
        return f"{middle * (1 + nudge * decimal.Decimal('1e-1500')):f}"


_digits = st.from_regex(r"-?(0|[1-9][0-9]{0,2})(\.[0-9]{1,25})?", fullmatch=True)
_between = st.builds(_just_between, st.sampled_from([0.1, 1.0, 149.99, -1e-9]) | st.floats(-1, 1), st.integers(-1, 1))
_VALUES: dict[str, st.SearchStrategy[str]] = {
    "string": st.text(max_size=5).flatmap(lambda text: st.sampled_from([json.dumps(text), f'"{text}"'])),
    "timestamp": _times | st.sampled_from(_days).map(json.dumps),
    "integer": _digits | st.integers(0, 2**64).map(str),
    "number": _digits | _between | st.floats().map(str),
}


def _good_value(field: Field) -> st.SearchStrategy[str]:
    """A value as most programs write it."""
    if field.choices:
        return st.sampled_from(field.choices).map(json.dumps)
    if field.kind == "timestamp":
        seconds = st.builds(
            lambda back, digits: f"{ARRIVED - back:%Y-%m-%dT%H:%M:%S.%f}"[: 20 + digits].rstrip("."),
            st.timedeltas(dt.timedelta(), dt.timedelta(days=2)),
            st.integers(0, 6),
        )
        return seconds.map(lambda text: f'"{text}Z"')
    if field.kind == "string":
        return st.sampled_from(['"d1"', '"cold-north"', '"ü😀"'])
    if field.kind == "integer":
        return st.integers(0, 2**63 - 1).map(str)
    return st.floats(0, 60, allow_subnormal=False).map(lambda value: f"{value:.3f}") | st.just("null")


_ODD = [" ", "\t", "\r", "\f", "\x0b", "\x00", "\x1f", "\x85", "\u00a0", "\ufeff", ",", "}", "{", "x", '"', "//", "\\"]
_NOT_UTF8 = [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]


@st.composite
def _almost_plain(draw: st.DrawFn) -> bytes:
    """A line as most programs write it, the fields in the contract's order, with a thing or two about it changed."""
    present = [field for field in FIELDS if field.required or draw(st.booleans())]
    pairs = [[json.dumps(field.name), draw(_good_value(field))] for field in present]
    changes = draw(
        st.lists(st.sampled_from(["value", "value", "value", "swap", "repeat", "add", "drop", "odd"]), max_size=2)
    )
    for change in changes:
        place = draw(st.integers(0, len(pairs) - 1))
        if change == "value":
            kind = present[place].kind if place < len(present) else "string"
            pairs[place] = [pairs[place][0], draw(_VALUES[kind] | _fragments)]
        elif change == "swap":
            pairs.insert(draw(st.integers(0, len(pairs) - 1)), pairs.pop(place))
        elif change == "repeat":
            pairs.insert(
                draw(st.integers(0, len(pairs))), [pairs[place][0], draw(st.just(pairs[place][1]) | _fragments)]
            )
        elif change == "add":
            pairs.insert(place, [draw(_keys), draw(_fragments | _json)])
        elif len(pairs) > 1 and change == "drop":
            del pairs[place]
    pieces = ["{"]
    for number, (name, value) in enumerate(pairs):
        pieces += [*("," if number else ""), name, ":", value]
    pieces.append("}")
    if "odd" in changes:
        pieces.insert(draw(st.integers(0, len(pieces))), draw(st.sampled_from(_ODD)))
    encoded = [piece.replace("\n", " ").encode() for piece in pieces]
    if draw(st.integers(0, 20)) == 20:
        encoded.insert(draw(st.integers(0, len(encoded))), draw(st.sampled_from(_NOT_UTF8)))
    return draw(st.sampled_from([b"", b"", b" ", b"\t", b" \t "])).join(encoded)


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
_blanks = st.sampled_from([b"", b"\r", b" ", b" \t", b"\x0b\x0c", b"\x1c", b"\x85", "\x85".encode(), "\u2003".encode()])
_noise = st.binary(max_size=60)
_lines = (
    _almost_plain()
    | _almost_plain()
    | _written()
    | readings.map(lambda reading: encode_batch([reading]).rstrip())
    | _noise
    | _blanks
)
_ends = st.sampled_from([b"\n", b"\n\n", b"\r\n"])


@st.composite
def _texts_of_objects(draw: st.DrawFn) -> bytes:
    end = draw(_ends)
    text = end.join(draw(st.lists(_lines, max_size=20))) + (end if draw(st.booleans()) else b"")
    return text[1:] if text.startswith(b"\x1f\x8b") else text


@settings(max_examples=75)
@given(_texts_of_objects())
@example(b"1")
@example(line() + b"\nx")
@example(line() + b"\x0c\n")
@example(line() + b"\n \n\t\n\n" + line(seq=8))
@example(line() + b"\r\n\r\n" + line(seq=8) + b"\r\n")
@example(line(battery="tie").replace(b'"tie"', _long[-1].encode()))
def test_should_judge_and_read_every_line_as_the_codec_does(data: bytes) -> None:
    check(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        b"  \t ",
        b" \n\r\n\x0b\n",
        b"1",
        b"\n1",
        b"x\n1\n",
        line() + b"\n}",
        line() + b"\n\n" + line(seq=8) + b"\n\n",
        b"\n\noops\n \n\xff\n\n" + line(),
        line() + b"\r\n" + line(seq=8) + b"\r\n",
        line() + b"\r\n\r\n \r\n" + line(seq=8) + b"\r\n",
        *(
            line() + end + b"\n" + line(seq=8) + end
            for end in (b"\x0c", b"\x0b", b"\x00", b"\x1f", b" \t\r", b"\r\r", b",")
        ),
        b"\xef\xbb\xbf" + line(),
        line() + b"{}",
        line() + b" " + line(seq=8),
        line() + line(seq=8),
        b"[]\nnull\n1\n{}",
        line().replace(b"d1", b"d\x001"),
        line().replace(b"d1", b"d\x1f1"),
        line().replace(b"d1", b"d\x7f1"),
        line().replace(b"d1", b"d\t1"),
        line(device_id="\x00"),
        line(note="?").replace(b"?", b"\xff") + b"\n" + line() + b"\n\xfe\n\xfd",
        line(device_id="?").replace(b"?", b"\xed\xa0\x80") + b"\n" + line(),
        line(x=float("nan")),
        line(x=[1, 2]).replace(b"2]", b"2,]"),
        line(x="[".join("NaN,}")),
        line().replace(b"}", b",}"),
        line().replace(b"}", b", }"),
        line().replace(b": 7", b": 07"),
        line().replace(b'"', b"'"),
        b'{"x":' + b"[" * 100_000,
        line().replace(b"{", b'{"x":' + b"[" * 5000 + b"]" * 5000 + b",", 1),
        line().replace(b'"seq": 7', b'"seq": 7, "seq": 8'),
        line().replace(b'"seq": 7', b'"seq": "x", "seq": 8'),
        line().replace(b'"seq": 7', b'"seq": 7, "s\\u0065q": 8'),
        line().replace(b'"status": "ok"', b'"status": "ok", "status": "fault"'),
        line().replace(b'"status": "ok"', b'"status": "ok", "device_id": "d2"'),
        b"a" * 2**20,
        line(note="n" * 2**20) + b"\n" + line(),
        line(device_id="ü" * 128) + b"\n" + line(device_id="ü" * 129) + b"\n" + line(device_id=""),
        b"\n".join(
            json.dumps({**GOOD, "device_id": text * count}, ensure_ascii=False).encode()
            for text in ("x", "ü", "😀")
            for count in (128, 129)
        ),
        b"\n".join(line(seq=seq) for seq in (0, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**40, -1, 1.0, True, "1")),
        b"\n".join(
            line().replace(b": 7", b": " + seq) for seq in (b"-0", b"00", b"1e2", b"7.", b"1" * 400, b"7" + b"0" * 18)
        ),
        b"\n".join(
            line(temperature=value) for value in (-100, 150, -100.1, 150.1, 1e300, 5e-324, -0.0, None, "1", False)
        ),
        b"\n".join(
            line(temperature=0).replace(b": 0", b": " + text)
            for text in (
                b"-0",
                b"-0.0",
                b"0.0",
                b"1" * 400,
                b"1." + b"1" * 400,
                b"0." + b"0" * 400 + b"1",
                b"1e1",
                b".5",
                b"1.",
            )
        ),
        *(line(ts=f"2026-11-23T12:29:59{rest}") for rest in (".1234567Z", ".9999999Z", ".Z", ",5Z", "", "UTC", " Z")),
        *(line(ts=f"2026-11-23T12:29:59{offset}") for offset in ("+00", "+0000", "-00:00", "+24:00", "+00:60", "z")),
        *(line(ts=f"2026-11-2{rest}Z") for rest in ("2T24:00:00", "3T12:29:60", "3t12:00:00", "3 12:00:00", "2T12:00")),
        *(
            line(ts=f"2026-{rest}T12:00:00Z")
            for rest in ("02-30", "02-29", "11-31", "00-01", "13-01", "11-00", "1-1", "327")
        ),
        line(ts="2026-11-24T04:00:00+15:59"),
        line(ts="2026-11-24T11:59:00+23:59"),
        *(line(ts=(ARRIVED + MAX_CLOCK_SKEW + dt.timedelta(microseconds=late)).isoformat()) for late in (0, 1)),
        *(line(ts=(ARRIVED - MAX_LATENESS - dt.timedelta(microseconds=early)).isoformat()) for early in (0, 1)),
    ],
)
def test_should_agree_with_the_codec_on_what_is_hard_to_parse(data: bytes) -> None:
    check(data)


def _as_encoded(data: bytes) -> bytes:
    return data


def _with_an_unknown_field(data: bytes) -> bytes:
    return data.replace(b"{", b'{"firmware":{"version":[1,2]},')


def _in_another_order(data: bytes) -> bytes:
    return b"".join(
        json.dumps(dict(reversed(json.loads(text).items()))).encode() + b"\n" for text in data.splitlines() if text
    )


def _without_nulls(data: bytes) -> bytes:
    return b"".join(
        json.dumps({name: value for name, value in json.loads(text).items() if value is not None}).encode() + b"\n"
        for text in data.splitlines()
        if text
    )


@pytest.mark.parametrize("written", [_as_encoded, _with_an_unknown_field, _in_another_order, _without_nulls])
@settings(max_examples=10)
@given(some=st.lists(readings, min_size=1, max_size=20), end=_ends)
def test_should_need_no_codec_for_good_lines_and_blank_ones(
    written: Callable[[bytes], bytes], some: list[Reading], end: bytes
) -> None:
    timely = [msgspec.structs.replace(reading, ts=ARRIVED, device_id="d1", site="s1") for reading in some]
    data = written(encode_batch(timely)).replace(b"\n", end)

    def decide(*_: object) -> None:
        raise AssertionError("a good line went to the codec")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "decode_batch", decide)
        good, bad = by_job(data)
    assert len(good) == len(some)
    assert bad == []


@settings(max_examples=20)
@given(st.lists(st.sampled_from([b"", line(), b"\xff", b"x" * 30, line(seq=8)]), max_size=12), st.integers(1, 200))
def test_should_read_an_object_alike_in_pieces_of_any_size(some: list[bytes], size: int) -> None:
    data = b"\n".join(some)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_PIECE_BYTES", size)
        patch.setattr(staging, "_BATCH_BYTES", 2 * size)
        patch.setattr(staging, "_ROWS_A_THREAD", 2)
        patch.setattr(staging, "_DECIDED_AT_ONCE", 2)
        check(data)


@settings(max_examples=15)
@given(st.lists(_texts_of_objects(), min_size=1, max_size=2), st.sets(st.integers(-1, 50), max_size=3))
def test_should_read_of_other_objects_the_readings_of_the_wanted_hours_and_nothing_else(
    texts: list[bytes], back: set[int]
) -> None:
    contents = [stored(text, name=f"{number}") for number, text in enumerate(texts)]
    hours = {start_of_hour(ARRIVED) - number * HOUR for number in back}
    columns = ", ".join(field.name for field in FIELDS)
    rows = f"SELECT object_no, raw_line, raw_offset, {columns} FROM accepted ORDER BY object_no, raw_line"
    with closing(duckdb.connect()) as db:
        whole = Staging(db)
        whole.read_whole(contents)
        assert {found.hour for found in whole.object_hours()} == {
            start_of_hour(ts.replace(tzinfo=dt.UTC)) for (ts,) in db.execute("SELECT ts FROM accepted").fetchall()
        }
        kept = {found.hour for found in whole.object_hours()} - hours
        whole.leave(kept)
        expected = db.execute(rows).fetchall()
    with closing(duckdb.connect()) as db:
        part = Staging(db)
        part.read_hours(contents, hours)
        assert db.execute(rows).fetchall() == expected
        assert db.execute("SELECT count(*) FROM refused").fetchall() == [(0,)]
        assert {found.hour for found in part.object_hours()} <= hours


def test_should_say_how_many_readings_of_which_hour_are_in_which_object() -> None:
    before = ARRIVED - HOUR
    contents = [
        stored(b"\n".join([line(), line(), b"oops", line(seq=8, x=1), line(ts=before.isoformat())]), name="a"),
        stored(b"\n".join([line(ts=before.isoformat()), b"\xff"]), name="b"),
        stored(b"oops", name="c"),
    ]
    with closing(duckdb.connect()) as db:
        read = Staging(db)
        read.read_whole(contents)
        first, second, _ = (content.found for content in contents)
        assert read.object_hours() == [
            (start_of_hour(before), first, 1),
            (start_of_hour(before), second, 1),
            (start_of_hour(ARRIVED), first, 3),
        ]
        assert read.lines == 8


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
    assert (quarantined["reason"], quarantined["line"]) == ("corrupt_object", "")
    assert (quarantined["raw_line"], quarantined["raw_offset"]) == (0, 0)
    assert [row["seq"] for row in rows["readings"]] == [7]
