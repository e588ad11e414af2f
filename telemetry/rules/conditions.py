"""The conditions of alert rules: their language, and whether they hold for a reading.

::

    temperature > 40                                        a metric and a number, in the metric's unit
    status == fault                                         the device's own verdict; != too
    rate(temperature, 10m) > 2                              a statistic of the device's readings in a window
    humidity > 90 and not (battery < 2.4 or status != ok)   not before and, and before or
    no_data                                                 nothing from the device, for as long as "for" says
    no_data(gateway)                                        nothing from the gateway
    rejected(from_future, too_late)                         lines of the device are rejected, for one of these reasons
    rejected                                                for any reason

The functions are in :mod:`telemetry.rules.functions`.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Iterator
from typing import Callable, Literal, Optional, Union

import msgspec

from telemetry.reading.model import Reading
from telemetry.text.durations import format_duration
from telemetry.text.errors import TextError, place_of

Order = Literal["<", "<=", ">", ">="]

_OPERATORS: dict[Order, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPPOSITE: dict[Order, Order] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class ConditionError(TextError):
    """A text is not a valid condition. ``line`` and ``column`` count from 1, ``offset`` from 0 in the whole text."""

    def __init__(self, message: str, text: str = "", offset: int = 0) -> None:
        self.message = message
        self.offset = offset
        self.line, self.column, shown = place_of(text, offset)
        super().__init__(f"line {self.line}, column {self.column}: {message}\n{shown}", (self.line, self.column))


class Metric(msgspec.Struct, frozen=True, tag=True):
    """A metric of the reading itself: one of :data:`telemetry.reading.fields.METRICS`."""

    name: str

    def __str__(self) -> str:
        return self.name


class Window(msgspec.Struct, frozen=True, tag=True):
    """A function, by its name, of a metric over the device's readings of the last ``seconds``."""

    function: str
    metric: str
    seconds: int

    def __str__(self) -> str:
        return f"{self.function}({self.metric}, {format_duration(dt.timedelta(seconds=self.seconds))})"


class Comparison(msgspec.Struct, frozen=True, tag=True):
    """A metric or a statistic against a number, in the unit of the subject."""

    subject: Union[Metric, Window]
    op: Order
    threshold: float

    def __str__(self) -> str:
        short = f"{self.threshold:g}"
        return f"{self.subject} {self.op} {short if float(short) == self.threshold else repr(self.threshold)}"


class Status(msgspec.Struct, frozen=True, tag=True):
    """The status of the reading, or any other."""

    op: Literal["==", "!="]
    status: str

    def __str__(self) -> str:
        return f"status {self.op} {self.status}"


class NoData(msgspec.Struct, frozen=True, tag=True):
    """Nothing arrives. No reading can make it true, so it is always the whole condition."""

    scope: Literal["device", "gateway"] = "device"

    def __str__(self) -> str:
        return "no_data" if self.scope == "device" else "no_data(gateway)"


class Rejected(msgspec.Struct, frozen=True, tag=True):
    """Lines of the device are rejected for one of ``reasons``; for any reason if there are none.

    No reading can make it true, so it is always the whole condition.
    """

    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"rejected({', '.join(self.reasons)})" if self.reasons else "rejected"


class And(msgspec.Struct, frozen=True, tag=True):
    """All of two or more terms, none of them an ``And`` itself."""

    terms: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(map(_operand, self.terms))


class Or(msgspec.Struct, frozen=True, tag=True):
    """At least one of two or more terms, none of them an ``Or`` itself."""

    terms: tuple[Condition, ...]

    def __str__(self) -> str:
        return " or ".join(map(_operand, self.terms))


Leaf = Union[Comparison, Status, NoData, Rejected]
Condition = Union[Leaf, And, Or]
ValueOf = Callable[[Window], Optional[float]]


def _operand(term: Condition) -> str:
    return f"({term})" if isinstance(term, (And, Or)) else str(term)


def negate(condition: Condition) -> Condition:
    """Return what holds exactly where the condition does not.

    Raises :class:`ConditionError` for ``no_data`` and ``rejected``.
    """
    if isinstance(condition, And):
        return Or(tuple(negate(term) for term in condition.terms))
    if isinstance(condition, Or):
        return And(tuple(negate(term) for term in condition.terms))
    if isinstance(condition, Comparison):
        return Comparison(condition.subject, _OPPOSITE[condition.op], condition.threshold)
    if isinstance(condition, Status):
        return Status("!=" if condition.op == "==" else "==", condition.status)
    raise ConditionError(f"{condition} has no opposite", str(condition))


def holds(condition: Condition, reading: Reading, value_of: ValueOf) -> Optional[bool]:
    """Whether the condition holds, in Kleene's logic: None where what is unknown decides.

    A metric that is null is unknown, and so is a window of which ``value_of`` does not know the value.
    """
    if isinstance(condition, Comparison):
        value = _value(condition, reading, value_of)
        return None if value is None else _OPERATORS[condition.op](value, condition.threshold)
    if isinstance(condition, Status):
        return (reading.status == condition.status) == (condition.op == "==")
    if isinstance(condition, (NoData, Rejected)):
        return None
    decisive = isinstance(condition, Or)
    answer: Optional[bool] = not decisive
    for term in condition.terms:
        held = holds(term, reading, value_of)
        if held is decisive:
            return decisive
        if held is None:
            answer = None
    return answer


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Return the comparisons that a condition is made of, from left to right."""
    if isinstance(condition, (And, Or)):
        for term in condition.terms:
            yield from leaves(term)
    else:
        yield condition


def windows(condition: Condition) -> Iterator[Window]:
    """Return the windows that a condition compares, from left to right."""
    for leaf in leaves(condition):
        if isinstance(leaf, Comparison) and isinstance(leaf.subject, Window):
            yield leaf.subject


def culprit(condition: Condition, reading: Reading, value_of: ValueOf) -> tuple[Optional[Leaf], Optional[float]]:
    """Return the first leaf that holds and the number it compared; None for a status, and where no leaf holds."""
    for leaf in leaves(condition):
        if holds(leaf, reading, value_of):
            return leaf, _value(leaf, reading, value_of) if isinstance(leaf, Comparison) else None
    return None, None


def _value(comparison: Comparison, reading: Reading, value_of: ValueOf) -> Optional[float]:
    subject = comparison.subject
    if isinstance(subject, Window):
        return value_of(subject)
    value: Optional[float] = getattr(reading, subject.name)
    return value
