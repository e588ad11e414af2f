"""A query's result as structs: typed rows instead of a data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    import pandas as pd

S = TypeVar("S", bound=msgspec.Struct)


def structs(frame: pd.DataFrame, kind: type[S]) -> list[S]:
    """The rows of a frame as structs with its columns; times come as UTC, which is what they are in the lake.

    What is null is left out, for the struct's default: Athena's results are CSV, in which an empty text is nothing.
    """
    times = {name: frame[name].dt.tz_localize("UTC") for name in frame.columns if frame[name].dtype.kind == "M"}
    rows = msgspec.json.decode(frame.assign(**times).to_json(orient="records", date_format="iso", date_unit="us"))
    return [msgspec.convert({name: value for name, value in row.items() if value is not None}, kind) for row in rows]
