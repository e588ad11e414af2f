"""Which column of a data set is which field of a reading: as it is told, or as the columns' names suggest.

A field is mapped to a column, or to an expression of SQL over the columns. Plain columns are taken as the files have
them. In an expression, a column of text is a number if nearly all of its values are.
"""

# The SQL is made of what the user of the command writes, to be run on the user's own files.
# ruff: noqa: S608

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import duckdb
import msgspec

from simulator.replay.files import FILE, DatasetError, Table, first_line, plain_errors
from simulator.replay.times import microseconds_of
from telemetry.reading.fields import METRICS
from telemetry.reading.model import STATUSES
from telemetry.text.numbers import NUMBER
from telemetry.text.sql import identifier, literal

#: What a column or an expression can be mapped to.
TARGETS = ("time", "device", "site", "gateway", "seq", *METRICS, "status")

#: Names of columns, in small letters and digits only, by which a field is found where nobody maps it; the first that
#: there is.
_NAMES: Mapping[str, Sequence[str]] = {
    "device": (
        "deviceid", "device", "devicename", "sensorid", "sensor", "sensorname", "moteid", "mote", "nodeid", "node",
        "stationid", "station", "deveui", "mac", "macaddress", "tagid", "unitid", "id",
    ),
    "site": ("site", "siteid", "sitename", "location", "building", "plant", "room", "roomid"),
    "gateway": ("gateway", "gatewayid", "gw", "gwid"),
    "time": (
        "timestamp", "ts", "datetime", "time", "eventtime", "timestamputc", "datetimeutc", "utctime", "dateutc", "utc",
        "createdat", "recordedat", "measuredat", "observedat", "noteddate", "localtime", "unixtime", "date",
    ),
    "temperature": ("temperature", "temp", "tempc", "temperaturec", "temperaturecelsius", "airtemperature", "airtemp"),
    "humidity": ("humidity", "relativehumidity", "rh", "hum", "humid", "humiditypercent", "humiditypct"),
    "battery": ("battery", "batteryvoltage", "batteryv", "vbat", "batt", "voltage", "volts", "volt"),
    "seq": ("seq", "sequence", "sequencenumber", "seqno", "fcnt"),
    "status": ("status", "devicestatus"),
}  # fmt: skip

#: What stands for nothing in a file, in small letters.
_NOTHING = ("", "na", "n/a", "nan", "null", "none", "nil", "-", "?")

#: A column of text is a number in an expression if so much of its values are.
_MOSTLY = 0.9

#: Rows that a guess looks at.
_HEAD = 10_000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The mapping from columns to fields that was asked for.

    ``fields`` has what is mapped, by :data:`TARGETS`. Times without a zone are of ``timezone``; ``time_format`` is
    strftime's, for those that are neither ISO 8601 nor Unix time. ``nothing`` are further texts or numbers that mean
    that nothing was measured. ``where`` is a condition in SQL for the rows to take.
    """

    fields: Mapping[str, str] = {}
    timezone: str = "UTC"
    time_format: str = ""
    nothing: tuple[str, ...] = ()
    where: str = ""


class Value(NamedTuple):
    """The source of a field: as a person writes it, as SQL over :attr:`Mapped.sql`, and its type."""

    shown: str
    sql: str
    kind: str
    guessed: bool


class Mapped(NamedTuple):
    """The rows as SQL, the fields that something is mapped to, and the time in microseconds since 1970 as SQL.

    ``unread`` counts the values that are no numbers, of columns that are numbers in expressions.
    """

    sql: str
    values: Mapping[str, Value]
    time: str
    unread: Mapping[str, int]


def map_columns(db: duckdb.DuckDBPyConnection, table: Table, wanted: Wanted) -> Mapped:
    """Return the source of each field. Raises :class:`DatasetError` if it is ambiguous or missing."""
    for field in wanted.fields:
        if field not in TARGETS:
            raise DatasetError(f"--map {field}=…: there is no such field; it is one of {', '.join(TARGETS)}")
    with plain_errors("cannot read the rows"):
        db.execute(f"CREATE TEMP TABLE head AS FROM {table.sql} LIMIT {_HEAD}")
    cells = {name: _cell(name, kind, wanted.nothing) for name, kind in table.columns.items()}
    chosen = {field: _column(table, text) or text for field, text in wanted.fields.items()}
    guessed = _guess(db, table, cells, chosen)
    texts = {**chosen, **guessed}
    if "time" not in texts:
        raise DatasetError(
            f"no column looks like the time; give --map time=COLUMN with one of {_listed(table)}, or with SQL"
        )
    if not any(metric in texts for metric in METRICS):
        raise DatasetError(
            f"no column looks like {_or(METRICS)}; give --map {METRICS[0]}=COLUMN with one of {_listed(table)}, or SQL"
        )
    expressions = [text for text in texts.values() if text not in table.columns]
    typed, unread = _typed(db, table, cells, [*expressions, wanted.where])
    plain = [f"{cells[text]} AS {_plain(text)}" for text in dict.fromkeys(texts.values()) if text in table.columns]
    select = f"SELECT {', '.join([*typed, *plain, FILE])} FROM"
    sql = f"({select} {table.sql})"
    values = {field: _value(db, table, sql, field, text, guessed=field in guessed) for field, text in texts.items()}
    if wanted.where:
        _kind_of(db, table, sql, f"TRY(({wanted.where}\n))", f"--where {wanted.where}")
        sql = f"(SELECT * FROM {sql} WHERE TRY(({wanted.where}\n)))"
    head = f"({select} head)"
    time = microseconds_of(db, (head, sql), values["time"].sql, values["time"].kind, wanted.time_format)
    return Mapped(sql, values, time, unread)


def _cell(name: str, kind: str, nothing: Sequence[str]) -> str:
    """Return a column's value as SQL; null where it stands for nothing."""
    column = identifier(name)
    if kind == "VARCHAR":
        ours = ", ".join(literal(text) for text in _NOTHING)
        theirs = f" OR trim({column}) IN ({', '.join(literal(text) for text in nothing)})" if nothing else ""
        return f"CASE WHEN lower(trim({column})) IN ({ours}){theirs} THEN NULL ELSE trim({column}) END"
    numbers = [text for text in nothing if NUMBER.fullmatch(text)]
    if numbers and is_number(kind):
        return f"CASE WHEN {column} IN ({', '.join(numbers)}) THEN NULL ELSE {column} END"
    return column


def is_number(kind: str) -> bool:
    """Return whether a DuckDB type is numeric."""
    return kind.endswith("INT") or kind.startswith("DECIMAL") or kind in ("INTEGER", "UINTEGER", "DOUBLE", "FLOAT")


def _column(table: Table, text: str) -> str | None:
    """Return the column of that name; the case matters only if two names differ in nothing else."""
    if text in table.columns or text == FILE:
        return text if text in table.columns else None
    alike = [name for name in table.columns if name.strip().lower() == text.strip().lower()]
    return alike[0] if len(alike) == 1 else None


def _guess(
    db: duckdb.DuckDBPyConnection, table: Table, cells: Mapping[str, str], chosen: Mapping[str, str]
) -> dict[str, str]:
    """Columns, or an expression, for the fields that nobody maps."""
    left = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in table.columns if name not in chosen.values()}
    found: dict[str, str] = {}
    for field, names in _NAMES.items():
        if field in chosen:
            continue
        if field == "time" and "date" in left and "time" in left and _is_time_of_day(db, cells[left["time"]]):
            found[field] = f"{identifier(left.pop('date'))} || ' ' || {identifier(left.pop('time'))}"
            continue
        for name in names:
            if name in left and _is_likely(db, field, name, cells[left[name]]):
                found[field] = left.pop(name)
                break
    return found


def _is_likely(db: duckdb.DuckDBPyConnection, field: str, name: str, cell: str) -> bool:
    if field == "device" and name == "id":
        # Most ids are those of rows.
        return _of_head(db, f"count(DISTINCT {cell}) * 2 <= count({cell})")
    if field == "status":
        choices = ", ".join(map(literal, STATUSES))
        return _of_head(db, f"bool_and(lower(CAST({cell} AS VARCHAR)) IN ({choices}))")
    return True


def _is_time_of_day(db: duckdb.DuckDBPyConnection, cell: str) -> bool:
    return _of_head(db, f"bool_and(regexp_matches(CAST({cell} AS VARCHAR), '^\\d{{1,2}}[:.]'))")


def _of_head(db: duckdb.DuckDBPyConnection, condition: str) -> bool:
    row = db.execute(f"SELECT coalesce({condition}, false) FROM head").fetchone()
    return bool(row and row[0])


def _plain(column: str) -> str:
    """Return the name under which the column's original value is found."""
    return identifier(f"= {column}")


def _typed(
    db: duckdb.DuckDBPyConnection, table: Table, cells: Mapping[str, str], expressions: Iterable[str]
) -> tuple[list[str], dict[str, int]]:
    """Return the columns as expressions see them, and the count of non-numbers in each numeric column."""
    everything = "\n".join(expressions).lower()
    mentioned = [name for name in table.columns if name.lower() in everything]
    doubtful = [name for name in mentioned if table.text and table.columns[name] == "VARCHAR"]
    kinds, unread = _kinds(db, table, {name: cells[name] for name in doubtful})
    typed = [
        f"TRY_CAST({cells[name]} AS {kinds[name]}) AS {identifier(name)}"
        if name in kinds
        else f"{cells[name]} AS {identifier(name)}"
        for name in mentioned
    ]
    return typed, unread


def _kinds(
    db: duckdb.DuckDBPyConnection, table: Table, cells: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, int]]:
    if not cells:
        return {}, {}
    asked = ", ".join(
        f"count({cell}), count(TRY_CAST({cell} AS DOUBLE)), "
        f"bool_and(TRY_CAST({cell} AS DOUBLE) IS NULL OR regexp_full_match({cell}, '[+-]?\\d{{1,18}}')), "
        f"bool_or(regexp_matches({cell}, '^0\\d'))"
        for cell in cells.values()
    )
    with plain_errors("cannot read the rows"):
        row = db.execute(f"SELECT {asked} FROM {table.sql}").fetchone() or ()
    kinds: dict[str, str] = {}
    unread: dict[str, int] = {}
    for place, name in enumerate(cells):
        values, numbers, whole, padded = row[4 * place : 4 * place + 4]
        # What begins with a zero is a code, or a part of a time.
        if numbers >= _MOSTLY * values and not padded:
            kinds[name] = "BIGINT" if whole and values else "DOUBLE"
            if values > numbers:
                unread[name] = values - numbers
    return kinds, unread


def _value(db: duckdb.DuckDBPyConnection, table: Table, sql: str, field: str, text: str, *, guessed: bool) -> Value:
    if text in table.columns:
        return Value(text, _plain(text), table.columns[text], guessed)
    # An expression that fails for a row gives nothing for that row.
    expression = f"TRY(({text}\n))"
    return Value(text, expression, _kind_of(db, table, sql, expression, f"--map {field}={text}"), guessed)


def _kind_of(db: duckdb.DuckDBPyConnection, table: Table, sql: str, expression: str, what: str) -> str:
    try:
        (column,) = db.execute(f"DESCRIBE SELECT {expression} FROM {sql}").fetchall()
    except duckdb.Error as error:
        constant = re.fullmatch(r"(--map \w+)=([\w.-]+)", what)
        hint = (
            f"; a text that is the same for all rows is written {constant[1]}=\"'{constant[2]}'\"" if constant else ""
        )
        raise DatasetError(f"{what}: {first_line(error)}; the columns are {_listed(table)}{hint}") from error
    return str(column[1])


def _listed(table: Table) -> str:
    return ", ".join(table.columns)


def _or(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}"
