"""Lengths of time as people write them: ``90s``, ``5m``, ``1h30m``, ``7d``."""

from __future__ import annotations

import datetime as dt
import re

from telemetry.text.errors import RulesError

# Prometheus' way of writing them, days being the largest unit.
# https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations
_DURATION = re.compile(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))

#: Longer than anything here remembers, and short enough to be added to any date there will be.
MAX_DURATION = dt.timedelta(days=365)


class DurationError(RulesError):
    """A text is no duration; the message says what to write."""


def parse_duration(text: str) -> dt.timedelta:
    """The length of time, in whole seconds up to ``MAX_DURATION``; raises :class:`DurationError` for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise DurationError(
            f"{text!r} is no duration; write days, hours, minutes and seconds in this order, such as 7d, 1h30m or 90s"
        )
    # More digits than this are too long in any unit, and Python refuses to read thousands of them.
    if any(len(number) > 12 for number in match.groups(default="")):
        raise _too_long(text)
    seconds = sum(int(number) * size for number, (_, size) in zip(match.groups(default="0"), _UNITS))
    if seconds > MAX_DURATION.total_seconds():
        raise _too_long(text)
    return dt.timedelta(seconds=seconds)


def _too_long(text: str) -> DurationError:
    return DurationError(f"{text[:40]!r} is too long; a duration is at most {format_duration(MAX_DURATION)}")


def format_duration(duration: dt.timedelta) -> str:
    """The duration as :func:`parse_duration` reads it; parts of a second are left out."""
    rest = int(duration.total_seconds())
    text = ""
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"
