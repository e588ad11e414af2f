"""Bytes of raw objects to Arrow tables of lines, split in bulk: no Python runs for a good line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from telemetry.reading.codec import is_utf8

_GZIP_MAGIC = b"\x1f\x8b"
_NEWLINE = ord("\n")

#: Text split at once: what is compared and counted stays in the processor's cache.
_PIECE_BYTES = 2**18

#: ``object_no``, ``raw_line`` (from 1), ``raw_offset`` (bytes before it) and the line with its end.
LINES = pa.schema(
    [("object_no", pa.int64()), ("raw_line", pa.int64()), ("raw_offset", pa.int64()), ("line", pa.large_string())]
)


class Line(NamedTuple):
    """One line without its end, and where it stands in its object: the number from 1, and the bytes before it."""

    text: bytes
    number: int
    offset: int


#: What is refused of an object that has no line.
NO_LINE = Line(b"", 1, 0)


class CorruptObjectError(Exception):
    """The object says it is gzip and cannot be decompressed."""


def decompressed(data: bytes) -> bytes:
    """Return an object's bytes, decompressed if the first ones are gzip's; raise :class:`CorruptObjectError`."""
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptObjectError(str(error)) from error


def lines_table(object_no: int, text: bytes) -> tuple[pa.RecordBatch, list[Line]]:
    """The lines of an object's text that are UTF-8, as a batch of :data:`LINES` over ``text`` itself, and the others.

    The last line needs no end. Blank lines are lines here.
    """
    bounds = line_bounds(text)
    count = len(bounds) - 1
    columns = [
        _integers(np.full(count, object_no, np.int64)),
        _integers(np.arange(1, count + 1, dtype=np.int64)),
        _integers(bounds[:-1]),
        pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, [None, pa.py_buffer(bounds), pa.py_buffer(text)]),
    ]
    others: list[Line] = []
    if not is_utf8(text):
        others = [line for line in split(text) if not is_utf8(line.text)]
        valid = np.ones(count, dtype=np.bool_)
        valid[[line.number - 1 for line in others]] = False
        columns = [column.filter(pa.array(valid)) for column in columns]
    columns[-1] = columns[-1].cast(pa.large_string())
    return pa.RecordBatch.from_arrays(columns, schema=LINES), others


def _integers(values: npt.NDArray[np.int64]) -> pa.Array:
    """As Arrow's, without a copy; pa.array imports pandas first, where that is installed."""
    return pa.Int64Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def split(text: bytes) -> Iterator[Line]:
    """The lines of a text, one by one."""
    offset = 0
    for number, line in enumerate(text.removesuffix(b"\n").split(b"\n"), start=1):
        yield Line(line, number, offset)
        offset += len(line) + 1


def line_bounds(text: bytes) -> npt.NDArray[np.int64]:
    """Where each line begins, and where the last ends."""
    characters = np.frombuffer(text, np.uint8)
    ends = [
        np.flatnonzero(characters[start : start + _PIECE_BYTES] == _NEWLINE) + (start + 1)
        for start in range(0, len(text), _PIECE_BYTES)
    ]
    last = [] if text.endswith(b"\n") else [np.array([len(text)])]
    return np.concatenate([np.array([0]), *ends, *last]).astype(np.int64, copy=False)
