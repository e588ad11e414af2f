"""The SQL of the tables and of the job's steps, its templates filled in with the fields of a reading."""

from __future__ import annotations

from importlib import resources

import jinja2

from telemetry.reading.fields import FIELDS, METRICS, Field, Kind
from telemetry.reading.model import STATUSES
from telemetry.tables.curated import CALIBRATED, CURATED, DEVICES
from telemetry.tables.table import Source, Table
from telemetry.text.sql import literal, literals

#: DuckDB's types for the kinds of a reading's fields.
DUCKDB_TYPES: dict[Kind, str] = {
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "integer": "BIGINT",
    "number": "DOUBLE",
}
_JSON_TYPES: dict[Kind, tuple[str, ...]] = {
    "string": ("VARCHAR",),
    "timestamp": ("VARCHAR",),
    "integer": ("BIGINT", "UBIGINT"),
    "number": ("BIGINT", "UBIGINT", "DOUBLE"),
}

#: Values as most programs write them, in RE2's syntax: text without escapes, UTC, numbers without exponents.
_PLAIN: dict[Kind, str] = {
    "string": r'"[^"\\\x00-\x1f]+"',
    "timestamp": r'"\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z"',
    "integer": r"(0|[1-9]\d*)",
    "number": r"-?(0|[1-9]\d*)(\.\d+)?",
}
_BLANK = "[ \\t]*"


def made_from(source: Source) -> list[Table]:
    """Return the curated tables whose SQL reads that relation."""
    return [table for table in CURATED if table.source == source]


def sql(step: str) -> str:
    """Return the statement (or, of ``staging``, the statements) of a table or step, in DuckDB's dialect."""
    text = (resources.files("glue_jobs.curate") / "sql" / f"{step}.sql").read_text(encoding="utf-8")
    rendered: str = jinja2.Template(text, undefined=jinja2.StrictUndefined).render(
        literal=literal,
        literals=literals,
        fields=FIELDS,
        metrics=METRICS,
        statuses=STATUSES,
        calibrated=CALIBRATED,
        devices=DEVICES,
        duckdb_types=DUCKDB_TYPES,
        json_types=_JSON_TYPES,
        json_types_of=f"json_type(json, [{', '.join(literal(f'$.{field.name}') for field in FIELDS)}])",
        plain_line=literal(_plain_line()),
    )
    return rendered


def _plain_line() -> str:
    """The pattern of a line with all that is required, in the contract's order; what is not may be left out."""
    between = f"{_BLANK},{_BLANK}"
    parts = ""
    for number, field in enumerate(FIELDS):
        pair = f'"{field.name}"{_BLANK}:{_BLANK}{_plain_value(field)}'
        separated = f"{between}{pair}" if number else pair
        parts += separated if field.required else f"({separated})?"
    return rf"\{{{_BLANK}{parts}{_BLANK}\}}[ \t\r\n]*"


def _plain_value(field: Field) -> str:
    return f"({_PLAIN[field.kind]}|null)" if field.nullable else _PLAIN[field.kind]
