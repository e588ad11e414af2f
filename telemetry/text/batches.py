"""Batches limited in bytes and in number, for requests and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def limited_batches(
    items: Iterable[T], size: Callable[[T], int], *, most_bytes: int, most: float = float("inf")
) -> Iterator[list[T]]:
    """Cut items, in order, into lists of at most ``most_bytes`` and ``most`` items; a larger item is alone.

    ``more_itertools.constrained_batches`` does the same, but its import adds to every cold start of the functions.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        length = size(item)
        if batch and (len(batch) == most or total + length > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += length
    if batch:
        yield batch
