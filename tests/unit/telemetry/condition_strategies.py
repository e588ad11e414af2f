"""Hypothesis strategies for conditions, and for readings that come close to them."""

from __future__ import annotations

import math

import msgspec
from hypothesis import strategies as st

from telemetry.reading.codec import REASONS_WITH_DEVICE
from telemetry.reading.fields import METRICS
from telemetry.reading.model import Reading
from telemetry.rules.conditions import And, Comparison, Condition, Metric, Or, Rejected, Status, Window
from telemetry.rules.functions import FUNCTIONS
from tests.strategies import readings

#: Few numbers, so that comparisons are often about the same ones.
NUMBERS = [-15.0, 0.0, 2.4, 40.0]

orders = st.sampled_from(["<", "<=", ">", ">="])
metrics = st.builds(Metric, st.sampled_from(METRICS))
windows = st.builds(
    Window,
    st.sampled_from(list(FUNCTIONS)),
    st.sampled_from(METRICS),
    st.integers(10, 24 * 3600),
)
statuses = st.builds(Status, st.sampled_from(["==", "!="]), st.sampled_from(["ok", "degraded", "fault"]))
plain_leaves = st.builds(Comparison, metrics, orders, st.sampled_from(NUMBERS)) | statuses
leaves = plain_leaves | st.builds(
    Comparison,
    metrics | windows,
    orders,
    st.sampled_from(NUMBERS) | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
)


#: Conditions about rejected lines: always the whole condition.
rejections = st.lists(st.sampled_from(REASONS_WITH_DEVICE), unique=True).map(tuple).map(Rejected)


def of(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    """Conditions made of these parts, as parsing makes them: no ``And`` is directly within another."""

    def joined(kind: type[And | Or], terms: list[Condition]) -> Condition:
        return kind(tuple(part for term in terms for part in (term.terms if isinstance(term, kind) else (term,))))

    return st.recursive(
        parts,
        lambda inner: st.builds(joined, st.sampled_from([And, Or]), st.lists(inner, min_size=2, max_size=3)),
        max_leaves=8,
    )


conditions = of(leaves)

#: Null, a number that conditions name, the next one to it on either side, or any.
_values = st.none() | st.sampled_from(
    [
        near
        for number in NUMBERS
        for near in (math.nextafter(number, -math.inf), number, math.nextafter(number, math.inf))
    ]
)


@st.composite
def close_readings(draw: st.DrawFn) -> Reading:
    """Readings whose values lie on and next to what conditions compare them with."""
    return msgspec.structs.replace(draw(readings), **{name: draw(_values) for name in METRICS})
