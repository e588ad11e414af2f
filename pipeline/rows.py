"""The result of a query as structs: typed rows instead of a data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    import pandas as pd

S = TypeVar("S", bound=msgspec.Struct)


def structs(frame: pd.DataFrame, kind: type[S]) -> list[S]:
    """Return the rows of a frame as structs with its columns; times are in UTC, as in the lake.

    Athena's results are CSV, in which an empty text is null. A null is the field's default; where there is none, it is
    an empty text if the field is a text.
    """
    required = {field.name: field.type for field in msgspec.structs.fields(kind) if field.required}
    nulls = {name: "" if type_ in (str, "str") else None for name, type_ in required.items()}
    times = {name: frame[name].dt.tz_localize("UTC") for name in frame.columns if frame[name].dtype.kind == "M"}
    rows = msgspec.json.decode(frame.assign(**times).to_json(orient="records", date_format="iso", date_unit="us"))
    return [
        msgspec.convert(
            {
                name: nulls[name] if value is None else value
                for name, value in row.items()
                if value is not None or name in nulls
            },
            kind,
        )
        for row in rows
    ]
