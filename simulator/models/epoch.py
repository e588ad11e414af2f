"""Times in microseconds since 1970 (UTC): what the simulator computes with."""

from __future__ import annotations

import datetime as dt

MICROSECONDS = 1_000_000

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def moment(microseconds: int) -> dt.datetime:
    """Return microseconds since 1970 as a date and time (UTC)."""
    return _EPOCH + dt.timedelta(microseconds=microseconds)


def microseconds(moment: dt.datetime) -> int:
    """Return a date and time as microseconds since 1970."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)
