"""Errors in what people write, and the place that they point at."""

from __future__ import annotations

from typing import NamedTuple

#: Characters of a line that are shown on each side of the place.
_SHOWN = 80


class TextError(ValueError):
    """A text cannot be used; the message says where, what is wrong with it and what to write."""


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
