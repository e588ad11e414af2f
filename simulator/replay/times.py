"""The time of a data set's rows, in microseconds since 1970, from whatever a column has: dates, texts, Unix time.

Times without a zone are of the session's: of two moments with the same time, when the clocks are put back, it is the
second; a time that is left out, when they are put forward, is one hour later.
"""

# The SQL is made of what the user of the command writes, to be run on the user's own files.
# ruff: noqa: S608

from __future__ import annotations

import itertools

import duckdb

from simulator.replay.files import DatasetError, plain_errors
from telemetry.text.sql import literal

#: Unix times below are in seconds, then in milliseconds, then in microseconds, all others in nanoseconds. So seconds
#: go up to the year 5138, and milliseconds begin in 1973.
_SECONDS, _MILLISECONDS, _MICROSECONDS = 10**11, 10**14, 10**17

#: Times that a reading can have: years 1 to 9999.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999

#: How a date is written where it is not ISO 8601, and a time after it.
_DATES = tuple(
    separator.join(order)
    for separator in ("/", "-", ".")
    for order in (("%d", "%m", "%Y"), ("%m", "%d", "%Y"), ("%d", "%m", "%y"), ("%m", "%d", "%y"))
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = tuple(map("".join, itertools.product(_DATES, _TIMES)))

#: No data set is older; what reads as older was read with the wrong format.
_OLDEST = "TIMESTAMP '1800-01-01'"

#: Different times that are looked at for their format.
_SAMPLE = 1_000


def microseconds_of(
    db: duckdb.DuckDBPyConnection, rows: tuple[str, str], value: str, kind: str, time_format: str
) -> str:
    """SQL for the time of a value of that type; null where it is none that can be read.

    ``rows`` are the first ones, by which its format is found, and all, for what the first ones do not tell.

    Raises :class:`DatasetError` for a type that is not a time, and where day and month cannot be told apart.
    """
    if time_format:
        found = _formatted(f"CAST({value} AS VARCHAR)", time_format)
    elif kind.startswith("TIMESTAMP") or kind == "DATE":
        found = f"epoch_us(CAST({value} AS TIMESTAMPTZ))"
    elif kind == "VARCHAR":
        found = f"coalesce(epoch_us(TRY_CAST({value} AS TIMESTAMPTZ)), {_unix(value)})"
        if other := _format(db, rows, value, found):
            found = f"coalesce({found}, {_formatted(value, other)})"
    elif kind in ("TIME", "TIME WITH TIME ZONE", "INTERVAL", "BOOLEAN") or "(" in kind.replace("DECIMAL(", ""):
        raise DatasetError(
            f"the time is of the type {kind}, which is not a moment; join it with a date: "
            "--map time=\"date || ' ' || time\""
        )
    else:
        found = _unix(f"CAST({value} AS VARCHAR)")
    return f"CASE WHEN {found} BETWEEN {_FIRST} AND {_LAST} THEN {found} END"


def _formatted(text: str, time_format: str) -> str:
    return f"epoch_us(CAST(try_strptime({text}, {literal(time_format)}) AS TIMESTAMPTZ))"


def _unix(text: str) -> str:
    """Unix time in a text, whole numbers exactly."""
    whole, number = f"TRY_CAST({text} AS BIGINT)", f"TRY_CAST({text} AS DOUBLE)"
    seconds, milliseconds, microseconds = (
        f"abs({number}) < {limit}" for limit in (_SECONDS, _MILLISECONDS, _MICROSECONDS)
    )
    return (
        f"CASE WHEN {number} IS NULL OR NOT isfinite({number}) OR abs({number}) > 9e18 THEN NULL "
        f"WHEN regexp_full_match({text}, '[+-]?\\d+') THEN CASE WHEN {seconds} THEN {whole} * 1000000 "
        f"WHEN {milliseconds} THEN {whole} * 1000 WHEN {microseconds} THEN {whole} ELSE {whole} // 1000 END "
        f"ELSE CAST(round({number} * CASE WHEN {seconds} THEN 1e6 WHEN {milliseconds} THEN 1e3 "
        f"WHEN {microseconds} THEN 1 ELSE 1e-3 END) AS BIGINT) END"
    )


def _format(db: duckdb.DuckDBPyConnection, rows: tuple[str, str], value: str, found: str) -> str:
    """Detect the format of texts that are neither Unix time nor ISO 8601; empty if it is unknown."""
    with plain_errors("cannot read the times"):
        head, other = (
            f"(SELECT {value} AS text FROM {each} WHERE {value} IS NOT NULL AND {found} IS NULL)" for each in rows
        )
        db.execute(f"CREATE OR REPLACE TEMP TABLE other_times AS SELECT DISTINCT text FROM {head} LIMIT {_SAMPLE}")
        likely = _that_read_all(db, _FORMATS, "other_times")
        if len(likely) > 1:
            likely = _that_read_all(db, likely, other)
    if len(likely) > 1:
        (example,) = db.execute("SELECT min(text) FROM other_times").fetchone() or ("",)
        raise DatasetError(
            f"{example} can be read as {_either(likely)}; say which: --time-format {literal(likely[0])}, for example"
        )
    return likely[0] if likely else ""


def _that_read_all(db: duckdb.DuckDBPyConnection, formats: tuple[str, ...], texts: str) -> tuple[str, ...]:
    asked = ", ".join(f"bool_and(coalesce(try_strptime(text, {literal(each)}) > {_OLDEST}, false))" for each in formats)
    row = db.execute(f"SELECT {asked} FROM {texts}").fetchone() or ()
    return tuple(each for each, reads in zip(formats, row, strict=True) if reads)


def _either(formats: tuple[str, ...]) -> str:
    return " or ".join(formats)
