"""Errors in what people write, and the place that they point at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Characters of a line that are shown on each side of the place.
_SHOWN = 80

#: The number of mistakes that a message lists.
_LISTED = 50


class TextError(ValueError):
    """A text cannot be used; the message says where, what is wrong with it and what to write."""

    def __init__(self, message: str, place: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        #: The line and the column, counted from 1, where they are known.
        self.place = place


class MistakesError(TextError):
    """A text has mistakes, one or several: the message lists them in the order of the text."""

    def __init__(self, mistakes: Sequence[TextError]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.place)
        messages = [str(mistake) for mistake in self.mistakes[:_LISTED]]
        if len(self.mistakes) > _LISTED:
            messages.append(f"… and {len(self.mistakes) - _LISTED} more")
        if len(self.mistakes) > 1:
            messages.insert(0, f"{len(self.mistakes)} mistakes:")
        super().__init__("\n".join(messages), self.mistakes[0].place)


class Hint(NamedTuple):
    """Name of a value and what to write, in the annotation of a type: ``Annotated[str, Hint("name", "…")]``.

    Not in ``msgspec.Meta(extra=…)``, because msgspec leaves the pattern of such keys out of a JSON Schema.
    """

    what: str
    write: str


class Place(NamedTuple):
    """Line and column, counted from 1, and the line (the part of it around the place) with a caret under the place."""

    line: int
    column: int
    shown: str


def place_of(text: str, offset: int) -> Place:
    """Return the place of the character at ``offset``, which may be the end of the text."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    before, after = text[start:offset].lstrip(), text[offset : end if end >= 0 else len(text)].rstrip()
    if len(before) > _SHOWN:
        before = "…" + before[-_SHOWN:]
    if len(after) > _SHOWN:
        after = after[:_SHOWN] + "…"
    # A tab before the place stays one before the caret: it is as wide as the other.
    indent = "".join("\t" if letter == "\t" else " " for letter in before)
    return Place(text.count("\n", 0, offset) + 1, offset - start + 1, f"  {before}{after}\n  {indent}^")
