"""Whether two globs can match the same text."""

from __future__ import annotations

import fnmatch
import re

#: What a glob is made of, as ``fnmatch`` reads it: a bracket that is not closed is a letter.
_TOKEN = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def can_both_match(one: str, other: str) -> bool:
    """Whether there is a text that both globs (of :mod:`fnmatch`) match."""
    return _Pair(one, other).meet()


class _Pair:
    """Two globs and the positions that both can be at after the same text."""

    def __init__(self, one: str, other: str) -> None:
        self._tokens = (_TOKEN.findall(one), _TOKEN.findall(other))
        # Where two sets of characters, each made of ranges, have any in common, they have one that begins a range of
        # either: a character of the globs, the one after it (where it ends an excluded range), or the very first.
        letters = set(one + other)
        self._letters = letters | {chr(ord(letter) + 1) for letter in letters if letter != chr(0x10FFFF)} | {"\0"}

    def meet(self) -> bool:
        ends = tuple(len(tokens) for tokens in self._tokens)
        seen, todo = {(0, 0)}, [(0, 0)]
        while todo:
            place = todo.pop()
            if place == ends:
                return True
            new = self._after(*place) - seen
            seen |= new
            todo += new
        return False

    def _after(self, i: int, j: int) -> set[tuple[int, int]]:
        """Return the next positions: a star matches nothing, or what the other glob matches."""
        ones, others = self._tokens
        one, other = ones[i] if i < len(ones) else "", others[j] if j < len(others) else ""
        if one == "*":
            return {(i + 1, j), (i, j + 1)} if other else {(i + 1, j)}
        if other == "*":
            return {(i, j + 1), (i + 1, j)} if one else {(i, j + 1)}
        return {(i + 1, j + 1)} if one and other and self._share(one, other) else set()

    def _share(self, one: str, other: str) -> bool:
        match = fnmatch.fnmatchcase
        return any(match(letter, one) and match(letter, other) for letter in self._letters)
