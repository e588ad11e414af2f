"""Many small structs as few bytes: column by column, because equal values then stand side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

#: The columns of some structs: one list a field.
Columns = list[list[Any]]


def columns(structs: Iterable[S]) -> Columns:
    """The structs, all of one type, turned into columns."""
    return [list(column) for column in zip(*map(msgspec.structs.astuple, structs))]


def rows(kind: type[S], packed: Sequence[Sequence[Any]]) -> list[S]:
    """The structs of ``kind`` whose columns these are."""
    return [kind(*row) for row in zip(*packed)]
