"""Durations as people write them: ``90s``, ``5m``, ``1h30m``, ``7d``, and where it makes sense ``500ms`` or ``1.5s``.

One grammar serves rules, scenarios and the command line: numbers, each with its unit, added up. It accepts all that
Prometheus accepts up to days. https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from msgspec import Meta

from telemetry.text.errors import Hint, TextError

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"

#: Examples for messages, of whole seconds and with parts of one.
_EXAMPLES = "90s, 5m, 2h, 7d"
_FINE_EXAMPLES = f"500ms, {_EXAMPLES}"

#: The longest duration unless the caller says otherwise: alerts remember nothing for longer.
MAX_DURATION = dt.timedelta(days=365)

#: Types for files that msgspec checks. Parsing checks whether seconds are whole, and how many they are.
WholeSeconds = Annotated[str, Meta(pattern=_PATTERN), Hint("duration", _EXAMPLES)]
Duration = Annotated[str, Meta(pattern=_PATTERN), Hint("duration", _FINE_EXAMPLES)]
PositiveDuration = Annotated[
    str,
    Meta(pattern=r"^(?=.*[1-9])" + _PATTERN.removeprefix("^")),
    Hint("duration", f"more than zero, such as {_FINE_EXAMPLES}"),
]


def parse_duration(text: str, longest: dt.timedelta = MAX_DURATION) -> dt.timedelta:
    """Return a duration of whole seconds; raise :class:`TextError` for any other text."""
    seconds = _seconds(text, longest, _EXAMPLES)
    if abs(seconds - round(seconds)) > 1e-6:
        raise TextError(f"invalid duration {text[:40]!r}: write whole seconds, such as {_EXAMPLES}")
    return dt.timedelta(seconds=round(seconds))


def parse_seconds(text: str, longest: dt.timedelta = dt.timedelta.max) -> float:
    """Return the seconds of a duration, which may have parts of one; raise :class:`TextError` for any other text."""
    return _seconds(text, longest, _FINE_EXAMPLES)


def _seconds(text: str, longest: dt.timedelta, examples: str) -> float:
    if not re.fullmatch(_PATTERN, text):
        raise TextError(f"invalid duration {text[:40]!r}: write {examples}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > longest.total_seconds():
        raise TextError(f"invalid duration {text[:40]!r}: it can be at most {format_duration(longest)}")
    return seconds


def format_duration(duration: dt.timedelta) -> str:
    """Write a duration as :func:`parse_duration` reads it, without parts of a second."""
    rest = int(duration.total_seconds())
    text = ""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_UNITS[unit]))
        if count:
            text += f"{count}{unit}"
    return text or "0s"
