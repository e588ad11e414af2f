"""How lines in quarantine look to a person."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.verbs import quarantine
from cli.verbs.quarantine import fetch_command, mistake, print_line, printable
from pipeline.quarantine import Quarantined
from telemetry.reading.codec import decode_batch

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
KEY = "raw/dt=2026-11-23/hour=12/it's 1"


def shown(show: Callable[[Console], None], width: int = 60) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show(console)
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


def quarantined(line: bytes, number: int = 3) -> Quarantined:
    (rejected,) = decode_batch(line, NOW).rejected
    return Quarantined(
        id="3f2a9c0102030405", reason=rejected.reason, detail=rejected.detail,
        line=line.decode(errors="backslashreplace"), arrived=NOW, raw_object=KEY, raw_line=number, raw_offset=17,
    )  # fmt: skip


READING = b'{"device_id":"d","site":"s","ts":"2026-11-23T12:00:00Z","seq":1,"status":"ok","temperature":21}'


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        (READING[:-1], ""),
        (READING.replace(b"21", b'"warm"'), '"warm"}'),
        (READING.replace(b'"seq":1', b'"seq" : -1'), '-1,"status":"ok","temperature":21}'),
        (READING.replace(b"21", b"21,}"), "}}"),
        ('{"ä": "ö" x}'.encode(), "x}"),
        (
            READING.replace(b'"s"', b'"s\xff"'),
            r'\xff","ts":"2026-11-23T12:00:00Z","seq":1,"status":"ok","temperature":21}',
        ),
    ],
)
def test_should_find_the_mistake_in_a_line(line: bytes, rest: str) -> None:
    found = quarantined(line)
    at = mistake(found)
    assert at is not None
    assert found.line[at:] == rest


@pytest.mark.parametrize("line", [b"{}", b"", READING.replace(b"2026-11-23", b"2036-11-23"), b"3"])
def test_should_point_nowhere_where_nothing_says_where(line: bytes) -> None:
    assert mistake(quarantined(line)) is None


@given(st.binary(max_size=60))
def test_should_show_any_line_on_a_terminal(line: bytes) -> None:
    if decode_batch(line).rejected and b"\n" not in line:
        text = shown(lambda console: print_line(quarantined(line), "raw", "fetch", console=console))
        assert printable(quarantined(line).line) in text
        assert text.replace("\n", "").isprintable()


def test_should_show_everything_about_a_line() -> None:
    text = shown(lambda console: print_line(quarantined(b'{"a\x1b": 1 "b"}'), "raw-zone", "fetch", console=console))
    assert text == (
        "id         3f2a9c0102030405\n"
        "reason     not_json\n"
        "detail     JSON is malformed: invalid character (byte 3)\n"
        "arrived    2026-11-23 12:00:00 UTC\n"
        f"object     s3://raw-zone/{KEY}\n"
        "line       3, after 17 bytes\n"
        "fetch it   fetch\n"
        "\n"
        '  {"a\\x1b": 1 "b"}\n'
        "     ^\n"
    )


def test_should_show_the_whole_of_a_long_line_and_the_place_of_its_mistake_below() -> None:
    line = b'{"more":"' + b"s" * 300 + b'",' + READING[1:-1] + b" 9}"
    text = shown(lambda console: print_line(quarantined(line), "raw-zone", "fetch", console=console))
    *_, whole, _, excerpt, caret = text.splitlines()
    assert whole == f"  {line.decode()}"
    assert excerpt.endswith('"temperature":21 9}')
    assert excerpt[caret.index("^") :] == "9}"


def test_should_show_what_is_known_of_a_conflict_and_of_a_whole_object() -> None:
    conflict = Quarantined(id="3f2a", reason="conflict", line="x", arrived=NOW, ts=NOW, raw_object=KEY, raw_line=1)
    assert "event time 2026-11-23 12:00:00.000000 UTC\n" in shown(
        lambda console: print_line(conflict, "raw-zone", "fetch", console=console)
    )
    corrupt = Quarantined(id="3f2a", reason="corrupt_object", arrived=NOW, raw_object=KEY, raw_line=0)
    text = shown(lambda console: print_line(corrupt, "raw-zone", "fetch", console=console))
    assert text.endswith("line       the whole object\nfetch it   fetch\n")


def test_should_cut_lines_to_the_terminal() -> None:
    found = [quarantined(b"x[bold]\x1b[31m" + b"x" * 100), quarantined(b"")]
    text = shown(lambda console: quarantine.print_lines(found, console=console))
    assert [line.rstrip() for line in text.splitlines()] == [
        "id        reason    arrived (UTC)   line",
        r"3f2a9c01  not_json  11-23 12:00:00  x[bold]\x1b[31mxxxxxxxx…",
        "3f2a9c01  empty     11-23 12:00:00  -",
    ]


@pytest.mark.parametrize(
    ("counts", "listed", "said"),
    [
        ({}, 0, "there is no such line in quarantine\n"),
        ({"not_json": 2, "empty": 1}, 3, "in quarantine: 3 lines (2 not_json, 1 empty)\n"),
        (
            {"not_json": 1200},
            100,
            "in quarantine: 1,200 lines (1,200 not_json)\nlisted are the newest 100; --limit 1200",
        ),
    ],
)
def test_should_say_how_many_there_are_and_whether_all_are_listed(
    counts: dict[str, int], listed: int, said: str
) -> None:
    assert shown(lambda console: quarantine.print_counts(counts, listed, console=console)).startswith(said)


def test_should_give_the_command_that_fetches_what_arrived() -> None:
    line, whole = quarantined(b"x"), quarantined(b"x", number=0)
    address = """'s3://raw-zone/raw/dt=2026-11-23/hour=12/it'"'"'s 1'"""
    assert fetch_command(line, "raw-zone") == f"aws s3 cp {address} - | gzip -dcf | sed -n 3p"
    assert fetch_command(whole, "raw-zone") == f"aws s3 cp {address} ."
    url = "http://127.0.0.1:1/raw-zone/raw/dt%3D2026-11-23/hour%3D12/it%27s%201"
    assert fetch_command(line, "raw-zone", "http://127.0.0.1:1") == f"curl -s {url} | gzip -dcf | sed -n 3p"
    assert fetch_command(whole, "raw-zone", "http://127.0.0.1:1") == f"curl -s {url} -O"
