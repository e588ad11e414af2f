"""What goes wrong on the way: lines that are no readings, and readings sent again.

Both come on top of the readings and use no device's ``seq``, so every line is one of three kinds and the
counts add up. A line sent again is the same bytes through the same gateway, later.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, Literal, NamedTuple

import msgspec

from simulator.fleet import FleetConfig
from telemetry.codec import Reason, encode_batch
from telemetry.reading import Reading

#: A line is sent again at most this many seconds later.
_LONGEST_ECHO = 2.0

#: Ahead of any arrival, however old the run's start.
_CLOCK_ERROR = dt.timedelta(days=3650)


class Extra(NamedTuple):
    """A line that is not a reading of its own; ``encoded`` ends with ``\\n``."""

    kind: Literal["duplicate", "malformed"]
    encoded: bytes


_Fields = dict[str, Any]


def _encode(fields: _Fields) -> bytes:
    return msgspec.json.encode(fields)


def _cut(fields: _Fields) -> bytes:
    line = _encode(fields)
    return line[: len(line) // 2]


def _not_utf8(fields: _Fields) -> bytes:
    site = _encode(fields["site"])
    return _encode(fields).replace(site, site[:-1] + b'\xff"')


#: A way to spoil a reading's fields for each reason to reject one.
_SPOILERS: dict[Reason, Callable[[_Fields], bytes]] = {
    "not_json": _cut,
    "wrong_type": lambda fields: _encode(fields | {"temperature": "warm"}),
    "out_of_bounds": lambda fields: _encode(fields | {"temperature": 999.9}),
    "not_utf8": _not_utf8,
    "missing_field": lambda fields: _encode({name: value for name, value in fields.items() if name != "ts"}),
    "from_future": lambda fields: _encode(fields | {"ts": fields["ts"] + _CLOCK_ERROR}),
}


def spoiled(reading: Reading, reason: Reason) -> bytes:
    """A line much like the reading's that must be rejected for ``reason``, ended by ``\\n``."""
    return _SPOILERS[reason](msgspec.structs.asdict(reading)) + b"\n"


class Disturbances:
    """Which extra lines follow which reading of a run, by the reading's number in the order of time."""

    def __init__(self, config: FleetConfig, readings: int, malformed: int, duplicates: int) -> None:
        random = config.random(purpose=3)
        self._spoil: defaultdict[int, list[Reason]] = defaultdict(list)
        for number, reason in zip(sorted(random.integers(0, readings, malformed).tolist()), cycle(_SPOILERS)):
            self._spoil[number].append(reason)
        random = config.random(purpose=4)
        self._again: defaultdict[int, list[int]] = defaultdict(list)
        longest = max(1, round(_LONGEST_ECHO * config.rate))
        for number in random.integers(0, readings, duplicates).tolist():
            later = number + int(random.integers(1, longest, endpoint=True))
            self._again[number].append(min(later, readings - 1))
        self._numbers = sorted({*self._spoil, *self._again, *(n for again in self._again.values() for n in again)})
        self._echoes: defaultdict[int, list[tuple[str, Extra]]] = defaultdict(list)

    def between(self, first: int, end: int) -> list[int]:
        """The readings from number ``first`` up to ``end`` that :meth:`after` must be told of."""
        return self._numbers[bisect_left(self._numbers, first) : bisect_left(self._numbers, end)]

    def after(self, number: int, gateway: str, reading: Reading) -> Iterator[tuple[str, Extra]]:
        """The lines that follow this reading, each with the gateway it goes through. Call in order."""
        for reason in self._spoil.get(number, ()):
            yield gateway, Extra("malformed", spoiled(reading, reason))
        for later in self._again.get(number, ()):
            self._echoes[later].append((gateway, Extra("duplicate", encode_batch([reading]))))
        yield from self._echoes.pop(number, ())
