"""Rows of a query as structs."""

from __future__ import annotations

import datetime as dt

import msgspec
import pandas as pd
import pytest

from pipeline.rows import structs


class Row(msgspec.Struct):
    name: str = ""
    count: int | None = None
    at: dt.datetime | None = None
    share: float = 0.0


def test_should_give_typed_rows_with_times_in_utc() -> None:
    frame = pd.DataFrame(
        {
            "name": ["one", None],
            "count": pd.array([3, None], dtype="Int64"),
            "at": pd.to_datetime(pd.Series(["2026-11-23 12:00:00.123456", None])),
            "share": [0.1, None],
        }
    )
    assert structs(frame, Row) == [
        Row(name="one", count=3, at=dt.datetime(2026, 11, 23, 12, 0, 0, 123456, dt.UTC), share=0.1),
        Row(),
    ]


def test_should_give_no_rows_of_an_empty_result() -> None:
    assert structs(pd.DataFrame(columns=["name", "at"]), Row) == []


def test_should_refuse_a_result_of_other_types() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$.count"):
        structs(pd.DataFrame({"count": ["three"]}), Row)


def test_should_take_a_null_for_an_empty_text_where_the_field_has_no_default() -> None:
    class Required(msgspec.Struct):
        name: str
        at: str | None

    assert structs(pd.DataFrame({"name": [None], "at": [None]}), Required) == [Required(name="", at=None)]
