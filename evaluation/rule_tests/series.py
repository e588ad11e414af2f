"""The notation in which a rule test writes what a device sends: promtool's, with statuses and silence added.

::

    21.5          one value
    -18+2x5       -18 and five more, each 2 greater: -18 -16 -14 -12 -10 -8
    18-2x5        18 and five more, each 2 smaller
    -20x10        -20 and ten more of it
    okx9 fault    statuses: ok and nine more of it, then fault
    _ or _x3      null, once or three times: a reading without that metric
    - or -x3      nothing, once or three times ("- 20" needs quotes in YAML)
    wrong_typex2  under ``rejected``: a line that is refused for this reason, and two more;
                  missing_field, out_of_bounds, from_future and too_late are the others

Where no metric, no status and no ``rejected`` of a device has a value or a null, the device sends nothing; so after the
end of all of them. After promtool: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from telemetry.reading.codec import Reason
from telemetry.reading.model import STATUSES
from telemetry.text.numbers import NUMBER

#: A null, and nothing at all.
NULL: Final = "_"
NOTHING: Final = "-"

#: The most values of one series: a test is not a load test.
MAX_VALUES = 100_000

_NUMBER = NUMBER.pattern
_RAMP = re.compile(rf"(?P<first>{_NUMBER})(?:(?P<step>(?=[-+]){_NUMBER})?x(?P<more>[0-9]+))?")
_SPECIAL = re.compile(r"(?P<what>[-_])(?:x(?P<times>[0-9]+))?")

#: The reasons for which a line that names its device can be refused.
REASONS: tuple[Reason, ...] = ("missing_field", "wrong_type", "out_of_bounds", "from_future", "too_late")

Value = float | Literal["_", "-"]


class SeriesError(ValueError):
    """A series cannot be read; the message says which part of it and what to write."""


def numbers(text: str) -> list[Value]:
    """Return the values of a metric's series; raise :class:`SeriesError`."""
    values: list[Value] = []
    for token in text.split():
        ramp = _RAMP.fullmatch(token)
        if ramp is None:
            values += _special(token, f"write numbers such as '21.5', '-18+2x5' or '20x10', or '{NULL}' or '{NOTHING}'")
        else:
            first, step, more = float(ramp["first"]), float(ramp["step"] or 0), _count(token, ramp["more"])
            # Rounded, for 0.1 added three times is not what a person means by 0.3.
            values += [round(first + step * number, 9) for number in range(more + 1)]
        _check_length(values)
    return values


def statuses(text: str) -> list[str]:
    """Return the values of a status's series: statuses or :data:`NOTHING`; raise :class:`SeriesError`."""
    return _words("status", text, STATUSES)


def refusals(text: str) -> list[str]:
    """Return the values of the series ``rejected``: reasons or :data:`NOTHING`; raise :class:`SeriesError`."""
    return _words("reason", text, REASONS)


def _words(kind: str, text: str, words: Sequence[str]) -> list[str]:
    values: list[str] = []
    pattern = re.compile(rf"(?P<what>{'|'.join(words)}|-)(?:x(?P<times>[0-9]+))?")
    for token in text.split():
        match = pattern.fullmatch(token)
        if match is None:
            write = f"{', '.join(words)}, such as '{words[0]}x9', or '{NOTHING}'"
            raise SeriesError(f"invalid {kind} {token!r}: write {write}")
        values += [match["what"]] * (
            _times(token, match["times"]) if match["what"] == NOTHING else 1 + _count(token, match["times"])
        )
        _check_length(values)
    return values


def _special(token: str, otherwise: str) -> list[Literal["_", "-"]]:
    match = _SPECIAL.fullmatch(token)
    if match is None:
        raise SeriesError(f"invalid value {token!r}: {otherwise}")
    return [NULL if match["what"] == NULL else NOTHING] * _times(token, match["times"])


def _times(token: str, digits: str | None) -> int:
    return 1 if digits is None else _count(token, digits)


def _count(token: str, digits: str | None) -> int:
    count = int(digits or 0)
    if count > MAX_VALUES:
        raise SeriesError(f"{token!r} has more than {MAX_VALUES:,} values")
    return count


def _check_length(values: list[Value] | list[str]) -> None:
    if len(values) > MAX_VALUES:
        raise SeriesError(f"the series has more than {MAX_VALUES:,} values")
