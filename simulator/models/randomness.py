"""Random numbers that are looked up, not drawn: the same for the same device and moment, in any order.

A generator that is drawn from gives other numbers to a run that is cut otherwise, starts later or is spread over
processes. Here a number is a hash of what it is for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF_BITS = np.uint64(0xFFFF)

#: Terms kept of an autoregression's endless sum: the rest is under a ten-thousandth of it.
_TERMS = 20

#: How many knots of a :class:`Drift` a correlation time has, and how much of a knot's value the next one keeps: a bit
#: less than exp(-1 / _KNOTS), as what is interpolated keeps more. Over all moments it is 1/e after a correlation time.
_KNOTS = 2
_KEPT = 0.538

#: Where a table would have so many knots for each value that is looked up, it is not made.
_SPARSE = 40


def keys(seed: int, purpose: str, number: int) -> Keys:
    """Return ``number`` keys for a purpose; they differ for any other seed or purpose."""
    text = np.frombuffer(purpose.encode(), np.uint8).astype(np.uint64)
    start = np.uint64(seed)
    for letter in text:
        start = mixed(np.array([start ^ letter], np.uint64))[0]
    return mixed(start ^ mixed(np.arange(number, dtype=np.uint64)))


def mixed(values: Keys) -> Keys:
    """Hash values by the finaliser of SplitMix64. https://doi.org/10.1145/2714064.2660195, section 4."""
    mixed = values + _GOLDEN
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def hashes(key: Keys, number: NDArray[np.int64]) -> Keys:
    """Return the hash of each key and number."""
    return mixed(key ^ (number.astype(np.uint64) * _GOLDEN))


def uniform(hashed: Keys) -> Floats:
    """Return numbers from 0 up to, but not including, 1."""
    return (hashed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(hashed: Keys) -> Floats:
    """Return numbers of mean 0 and standard deviation 1, between -3.5 and 3.5.

    The sum of four uniform ones, scaled (https://en.wikipedia.org/wiki/Irwin-Hall_distribution): what is bounded makes
    promises possible, such as that a healthy device breaks no limit.
    """
    total = (hashed & _HALF_BITS) + (hashed >> np.uint64(48))
    total += (hashed >> np.uint64(16)) & _HALF_BITS
    total += (hashed >> np.uint64(32)) & _HALF_BITS
    return (total.astype(np.float64) / 65_536 - 2 + 2 / 65_536) * 3**0.5


class Drift:
    """First-order autoregressions with mean 0 and standard deviation 1, one for each key.

    ``memory`` is the correlation time in seconds: after it 1/e of a deviation is left. Values stand on knots at fixed
    times, half a memory apart, each the sum of fresh ones and ever less of those before; between two knots they are
    interpolated, and scaled so that the deviation is the same everywhere.
    """

    def __init__(self, key: Keys, memory: float) -> None:
        self._key = key
        self._spacing = memory / _KNOTS
        self._first = self._end = 0
        self._knots: Floats = np.zeros((len(key), 0))

    def at(self, place: Places, t: Floats) -> Floats:
        """Return the values of the keys at ``place`` at the moments ``t`` (Unix seconds)."""
        position = t / self._spacing
        before = np.floor(position).astype(np.int64)
        part = position - before
        low, high = self._around(place, before)
        rest = 1 - part
        scale = np.sqrt(rest * rest + part * part + 2 * _KEPT * part * rest)
        values: Floats = (rest * low + part * high) / scale
        return values

    def _around(self, place: Places, before: Places) -> tuple[Floats, Floats]:
        """Return the knots of these numbers, and those after them."""
        if not len(before):
            return np.zeros(0), np.zeros(0)
        first, end = int(before.min()), int(before.max()) + 2
        if not (self._first <= first and end <= self._end):
            if len(self._key) * (end - first) > _SPARSE * len(before):
                return self._single(place, before), self._single(place, before + 1)
            self._reach(first, end)
        column = before - self._first
        return self._knots[place, column], self._knots[place, column + 1]

    def _single(self, place: Places, number: Places) -> Floats:
        """Return knots of these numbers one by one: the same as in the table."""
        key, knots = self._key[place], np.zeros(len(place))
        for term in range(_TERMS):
            knots += _KEPT**term * normal(hashes(key, number - term))
        knots *= (1 - _KEPT**2) ** 0.5
        return knots

    def _reach(self, first: int, end: int) -> None:
        """Compute a table of the knots from ``first`` up to ``end``."""
        numbers = np.arange(first - _TERMS + 1, end, dtype=np.int64)
        fresh = normal(hashes(self._key[:, np.newaxis], numbers[np.newaxis, :]))
        knots = np.zeros((len(self._key), end - first))
        for term in range(_TERMS):
            begin = _TERMS - 1 - term
            knots += _KEPT**term * fresh[:, begin : begin + end - first]
        self._knots = knots * (1 - _KEPT**2) ** 0.5
        self._first, self._end = first, end
