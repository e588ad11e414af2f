"""Parse conditions: the grammar, and messages about mistakes that say what to write instead."""

from __future__ import annotations

import datetime as dt
import functools
import math
from typing import NoReturn, Union, cast

from lark import Lark, Token, Tree, UnexpectedToken

from telemetry.reading.codec import REASONS_WITH_DEVICE
from telemetry.reading.fields import METRICS
from telemetry.reading.model import STATUSES
from telemetry.rules.conditions import (
    And,
    Comparison,
    Condition,
    ConditionError,
    Metric,
    NoData,
    Or,
    Order,
    Rejected,
    Status,
    Window,
    negate,
)
from telemetry.rules.functions import FUNCTIONS
from telemetry.text.durations import format_duration, parse_duration
from telemetry.text.errors import TextError
from telemetry.text.numbers import NUMBER

# Whatever stands between operators is a WORD. Its meaning is checked after parsing, where messages can be better.
_GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction ("or" conjunction)*
?conjunction: term ("and" term)*
?term: "(" disjunction ")"
     | "not" term                                   -> negation
     | WORD OPERATOR WORD                           -> plain
     | WORD "(" WORD "," WORD ")" OPERATOR WORD     -> windowed
     | NO_DATA ("(" WORD ")")?                      -> silence
     | REJECTED ("(" WORD ("," WORD)* ")")?         -> rejections

NO_DATA: "no_data"
REJECTED: "rejected"
OPERATOR: /[<>=!]+/
WORD: /[^\s()<>=!,]+/
%ignore /\s+/
"""

#: The shortest and the longest window.
MIN_WINDOW = dt.timedelta(seconds=10)
MAX_WINDOW = dt.timedelta(hours=24)

#: How long a condition may be in characters, and how deep its parts may be nested.
MAX_LENGTH = 1_000
_MAX_DEPTH = 20

_ORDERS = ("<", "<=", ">", ">=")
_MEANT = {"&&": "; write and", "||": "; write or", "AND": "; write and", "OR": "; write or"}
_LENGTH = "how long the window is, such as 5m"


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="basic")


def parse_condition(text: str) -> Condition:
    """Parse the text of a condition.

    Raises :class:`ConditionError` with the line, the column and what to write instead.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"a condition has at most {MAX_LENGTH} characters", text, MAX_LENGTH)
    try:
        tree = _parser().parse(text)
    except UnexpectedToken as error:
        raise _unexpected(error, text) from None
    if tree.data == "silence":
        return _Reader(text).silence(tree)
    if tree.data == "rejections":
        return _Reader(text).rejections(tree)
    return _Reader(text).condition(tree, _MAX_DEPTH)


def _unexpected(error: UnexpectedToken, text: str) -> ConditionError:
    """Say in a person's words what the parser expected."""
    token = error.token
    ended = token.type == "$END"
    offset = len(text.rstrip()) if ended else cast("int", token.start_pos)
    expected = _expected(error.accepts, text[:offset])
    found = "the condition ends" if ended else f"there is {str(token)!r}"
    hint = "; write not" if text[:offset].split()[-1:] == ["NOT"] else _hint(token, error.accepts)
    return ConditionError(f"expected {expected}, but {found}{hint}", text, offset)


def _expected(accepts: set[str], before: str) -> str:
    """Describe what can follow a text."""
    if "NOT" in accepts:
        return "a condition such as temperature > 40"
    if "AND" in accepts:
        return "'and', 'or' or ')'" if "RPAR" in accepts else "'and', 'or' or the end"
    if "OPERATOR" in accepts:
        return "a comparison: < <= > >= for a number, == != for status"
    if "COMMA" in accepts:
        return "',' and another reason, or ')'" if "RPAR" in accepts else f"a comma and {_LENGTH}"
    if "RPAR" in accepts:
        return "')'"
    return "the end" if "$END" in accepts else _expected_word(before.strip())


def _expected_word(before: str) -> str:
    if not before.endswith(("(", ",")):
        return "a number, or for status one of " + ", ".join(STATUSES)
    if before.startswith("rejected"):
        return f"a reason: {', '.join(REASONS_WITH_DEVICE)}"
    return "a metric, or for no_data device or gateway" if before.endswith("(") else _LENGTH


def _hint(token: Token, accepts: set[str]) -> str:
    if "AND" not in accepts:
        return ""
    if token.type == "OPERATOR":
        return "; write both comparisons out, such as temperature > 0 and temperature < 40"
    return _MEANT.get(token, "")


def _tokens(tree: Tree[Token]) -> list[Token]:
    """Return the tokens of a tree, in the order of the text."""
    return list(tree.scan_values(lambda value: isinstance(value, Token)))


class _Reader:
    """Makes conditions of parse trees."""

    def __init__(self, text: str) -> None:
        self._text = text

    def condition(self, tree: Tree[Token], depth: int) -> Condition:
        if depth == 0:
            self._refuse("the condition is nested too deep; make two rules of it", _tokens(tree)[0])
        if tree.data == "plain":
            return self._plain(*cast("list[Token]", tree.children))
        if tree.data == "windowed":
            return self._windowed(*cast("list[Token]", tree.children))
        if tree.data in ("silence", "rejections"):
            name = _tokens(tree)[0]
            self._refuse(
                f"{name} must be the whole condition: there is no reading to compare anything of; make two rules of it",
                name,
            )
        terms = [self.condition(child, depth - 1) for child in tree.children if isinstance(child, Tree)]
        if tree.data == "negation":
            return negate(terms[0])
        kind = And if tree.data == "conjunction" else Or
        return kind(tuple(part for term in terms for part in (term.terms if isinstance(term, kind) else (term,))))

    def silence(self, tree: Tree[Token]) -> NoData:
        scope = _tokens(tree)[-1]  # of no_data(scope), or no_data itself
        if scope in ("no_data", "device"):
            return NoData("device")
        if scope != "gateway":
            self._refuse(f"{str(scope)!r} has no data; write no_data or no_data(gateway)", scope)
        return NoData("gateway")

    def rejections(self, tree: Tree[Token]) -> Rejected:
        _, *reasons = _tokens(tree)
        for place, reason in enumerate(reasons):
            if reason not in REASONS_WITH_DEVICE:
                known = ", ".join(REASONS_WITH_DEVICE)
                self._refuse(f"no line of a device is rejected as {str(reason)!r}; the reasons are {known}", reason)
            if reason in reasons[:place]:
                self._refuse(f"{reason} is given twice", reason)
        return Rejected(tuple(map(str, reasons)))

    def _plain(self, subject: Token, op: Token, value: Token) -> Condition:
        if subject == "status":
            return self._status(op, value)
        if subject in FUNCTIONS:
            self._refuse(f"{subject} is a function; write {subject}(temperature, 5m)", subject)
        if NUMBER.fullmatch(subject):
            self._refuse("what is compared comes first, then the number; write temperature > 40", subject)
        if subject not in METRICS:
            self._refuse(f"there is no metric {str(subject)!r}; there are {', '.join(METRICS)}, and status", subject)
        return self._comparison(Metric(str(subject)), op, value)

    def _windowed(self, function: Token, metric: Token, length: Token, op: Token, value: Token) -> Condition:
        if function not in FUNCTIONS:
            self._refuse(f"there is no function {str(function)!r}; there are {', '.join(FUNCTIONS)}", function)
        if metric not in METRICS:
            self._refuse(f"there is no metric {str(metric)!r} for {function}; there are {', '.join(METRICS)}", metric)
        try:
            window = parse_duration(str(length))
        except TextError as error:
            self._refuse(str(error), length)
        if not MIN_WINDOW <= window <= MAX_WINDOW:
            size = "short" if window < MIN_WINDOW else "long"
            bounds = f"{format_duration(MIN_WINDOW)} to {format_duration(MAX_WINDOW)}"
            self._refuse(f"a window of {length} is too {size}; it can be {bounds}", length)
        return self._comparison(Window(str(function), str(metric), int(window.total_seconds())), op, value)

    def _comparison(self, subject: Union[Metric, Window], op: Token, value: Token) -> Comparison:
        if op in ("==", "!="):
            self._refuse(f"{op} is for status; compare a number with < <= > >=", op)
        if op not in _ORDERS:
            self._refuse(f"invalid comparison {str(op)!r}; compare a number with < <= > >=", op)
        if not NUMBER.fullmatch(value):
            self._refuse(f"{subject} is compared with a number without a unit, not with {str(value)!r}", value)
        threshold = float(value)
        if not math.isfinite(threshold):
            self._refuse(f"the number {value} is too large", value)
        return Comparison(subject, cast("Order", str(op)), threshold + 0.0)  # no minus on a zero

    def _status(self, op: Token, value: Token) -> Status:
        if op not in ("==", "!="):
            self._refuse("status is compared with == or !=", op)
        if value not in STATUSES:
            self._refuse(f"there is no status {str(value)!r}; there are {', '.join(STATUSES)}", value)
        return Status("==" if op == "==" else "!=", str(value))

    def _refuse(self, message: str, token: Token) -> NoReturn:
        raise ConditionError(message, self._text, cast("int", token.start_pos))
