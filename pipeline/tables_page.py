"""``docs/tables.md``: every table of the lake, column by column, from the entries in ``telemetry/tables``.

``python -m pipeline.tables_page`` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline import named_queries
from telemetry.tables.lake import TABLES
from telemetry.tables.table import Table

PAGE = Path(__file__).parent.parent / "docs" / "tables.md"

_INTRODUCTION = """\
# The tables of the lake

<!-- Written by "python -m pipeline.tables_page" from telemetry/tables: edit that. A test compares. -->

`iot query --tables` prints the same. All times are UTC. Athena bills the bytes that a query scans: say in `WHERE` which
days (`dt`) it is about, and name the columns that you need.
"""

_ABOUT_QUERIES = """\
The usual questions, ready to be asked: `iot query --name hottest-devices`. Their SQL is in
[pipeline/queries](../pipeline/queries).
"""


def layout_of(table: Table) -> str:
    """Return where a table's files lie, in which format, and by what they are partitioned, as one or two sentences."""
    keys = " and ".join(f"`{key.name}` ({_lower(key.comment)})" for key in table.partition_keys)
    folders = "/".join(f"{key.name}=…" for key in table.partition_keys)
    if table.kind == "curated":
        return (
            f"Parquet in `{table.name}/{folders}/`, partitioned by {keys}. A run of the curation replaces a partition "
            "as a whole, by one call to the catalog: a query sees the old files or the new ones."
        )
    if table.kind == "single_file":
        return f"One Parquet file, `{table.name}/{table.name}.parquet`; not partitioned."
    return (
        f"JSON lines in `{table.name}/{folders}/`, partitioned by {keys}. Partitions are projected: what Firehose "
        "delivers can be asked for at once."
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def page() -> str:
    """The page, Markdown."""
    queries = named_queries.load()
    parts = [
        _INTRODUCTION,
        _rows(("table", "what is in it"), [(f"[{table.name}](#{table.name})", table.comment) for table in TABLES]),
        "## Named queries\n",
        _ABOUT_QUERIES,
        _rows(("name", "what it answers"), [(f"`{query.name}`", query.description) for query in queries]),
        *(_section(table, queries) for table in TABLES),
    ]
    return "\n".join(parts)


def _section(table: Table, queries: tuple[named_queries.NamedQuery, ...]) -> str:
    about = [query.name for query in queries if re.search(rf"\b(?:FROM|JOIN) {table.name}\b", query.sql)]
    columns = [
        (f"`{column.name}`", column.type, column.unit, column.comment)
        for column in (*table.columns, *table.partition_keys)
    ]
    parts = [
        f"## {table.name}\n",
        f"{table.comment}.\n",
        f"{layout_of(table)}\n",
        f"```sql\n{table.example}\n```\n",
        *([f"Named queries: {', '.join(f'`{name}`' for name in about)}.\n"] if about else []),
        _rows(("column", "type", "unit", "meaning"), columns),
    ]
    return "\n".join(parts)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", r"\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
