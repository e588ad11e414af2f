"""Text as SQL has it: literals and identifiers, the same in DuckDB, Spark and Athena's Trino."""

from __future__ import annotations

from collections.abc import Iterable


def literal(text: str) -> str:
    """Return the text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """Return the texts as the right side of an SQL IN."""
    return f"({', '.join(map(literal, texts))})"


def identifier(name: str) -> str:
    """Return the name of a column as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
