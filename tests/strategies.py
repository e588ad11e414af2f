"""Hypothesis strategies for the domain's values."""

from __future__ import annotations

import datetime as dt

from hypothesis import strategies as st

from telemetry.reading.fields import FIELDS, Field
from telemetry.reading.model import Reading

#: Names without control characters; JSON escapes make every other one travel.
identifiers = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
timestamps = st.datetimes(
    min_value=dt.datetime(2020, 1, 1), max_value=dt.datetime(2030, 1, 1), timezones=st.just(dt.UTC)
)


def _values(field: Field) -> st.SearchStrategy[object]:
    if field.choices:
        return st.sampled_from(field.choices)
    if field.kind == "string":
        return identifiers
    if field.kind == "timestamp":
        return timestamps
    assert field.minimum is not None
    assert field.maximum is not None
    if field.kind == "integer":
        return st.integers(int(field.minimum), int(field.maximum))
    return st.none() | st.floats(field.minimum, field.maximum)


#: Every valid reading, derived from the fields as everything else is.
readings: st.SearchStrategy[Reading] = st.builds(Reading, **{field.name: _values(field) for field in FIELDS})
