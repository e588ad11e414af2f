"""Texts in SQL: whatever is in them, they come back from a query as they were."""

from __future__ import annotations

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from telemetry.text.sql import identifier, literal, literals

_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(_texts)
def test_should_quote_a_literal(text: str) -> None:
    assert duckdb.sql(f"SELECT {literal(text)}").fetchall() == [(text,)]


@given(_texts.filter(bool))
def test_should_quote_an_identifier(name: str) -> None:
    assert duckdb.sql(f"SELECT {identifier(name)} FROM (SELECT 1 AS {identifier(name)})").fetchall() == [(1,)]


def test_should_list_literals() -> None:
    assert literals(["a", "it's"]) == "('a', 'it''s')"
