"""Lengths of time as people write them: ``500ms``, ``30s``, ``1.5h``, ``1h30m``."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"

#: The longest there is, seconds: ten years.
LONGEST = 3_650 * 86_400.0

#: A length of time in a scenario, which may be none at all.
Length = Annotated[str, msgspec.Meta(pattern=_PATTERN)]

#: One that takes some time.
Span = Annotated[str, msgspec.Meta(pattern=r"^(?=.*[1-9])" + _PATTERN.removeprefix("^"))]

#: What to write where one is asked for.
EXAMPLES = "500ms, 30s, 5m, 1h30m or 1d"


def seconds(text: str) -> float:
    """How many seconds that is. Raises ValueError for what is no length of time, and for more than ``LONGEST``."""
    if not re.fullmatch(_PATTERN, text):
        raise ValueError(f"{text!r} is no duration; write one like {EXAMPLES}")
    found = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if found > LONGEST:
        raise ValueError(f"{text!r} is too long; write {LONGEST / _UNITS['d']:.0f}d at most")
    return found
